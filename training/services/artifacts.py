"""The models that the site knows: their rows, made when a run is queued, when it has succeeded, or for one from elsewhere."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from training.model_files import check_model_folder
from training.models import Artifact, Run
from training.services.refusals import RunRefused, name_check, name_taken

LONGEST_PATH = 500  # as `Artifact.folder` has it


def artifact_create(name: str, **values: Any) -> Artifact:
    """The model's row. Raises RunRefused where somebody else took the name since it was checked."""
    try:
        with transaction.atomic():
            return Artifact.objects.create(name=name, **values)
    except IntegrityError as error:
        raise name_taken(name) from error


@transaction.atomic
def artifact_publish(*, run: Run, folder: Path, metrics: dict[str, Any]) -> Artifact:
    """Say that the run's model is written and may be used."""
    artifact = run.artifact
    artifact.folder, artifact.metrics, artifact.ready_at = str(folder), metrics, timezone.now()
    artifact.save(update_fields=["folder", "metrics", "ready_at"])
    asked = run.requested_by.get_username() if run.requested_by else None
    audit.record(
        actor=None, action="training.artifact_published", target=artifact, detail={"folder": str(folder), "requested_by": asked}
    )
    return artifact


@transaction.atomic
def artifact_register(*, name: str, folder: Path, actor: User | None) -> Artifact:
    """Make a model that was not trained here known: a folder with safetensors weights and no code. Raises RunRefused."""
    name_check(name)
    try:
        problem = check_model_folder(folder)
    except OSError as error:
        problem = f"{folder} cannot be read: {error.strerror}."
    if len(str(folder.resolve())) > LONGEST_PATH:
        problem = f"The folder's path may have {LONGEST_PATH} characters."
    if problem:
        raise RunRefused("folder", problem)
    kind = Artifact.Kind.ADAPTER if (folder / "adapter_config.json").exists() else Artifact.Kind.MODEL
    artifact = artifact_create(name, kind=kind, folder=str(folder.resolve()), ready_at=timezone.now())
    audit.record(actor=actor, action="training.artifact_registered", target=artifact, detail={"folder": str(folder)})
    return artifact


def run_folder(run: Run) -> Path:
    """Where a run's folder lies once the run has ended."""
    return Path(settings.RLWHF_HOME) / "artifacts" / run.method / run.name
