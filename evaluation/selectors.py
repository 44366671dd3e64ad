"""What pages, API and commands read about benchmarks and evaluations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Q, QuerySet

from evaluation.answers import EVERYTHING, JOIN
from evaluation.comparing.comparison import Cell as Compared
from evaluation.comparing.comparison import Comparison, verdict_of
from evaluation.metrics import METRICS, Answers, Metric
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.scorecard import Arm, MetricValue, Scorecard, SliceReport
from evaluation.specs import ANSWERS
from jobs.figures import csv_text

# What stands first, large, of a scorecard; and what of each of its slices.
TILES = (
    "truthful_rate",
    "known_correct",
    "over_conservativeness",
    "hallucination_rate_unknown",
    "honesty_score",
    "prudence",
    "brier",
    "parse_share",
)
SLICE_COLUMNS = ("truthful_rate", "prudence", "over_conservativeness", "known_correct", "correct_given_attempted", "brier")


def benchmark_list() -> QuerySet[Benchmark]:
    return Benchmark.objects.all()


def evaluation_list(*, artifact: str = "") -> QuerySet[Evaluation]:
    """Evaluations, of one model or of all, newest first, without their scorecards."""
    evaluations = Evaluation.objects.light()
    return evaluations.filter(Q(artifact__name=artifact) | Q(endpoint__name=artifact)) if artifact else evaluations


def evaluation_get(pk: int) -> Evaluation:
    return Evaluation.objects.select_related("artifact", "endpoint", "base", "benchmark", "job", "requested_by").get(pk=pk)


def evaluations_of(pks: Iterable[int]) -> list[Evaluation]:
    """The evaluations that have a scorecard, in the order asked for."""
    order = list(dict.fromkeys(pks))
    found = Evaluation.objects.light().done().in_bulk(order)
    return [found[pk] for pk in order if pk in found]


def scorecards_of_model(name: str) -> QuerySet[Evaluation]:
    """The evaluations of a model that have a scorecard, wherever it runs, newest first."""
    return Evaluation.objects.done().filter(Q(artifact__name=name) | Q(endpoint__name=name))


def scorecard_of(evaluation: Evaluation) -> Scorecard | None:
    return None if evaluation.scorecard is None else Scorecard.model_validate(evaluation.scorecard)


@dataclass(frozen=True)
class MetricRow:
    """One metric of one slice, beside the baselines; `change` is against the base model."""

    name: str
    metric: Metric[Answers]
    value: MetricValue
    baselines: list[MetricValue | None]
    change: MetricValue | None
    verdict: str


def metric_rows(card: Scorecard, slice_name: str) -> list[MetricRow]:
    """Every metric of a slice, in the scorecard's order; those of a later version that this one does not know are left out."""
    report = card.slices[slice_name]
    return [_metric_row(card, slice_name, name, value) for name, value in report.metrics.items() if name in METRICS]


def _metric_row(card: Scorecard, slice_name: str, name: str, value: MetricValue) -> MetricRow:
    base = card.baselines.get("base")
    change = base.differences.get(slice_name, {}).get(name) if base else None
    beside = [_value(arm, slice_name, name) for arm in card.baselines.values()]
    return MetricRow(name, METRICS[name], value, beside, change, verdict_of(name, change))


def _value(arm: Arm, slice_name: str, name: str) -> MetricValue | None:
    report = arm.slices.get(slice_name)
    return report.metrics.get(name) if report else None


def main_slices(card: Scorecard) -> dict[str, SliceReport]:
    """What the slice table shows first: the headline's slices, then the finest ones."""
    return {name: card.slices[name] for name in card.headline} | finest_slices(card)


def finest_slices(card: Scorecard) -> dict[str, SliceReport]:
    """The slices that share no answer with each other: what the model does, group by group."""
    crossed = {name: report for name, report in card.slices.items() if ":" not in name}
    depth = max(len(report.labels) for report in crossed.values())
    return {name: report for name, report in crossed.items() if len(report.labels) == depth}


def answers_path(evaluation: Evaluation) -> Path | None:
    """The judged answers on disk, while they are there."""
    path = Path(evaluation.job.folder) / ANSWERS
    return path if evaluation.job.folder and path.is_file() else None


def labels_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """Names for the columns: the model's, with the evaluation's number where a model stands there twice."""
    names = [one.model_name for one in evaluations]
    return [name if names.count(name) == 1 else f"{name} (#{one.pk})" for name, one in zip(names, evaluations, strict=True)]


def scorecard_csv(card: Scorecard) -> str:
    """Every metric of every slice and baseline as a flat table."""
    arms = {card.artifact.name: card.slices} | {arm.title: arm.slices for arm in card.baselines.values()}
    return csv_text(
        [
            ("model", "slice", "metric", "value", "low", "high", "n", "entities", "reason"),
            *(
                (model, slice_name, name, one.value, one.low, one.high, one.n, one.entities, one.reason)
                for model, slices in arms.items()
                for slice_name, report in slices.items()
                for name, one in report.metrics.items()
            ),
        ]
    )


def comparison_csv(comparison: Comparison) -> str:
    """A comparison as a flat table; differences are against the first model."""
    about_change = ("difference", "difference_low", "difference_high", "p", "p_adjusted")
    heading = ("slice", "metric", "model", "value", "low", "high", "n", *about_change)
    return csv_text([heading, *(_compared(comparison.slice, row.name, cell) for row in comparison.rows for cell in row.cells)])


def _compared(slice_name: str, metric: str, cell: Compared) -> tuple[Any, ...]:
    change, one = cell.difference, cell.value
    beside = (change.value, change.low, change.high, change.p, change.p_adjusted) if change else (None,) * 5
    return (slice_name, metric, cell.model, one.value, one.low, one.high, one.n, *beside)


def slice_title(name: str) -> str:
    """A slice's name in words: "B · easy" → "held-out people · easy"."""
    words = {"A": "people trained on (A)", "B": "held-out people (B)", EVERYTHING: "all questions"}
    return JOIN.join(words.get(part, part) for part in name.split(JOIN))
