"""What is scored, by whom, how; and the dataset versions that come of it."""

from annotations.models.argilla import (
    ArgillaConflict,
    ArgillaEvent,
    ArgillaLink,
    ArgillaPerson,
    ArgillaRecord,
    ArgillaResponse,
    ArgillaSync,
)
from annotations.models.bulk import BulkAction, BulkBatch, SavedView
from annotations.models.chains import Chain, ChainResult, ChainRun, ChainStep, ChainVersion
from annotations.models.datasets import DatasetContributor, DatasetShare, DatasetUse, DatasetVersion, DatasetVersionQuerySet
from annotations.models.imports import Import
from annotations.models.items import Item, ItemManager
from annotations.models.projects import Membership, Project, Rater
from annotations.models.reports import QualityReport
from annotations.models.revocations import Revocation, revoked
from annotations.models.rollups import ScoreCount
from annotations.models.rubrics import RubricVersion
from annotations.models.scores import Flag, Ranking, Score, ScoreQuerySet
from annotations.models.teachers import Teacher, TeacherCall, TeacherEvidence, TeacherRun, TeacherVersion
from annotations.models.turns import Draft, Progress, Turn, Undo

__all__ = [
    "ArgillaConflict",
    "ArgillaEvent",
    "ArgillaLink",
    "ArgillaPerson",
    "ArgillaRecord",
    "ArgillaResponse",
    "ArgillaSync",
    "BulkAction",
    "BulkBatch",
    "Chain",
    "ChainResult",
    "ChainRun",
    "ChainStep",
    "ChainVersion",
    "DatasetContributor",
    "DatasetShare",
    "DatasetUse",
    "DatasetVersion",
    "DatasetVersionQuerySet",
    "Draft",
    "Flag",
    "Import",
    "Item",
    "ItemManager",
    "Membership",
    "Progress",
    "Project",
    "QualityReport",
    "Ranking",
    "Rater",
    "Revocation",
    "RubricVersion",
    "SavedView",
    "Score",
    "ScoreCount",
    "ScoreQuerySet",
    "Teacher",
    "TeacherCall",
    "TeacherEvidence",
    "TeacherRun",
    "TeacherVersion",
    "Turn",
    "Undo",
    "revoked",
]
