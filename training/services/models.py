"""The models that a run begins from and uses."""

from pathlib import Path

from jobs.storage.places import is_whole
from training.model_files import check_model_folder
from training.models import PURPOSES, Artifact
from training.services.refusals import RunRefused
from training.specs import RunSpec, artifacts_named, artifacts_placed
from training.trainers import METHODS


def models_used(spec: RunSpec, *, waits: bool) -> list[Artifact]:
    """The models that a spec names beside its base, each of them fit for its part. Raises RunRefused."""
    values = spec.model_dump(mode="json")
    for name in artifacts_named(values["model"]):
        raise RunRefused("model", f"“{name}” is a model that the site knows: name it as the base, not as model.path.")
    found = []
    purposes: dict[str, str] = {"reference": "policy", "teacher": "policy", "reward": "reward_model"}
    for field, purpose in (purposes | {"settings": METHODS[spec.method].produces}).items():  # whose rows settings.ewc keeps
        for name in sorted(artifacts_named(values[field])):
            artifact = Artifact.objects.filter(name=name).first()
            if artifact is None:
                raise RunRefused(field, f"There is no model named “{name}”.")
            if artifact.ready_at is None and not waits:
                raise RunRefused(field, f"“{name}” is not trained yet.")
            if artifact.purpose != purpose:
                raise RunRefused(field, f"“{name}” is {artifact.purpose_in_words}; the {field} must be {PURPOSES[purpose]}.")
            found.append(artifact)
    return found


def as_far_as_known(spec: RunSpec, base: Artifact | None) -> RunSpec:
    """The specification with the folders of its models, those that are trained already."""
    values = spec.model_dump(mode="json")
    if base is not None and base.ready_at is not None:
        values["model"] = {"path": str(base.model_folder)}
    named = artifacts_named(values)
    ready = {one.name: str(one.model_folder) for one in Artifact.objects.ready().filter(name__in=named)}
    return RunSpec.model_validate(artifacts_placed(values, {name: ready.get(name, name) for name in named}))


def base_check(spec: RunSpec, base: Artifact) -> None:
    """A model that scores answers cannot be taught to answer; the other way round it gets a new head."""
    wanted = METHODS[spec.method].produces
    if base.purpose not in (Artifact.Purpose.POLICY, wanted):
        raise RunRefused("base", f"“{base}” is {base.purpose_in_words}; {spec.method} starts from a model that answers.")


def folders_check(spec: RunSpec, base: Artifact | None) -> None:
    """Models whose folders this machine can see; others may lie on a worker's."""
    named = {"model": spec.model, "reference": spec.reference, "teacher": spec.teacher}
    folders = {field: Path(model.path) for field, model in named.items() if model is not None and model.path}
    if base is not None and base.folder:  # one that is still to be trained has none
        folders = {**folders, "base": base.model_folder}
    for field, folder in folders.items():
        try:
            if not folder.is_dir() or not is_whole(folder):  # on a worker's, or on the way from there
                continue
            inner = next((folder / name for name in ("model", "adapter") if (folder / name).is_dir()), folder)
            problem = check_model_folder(inner)
        except OSError:  # not for this process to look at; the worker's may
            continue
        if problem:
            raise RunRefused(field, problem)
