"""What pages, API and commands read about items, scores and datasets."""

from annotations.selectors.datasets import dataset_list, import_list
from annotations.selectors.items import COUNTED_AT_MOST, ITEM_STATES, ItemFilter, item_count, item_list, source_models
from annotations.selectors.mine import Given, OwnProgress, mine_list, mine_of, mine_shown, own_progress
from annotations.selectors.projects import (
    ProjectProgress,
    next_project,
    project_list,
    project_progress,
    rater_progress,
    scoring_projects,
)
from annotations.selectors.rankings import (
    project_ranking_agreement,
    ranking_documents,
    ranking_history,
    ranking_list,
    rankings_seen,
)
from annotations.selectors.rounds import Chain, Round, ancestors, chain_of, may_see_rounds, revisions_of, rounds_before
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
    "Chain",
    "Given",
    "ItemFilter",
    "OwnProgress",
    "ProjectProgress",
    "Round",
    "SeenScores",
    "ShownRewards",
    "ancestors",
    "chain_of",
    "dataset_list",
    "import_list",
    "is_held",
    "item_count",
    "item_list",
    "may_see_rounds",
    "metadata_seen",
    "mine_list",
    "mine_of",
    "mine_shown",
    "next_project",
    "open_flags",
    "own_progress",
    "project_list",
    "project_progress",
    "project_ranking_agreement",
    "ranking_documents",
    "ranking_history",
    "ranking_list",
    "rankings_seen",
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
