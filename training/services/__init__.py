"""Everything that starts training or registers a model. Pages, API, commands and pipelines call these."""

from training.services.artifacts import artifact_publish, artifact_register, run_folder
from training.services.checking import backend_ask, elsewhere_check, run_check, run_estimate
from training.services.data import check_kind, data_paths
from training.services.queueing import GENERATE_FILE, generation_queue, run_create, run_queue
from training.services.refusals import NAME, RunRefused
from training.services.specifying import run_spec

__all__ = [
    "GENERATE_FILE",
    "NAME",
    "RunRefused",
    "artifact_publish",
    "artifact_register",
    "backend_ask",
    "check_kind",
    "data_paths",
    "elsewhere_check",
    "generation_queue",
    "run_check",
    "run_create",
    "run_estimate",
    "run_folder",
    "run_queue",
    "run_spec",
]
