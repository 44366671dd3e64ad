"""What the overview and a model's page read: headlines of the newest scorecards, and no scorecard but the one that is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from annotations.models import Project, Revocation
from dashboards.recent import lately, shared
from evaluation.ledger.standing import revoked_under
from evaluation.models import Benchmark, Evaluation, Promotion
from evaluation.selectors import labels_of
from jobs.figures import Measured
from jobs.models import ENDED
from training.models import Artifact

LAST = (10, 25, 50, 100, 200)
LAST_SHOWN = 25
GOING_SHOWN = 12
HISTORY_SHOWN = 50
READ_AT_LEAST = 0.5
MARKS = {"ok": ("succeeded", "good"), "error": ("failed", "bad"), "warn": ("stopped", "mixed")}
SHOWN = ("headline", "created_at", "benchmark_id", "artifact__name", "endpoint__name")


@dataclass(frozen=True)
class MeasuredModel:
    """A model with its newest scorecard on the benchmark that is looked at; where it was promoted; and of a champion the
    revocations in force of scores that it was made with.
    """

    label: str
    evaluation: Evaluation
    promotions: tuple[Promotion, ...] = ()
    revoked: tuple[Revocation, ...] = ()

    def reading(self, metric: str) -> Measured:
        """One of the headline's figures: a page shows few of them."""
        return _reading(self.evaluation.headline.get("metrics", {}).get(metric, {}))

    @cached_property
    def readings(self) -> dict[str, Measured]:
        """All of the headline's figures, by metric."""
        return {name: _reading(one) for name, one in self.evaluation.headline.get("metrics", {}).items()}

    @cached_property
    def is_broken(self) -> bool:
        """Whether so few of its answers could be read that no other figure says much: who says nothing makes nothing up."""
        read = self.reading("parse_share").value
        return read is not None and read < READ_AT_LEAST

    @cached_property
    def champion_of(self) -> list[str]:
        """The projects whose champion it is."""
        return sorted(one.project.name for one in self.promotions if one.ended_at is None)

    @property
    def was_champion_of(self) -> list[str]:
        return sorted({one.project.name for one in self.promotions} - {*self.champion_of})

    @cached_property
    def titles(self) -> str:
        """What was made of it, in words; nothing of most models."""
        now, before = ", ".join(self.champion_of), ", ".join(self.was_champion_of)
        how = " on revoked scores" if self.revoked else ""
        return "; ".join(filter(None, (f"champion of {now}{how}" if now else "", f"was champion of {before}" if before else "")))

    @property
    def tone(self) -> str:
        return str(self.evaluation.headline.get("conclusion", {}).get("tone", "info"))

    @property
    def key(self) -> str:
        """The scorecard's number as text, which a template writes as it is."""
        return str(self.evaluation.pk)

    @property
    def day(self) -> str:
        return f"{self.evaluation.created_at:%Y-%m-%d}"

    @property
    def mark(self) -> tuple[str, str]:
        """The badge's kind and word, as `evaluation/_tone.html` has them."""
        return MARKS.get(self.tone, ("", "open"))

    @property
    def conclusion(self) -> str:
        return str(self.evaluation.headline.get("conclusion", {}).get("text", ""))


@dataclass(frozen=True)
class Models:
    """The last models that were asked one benchmark, oldest first, each once; `benchmarks` are all that have a scorecard."""

    benchmark: Benchmark
    benchmarks: list[Benchmark]
    measured: list[MeasuredModel]
    models: int


@shared
def models_measured(*, benchmark: int | None = None, last: int = LAST_SHOWN) -> Models | None:
    """On a benchmark; without one, on that of the newest scorecard. None while there is no scorecard."""
    done = Evaluation.objects.done()
    known = {one.pk: one for one in Benchmark.objects.filter(Exists(done.filter(benchmark=OuterRef("pk"))))}
    if benchmark not in known:
        benchmark = done.values_list("benchmark_id", flat=True).first()
    if benchmark is None:
        return None
    newest = _newest_of_each(benchmark)
    wanted = Evaluation.objects.filter(pk__in=newest[:last]).select_related("artifact", "endpoint").only(*SHOWN)
    evaluations = list(wanted)[::-1]
    return Models(known[benchmark], list(known.values()), _measured(evaluations), len(newest))


def _newest_of_each(benchmark: int) -> list[int]:
    """The newest scorecard of each model on a benchmark, newest first."""
    asked = Evaluation.objects.done().filter(benchmark=benchmark).order_by("artifact_id", "endpoint_id", "-pk")
    return sorted(asked.distinct("artifact_id", "endpoint_id").values_list("pk", flat=True), reverse=True)


def _measured(evaluations: Sequence[Evaluation]) -> list[MeasuredModel]:
    promoted: dict[int | None, tuple[Promotion, ...]] = {}
    for one in Promotion.objects.filter(artifact__in=[one.artifact_id for one in evaluations]).select_related("project"):
        promoted[one.artifact_id] = (*promoted.get(one.artifact_id, ()), one)
    under = revoked_under(one.artifact_id for many in promoted.values() for one in many if one.ended_at is None)
    return [
        MeasuredModel(label, one, promoted.get(one.artifact_id, ()), tuple(under.get(one.artifact_id or 0, ())))
        for label, one in zip(labels_of(evaluations), evaluations, strict=True)
    ]


@dataclass(frozen=True)
class Title:
    """The projects whose champion a model is, and the revocations in force of scores that it was made with."""

    champion_of: list[Project]
    revoked: Sequence[Revocation]


def title_of(artifact: Artifact | None) -> Title:
    if artifact is None:
        return Title([], ())
    promotions = Promotion.objects.filter(artifact=artifact, ended_at=None).select_related("project").order_by("project__name")
    return Title([one.project for one in promotions], revoked_under([artifact.pk]).get(artifact.pk, ()))


def _reading(told: Mapping[str, Any]) -> Measured:
    return Measured(told.get("value"), told.get("low"), told.get("high"))


@dataclass(frozen=True)
class Going:
    """Evaluations that have not ended: those that run first, then those that wait, oldest first; and how many more there are."""

    shown: list[Evaluation]
    more: int = 0


@shared
def evaluating(*, model: str = "") -> Going:
    """Of one model or of all."""
    going = Evaluation.objects.exclude(job__state__in=ENDED)
    going = going.filter(_of(model)) if model else going
    first = going.light().order_by(F("job__started_at").asc(nulls_last=True), "pk")[: GOING_SHOWN + 1]
    shown = list(first)
    return Going(shown[:GOING_SHOWN], going.count() - GOING_SHOWN if len(shown) > GOING_SHOWN else 0)


def is_evaluating(*, model: str = "") -> bool:
    """Whether a page is to be followed. Shared with nobody: what was read a moment before somebody asks would still it."""
    going = Evaluation.objects.filter(~Q(job__state__in=ENDED) | Q(job__finished_at__gt=lately()))
    return (going.filter(_of(model)) if model else going).exists()


@dataclass(frozen=True)
class ModelHistory:
    """The last evaluations of a model, newest first, of `total`; `newest`: the newest scorecard on each benchmark."""

    name: str
    evaluations: list[Evaluation]
    total: int
    newest: list[Evaluation]


def model_history(name: str, *, last: int = HISTORY_SHOWN) -> ModelHistory:
    asked = Evaluation.objects.filter(_of(name))
    evaluations = list(asked.light()[:last])
    if len(evaluations) < last:
        # These are all there are; whoever has a headline has a scorecard.
        first = {one.benchmark_id: one for one in reversed(evaluations) if one.headline}
        return ModelHistory(name, evaluations, len(evaluations), sorted(first.values(), key=lambda one: -one.pk))
    newest = asked.done().order_by("benchmark_id", "-pk").distinct("benchmark_id").values("pk")
    return ModelHistory(name, evaluations, asked.count(), list(asked.light().filter(pk__in=newest).order_by("-pk")))


def parent_scorecard(evaluation: Evaluation) -> Evaluation | None:
    """The newest scorecard, on the same questions, of the model that this one was trained from."""
    artifact = evaluation.artifact
    parent = artifact.base_id if artifact else evaluation.base_id
    if parent is None:
        return None
    found = Evaluation.objects.light().done().filter(artifact=parent, benchmark=evaluation.benchmark_id)
    return found.first()


def _of(name: str) -> Q:
    return Q(artifact__name=name) | Q(endpoint__name=name)
