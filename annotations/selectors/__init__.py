"""What pages, API and commands read about items, scores and datasets."""

from annotations.selectors.datasets import dataset_list, import_list
from annotations.selectors.items import COUNTED_AT_MOST, ITEM_STATES, ItemFilter, item_count, item_list, source_models
from annotations.selectors.projects import (
    ProjectProgress,
    next_project,
    project_list,
    project_progress,
    rater_progress,
    scoring_projects,
)
from annotations.selectors.rounds import Round, ancestors, may_see_rounds, revisions_of, rounds_before
from annotations.selectors.scores import (
    SeenScores,
    ShownRewards,
    is_held,
    metadata_seen,
    open_flags,
    score_history,
    scores_seen,
    sees_others,
    shown_rewards,
)

__all__ = [
    "COUNTED_AT_MOST",
    "ITEM_STATES",
    "ItemFilter",
    "ProjectProgress",
    "Round",
    "SeenScores",
    "ShownRewards",
    "ancestors",
    "dataset_list",
    "import_list",
    "is_held",
    "item_count",
    "item_list",
    "may_see_rounds",
    "metadata_seen",
    "next_project",
    "open_flags",
    "project_list",
    "project_progress",
    "rater_progress",
    "revisions_of",
    "rounds_before",
    "score_history",
    "scores_seen",
    "scoring_projects",
    "sees_others",
    "shown_rewards",
    "source_models",
]
