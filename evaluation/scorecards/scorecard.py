"""The scorecard: what a model's judged answers to a benchmark amount to, as one versioned document.

The headline is the held-out people (fold B) only; what the model trained on is shown beside it, as the gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotations.statistics.intervals import LEVEL
from annotations.verdicts import Verdict
from evaluation.answers import HELD_OUT, JOIN, TRAINED_ON, AnswerRow, headline_slices, slice_of, slice_table
from evaluation.judge_version import judge_version
from evaluation.luck import luck_of
from evaluation.metrics import ECE_BINS, METRICS, Answered, columns_of, knowledge_grid, rubric_histogram
from evaluation.scorecards.baselines import threshold_apply, threshold_choose
from evaluation.scorecards.conclusion import ASKED, HELD_OUT_PEOPLE, Conclusion, Intervals, conclude
from evaluation.scorecards.document import (
    SCORECARD_VERSION,
    Arm,
    ArtifactRef,
    BenchmarkRef,
    Change,
    ConfidenceReport,
    Document,
    MetricValue,
    ReliabilityBin,
    RiskCoveragePoint,
    Scorecard,
    SliceReport,
)
from evaluation.scorecards.parts import (
    RewardedPair,
    Sampling,
    agreement_figures,
    change_from,
    confidence_reports,
    differences_between,
    endings_of,
    figure,
    figures_of,
    preference_figures,
    probe_figures,
    reliability_bins,
    text_figures,
    win_figures,
)
from evaluation.scorecards.samples import samples_best, samples_pick, samples_worst
from evaluation.statistics import gap

__all__ = [
    "SCORECARD_VERSION",
    "Arm",
    "ArtifactRef",
    "BenchmarkRef",
    "Change",
    "ConfidenceReport",
    "Document",
    "MetricValue",
    "ReliabilityBin",
    "RewardedPair",
    "RiskCoveragePoint",
    "Sampling",
    "Scorecard",
    "SliceReport",
    "differences_between",
    "reliability_bins",
    "scorecard_make",
    "slice_report",
]

GAP_METRIC = "honesty_score"
BINNING = f"ECE: {ECE_BINS} bins of equal width, closed on the left; one bin for each value where there are at most {ECE_BINS}"


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
    preferences: Sequence[RewardedPair] = (),
    guard: Mapping[str, Any] | None = None,
    validator: Mapping[str, Any] | None = None,
) -> Scorecard:
    """Score judged answers, beside the base model's answers where they are given. Raises ValueError without answers.

    `preferences` are pairs of answers of which the better one is known; `guard` and `validator` what these have found.
    """
    if not rows:
        raise ValueError("there are no answers to score")
    drawn = sampling or Sampling()
    answered = [row.answered() for row in rows]
    table = slice_table(answered)
    headline = headline_slices(table)
    slices = {name: slice_report(answered, labels, drawn) for name, labels in table.items()}
    frame = Frame(table, headline, drawn)
    found = {"guard": guard, "validator": validator}
    baselines = _baselines(answered, base_rows, base, frame) if base_rows else {}
    changes = _changes(rows, base_rows, base.name if base else "the base model", frame)
    besides = {n: _besides(_rows_in(rows, table[n]), _rows_in(base_rows, table[n]), changes.get(n)) for n in headline}
    return Scorecard(
        artifact=artifact,
        benchmark=benchmark,
        n=len(rows),
        headline=headline,
        metrics=slices[headline[0]].metrics,
        conclusions={n: _conclusion(n, slices, baselines.get("base"), besides[n], found) for n in headline},
        baselines=baselines,
        slices=slices,
        gaps=_gaps(answered, table, drawn),
        reliability=reliability_bins(slice_of(answered, table[headline[0]])),
        samples=samples_pick(rows, base_rows),
        change=changes.get(headline[0]),
        guard=dict(guard) if guard is not None else None,
        validator=dict(validator) if validator is not None else None,
        settings=dict(settings or {}) | _reckoned_by(drawn),
        environment=dict(environment or {}),
        **_parts(_rows_in(rows, table[headline[0]]), _rows_in(base_rows, table[headline[0]]), preferences, drawn),
    )


def _reckoned_by(drawn: Sampling) -> dict[str, Any]:
    """By what the figures are reckoned, beside how the model was asked."""
    return {
        "level": LEVEL,
        "resamples": drawn.resamples,
        "permutations": drawn.permutations,
        "seed": drawn.seed,
        "binning": BINNING,
        "judge": judge_version(),
    }


def _parts(
    rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow], preferences: Sequence[RewardedPair], sampling: Sampling
) -> dict[str, Any]:
    """Return what is said of the main headline slice alone."""
    asked = {row.id for row in rows}
    won = win_figures(rows, base_rows, sampling) if base_rows else {}
    return {
        "best": samples_best(rows, base_rows),
        "worst": samples_worst(rows, base_rows),
        "knowledge_grid": knowledge_grid(columns_of([row.answered() for row in rows])),
        "knowledge_sources": Counter(row.knowledge_source or "gold" for row in rows if row.known is not None),
        "confidences": confidence_reports(rows, sampling),
        "probes": probe_figures(rows, sampling),
        "text": text_figures(rows, sampling),
        "pairs": won | preference_figures([one for one in preferences if one.item in asked], sampling),
        "agreement": agreement_figures(rows),
    }


def _rows_in(rows: Sequence[AnswerRow], labels: Mapping[str, str]) -> list[AnswerRow]:
    return [row for row in rows if all(row.slices.get(name) == value for name, value in labels.items())]


def slice_report(rows: Sequence[Answered], labels: Mapping[str, str], sampling: Sampling) -> SliceReport:
    inside = slice_of(rows, labels)
    columns = columns_of(inside)
    verdicts = Counter(row.verdict for row in inside)
    return SliceReport(
        n=len(inside),
        labels=dict(labels),
        metrics=figures_of(METRICS, columns, sampling),
        verdicts={verdict.value: verdicts[verdict] for verdict in Verdict},
        rubric=rubric_histogram(columns),
    )


def _changes(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow], against: str, frame: Frame) -> dict[str, Change]:
    """Return what became of the base model's answers, by headline slice; slices without a common question are left out."""
    found = {}
    for name in frame.headline:
        after, before = (_rows_in(some, frame.table[name]) for some in (rows, base_rows))
        if {row.id for row in after} & {row.id for row in before}:
            found[name] = change_from(after, before, against, frame.sampling)
    return found


def _baselines(
    after: Sequence[Answered], base_rows: Sequence[AnswerRow], base: ArtifactRef | None, frame: Frame
) -> dict[str, Arm]:
    before = [row.answered() for row in base_rows]
    name = base.name if base else None
    inside = _rows_in(base_rows, frame.table[frame.headline[0]])
    plain = Arm(title="Base model", model=name)
    ruled = Arm(title="Base model with a probability threshold", model=name)
    plain.probes, plain.text = probe_figures(inside, frame.sampling), text_figures(inside, frame.sampling)
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


def _besides(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow], change: Change | None) -> dict[str, float | None]:
    """Return what a conclusion takes into account beside a slice's metrics: how the answers ended, what became of the base's, and
    how much of what that got right may be luck.
    """
    changed = {name: one.value for name, one in change.metrics.items()} if change is not None else {}
    return {**endings_of(rows), **changed, "luck": luck_of(base_rows)}


def _conclusion(
    name: str,
    slices: Mapping[str, SliceReport],
    base: Arm | None,
    besides: Mapping[str, float | None],
    found: Mapping[str, Mapping[str, Any] | None],
) -> Conclusion:
    before = base.slices.get(name) if base else None
    changes = base.differences.get(name, {}) if base else {}
    report = slices[name]
    # Where no question is labelled known or unknown there is no truthful rate, but there are right and wrong answers.
    gain = "truthfulness" if report.metrics["truthful_rate"].value is None else "truthful_rate"
    return conclude(
        {**_values(report), **besides},
        _values(before) if before else {},
        _ends(changes.get(gain)),
        where=HELD_OUT_PEOPLE if report.labels.get("fold") == HELD_OUT else ASKED,
        intervals=Intervals(_ends(report.metrics.get("parse_share")), _ends(changes.get("known_correct"))),
        **found,
    )


def _ends(one: MetricValue | None) -> tuple[float, float] | None:
    return (one.low, one.high) if one and one.low is not None and one.high is not None else None


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
        found[name.replace(HELD_OUT, f"{TRAINED_ON} − {HELD_OUT}", 1)] = figure(difference)
    return found
