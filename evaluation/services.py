"""Everything that registers a benchmark or starts an evaluation. Pages, API, commands and pipelines call these."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings as site
from django.db import transaction

from accounts import audit
from accounts.chat.service import ChatService
from accounts.endpoints import endpoint_service
from accounts.hosts import host_allowed
from accounts.models import Endpoint, User
from annotations.models import Project
from evaluation.benchmarks.folder import benchmark_read, facts_of
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.document import Figures, Scorecard
from evaluation.specs import SCORECARD, EvaluateSpec, ModelRef, SettingRefused, settings_checked
from jobs.hardware import COMPUTE_TAGS
from jobs.models import Job, Pipeline
from jobs.services import job_queue
from jobs.storage.folders import here
from training.exceptions import BadData
from training.models import Artifact
from training.placing import model_here

HEADLINE_FIELDS = {"value", "low", "high", "n", "reason", "p_adjusted"}


class EvaluationRefused(ValueError):  # noqa: N818 (a refusal is no accident)
    """An evaluation that cannot work, refused before it is queued. `field` names what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Registered(NamedTuple):
    """A benchmark that is known now; `created`: and was not before."""

    benchmark: Benchmark
    created: bool


def benchmark_register(*, folder: Path, actor: User | None, project: Project | None = None) -> Benchmark:
    """Make a benchmark folder known; the same questions are registered once. Raises EvaluationRefused."""
    return benchmark_get_or_register(folder=folder, actor=actor, project=project).benchmark


@transaction.atomic
def benchmark_get_or_register(*, folder: Path, actor: User | None, project: Project | None = None) -> Registered:
    """The same, and whether the questions were known before."""
    try:
        found = benchmark_read(folder.resolve())
    except BadData as error:
        raise EvaluationRefused("folder", error.reason) from error
    benchmark, created = Benchmark.objects.get_or_create(
        hash=found.hash,
        defaults={
            "name": found.name,
            "version": found.version,
            "folder": str(found.path),
            "n": len(found.questions),
            "title": str(found.manifest.get("title", ""))[:200],
            "facts": facts_of(found.questions),
            "project": project,
        },
    )
    if created:
        audit.record(actor=actor, action="evaluation.benchmark_registered", target=benchmark, detail={"folder": str(folder)})
    elif not Path(benchmark.folder).is_dir() or not benchmark.facts:
        benchmark.folder, benchmark.facts = str(found.path), facts_of(found.questions)
        benchmark.save(update_fields=["folder", "facts"])
    return Registered(benchmark, created)


@transaction.atomic
def evaluation_queue(
    *,
    artifact: Artifact | None = None,
    endpoint: Endpoint | None = None,
    benchmark: Benchmark,
    actor: User | None,
    base: Artifact | None = None,
    settings: Mapping[str, Any] | None = None,
    hardware_tag: str = "cpu",
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
) -> Evaluation:
    """Queue a scorecard of `artifact`, beside `base` (unless given: the model it was trained from), or of the model of a service.

    `settings` are `evaluation.specs.EvaluateSettings`. A service computes elsewhere, so
    its job needs no hardware. Raises EvaluationRefused; a model that is not ready may be asked `after` the job that makes it.
    """
    after = list(after)
    base = base or (artifact.base if artifact is not None else None)
    hardware_tag = hardware_tag if endpoint is None else "site"
    chosen = _on(hardware_tag, settings or {}) if endpoint is None else dict(settings or {})
    _check_model(artifact=artifact, endpoint=endpoint, base=base, hardware_tag=hardware_tag, waits=bool(after))
    _check_settings(chosen, endpoint=endpoint, base=base)
    asked = artifact or endpoint
    assert asked is not None
    job = job_queue(
        kind="evaluation.scorecard",
        title=f"Scorecard: {asked.name} on {benchmark.name}",
        payload={"model": asked.name, "benchmark": benchmark.hash},
        hardware_tag=hardware_tag,
        actor=actor,
        after=after,
        pipeline=pipeline,
    )
    evaluation = Evaluation.objects.create(
        artifact=artifact, endpoint=endpoint, benchmark=benchmark, base=base, settings=chosen, job=job, requested_by=actor
    )
    audit.record(
        actor=actor,
        action="evaluation.scorecard_queued",
        target=evaluation,
        detail={"model": asked.name, "benchmark": str(benchmark), "tag": hardware_tag},
    )
    return evaluation


def _check_model(
    *,
    artifact: Artifact | None,
    endpoint: Endpoint | None,
    base: Artifact | None,
    hardware_tag: str,
    waits: bool,
) -> None:
    if (artifact is None) == (endpoint is None):
        raise EvaluationRefused("artifact", "Choose one model to ask: one of the site's, or an endpoint.")
    if endpoint is not None:
        _check_endpoint(endpoint, base)
        return
    if hardware_tag not in COMPUTE_TAGS:
        problem = f"“{hardware_tag}” is no hardware tag for models; there are {', '.join(COMPUTE_TAGS)}."
        raise EvaluationRefused("hardware_tag", problem)
    for field, model in (("artifact", artifact), ("base", base)):
        if model is not None and model.ready_at is None and not waits:
            raise EvaluationRefused(field, f"“{model}” is not trained yet.")
        if model is not None and model.purpose != Artifact.Purpose.POLICY:
            raise EvaluationRefused(field, f"“{model}” answers nothing: it is {model.purpose_in_words}.")
    if base is not None and artifact is not None and base.pk == artifact.pk:
        raise EvaluationRefused("base", "A model cannot be its own baseline.")


def _check_endpoint(endpoint: Endpoint, base: Artifact | None) -> None:
    if base is not None:
        # The site's machine calls the service and need not be one that computes models.
        raise EvaluationRefused("base", "An endpoint has no baseline: compare its scorecard with another model's.")
    if not host_allowed(endpoint.base_url):
        raise EvaluationRefused("endpoint", f"This site may not call {endpoint.base_url} any more: see Account → Hosts.")


def _on(hardware_tag: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the hardware that they are computed on, which the job's tag alone says."""
    hardware = settings.get("hardware", {})
    if not isinstance(hardware, Mapping):
        return dict(settings)  # for the schema to refuse
    if hardware.get("profile", hardware_tag) != hardware_tag:
        raise EvaluationRefused("hardware_tag", f"The profile is “{hardware['profile']}”, and the tag “{hardware_tag}”.")
    return {**settings, "hardware": {**hardware, "profile": hardware_tag}}


def _check_settings(settings: Mapping[str, Any], *, endpoint: Endpoint | None, base: Artifact | None) -> None:
    if endpoint is None:
        model = ModelRef(name="x", path="x")
    else:
        limit = endpoint.requests_per_minute
        model = ModelRef(name="x", endpoint=ChatService(base_url=endpoint.base_url, model="x", requests_per_minute=limit))
    try:
        settings_checked(settings, model=model, base=ModelRef(name="y", path="y") if base is not None else None)
    except SettingRefused as refused:
        raise EvaluationRefused(refused.field, str(refused)) from refused


def evaluate_spec(evaluation: Evaluation, folder: Path) -> EvaluateSpec:
    """The specification that the child process reads, with the paths that models have on this machine, for a job in `folder`."""
    values: dict[str, Any] = evaluation.settings | {
        "model": _asked(evaluation, folder),
        "base": _model(evaluation.base, folder) if evaluation.base else None,
        "benchmark": str(here(evaluation.benchmark.folder)),
        "cache": str(Path(site.RLWHF_HOME) / "cache" / "answers"),
    }
    return EvaluateSpec.model_validate(values)


def _asked(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    if evaluation.artifact is not None:
        return _model(evaluation.artifact, folder)
    assert evaluation.endpoint is not None
    return {"name": evaluation.endpoint.name, "endpoint": endpoint_service(evaluation.endpoint).model_dump()}


def _model(artifact: Artifact, folder: Path) -> dict[str, Any]:
    return {"name": artifact.name, "path": str(model_here(artifact, folder))}


@transaction.atomic
def scorecard_store(*, evaluation: Evaluation, folder: Path) -> Evaluation:
    """Take over the scorecard that the child process wrote."""
    card = Scorecard.model_validate_json((folder / SCORECARD).read_bytes())
    evaluation.scorecard = card.model_dump(mode="json")
    evaluation.headline = headline_of(card)
    evaluation.save(update_fields=["scorecard", "headline"])
    asked = evaluation.requested_by.get_username() if evaluation.requested_by else None
    audit.record(actor=None, action="evaluation.scorecard_stored", target=evaluation, detail={"requested_by": asked})
    return evaluation


def headline_of(card: Scorecard) -> dict[str, Any]:
    """What lists and charts over models show of a scorecard: the main held-out slice only, with every metric, each one's
    paired difference from the base model, and what the guard and the validator found.
    """
    main = card.headline[0]
    base = card.baselines.get("base")
    return {
        "slice": main,
        "n": card.slices[main].n,
        "conclusion": card.conclusions[main].model_dump(),
        "guard": _word(card.guard),
        "validator": _word(card.validator),
        "metrics": _brief(card.metrics),
        "differences": _brief(base.differences.get(main, {})) if base else {},
    }


def _word(report: Mapping[str, Any] | None) -> str | None:
    """What a report with a verdict of its own says, in a word; None: it was not asked for."""
    return None if report is None else {True: "passed", False: "failed"}.get(report.get("passed"), "unclear")  # type: ignore[arg-type]


def _brief(figures: Figures) -> dict[str, dict[str, Any]]:
    """Without what was not measured of them, and without how it was."""
    return {name: one.model_dump(include=HEADLINE_FIELDS, exclude_none=True) for name, one in figures.items()}
