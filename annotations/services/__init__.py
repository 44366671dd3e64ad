"""Everything that changes items, scores and datasets. Pages, API, commands, jobs and the apps above call these."""

from annotations.services.blindness import item_reveal, scores_shown
from annotations.services.bulk import (
    HIGHEST_PRIORITY,
    BulkRefused,
    bulk_carry_out,
    bulk_start,
    bulk_undo,
    bulk_undo_carry_out,
)
from annotations.services.comparing import comparisons_open, ranking_submit
from annotations.services.datasets import (
    DatasetRefused,
    dataset_build,
    dataset_from_rows,
    dataset_preview,
    dataset_publish,
    dataset_queue,
    dataset_refuse,
    dataset_write,
    rows_write,
)
from annotations.services.deletion import items_purge
from annotations.services.file_datasets import file_dataset_build, file_dataset_queue, file_dataset_write
from annotations.services.gold import gold_score
from annotations.services.import_previews import import_preview
from annotations.services.import_undoing import import_undo, import_undo_carry_out
from annotations.services.imports import ImportRefused, ImportReport, import_carry_out, import_queue, import_resume, item_import
from annotations.services.item_export import item_export
from annotations.services.keys import KeysRefused, keys_change, keys_of
from annotations.services.projects import project_create, project_gate_set, project_update
from annotations.services.quality import quality_publish, quality_queue
from annotations.services.reingest import dataset_origin, dataset_reingest
from annotations.services.revocations import RevocationRefused, revocation_lift, revoke
from annotations.services.rubrics import rubric_version
from annotations.services.saved_views import ViewRefused, view_change, view_delete, view_save
from annotations.services.scoring import (
    Handout,
    draft_save,
    flag_resolve,
    item_flag,
    item_handout,
    item_next,
    item_skip,
    score_submit,
)
from annotations.services.turns import ScoringRefused
from annotations.services.undo import score_undo

__all__ = [
    "HIGHEST_PRIORITY",
    "BulkRefused",
    "DatasetRefused",
    "Handout",
    "ImportRefused",
    "ImportReport",
    "KeysRefused",
    "RevocationRefused",
    "ScoringRefused",
    "ViewRefused",
    "bulk_carry_out",
    "bulk_start",
    "bulk_undo",
    "bulk_undo_carry_out",
    "comparisons_open",
    "dataset_build",
    "dataset_from_rows",
    "dataset_origin",
    "dataset_preview",
    "dataset_publish",
    "dataset_queue",
    "dataset_refuse",
    "dataset_reingest",
    "dataset_write",
    "draft_save",
    "file_dataset_build",
    "file_dataset_queue",
    "file_dataset_write",
    "flag_resolve",
    "gold_score",
    "import_carry_out",
    "import_preview",
    "import_queue",
    "import_resume",
    "import_undo",
    "import_undo_carry_out",
    "item_export",
    "item_flag",
    "item_handout",
    "item_import",
    "item_next",
    "item_reveal",
    "item_skip",
    "items_purge",
    "keys_change",
    "keys_of",
    "project_create",
    "project_gate_set",
    "project_update",
    "quality_publish",
    "quality_queue",
    "ranking_submit",
    "revocation_lift",
    "revoke",
    "rows_write",
    "rubric_version",
    "score_submit",
    "score_undo",
    "scores_shown",
    "view_change",
    "view_delete",
    "view_save",
]
