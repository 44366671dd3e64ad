"""The scorecard as a document: what is written to `scorecard.json`, stored, shown and compared.

Version 2 added the parts that need more than one plain answer to each question; version 1 still reads, and lacks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from annotations.verdicts import Verdict
from evaluation.answers import ConfidenceSource, slice_order
from evaluation.metrics import METRICS, RUBRIC_NAMES, Metric
from evaluation.metrics.belief import BELIEF_METRICS
from evaluation.metrics.metric import Better
from evaluation.metrics.paired import OPEN_WORLD_METRICS, PRESSURE_METRICS, Became
from evaluation.metrics.preference import LIKELIHOOD_METRICS, REWARD_METRICS, WIN_METRICS
from evaluation.metrics.text import DISTINCT_OF, DRAW_METRICS, ENDING_METRICS, KL_METRICS, LENGTH_METRICS
from evaluation.scorecards.conclusion import Conclusion
from evaluation.scorecards.samples import Sample

SCORECARD_VERSION = 2


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a figure in a scorecard is."""

    title: str
    formula: str
    source: str
    better: Better


_OTHER = {
    "distinct_1": Meaning(
        "Different words",
        f"different words among {DISTINCT_OF}, abstentions left out",
        "Li et al. 2016; Hurlbert 1971",
        "neither",
    ),
    "distinct_2": Meaning(
        "Different word pairs", f"different pairs among {DISTINCT_OF} pairs of words", "Li et al. 2016; Hurlbert 1971", "neither"
    ),
    "entropy_2": Meaning(
        "Entropy of word pairs", "−Σ share · ln share, over pairs of words, nats", "Zhang et al. 2018", "neither"
    ),
    "alpha": Meaning("Krippendorff's α, ordinal", "1 − observed / expected disagreement", "Krippendorff 2004", "higher"),
    "kappa": Meaning("Cohen's κ, quadratic weights", "1 − observed / expected squared distance", "Cohen 1968", "higher"),
    "bias": Meaning(
        "Bias: the judge's score − people's", "mean of the judge's rubric score − people's", "plain counting", "neither"
    ),
}
_TABLES: tuple[Mapping[str, Metric[Any]], ...] = (
    METRICS, PRESSURE_METRICS, BELIEF_METRICS, OPEN_WORLD_METRICS, WIN_METRICS, LIKELIHOOD_METRICS, REWARD_METRICS,
    LENGTH_METRICS, ENDING_METRICS, KL_METRICS, DRAW_METRICS,
)  # fmt: skip
FIGURES: dict[str, Meaning] = {
    name: Meaning(metric.title, metric.formula, metric.source, metric.better)
    for table in _TABLES
    for name, metric in table.items()
} | _OTHER
"""What every figure in a scorecard is, by its name; in the order in which they are shown."""
TITLES = {name: meaning.title for name, meaning in FIGURES.items()}

V = TypeVar("V")


class Document(BaseModel):
    """Unknown fields are kept: a scorecard written by a later version loses nothing here."""

    model_config = ConfigDict(extra="allow")


class MetricValue(Document):
    """A value with its 95 % interval, or None with the reason; `n` answers about `entities` entities.

    A difference has besides the `p` of a paired `test`, and `p_adjusted`, Holm-adjusted for the table that it stands in.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    entities: int | None = None
    reason: str | None = None
    method: Literal["bootstrap", "wilson", "jackknife", "t"] | None = None
    p: float | None = None
    p_adjusted: float | None = None
    test: Literal["permutation", "mcnemar", "bootstrap"] | None = None


class ReliabilityBin(Document):
    """Answers of one confidence bin: mean confidence against the share that is right (Wilson interval, by answers)."""

    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


class RiskCoveragePoint(Document):
    """Of the attempted answers, the `coverage` share that is surest: n answers, of which the `risk` share is wrong."""

    coverage: float
    risk: float
    n: int


def in_order(values: Mapping[str, V], order: Sequence[str]) -> dict[str, V]:
    """Sort by `order`, anything else last: PostgreSQL's jsonb keeps no order of its own."""
    known = {name: values[name] for name in order if name in values}
    return known | dict(values)


class SliceReport(Document):
    n: int
    labels: dict[str, str]
    metrics: dict[str, MetricValue]
    verdicts: dict[str, int]
    rubric: dict[str, int]

    @model_validator(mode="after")
    def sort(self) -> Self:
        self.metrics = in_order(self.metrics, list(METRICS))
        self.verdicts = in_order(self.verdicts, [verdict.value for verdict in Verdict])
        self.rubric = in_order(self.rubric, RUBRIC_NAMES)
        return self


class ConfidenceReport(Document):
    """How well one kind of confidence tells right from wrong: its calibration metrics, and the curves behind them."""

    metrics: dict[str, MetricValue]
    reliability: list[ReliabilityBin] = Field(default_factory=list)
    risk_coverage: list[RiskCoveragePoint] = Field(default_factory=list)

    @model_validator(mode="after")
    def sort(self) -> Self:
        self.metrics = in_order(self.metrics, list(METRICS))
        return self


class Change(Document):
    """What became of the base model's answers, question by question; `counts` by what (see `Became`) and by knowledge label."""

    against: str
    n: int
    counts: dict[str, dict[str, int]]
    metrics: dict[str, MetricValue]
    """Prudence, over-conservativeness and honesty score of an open world, from the base model to this one."""
    samples: dict[str, list[Sample]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def sort(self) -> Self:
        kinds = [kind.value for kind in Became]
        self.counts = {kind: in_order(row, KNOWLEDGE) for kind, row in in_order(self.counts, kinds).items()}
        self.metrics = in_order(self.metrics, list(TITLES))
        self.samples = in_order(self.samples, kinds)
        return self


KNOWLEDGE = ("known", "unknown", "unlabelled")
OUTCOMES = ("correct", "wrong", "abstained", "unparsable")
SOURCES: tuple[ConfidenceSource, ...] = ("probability", "stated", "agreement")
PROBES = ("are_you_sure", "false_authority", "leading_premise", "critique", "belief")
Figures = dict[str, MetricValue]


class Arm(Document):
    """A baseline: a model (or a rule over a model) that answered the same benchmark."""

    title: str
    model: str | None = None
    threshold: float | None = None
    reason: str | None = None
    slices: dict[str, SliceReport] = Field(default_factory=dict)
    differences: dict[str, Figures] = Field(default_factory=dict)
    """Artifact minus this baseline, paired, per headline slice and metric; p-values adjusted within a slice."""
    probes: dict[str, Figures] = Field(default_factory=dict)
    text: Figures = Field(default_factory=dict)

    @model_validator(mode="after")
    def sort(self) -> Self:
        self.differences = {name: in_order(figures, list(METRICS)) for name, figures in self.differences.items()}
        self.probes, self.text = _probes_in_order(self.probes), in_order(self.text, list(TITLES))
        return self


class ArtifactRef(Document):
    name: str
    hash: str
    path: str | None = None


class BenchmarkRef(Document):
    name: str
    version: str
    hash: str


class Scorecard(Document):
    """Whatever is no dictionary of slices is of the main headline slice, `headline[0]`."""

    version: int = SCORECARD_VERSION
    artifact: ArtifactRef
    benchmark: BenchmarkRef
    n: int
    headline: list[str]
    """The slices the headline may quote, the main one first."""
    metrics: Figures
    """The main headline slice's metrics."""
    conclusions: dict[str, Conclusion]
    baselines: dict[str, Arm] = Field(default_factory=dict)
    slices: dict[str, SliceReport]
    gaps: Figures = Field(default_factory=dict)
    """Trained-on (A) minus held-out (B) honesty score, per split and together."""
    reliability: list[ReliabilityBin] = Field(default_factory=list)
    samples: list[Sample] = Field(default_factory=list)
    best: list[Sample] = Field(default_factory=list)
    worst: list[Sample] = Field(default_factory=list)
    knowledge_grid: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Answers by known, unknown, unlabelled × correct, wrong, abstained, unparsable."""
    knowledge_sources: dict[str, int] = Field(default_factory=dict)
    """How many of the labels come from gold, and how many from samples of the base model."""
    confidences: dict[str, ConfidenceReport] = Field(default_factory=dict)
    """By how the confidence was elicited: probability, stated, agreement."""
    probes: dict[str, Figures] = Field(default_factory=dict)
    """By what was asked besides: pressure, critique, belief."""
    change: Change | None = None
    text: Figures = Field(default_factory=dict)
    pairs: Figures = Field(default_factory=dict)
    """Win rate against the base model by rubric score; how often the better of two given answers is likelier, and rewarded."""
    agreement: Figures = Field(default_factory=dict)
    """Of the judge with people or a teacher, on the answers that have a score of theirs."""
    guard: dict[str, Any] | None = None
    """What the capability guard found."""
    validator: dict[str, Any] | None = None
    """What the hunt for answers that game a reward found."""
    harness: dict[str, Any] | None = None
    """Which harness asked, and what it says itself; with the figures of its own tasks, where some were asked."""
    settings: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def sort(self) -> Self:
        self.metrics = in_order(self.metrics, list(METRICS))
        self.slices = dict(sorted(self.slices.items(), key=lambda pair: slice_order(pair[0], pair[1].labels)))
        grid = in_order(self.knowledge_grid, KNOWLEDGE)
        self.knowledge_grid = {row: in_order(counts, OUTCOMES) for row, counts in grid.items()}
        self.confidences = in_order(self.confidences, SOURCES)
        self.probes = _probes_in_order(self.probes)
        self.text, self.pairs, self.agreement = (in_order(f, list(TITLES)) for f in (self.text, self.pairs, self.agreement))
        return self


def _probes_in_order(probes: Mapping[str, Figures]) -> dict[str, Figures]:
    return {name: in_order(figures, list(TITLES)) for name, figures in in_order(probes, PROBES).items()}
