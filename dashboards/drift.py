"""What the drift page reads: is what is rewarded still what people and gold answers call honest?"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Any

from annotations.models import Rater
from annotations.selectors.rollups import SCORES, Counted, Spread, counted_by_kind, counted_by_model_and_kind
from annotations.statistics.intervals import LEVEL, wilson
from dashboards.paid import Paid, paid_by
from dashboards.recent import shared
from evaluation.comparing.comparison import verdict_of
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.document import MetricValue
from jobs.figures import Measured
from jobs.models import State
from training.models import Run
from training.selectors import run_list
from training.trainers import METHODS

MODELS_SHOWN = 25
# Of fewer scores a mean has no interval: how far they lie apart is not known.
SCORES_NEEDED = 10
METRIC = "mean_rubric_score"
WHO = {"people": Rater.Kind.PERSON, "gold": Rater.Kind.GOLD, "teachers": Rater.Kind.TEACHER}
BENCHMARK = "benchmark"
READ = (
    "pk", "artifact", "artifact__name", "artifact__ready_at", "endpoint__name", "base", "benchmark", "created_at", "headline",
)  # fmt: skip


@dataclass(frozen=True)
class Carded:
    """What a model's newest scorecard on a benchmark says: its mean rubric score, and the paired difference from its base's."""

    evaluation: int
    model: int | None
    """Its artifact; None of a model behind an endpoint."""
    name: str
    base: int | None
    benchmark: int
    at: datetime
    """When the model was made; of one behind an endpoint, when it was asked."""
    score: Measured
    difference: MetricValue | None


@dataclass(frozen=True)
class Rewarded:
    """A model that was trained on a reward, with what paid it and what others say of its answers.

    `now` by who says it: `people`, `gold`, `teachers` are mean scores of its answers, whatever they were; `benchmark` is the mean
    rubric score of its scorecard. `before`: the same of the model it was trained from. `difference` is the scorecard's, paired by
    question, None where it was made beside no base model.
    """

    run: Run
    paid: Paid
    now: Mapping[str, Measured]
    before: Mapping[str, Measured]
    difference: MetricValue | None = None

    @property
    def drifted(self) -> bool:
        """Whether its reward rose while it got less honest on the same questions, both beyond chance."""
        if not self.paid.policy.rose:
            return False
        if self.difference is not None:
            return verdict_of(METRIC, self.difference) == "worse"
        return _is_below(self.now[BENCHMARK], self.before[BENCHMARK])

    @property
    def lower(self) -> list[str]:
        """Who gave it less than they gave the model it was trained from while its reward rose: of other answers, to other
        questions perhaps, so it is a hint and no proof.
        """
        return [who for who in WHO if self.paid.policy.rose and _is_below(self.now[who], self.before[who])]


@dataclass(frozen=True)
class Drift:
    """The last models that were trained on a reward, oldest first, and the benchmark their scorecards are of."""

    models: list[Rewarded]
    benchmark: Benchmark | None
    benchmarks: list[Benchmark]
    made: dict[str, tuple[datetime, Measured]]
    """When each of them, each that one was trained from and each of the last that were asked the benchmark was made, and the mean
    rubric score of its scorecard.
    """
    answered: list[str]
    """Models of whose answers there are scores, by name; "" where nobody named one."""


def _is_below(now: Measured, before: Measured) -> bool:
    return now.high is not None and before.low is not None and now.high < before.low


def mean_of(spread: Spread) -> Measured:
    """A mean score with its interval at 95 %, as of independent scores: Student's.

    Where all scores are the same the deviation says nothing, and the interval is Wilson's on the scale from −2 to 2. The
    deviation is of scores rounded to whole ones.
    """
    if spread.mean is None or spread.scores < SCORES_NEEDED:
        return Measured(spread.mean)
    rounded = sum(score * count for score, count in spread.given.items()) / spread.scores
    squares = sum(count * (score - rounded) ** 2 for score, count in spread.given.items())
    if not squares:
        return Measured(spread.mean, *_wilson(spread.mean, spread.scores))
    reach = _student(spread.scores - 1) * sqrt(squares / (spread.scores - 1) / spread.scores)
    return Measured(spread.mean, max(SCORES[0], spread.mean - reach), min(SCORES[-1], spread.mean + reach))


def _student(freedom: int) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 (heavy, and needed on no other page)

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def _wilson(mean: float, n: int) -> tuple[float, float]:
    low, width = SCORES[0], SCORES[-1] - SCORES[0]
    ends = wilson((mean - low) / width, n)
    return low + width * ends.low, low + width * ends.high


@shared
def weekly(*, project: int | None = None, source_model: str | None = None) -> list[Counted]:
    """Scores by kind of rater and week, of one model's answers or of all."""
    return counted_by_kind(project=project, source_model=source_model, weekly=True)


@shared
def rewarded(*, project: int | None = None, benchmark: int | None = None) -> Drift:
    """Scorecards are those on `benchmark`; without one, on that which most models and their base models were both asked."""
    runs = _runs()
    cards = _cards({one for run in runs for one in (run.artifact_id, run.base_id) if one})
    chosen = (_most_telling(runs, cards) or _asked_last()) if benchmark is None else benchmark
    known = Benchmark.objects.in_bulk({one.benchmark for one in cards} | ({chosen} if chosen else set()))
    on_chosen = {one.model: one for one in cards if one.benchmark == chosen and one.model}
    artifacts = {one.pk: one for run in runs for one in (run.base, run.artifact) if one}
    counted = counted_by_model_and_kind(project=project)
    said = _said({one.name for one in artifacts.values()}, counted)
    nothing = {who: Measured(None) for who in (*WHO, BENCHMARK)}
    for pk, artifact in artifacts.items():
        said[artifact.name][BENCHMARK] = on_chosen[pk].score if pk in on_chosen else Measured(None)
    models = [
        Rewarded(
            run, paid_by(run), said[run.artifact.name], said[run.base.name] if run.base else nothing,
            _difference(run, on_chosen.get(run.artifact_id)),
        )
        for run in runs
    ]  # fmt: skip
    made = {one.name: (one.at, one.score) for one in (*_last_cards(chosen), *on_chosen.values())}
    return Drift(
        models, known.get(chosen or 0), list(known.values()), dict(sorted(made.items(), key=lambda pair: pair[1][0])),
        answered=list(dict.fromkeys(one.by[0] for one in counted)),
    )  # fmt: skip


def is_training() -> bool:
    methods = [name for name, method in METHODS.items() if method.needs_reward]
    return Run.objects.filter(method__in=methods, job__state__in=(State.STARTING, State.RUNNING)).exists()


def _runs() -> list[Run]:
    methods = [name for name, method in METHODS.items() if method.needs_reward]
    wanted = run_list().filter(method__in=methods).exclude(job__folder="").select_related("artifact", "base", "job")
    return list(wanted[:MODELS_SHOWN])[::-1]


def _cards(artifacts: Iterable[int]) -> list[Carded]:
    """The newest scorecard of each model on each benchmark, by its headline."""
    own = Evaluation.objects.done().filter(artifact__in=artifacts).order_by("artifact_id", "benchmark_id", "-pk")
    return [_carded(row) for row in own.distinct("artifact_id", "benchmark_id").values(*READ)]


def _last_cards(benchmark: int | None) -> list[Carded]:
    """The last scorecards on a benchmark, oldest first, of whatever models: those too that no reward made."""
    last = Evaluation.objects.done().filter(benchmark=benchmark).order_by("-pk").values(*READ)[:MODELS_SHOWN]
    return [_carded(row) for row in last][::-1]


def _asked_last() -> int | None:
    return Evaluation.objects.done().order_by("-pk").values_list("benchmark_id", flat=True).first()


def _carded(row: Mapping[str, Any]) -> Carded:
    score = row["headline"].get("metrics", {}).get(METRIC, {})
    told = row["headline"].get("differences", {}).get(METRIC)
    return Carded(
        evaluation=row["pk"],
        model=row["artifact"],
        name=row["artifact__name"] or row["endpoint__name"],
        base=row["base"],
        benchmark=row["benchmark"],
        at=row["artifact__ready_at"] or row["created_at"],
        score=Measured(score.get("value"), score.get("low"), score.get("high")),
        difference=MetricValue.model_validate({"value": None} | told) if told else None,
    )


def _most_telling(runs: Sequence[Run], cards: Sequence[Carded]) -> int | None:
    """The benchmark with scorecards of the most models and their base models; then of the most models; then the newest."""
    asked = {(one.model, one.benchmark) for one in cards}
    benchmarks = {benchmark for _, benchmark in asked}
    pairs = Counter(one for run in runs for one in benchmarks if (run.artifact_id, one) in asked and (run.base_id, one) in asked)
    models = Counter(benchmark for _, benchmark in asked)
    newest = {one.benchmark: one.evaluation for one in sorted(cards, key=lambda one: one.evaluation)}
    return max(benchmarks, key=lambda one: (pairs[one], models[one], newest[one]), default=None)


def _said(names: Iterable[str], rows: Sequence[Counted]) -> dict[str, dict[str, Measured]]:
    """By model and who says it: the mean score of its answers."""
    given: dict[tuple[str, str], list[Counted]] = {}
    for one in rows:
        given.setdefault(one.by, []).append(one)
    return {name: {who: mean_of(Spread.of(given.get((name, kind), ()))) for who, kind in WHO.items()} for name in names}


def _difference(run: Run, card: Carded | None) -> MetricValue | None:
    """The scorecard's own, where it was made beside the model that this one was trained from."""
    return card.difference if card and run.base_id and card.base == run.base_id else None
