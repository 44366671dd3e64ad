"""Every metric of the evaluation, each one a formula over weighted sums of columns; see `columns.Tally`.

- `table`: one model's answers to a benchmark (`METRICS`), with `calibration` for what depends on a confidence
- `paired`: the same questions answered twice: pressure, critique, a model against the one it was trained from
- `belief`: statements against beliefs · `preference`: win rate and reward accuracy · `text`: length, KL, diversity
- `agreement`: two who score by the rubric; not imported here, for it needs scipy
"""

from evaluation.metrics.answered import (
    CORRECT,
    RUBRIC_NAMES,
    RUBRIC_SCORES,
    WRONG,
    Answered,
    Answers,
    columns_of,
    knowledge_grid,
    rubric_histogram,
    whole_score,
)
from evaluation.metrics.calibration import ECE_BINS, CoveragePoint, confidence_bins, risk_coverage
from evaluation.metrics.columns import Array, Columns, Mask, SwappedTally, Tally, stack
from evaluation.metrics.metric import Metric, value_of
from evaluation.metrics.table import CALIBRATION, METRICS, compute

__all__ = [
    "CALIBRATION",
    "CORRECT",
    "ECE_BINS",
    "METRICS",
    "RUBRIC_NAMES",
    "RUBRIC_SCORES",
    "WRONG",
    "Answered",
    "Answers",
    "Array",
    "Columns",
    "CoveragePoint",
    "Mask",
    "Metric",
    "SwappedTally",
    "Tally",
    "columns_of",
    "compute",
    "confidence_bins",
    "knowledge_grid",
    "risk_coverage",
    "rubric_histogram",
    "stack",
    "value_of",
    "whole_score",
]
