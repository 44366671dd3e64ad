"""What came of somebody's scores: from a rater or a rubric version to every dataset, run, model, scorecard and champion."""
