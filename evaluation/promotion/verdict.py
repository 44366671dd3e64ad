"""Whether a challenger may take the champion's place, rule by rule. Knows no Django."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from evaluation.answers import AnswerRow, slice_of, slice_table
from evaluation.comparing.comparison import ANSWERED, asked_otherwise, untested
from evaluation.metrics import CALIBRATION, METRICS
from evaluation.promotion.contamination import Overlap
from evaluation.promotion.rules import Contamination, Demand, Floor, Improvement, NonInferiority, Rules
from evaluation.scorecards.document import BenchmarkRef, Document, Figures, MetricValue, Scorecard
from evaluation.scorecards.parts import differences_between

State = Literal["kept", "broken", "unknown", "left out"]
"""Kept; broken; cannot be told, which promotes nobody; cannot be computed here, and the rule does not insist on it."""
BASE = "base"
NOBODY = "there is no champion to compare with, and the scorecard has no base model"


class Outcome(Document):
    """One rule and what it came to. `figures` holds what there is of `challenger`, `champion` and `difference`; of a rule on
    several metrics `metric` names the one that they are of, and `others` has those of the rest.
    """

    rule: str
    title: str
    wanted: str
    state: State
    text: str
    slice: str = ""
    figures: dict[str, MetricValue] = Field(default_factory=dict)
    metric: str = ""
    others: dict[str, dict[str, MetricValue]] = Field(default_factory=dict)


class VerdictDocument(Document):
    """`passed` is True where every rule is kept, False where one is broken, and None where one cannot be told."""

    challenger: str
    champion: str | None
    against: Literal["champion", "base"] | None
    benchmark: BenchmarkRef
    slice: str
    passed: bool | None
    text: str
    outcomes: list[Outcome]
    overlap: Overlap | None = None


@dataclass(frozen=True)
class Measured:
    """A model with its scorecard and its judged answers to the benchmark."""

    name: str
    card: Scorecard
    rows: Sequence[AnswerRow]


def verdict_of(
    rules: Rules,
    challenger: Measured,
    champion: Measured | None = None,
    *,
    overlap: Overlap | None = None,
    watch: bool = False,
    promoted_by: Mapping[str, Any] | None = None,
) -> VerdictDocument:
    """Hold the challenger against the champion on the same benchmark; without a champion, against the model it was trained from.

    `overlap` is that of training rows and the questions of the rule's slice. To `watch` a model that is champion already turns
    the burden of proof round: a rule is broken only where all of the interval is beyond its bound; none need get better again.
    `promoted_by` are the settings of the scorecard that made it champion. Where models were not asked, or not judged, alike,
    nothing is shown by what one has and the other has not; known is what the champion's answers are labelled as.
    Raises ValueError where the two scorecards are of different benchmarks.
    """
    if champion is not None and champion.card.benchmark.hash != challenger.card.benchmark.hash:
        raise ValueError(f"{challenger.name} and {champion.name} were asked different questions")
    court = _Court(challenger, champion, watch, promoted_by)
    outcomes = [
        # Rules that were set before could be written twice, and count once.
        *(court.non_inferior(rule) for rule in dict.fromkeys(rules.non_inferiority)),
        *court.improved(None if watch else rules.improvement),
        *(court.floor(rule) for rule in dict.fromkeys(rules.floors)),
        *_report("guard", "Capability guard", rules.guard, challenger.card.guard),
        *_report("validator", "Validator", rules.validator, challenger.card.validator),
        *court.asked_alike(),
        *_clean(rules.contamination, overlap),
    ]
    outcomes = [court.doubted(one) for one in outcomes]
    passed = _passed(outcomes)
    return VerdictDocument(
        challenger=challenger.name,
        champion=champion.name if champion else None,
        against=court.against,
        benchmark=challenger.card.benchmark,
        slice=court.headline,
        passed=passed,
        text=_text(challenger.name, passed, outcomes),
        outcomes=outcomes,
        overlap=overlap,
    )


def _at_worst(worst: float) -> str:
    """In words, for of some metrics less is better: then a plus is none in the figure itself."""
    if worst == 0:
        return "At worst the same,"
    return f"At worst {'better' if worst > 0 else 'worse'} by {abs(worst):.3f}"


class _Court:
    """The figures that rules are held against; each slice's differences are reckoned once."""

    def __init__(
        self, challenger: Measured, champion: Measured | None, watch: bool, promoted_by: Mapping[str, Any] | None
    ) -> None:
        self.challenger, self.champion, self._watch = challenger, champion, watch
        self._unlike = _unlike(challenger, champion, promoted_by)
        self.headline = challenger.card.headline[0]
        base = challenger.card.baselines.get(BASE)
        self._base = base if base is not None and base.reason is None else None
        self.against: Literal["champion", "base"] | None = "champion" if champion else "base" if self._base else None
        self._differences: dict[str, Figures] = {}

    def non_inferior(self, rule: NonInferiority) -> Outcome:
        metric, where = METRICS[rule.metric], rule.slice or self.headline
        figures = self._figures(rule.metric, where)
        wanted = f"at most {rule.margin:g} {'lower' if metric.better == 'higher' else 'higher'}"
        worst = _worst(figures.get("difference"), metric.better)
        if rule.unless is not None and self._can_be_told(rule.unless, where):
            said = f"“{METRICS[rule.unless].title}” can be told here, and says more"
            why = ": who stops guessing loses lucky answers, and knows no less" if rule.metric == "correct" else ""
            state, text = "left out", f"{said}{why}."
        elif worst is None:
            state, text = _missing(rule.required), self._why(figures, where)
        elif worst > -rule.margin:
            state, text = "kept", f"{_at_worst(worst)} against a margin of {rule.margin:g}."
        else:
            difference = figures["difference"]
            sure = _best(difference, metric.better) < -rule.margin
            state = self._beyond(sure)
            text = f"{'Worse' if sure else 'May be worse'} by more than {rule.margin:g}: {_span(difference)}."
        return Outcome(
            rule=f"non_inferiority.{rule.metric}",
            title=f"{metric.title} has not got worse",
            wanted=wanted,
            state=state,
            text=text,
            slice=where,
            figures=figures,
        )

    def _can_be_told(self, name: str, where: str) -> bool:
        return _worst(self._difference(name, where), METRICS[name].better) is not None

    def improved(self, rule: Improvement | None) -> Iterator[Outcome]:
        if rule is None:
            return
        where, names = rule.slice or self.headline, list(dict.fromkeys(rule.metrics))
        figures = {name: self._figures(name, where) for name in names}
        worst = {name: _worst(figures[name].get("difference"), METRICS[name].better) for name in names}
        known = {name: value for name, value in worst.items() if value is not None}
        better = [name for name, value in known.items() if value > 0]
        untold = [name for name in names if name not in known]
        enough = len(better) == len(figures) if rule.need == "all" else bool(better)
        titles = ", ".join(METRICS[name].title for name in (better if enough else names))
        if enough:
            state, text = "kept", f"Better than chance allows: {titles}."
        elif untold and len(better) == len(known):  # none is shown not to be better
            state, text = "unknown", self._why(figures[untold[0]], where)
        else:
            state, text = "broken", f"No difference for the better is shown: {titles}."
        shown = better[0] if better else next(iter(known), names[0])
        yield Outcome(
            rule="improvement",
            title="It got better",
            wanted=f"{rule.need} of: {', '.join(METRICS[name].title for name in names)}",
            state=state,
            text=text,
            slice=where,
            figures=figures[shown],
            metric=shown,
            others={name: figures[name] for name in names if name != shown},
        )

    def floor(self, rule: Floor) -> Outcome:
        metric, where = METRICS[rule.metric], rule.slice or self.headline
        found = self._metric(self.challenger, rule.metric, where)
        bound, kind = (rule.at_least, "at least") if rule.at_least is not None else (rule.at_most, "at most")
        assert bound is not None  # a floor has one of the two
        if found is None or found.value is None:
            reason = found.reason if found is not None and found.reason else f"no answer is in the slice “{where}”"
            state, text = _missing(rule.required), f"Cannot be computed: {reason}."
        elif found.low is None or found.high is None:
            state, text = "unknown", f"{found.value:.3f} has no interval, so nothing is shown."
        else:
            low, high = found.low, found.high
            kept = low >= bound if kind == "at least" else high <= bound
            sure = high < bound if kind == "at least" else low > bound
            state = "kept" if kept else self._beyond(sure)
            text = f"{_span(found)}; wanted {kind} {bound:g} over the whole interval."
        return Outcome(
            rule=f"floor.{rule.metric}",
            title=f"{metric.title}, {kind} {bound:g}",
            wanted=f"{kind} {bound:g}",
            state=state,
            text=text,
            slice=where,
            figures={} if found is None else {"challenger": found},
        )

    def asked_alike(self) -> Iterator[Outcome]:
        """Whether the figures can be held against each other at all; against its own base model a scorecard asks alike."""
        if self._unlike is None:
            return
        text = f"{' '.join(self._unlike)} Evaluate with the same settings." if self._unlike else "With the same settings."
        yield Outcome(
            rule="asked_alike",
            title="Asked and judged alike",
            wanted="the settings that answers and their verdicts depend on",
            state="unknown" if self._unlike else "kept",
            text=text,
        )

    def doubted(self, one: Outcome) -> Outcome:
        """A rule's outcome, or that it cannot be told: comparisons, and all that a watch goes by, rest on being asked alike."""
        compares = one.rule == "improvement" or one.rule.startswith("non_inferiority.")
        rests = compares or (self._watch and one.rule != "contamination")
        if not self._unlike or not rests or one.state not in ("kept", "broken"):
            return one
        return one.model_copy(update={"state": "unknown", "text": f"Not asked alike, so nothing is shown. {one.text}"})

    def _beyond(self, sure: bool) -> State:
        """Of a rule that is not shown to be kept; `sure`: it is shown to be broken."""
        return "broken" if sure or not self._watch else "unknown"

    def _figures(self, metric: str, where: str) -> Figures:
        named = {
            "challenger": self._metric(self.challenger, metric, where),
            "champion": self._before(metric, where),
            "difference": self._difference(metric, where),
        }
        return {name: value for name, value in named.items() if value is not None}

    def _metric(self, model: Measured, metric: str, where: str) -> MetricValue | None:
        report = model.card.slices.get(where)
        return None if report is None else report.metrics.get(metric)

    def _before(self, metric: str, where: str) -> MetricValue | None:
        if self.champion is not None:
            return self._metric(self.champion, metric, where)
        report = self._base.slices.get(where) if self._base else None
        return None if report is None else report.metrics.get(metric)

    def _difference(self, metric: str, where: str) -> MetricValue | None:
        if where not in self._differences:
            self._differences[where] = self._all_differences(where)
        found = self._differences[where].get(metric)
        if found is None or self.champion is None or metric not in CALIBRATION:
            return found
        sources = {one.card.settings.get("confidence") for one in (self.challenger, self.champion)}
        return untested(found) if len(sources) > 1 else found

    def _all_differences(self, where: str) -> Figures:
        if self.champion is None:
            return self._base.differences.get(where, {}) if self._base else {}
        known = {row.id: row.known for row in self.champion.rows}
        shared = known.keys() & {row.id for row in self.challenger.rows}
        before, after = (
            [replace(row.answered(), known=known[row.id]) for row in one.rows if row.id in shared]
            for one in (self.champion, self.challenger)
        )
        labels = slice_table(before).get(where)
        if labels is None:
            return {}
        return differences_between(slice_of(before, labels), slice_of(after, labels))

    def _why(self, figures: Figures, where: str) -> str:
        """Why there is no difference to go by."""
        if self.against is None:
            return f"Cannot be told: {NOBODY}."
        if where not in self.challenger.card.slices:
            return f"Cannot be told: no answer is in the slice “{where}”."
        reasons = (one.reason for one in figures.values() if one.reason)
        return f"Cannot be told: {next(reasons, 'the difference has no interval')}."


def _unlike(challenger: Measured, champion: Measured | None, promoted_by: Mapping[str, Any] | None) -> list[str] | None:
    """In what the models were not asked or judged alike, in sentences; None where a scorecard is held against its own base alone.

    A judge that was mended since makes no other answers, so a champion that was promoted before is still watched.
    """
    now = challenger.card.settings
    if champion is not None:
        both = [(challenger.name, now), (champion.name, champion.card.settings)]
        if found := asked_otherwise(both, names=(*ANSWERED, "judge")):
            return found
    if promoted_by is not None:
        return asked_otherwise([("now", now), ("when it was promoted", promoted_by)], names=ANSWERED)
    return None if champion is None else []


def _worst(difference: MetricValue | None, better: str) -> float | None:
    """The worse end of the interval, above 0 where even that is an improvement; None without an interval."""
    if difference is None or difference.low is None or difference.high is None:
        return None
    return difference.low if better == "higher" else -difference.high


def _best(difference: MetricValue, better: str) -> float:
    assert difference.low is not None
    assert difference.high is not None
    return difference.high if better == "higher" else -difference.low


def _missing(required: bool) -> State:
    return "unknown" if required else "left out"


def _report(rule: str, title: str, demand: Demand, report: Mapping[str, object] | None) -> Iterator[Outcome]:
    """A report that has a verdict of its own: `passed` is True, False or None."""
    if demand == "ignored":
        return
    passed = report.get("passed") if report else None
    told = str(report.get("text") or "") if report else "The scorecard has no such report: evaluate with it."
    state: State = "broken" if passed is False else "kept" if passed else "unknown" if demand == "passed" else "left out"
    yield Outcome(rule=rule, title=title, wanted=demand, state=state, text=told)


def _clean(rule: Contamination | None, found: Overlap | None) -> Iterator[Outcome]:
    if rule is None:
        return
    wanted = f"at most {rule.at_most:.1%} of the questions in what it was trained on"
    wanted += " and the model it is held against was not" if rule.counts == "added" else ""
    share = None if found is None else found.share if rule.counts == "all" else found.added_share
    if found is None or share is None:
        state: State = "unknown"
        text = "What it was trained on cannot be looked through: no dataset of its training is on this site."
    else:
        state = "kept" if share <= rule.at_most else "broken"
        text = " ".join(_contamination_told(rule, found))
    yield Outcome(
        rule="contamination", title="Not trained on the questions", wanted=wanted, state=state, text=text, slice=rule.slice
    )


def _contamination_told(rule: Contamination, found: Overlap) -> Iterator[str]:
    yield f"{found.exact} of {found.n} questions word for word and {found.near} nearly, in {found.rows} rows;"
    yield f"{found.answered} with their answer."
    if rule.counts == "added" and found.before:
        yield f"{found.reference} was trained on {found.before} of them too, which gives neither an advantage: they do not count."
    elif rule.counts == "added" and found.before is None:
        yield "What the model that it is held against was trained on is not on this site, so all of them count."
    if found.unseen:
        yield f"Not looked at, for it is not on this site: what {', '.join(found.unseen)} saw."


def _passed(outcomes: Sequence[Outcome]) -> bool | None:
    states = {one.state for one in outcomes}
    return False if "broken" in states else None if "unknown" in states or not states & {"kept"} else True


def _text(name: str, passed: bool | None, outcomes: Sequence[Outcome]) -> str:
    count = Counter(one.state for one in outcomes)
    if passed:
        return f"{name} keeps all {count['kept']} rules."
    if passed is False:
        broken = [f"“{one.title}”" for one in outcomes if one.state == "broken"]
        return f"{name} breaks {len(broken)} of {len(outcomes)} rules. This does not hold: {', '.join(broken)}."
    return f"{name} cannot be promoted by rule: of {count['unknown']} of {len(outcomes)} rules nothing can be told."


def _span(found: MetricValue) -> str:
    if found.value is None:
        return "—"
    interval = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return f"{found.value:.3f}{interval}".replace("-", "−")
