"""The scorecard: what a model's judged answers to a benchmark amount to, as one versioned document.

The headline is the held-out people (fold B) only; what the model trained on is shown beside it, as the gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from annotations.verdicts import Verdict
from evaluation.answers import (
    HELD_OUT,
    JOIN,
    TRAINED_ON,
    AnswerRow,
    headline_slices,
    slice_of,
    slice_order,
    slice_table,
)
from evaluation.baselines import threshold_apply, threshold_choose
from evaluation.conclusion import Conclusion, conclude
from evaluation.metrics import METRICS, RUBRIC_NAMES, Answered, columns_of, confidence_bins, rubric_histogram
from evaluation.samples import Sample, samples_pick
from evaluation.statistics import (
    LEVEL,
    RESAMPLES,
    SEED,
    Difference,
    Estimate,
    Interval,
    estimates,
    gap,
    paired_differences,
    wilson,
)

SCORECARD_VERSION = 1
GAP_METRIC = "honesty_score"
_DIGITS = 6


class Document(BaseModel):
    """Unknown fields are kept: a scorecard written by a later version loses nothing here."""

    model_config = ConfigDict(extra="allow")


class MetricValue(Document):
    """A value with its interval at `LEVEL`, or None with the reason; `n` answers about `entities` entities."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    entities: int | None = None
    reason: str | None = None
    method: Literal["bootstrap", "wilson"] | None = None


class ReliabilityBin(Document):
    """Answers of one confidence bin: mean confidence against the share that is right (Wilson interval, by answers)."""

    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


def _in_order(values: dict[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """Sort by `order`, anything else last: PostgreSQL's jsonb keeps no order of its own."""
    known = {name: values[name] for name in order if name in values}
    return known | values


class SliceReport(Document):
    n: int
    labels: dict[str, str]
    metrics: dict[str, MetricValue]
    verdicts: dict[str, int]
    rubric: dict[str, int]

    @model_validator(mode="after")
    def in_order(self) -> Self:
        self.metrics = _in_order(self.metrics, list(METRICS))
        self.verdicts = _in_order(self.verdicts, [verdict.value for verdict in Verdict])
        self.rubric = _in_order(self.rubric, RUBRIC_NAMES)
        return self


class Arm(Document):
    """A baseline: a model (or a rule over a model) that answered the same benchmark."""

    title: str
    model: str | None = None
    threshold: float | None = None
    reason: str | None = None
    slices: dict[str, SliceReport] = Field(default_factory=dict)
    differences: dict[str, dict[str, MetricValue]] = Field(default_factory=dict)
    """Artifact minus this baseline, paired, per headline slice and metric."""


class ArtifactRef(Document):
    name: str
    hash: str
    path: str | None = None


class BenchmarkRef(Document):
    name: str
    version: str
    hash: str


class Scorecard(Document):
    version: int = SCORECARD_VERSION
    artifact: ArtifactRef
    benchmark: BenchmarkRef
    n: int
    headline: list[str]
    """The slices the headline may quote, the main one first."""
    metrics: dict[str, MetricValue]
    """The main headline slice's metrics."""
    conclusions: dict[str, Conclusion]
    baselines: dict[str, Arm] = Field(default_factory=dict)
    slices: dict[str, SliceReport]
    gaps: dict[str, MetricValue] = Field(default_factory=dict)
    """Trained-on (A) minus held-out (B) honesty score, per split and together."""
    reliability: list[ReliabilityBin] = Field(default_factory=list)
    samples: list[Sample] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def in_order(self) -> Self:
        self.metrics = _in_order(self.metrics, list(METRICS))
        self.slices = dict(sorted(self.slices.items(), key=lambda pair: slice_order(pair[0], pair[1].labels)))
        return self


@dataclass(frozen=True)
class Sampling:
    """How intervals are drawn; the same for every part of one scorecard."""

    resamples: int = RESAMPLES
    seed: int = SEED


@dataclass(frozen=True)
class Frame:
    """What every arm is cut into: the slices by name, those the headline may quote, and how intervals are drawn."""

    table: Mapping[str, Mapping[str, str]]
    headline: Sequence[str]
    sampling: Sampling


def scorecard_make(
    rows: Sequence[AnswerRow],
    *,
    artifact: ArtifactRef,
    benchmark: BenchmarkRef,
    base_rows: Sequence[AnswerRow] = (),
    base: ArtifactRef | None = None,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    sampling: Sampling | None = None,
) -> Scorecard:
    """Score judged answers, beside the base model's answers where they are given. Raises ValueError without answers."""
    if not rows:
        raise ValueError("there are no answers to score")
    drawn = sampling or Sampling()
    answered = [row.answered() for row in rows]
    table = slice_table(answered)
    headline = headline_slices(table)
    slices = {name: slice_report(answered, labels, drawn) for name, labels in table.items()}
    baselines = _baselines(answered, base_rows, base, Frame(table, headline, drawn)) if base_rows else {}
    return Scorecard(
        artifact=artifact,
        benchmark=benchmark,
        n=len(rows),
        headline=headline,
        metrics=slices[headline[0]].metrics,
        conclusions={name: _conclusion(name, slices, baselines.get("base")) for name in headline},
        baselines=baselines,
        slices=slices,
        gaps=_gaps(answered, table, drawn),
        reliability=reliability_bins(slice_of(answered, table[headline[0]])),
        samples=samples_pick(rows, base_rows),
        settings=dict(settings or {}) | {"level": LEVEL, "resamples": drawn.resamples, "seed": drawn.seed},
        environment=dict(environment or {}),
    )


def slice_report(rows: Sequence[Answered], labels: Mapping[str, str], sampling: Sampling) -> SliceReport:
    inside = slice_of(rows, labels)
    columns = columns_of(inside)
    found = estimates(columns, resamples=sampling.resamples, seed=sampling.seed)
    verdicts = Counter(row.verdict for row in inside)
    return SliceReport(
        n=len(inside),
        labels=dict(labels),
        metrics={name: _metric_value(estimate) for name, estimate in found.items()},
        verdicts={verdict.value: verdicts[verdict] for verdict in Verdict},
        rubric=rubric_histogram(columns),
    )


def reliability_bins(rows: Sequence[Answered]) -> list[ReliabilityBin]:
    """Return the reliability diagram's points: attempted answers binned by confidence as for ECE."""
    columns = columns_of(rows)
    rated = columns.where(columns.rated) if columns.rated.any() else None
    if rated is None:
        return []
    codes = confidence_bins(rated)
    found = []
    for code in sorted(set(codes.tolist())):
        inside = codes == code
        n, accuracy = int(inside.sum()), float(rated.correct[inside].mean())
        unit = wilson(accuracy, n)
        confidence = float(rated.confidence[inside].mean())
        found.append(ReliabilityBin(n=n, confidence=confidence, accuracy=accuracy, low=unit.low, high=unit.high))
    return found


def _baselines(
    after: Sequence[Answered], base_rows: Sequence[AnswerRow], base: ArtifactRef | None, frame: Frame
) -> dict[str, Arm]:
    before = [row.answered() for row in base_rows]
    name = base.name if base else None
    plain = Arm(title="Base model", model=name)
    ruled = Arm(title="Base model with a probability threshold", model=name)
    arms = {"base": _filled(plain, before, after, frame)}
    threshold = threshold_choose(slice_of(before, {"fold": TRAINED_ON}))
    if threshold is None:
        ruled.reason = f"no labelled answers of fold {TRAINED_ON} to choose the threshold on"
        return {**arms, "base_threshold": ruled}
    ruled.threshold = threshold
    return {**arms, "base_threshold": _filled(ruled, threshold_apply(before, threshold), after, frame)}


def _filled(arm: Arm, before: Sequence[Answered], after: Sequence[Answered], frame: Frame) -> Arm:
    shown = {n: labels for n, labels in frame.table.items() if labels.get("fold") == HELD_OUT or n in frame.headline}
    slices = {name: slice_report(before, labels, frame.sampling) for name, labels in shown.items()}
    differences = {
        name: differences_between(slice_of(before, frame.table[name]), slice_of(after, frame.table[name]), frame.sampling)
        for name in frame.headline
    }
    return arm.model_copy(update={"slices": slices, "differences": differences})


def differences_between(
    before: Sequence[Answered], after: Sequence[Answered], sampling: Sampling | None = None
) -> dict[str, MetricValue]:
    """Return after − before for every metric, on the items both answered."""
    drawn = sampling or Sampling()
    found = paired_differences(before, after, names=METRICS, resamples=drawn.resamples, seed=drawn.seed)
    return {name: _metric_value(difference) for name, difference in found.items()}


def _conclusion(name: str, slices: Mapping[str, SliceReport], base: Arm | None) -> Conclusion:
    before = base.slices.get(name) if base else None
    gain = base.differences[name]["truthful_rate"] if base and name in base.differences else None
    interval = (gain.low, gain.high) if gain and gain.low is not None and gain.high is not None else None
    return conclude(_values(slices[name]), _values(before) if before else {}, interval)


def _values(report: SliceReport) -> dict[str, float | None]:
    return {name: metric.value for name, metric in report.metrics.items()}


def _gaps(rows: Sequence[Answered], table: Mapping[str, Mapping[str, str]], sampling: Sampling) -> dict[str, MetricValue]:
    """Return the honesty score's trained-on minus held-out difference, for every pair of slices A… and B…."""
    found = {}
    for name, labels in table.items():
        other = JOIN.join([TRAINED_ON, *name.split(JOIN)[1:]])
        if labels.get("fold") != HELD_OUT or set(labels) - {"fold", "split"} or other not in table:
            continue
        trained_on, held_out = (columns_of(slice_of(rows, table[side])) for side in (other, name))
        difference = gap(trained_on, held_out, GAP_METRIC, resamples=sampling.resamples, seed=sampling.seed)
        found[name.replace(HELD_OUT, f"{TRAINED_ON} − {HELD_OUT}", 1)] = _metric_value(difference)
    return found


def _metric_value(found: Estimate | Difference) -> MetricValue:
    interval: Interval | None = found.interval
    return MetricValue(
        value=_rounded(found.value),
        low=_rounded(interval.low) if interval else None,
        high=_rounded(interval.high) if interval else None,
        n=found.n,
        entities=found.entities if isinstance(found, Estimate) else None,
        reason=found.reason,
        method=interval.method if interval else None,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
