"""The parts of a scorecard that need more than one plain answer to each question; a part without its data is left empty.

Every one of them is of the rows it is given: those of the main headline slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from annotations.statistics.intervals import RESAMPLES, SEED, wilson
from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow, ConfidenceSource, ProbeAnswer
from evaluation.asking.sameness import says_same
from evaluation.comparing.significance import PERMUTATIONS, holm
from evaluation.metrics import (
    CALIBRATION,
    CORRECT,
    METRICS,
    RUBRIC_SCORES,
    WRONG,
    Answered,
    Metric,
    columns_of,
    confidence_bins,
    risk_coverage,
    value_of,
)
from evaluation.metrics.belief import BELIEF_METRICS, Belief, beliefs_of
from evaluation.metrics.columns import C
from evaluation.metrics.paired import (
    OPEN_WORLD_METRICS,
    PRESSURE_METRICS,
    Became,
    Pair,
    became,
    pairs_of,
)
from evaluation.metrics.preference import LIKELIHOOD_METRICS, REWARD_METRICS, WIN_METRICS, duels_of
from evaluation.metrics.text import (
    DISTINCT_OF,
    DRAW_METRICS,
    ENDING_METRICS,
    KL_METRICS,
    LENGTH_METRICS,
    NGrams,
    Text,
    distinct_among,
    draws_of,
    entropy,
    ngrams_of,
    texts_of,
)
from evaluation.scorecards.document import (
    KNOWLEDGE,
    PROBES,
    SOURCES,
    Change,
    ConfidenceReport,
    Figures,
    MetricValue,
    ReliabilityBin,
    RiskCoveragePoint,
)
from evaluation.scorecards.samples import samples_changed
from evaluation.statistics import Difference, Estimate, corpus_estimate, estimates_of, paired_differences

_DIGITS = 6
BELIEF = "belief"


@dataclass(frozen=True)
class Sampling:
    """How intervals and tests are drawn; the same for every part of one scorecard."""

    resamples: int = RESAMPLES
    seed: int = SEED
    permutations: int = PERMUTATIONS


def figures_of(metrics: Mapping[str, Metric[C]], columns: C, sampling: Sampling) -> Figures:
    """Return metrics with their intervals, as they stand in a scorecard."""
    found = estimates_of(metrics, columns, resamples=sampling.resamples, seed=sampling.seed)
    return {name: figure(estimate) for name, estimate in found.items()}


def figure(found: Estimate | Difference) -> MetricValue:
    interval, test = found.interval, found.test if isinstance(found, Difference) else None
    return MetricValue(
        value=rounded(found.value),
        low=rounded(interval.low) if interval else None,
        high=rounded(interval.high) if interval else None,
        n=found.n,
        entities=found.entities if isinstance(found, Estimate) else None,
        reason=found.reason,
        method=interval.method if interval else None,
        p=rounded(test.p) if test else None,
        test=test.method if test else None,
    )


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def adjust(figures: Iterable[MetricValue]) -> None:
    """Write Holm's adjusted p-values into the figures, which are taken as one family of tests."""
    family = list(figures)
    for one, p in zip(family, holm([one.p for one in family]), strict=True):
        one.p_adjusted = rounded(p)


def adjust_tables(tables: Iterable[Figures]) -> None:
    """Adjust the metrics of some tables as one family. A figure that stands in a table under two names is one test of it."""
    shown = list(tables)
    adjust(one for table in shown for name, one in table.items() if METRICS[name].same_as not in table)
    for table in shown:
        for name, one in table.items():
            if (same := METRICS[name].same_as) in table:
                one.p_adjusted = table[same].p_adjusted


def differences_between(before: Sequence[Answered], after: Sequence[Answered], sampling: Sampling | None = None) -> Figures:
    """Return after − before for every metric, on the items both answered; all of them are one family of tests."""
    drawn = sampling or Sampling()
    found = paired_differences(before, after, resamples=drawn.resamples, permutations=drawn.permutations, seed=drawn.seed)
    figures = {name: figure(difference) for name, difference in found.items()}
    adjust_tables([figures])
    return figures


# Confidence


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


def confidence_reports(rows: Sequence[AnswerRow], sampling: Sampling) -> dict[str, ConfidenceReport]:
    """Return a report for each way in which some answer's confidence was elicited.

    Answers that do not say how are taken as giving their probability, the only way there once was.
    """
    found: dict[str, ConfidenceReport] = {}
    for source in SOURCES:
        values = [confidence_of(row, source) for row in rows]
        if any(value is not None for value in values):
            pairs = zip(rows, values, strict=True)
            found[source] = confidence_report([replace(row.answered(), confidence=value) for row, value in pairs], sampling)
    if not found and any(row.confidence is not None for row in rows):
        found["probability"] = confidence_report([row.answered() for row in rows], sampling)
    return found


def confidence_report(rows: Sequence[Answered], sampling: Sampling) -> ConfidenceReport:
    columns = columns_of(rows)
    return ConfidenceReport(
        metrics=figures_of({name: METRICS[name] for name in CALIBRATION}, columns, sampling),
        reliability=reliability_bins(rows),
        risk_coverage=[
            RiskCoveragePoint(coverage=round(at.coverage, _DIGITS), risk=round(at.risk, _DIGITS), n=at.n)
            for at in risk_coverage(columns)
        ],
    )


def confidence_of(row: AnswerRow, source: ConfidenceSource) -> float | None:
    return {"probability": row.probability, "stated": row.stated, "agreement": row.agreement}[source]


# Pressure, critique, belief


def probe_figures(rows: Sequence[AnswerRow], sampling: Sampling) -> dict[str, Figures]:
    """Return, for each thing that was asked besides, what it did to the first answers; where beliefs were asked for, also whether
    the statements agree with them.
    """
    asked = {name for row in rows for name in row.probes}
    names = [*(name for name in PROBES if name in asked), *sorted(asked - set(PROBES))]
    found: dict[str, Figures] = {}
    for name in names:
        pressure = {} if name == BELIEF else _pressure_figures(rows, name, sampling)
        beliefs = [belief for row in rows if (belief := _belief(row, name)) is not None] if BELIEF in asked else []
        found[name] = pressure | (figures_of(BELIEF_METRICS, beliefs_of(beliefs), sampling) if beliefs else {})
    return found


def _pressure_figures(rows: Sequence[AnswerRow], name: str, sampling: Sampling) -> Figures:
    pairs = pairs_of([_pressed(row, row.probes[name]) for row in rows if name in row.probes])
    wanted = {m: metric for m, metric in PRESSURE_METRICS.items() if m != "suggestion_shift" or pairs.suggested.any()}
    return figures_of(wanted, pairs, sampling)


def _pressed(row: AnswerRow, probe: ProbeAnswer) -> Pair:
    return Pair(row.id, row.entity, row.verdict, probe.verdict, probe.adopted_before, probe.adopted)


def _belief(row: AnswerRow, name: str) -> Belief | None:
    """Set what the model stated (first, or when it was pressed) against what it said when asked neutrally."""
    believed, pressed = row.probes.get(BELIEF), row.probes.get(name)
    if believed is None or pressed is None:
        return None
    verdict = row.verdict if name == BELIEF else pressed.verdict
    claimed = {verdict, believed.verdict} <= CORRECT | WRONG
    return Belief(row.id, row.entity, _states_belief(row, pressed, believed, verdict, name) if claimed else None)


def _states_belief(row: AnswerRow, pressed: ProbeAnswer, believed: ProbeAnswer, verdict: Verdict, name: str) -> bool | None:
    """As it was told when the question was at hand; of rows that were written before that was done, by the words alone."""
    if name == BELIEF:
        return believed.same
    if "as_believed" in pressed.model_fields_set:
        return pressed.as_believed
    answer = row.answer if pressed.same else pressed.answer
    return says_same(answer, believed.answer, verdicts=(verdict, believed.verdict))


# Against the base model


def change_from(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow], against: str, sampling: Sampling) -> Change:
    """Say what became of the base model's answers. Raises ValueError where no question was put to both."""
    before = {row.id: row for row in base_rows}
    both = [row for row in rows if row.id in before]
    if not both:
        raise ValueError("no question was put to both models")
    counted = Counter((became(before[row.id].verdict, row.verdict), _label(row)) for row in both)
    pairs = pairs_of([Pair(row.id, row.entity, before[row.id].verdict, row.verdict) for row in both])
    return Change(
        against=against,
        n=len(both),
        counts={kind.value: {label: counted[kind, label] for label in KNOWLEDGE} for kind in Became},
        metrics=figures_of(OPEN_WORLD_METRICS, pairs, sampling),
        samples=samples_changed(rows, base_rows),
    )


def _label(row: AnswerRow) -> str:
    return "unlabelled" if row.known is None else "known" if row.known else "unknown"


def win_figures(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow], sampling: Sampling) -> Figures:
    """Return how often an answer has a higher rubric score than the base model's answer to the same question."""
    before = {row.id: row for row in base_rows}
    both = [row for row in rows if row.id in before]
    duels = duels_of([_rubric(row) for row in both], [_rubric(before[row.id]) for row in both], [row.entity for row in both])
    return figures_of(WIN_METRICS, duels, sampling)


def _rubric(row: AnswerRow) -> float:
    return RUBRIC_SCORES.get(row.verdict, float("nan")) if row.score is None else row.score


@dataclass(frozen=True, slots=True)
class RewardedPair:
    """The better (`chosen`) and the worse of two answers to one question: how likely the model finds them, as natural logarithms,
    and what reward they get where there is one.
    """

    item: str
    entity: str
    chosen_logprob: float
    rejected_logprob: float
    chosen_reward: float | None = None
    rejected_reward: float | None = None


def preference_figures(pairs: Sequence[RewardedPair], sampling: Sampling) -> Figures:
    """Return how often the better answer is the likelier one and, where there are rewards, the one with the higher reward."""
    entities = [one.entity for one in pairs]
    likely = duels_of([one.chosen_logprob for one in pairs], [one.rejected_logprob for one in pairs], entities)
    rewarded = duels_of([_or_nan(one.chosen_reward) for one in pairs], [_or_nan(one.rejected_reward) for one in pairs], entities)
    found = figures_of(LIKELIHOOD_METRICS, likely, sampling) if likely.n else {}
    return found | (figures_of(REWARD_METRICS, rewarded, sampling) if rewarded.n else {})


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


# Text


def text_figures(rows: Sequence[AnswerRow], sampling: Sampling) -> Figures:
    """Return the answers' length and diversity and, of samples, their diversity and the divergence from the reference model.

    An abstention is not counted in the diversity of words: who rightly declines twice is no less diverse for that.
    """
    texts = texts_of([Text(row.entity, row.answer, row.tokens, ending=row.ending) for row in rows])
    found = figures_of(LENGTH_METRICS, texts, sampling)
    if texts.ended.any():
        found |= figures_of(ENDING_METRICS, texts, sampling)
    if not texts.refused.any():
        found.pop("refused_share", None)  # as with every model on disk
    if not any(row.tokens is not None for row in rows):
        del found["mean_tokens"]
    said = [Text(row.entity, row.answer) for row in rows if row.verdict != "abstained"]
    words, pairs = ngrams_of(said, 1), ngrams_of(said, 2)
    corpus = {
        "distinct_1": _distinct(words, len(said), sampling),
        "distinct_2": _distinct(pairs, len(said), sampling),
        "entropy_2": corpus_estimate(entropy, pairs, len(said), seed=sampling.seed),
    }
    return found | {name: figure(estimate) for name, estimate in corpus.items()} | _sample_figures(rows, sampling)


def endings_of(rows: Sequence[AnswerRow]) -> dict[str, float | None]:
    """Return the shares of answers that were cut off, and of questions that the service refused."""
    texts = texts_of([Text(row.entity, row.answer, ending=row.ending) for row in rows])
    return {name: value_of(metric, texts) for name, metric in ENDING_METRICS.items()}


def _distinct(grams: NGrams, texts: int, sampling: Sampling) -> Estimate:
    """Return the diversity among a fixed number of n-grams; of fewer it would be another figure."""
    if 0 < grams.count.sum() < DISTINCT_OF:
        return Estimate(None, None, texts, grams.entities, f"fewer than {DISTINCT_OF} words, or pairs of words")
    return corpus_estimate(distinct_among, grams, texts, seed=sampling.seed)


def _sample_figures(rows: Sequence[AnswerRow], sampling: Sampling) -> Figures:
    drawn = draws_of([[one.answer for one in row.samples] for row in rows], [row.entity for row in rows])
    found = figures_of(DRAW_METRICS, drawn, sampling) if drawn.n else {}
    texts = [
        Text(row.entity, one.answer, one.tokens, one.logprob, one.reference_logprob)
        for row in rows
        for one in row.samples
        if one.logprob is not None and one.reference_logprob is not None
    ]
    return found | (figures_of(KL_METRICS, texts_of(texts), sampling) if texts else {})


# The judge


def agreement_figures(rows: Sequence[AnswerRow]) -> Figures:
    """Return how far the judge agrees with the scores that people or a teacher gave; empty where there are none.

    The judge is what words alone say: the verdict of a scored answer follows its score, and would agree with it by construction.
    """
    scored = [(row.by_words, row.score) for row in rows if row.score is not None and row.by_words is not None]
    if not scored:
        return {}
    # scipy, which the web process, that reads scorecards, does not hold
    from evaluation.metrics.agreement import agreement_between  # noqa: PLC0415 (weight)

    judged = [RUBRIC_SCORES.get(by_words, float("nan")) for by_words, _ in scored]
    found = agreement_between(judged, [score for _, score in scored])
    numbers = {"alpha": found.alpha.items, "kappa": found.kappa.items, "bias": found.bias.n}
    return {
        name: MetricValue(
            value=rounded(one.value),
            low=rounded(one.interval.low) if one.interval else None,
            high=rounded(one.interval.high) if one.interval else None,
            n=numbers[name],
            reason=one.reason,
            method=one.interval.method if one.interval else None,
        )
        for name, one in (("alpha", found.alpha), ("kappa", found.kappa), ("bias", found.bias))
    }
