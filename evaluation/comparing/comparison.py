"""Several models on the same questions, side by side: each against the first, paired by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evaluation.answers import AnswerRow, headline_slices, slice_of, slice_table
from evaluation.comparing.aside import Tell
from evaluation.metrics import CALIBRATION, METRICS, Answered, Answers, Metric
from evaluation.scorecards.parts import adjust_tables
from evaluation.scorecards.scorecard import MetricValue, Sampling, SliceReport, differences_between, slice_report
from evaluation.specs import EvaluateSettings

ALPHA = 0.05
"""Better or worse is said where a difference's adjusted p-value is below this, and its interval excludes 0."""


ASKED = ("confidence", "knowledge", "known_share", "samples", "language", "max_new_tokens", "prompt_format", "harness", "judge")
"""The settings of a scorecard without which the same questions are not asked, or not judged, alike."""
ANSWERED = ("max_new_tokens", "prompt_format", "harness")
"""Those of them without which other answers are given."""
TITLES = {name: one.title for name, one in EvaluateSettings.model_fields.items() if one.title} | {"judge": "Version of the judge"}
OTHER_CONFIDENCE = "its confidence was elicited in another way than the first model's"


@dataclass(frozen=True)
class Contender:
    """A model by name, with its judged answers, and with how it was asked for them, where that is known."""

    name: str
    rows: Sequence[AnswerRow]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """A model's value of one metric, and by how much it differs from the first model's (None for the first itself).

    The p-value of the difference is adjusted (Holm) for all metrics and models of the table.
    """

    model: str
    value: MetricValue
    difference: MetricValue | None
    verdict: str

    @property
    def is_shown(self) -> bool:
        """Whether there is more to the difference than chance."""
        return self.verdict in ("better", "worse")


@dataclass(frozen=True)
class Row:
    name: str
    metric: Metric[Answers]
    cells: list[Cell]


@dataclass(frozen=True)
class Comparison:
    """The table of one slice. `slices` are those that can be chosen; `items` the questions that all have answered."""

    slice: str
    slices: list[str]
    items: int
    rows: list[Row]
    reports: dict[str, SliceReport]
    otherwise: list[str] = field(default_factory=list)
    """In what they were not asked, labelled or judged alike."""


def compare(
    contenders: Sequence[Contender],
    *,
    wanted: str | None = None,
    sampling: Sampling | None = None,
    tell: Tell | None = None,
) -> Comparison:
    """Compare the models on the questions that all of them answered. Raises ValueError when there are none. `tell` hears how many
    of the models are reckoned.

    What is known is what the first model's answers are labelled as: over-conservativeness on what each knows by its own account
    would be of different questions.
    """
    drawn = sampling or Sampling()
    shared = set.intersection(*({row.id for row in one.rows} for one in contenders)) if contenders else set()
    if not shared:
        raise ValueError("these models have no question in common")
    known = {row.id: row.known for row in contenders[0].rows}
    answered = [[replace(row.answered(), known=known[row.id]) for row in one.rows if row.id in shared] for one in contenders]
    table = slice_table(answered[0])
    slices = headline_slices(table)
    chosen = wanted if wanted in slices else slices[0]
    inside = [slice_of(rows, table[chosen]) for rows in answered]
    reports: list[SliceReport] = []
    differences: list[dict[str, MetricValue] | None] = []
    for number, rows in enumerate(inside):
        if tell is not None:
            tell(number, len(inside))
        reports.append(slice_report(rows, {}, drawn))
        differences.append(_against_first(inside[0], rows, drawn))
    for one, found in zip(contenders, differences, strict=True):
        if found and one.settings.get("confidence") != contenders[0].settings.get("confidence"):
            found.update({name: untested(found[name]) for name in CALIBRATION})
    adjust_tables(found for found in differences if found)
    names = [one.name for one in contenders]
    table_rows = [
        Row(name, METRICS[name], [_cell(name, *column) for column in zip(names, reports, differences, strict=True)])
        for name in METRICS
    ]
    return Comparison(
        chosen, slices, len(inside[0]), table_rows, dict(zip(names, reports, strict=True)), _otherwise(contenders, known)
    )


def _against_first(first: Sequence[Answered], other: Sequence[Answered], sampling: Sampling) -> dict[str, MetricValue] | None:
    return None if other is first else differences_between(first, other, sampling)


def untested(difference: MetricValue) -> MetricValue:
    """The difference of two confidences that were not elicited alike: it says nothing."""
    return MetricValue(value=difference.value, n=difference.n, reason=OTHER_CONFIDENCE)


def _otherwise(contenders: Sequence[Contender], known: Mapping[str, bool | None]) -> list[str]:
    """Say in what the models were not asked, labelled or judged alike."""
    first, *others = contenders
    said = asked_otherwise([(one.name, one.settings) for one in contenders])
    own = [one.name for one in others if any(row.known != known.get(row.id, row.known) for row in one.rows)]
    if own:
        said.append(f"What is known: as {first.name} was labelled; {', '.join(own)} had other labels.")
    return said


def asked_otherwise(told: Sequence[tuple[str, Mapping[str, Any]]], *, names: Sequence[str] = ASKED) -> list[str]:
    """In which of these settings scorecards differ, a sentence each; `told` are names with the settings of their scorecards."""
    said = []
    for name in names:
        values = [str(settings.get(name, "not known")) for _, settings in told]
        if len(set(values)) > 1:
            listed = ", ".join(f"{value} ({label})" for value, (label, _) in zip(values, told, strict=True))
            said.append(f"{TITLES.get(name, name)}: {listed}.")
    return said


def _cell(name: str, model: str, report: SliceReport, differences: dict[str, MetricValue] | None) -> Cell:
    difference = differences[name] if differences else None
    return Cell(model, report.metrics[name], difference, verdict_of(name, difference))


def verdict_of(name: str, difference: MetricValue | None) -> str:
    """Say what a difference means for this metric.

    "Better" and "worse" only where its adjusted p-value is below `ALPHA` and its interval excludes 0; of an older scorecard,
    which has no p-values, by the interval alone. Where there is no interval the difference was not tested.
    """
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return ""
    by_test = difference.p_adjusted is not None and difference.p_adjusted >= ALPHA
    chance = by_test or difference.low <= 0 <= difference.high
    if chance or difference.value == 0:
        return "no difference shown"
    return "better" if (difference.value > 0) == (METRICS[name].better == "higher") else "worse"
