"""What a run reads: the files of its dataset version, and whether their rows are such as its method reads."""

from pathlib import Path

from annotations.models import DatasetVersion
from training.data import RowStream
from training.exceptions import BadData
from training.services.refusals import RunRefused
from training.specs import RunSpec
from training.trainers import METHODS
from training.trainers.sampling_config import SamplingConfig

ROWS_CHECKED = 1000


def data_paths(dataset: DatasetVersion) -> dict[str, str | None]:
    """The files of a dataset version that training reads; an empty eval split counts as none."""
    folder = Path(dataset.folder)
    held_out = folder / "eval.jsonl"
    has_held_out = held_out.exists() and held_out.stat().st_size > 0
    return {"train": str(folder / "train.jsonl"), "eval": str(held_out) if has_held_out else None}


def check_kind(spec: RunSpec, dataset: DatasetVersion) -> None:
    """Raise RunRefused for a dataset whose rows are not such as the method reads."""
    wanted = METHODS[spec.method].dataset_kind
    if dataset.kind != wanted:
        raise RunRefused("dataset", f"{spec.method.upper()} trains on a {wanted} dataset; “{dataset}” is a {dataset.kind} one.")


def rows_check(spec: RunSpec, dataset: DatasetVersion) -> None:
    """The first rows of each split; the run itself checks all of them."""
    for path in filter(None, data_paths(dataset).values()):
        try:
            RowStream(Path(path), METHODS[spec.method].columns)[:ROWS_CHECKED]
        except BadData as error:
            raise RunRefused("dataset", f"{error.reason} {error.hint}".strip()) from error
    _check_batch(spec, dataset)


def _check_batch(spec: RunSpec, dataset: DatasetVersion) -> None:
    """Methods that sample groups of answers need as many prompts as one batch takes."""
    if spec.backend != "trl" or not isinstance(spec.settings, SamplingConfig):
        return
    asked, there = spec.hardware.distributed, dataset.counts.get("train")
    processes = asked.processes * asked.machines if asked is not None else 1
    prompts = spec.settings.answers_at_once * processes // spec.settings.num_generations
    if there is not None and prompts > there:
        reason = f"A batch takes {prompts} prompts, and “{dataset}” has {there} to train on."
        hint = "Lower it or gradient_accumulation_steps, or raise num_generations."
        raise RunRefused("settings.per_device_train_batch_size", f"{reason} {hint}")
