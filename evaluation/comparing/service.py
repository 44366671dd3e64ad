"""Models side by side, as pages, API and commands show them. What was reckoned once is kept: neither answers nor draws change."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel

from evaluation.answers import BrokenAnswers, answers_read, headline_slices, slice_order, slice_table
from evaluation.comparing.aside import Tell, Underway, aside
from evaluation.comparing.comparison import Cell, Comparison, Contender, Row, compare, verdict_of
from evaluation.comparing.differing import Differing, differing
from evaluation.comparing.keeping import found_kept, kept, remembered
from evaluation.metrics import METRICS
from evaluation.models import Evaluation
from evaluation.scorecards.scorecard import SCORECARD_VERSION, MetricValue, SliceReport
from evaluation.selectors import answers_path, labels_of

COMPARED_AT_MOST = 6
SOON_S: Final = 2.0
"""How long a page waits for a comparison before it says that it is being reckoned."""


class NotComparable(ValueError):  # noqa: N818 (a refusal is no accident)
    """These evaluations cannot be put side by side; the message says why."""


class NotReckoned(Exception):  # noqa: N818 (what it came of is its cause)
    """A comparison failed on the way, which the log tells of."""


class KeptComparison(BaseModel):
    """A comparison as it is kept; `differences` are against the first model, by metric."""

    slice: str
    slices: list[str]
    items: int
    reports: dict[str, SliceReport]
    differences: dict[str, dict[str, MetricValue]]
    otherwise: list[str]


class KeptSlices(BaseModel):
    """The headline slices that a comparison can be of."""

    names: list[str]


def comparison_of(evaluations: Sequence[Evaluation], *, wanted: str | None = None) -> Comparison:
    """Put evaluations of one benchmark side by side, on the slice that is wanted, if it is one of the headline's, or else on the
    first. Raises NotComparable.
    """
    asked = _Asked(evaluations, wanted)
    return asked.found() or asked.prepared().reckoned()


def comparison_soon(
    evaluations: Sequence[Evaluation], *, wanted: str | None = None, wait_s: float = SOON_S
) -> Comparison | Underway:
    """The same for a page: what is not there after `wait_s` seconds is reckoned on aside, and this says how far it is. Raises
    NotReckoned where that failed.
    """
    asked = _Asked(evaluations, wanted)
    if (found := asked.found()) is not None:
        return found
    try:
        return aside(repr([asked.about, asked.names, wanted]), asked.prepared().for_a_page, wait_s=wait_s)
    except NotComparable:
        raise
    except Exception as failed:
        raise NotReckoned from failed


class _Asked:
    """A comparison that was asked for. Raises NotComparable."""

    def __init__(self, evaluations: Sequence[Evaluation], wanted: str | None) -> None:
        self._evaluations, self._wanted = evaluations, wanted
        self._paths = _checked(evaluations)
        self.names, self.about = labels_of(evaluations), _stamps(evaluations, self._paths)
        self._settings: list[dict[str, Any]] = []

    def prepared(self) -> Self:
        """Read what the database knows, which a thread does not have."""
        self._settings = _settings_of(self._evaluations)
        return self

    @cached_property
    def _contenders(self) -> list[Contender]:
        return _contenders(self.names, self._paths, self._settings)

    def found(self) -> Comparison | None:
        """What is kept of it, if anything is."""
        slices = found_kept(KeptSlices, self.about)
        made = found_kept(KeptComparison, self._about(slices.names)) if slices else None
        return _table(made, self.names) if made else None

    def reckoned(self, tell: Tell | None = None) -> Comparison:
        slices = kept(KeptSlices, self.about, lambda: KeptSlices(names=_headline_slices(self._contenders))).names

        def make() -> KeptComparison:
            return _kept_form(compare(self._contenders, wanted=self._chosen(slices), tell=tell))

        return _table(kept(KeptComparison, self._about(slices), make), self.names)

    def for_a_page(self, tell: Tell) -> Comparison:
        """The same, and where they part ways, which the page shows too."""
        found = self.reckoned(tell)
        kept(Differing, self.about, lambda: differing(self._contenders))
        return found

    def _about(self, slices: Sequence[str]) -> list[str]:
        """Kept by the slice's own name: what is no slice is none of its own, so that no made-up one is reckoned."""
        return [*self.about, *self.names, self._chosen(slices)]

    def _chosen(self, slices: Sequence[str]) -> str:
        return next((name for name in slices if name == self._wanted), slices[0])


def _headline_slices(contenders: Sequence[Contender]) -> list[str]:
    shared = set.intersection(*({row.id for row in one.rows} for one in contenders))
    if not shared:
        raise NotComparable("These models have no question in common.")
    return headline_slices(slice_table([row.answered() for row in contenders[0].rows if row.id in shared]))


def differing_of(evaluations: Sequence[Evaluation]) -> Differing:
    """The questions on which the models of one benchmark part ways. Raises NotComparable."""
    paths = _checked(evaluations)

    def make() -> Differing:
        return differing(_contenders(labels_of(evaluations), paths, _settings_of(evaluations)))

    return kept(Differing, _stamps(evaluations, paths), make)


def slices_of(evaluations: Sequence[Evaluation], metric: str) -> dict[str, dict[str, MetricValue]]:
    """One metric of every slice that all scorecards have, by slice and model. Raises NotComparable."""
    found = remembered(["slices", *_stamps(evaluations, _checked(evaluations))], lambda: _slices(evaluations))
    return {
        name: {label: row[metric] for label, row in zip(labels_of(evaluations), rows, strict=True)}
        for name, rows in found.items()
        if all(metric in row for row in rows)
    }


def _slices(evaluations: Sequence[Evaluation]) -> dict[str, list[dict[str, MetricValue]]]:
    """The metrics of every slice that all scorecards have, in the evaluations' order."""
    pks = [one.pk for one in evaluations]
    found = dict(Evaluation.objects.filter(pk__in=pks).values_list("pk", "scorecard__slices"))
    reports = [{name: SliceReport.model_validate(one) for name, one in found[pk].items()} for pk in pks]
    shared = [name for name in reports[0] if all(name in others for others in reports)]
    shared.sort(key=lambda name: slice_order(name, reports[0][name].labels))
    return {name: [one[name].metrics for one in reports] for name in shared}


def _checked(evaluations: Sequence[Evaluation]) -> list[Path]:
    if len(evaluations) < 2:
        raise NotComparable("Choose at least two models that have a scorecard.")
    if len(evaluations) > COMPARED_AT_MOST:
        raise NotComparable(f"At most {COMPARED_AT_MOST} models fit side by side.")
    if len({one.benchmark_id for one in evaluations}) > 1:
        raise NotComparable("These models were asked different questions; compare scorecards of one benchmark.")
    paths = [answers_path(one) for one in evaluations]
    for one, path in zip(evaluations, paths, strict=True):
        if path is None:
            raise NotComparable(f"The answers of {one.model_name} (#{one.pk}) are no longer on disk.")
    return [path for path in paths if path is not None]


def _contenders(names: Sequence[str], paths: Sequence[Path], settings: Sequence[Mapping[str, Any]]) -> list[Contender]:
    try:
        return [Contender(name, answers_read(path), asked) for name, path, asked in zip(names, paths, settings, strict=True)]
    except BrokenAnswers as broken:
        raise NotComparable(f"Answers cannot be read. {broken}") from broken
    except FileNotFoundError as gone:
        raise NotComparable(f"Answers went from the disk meanwhile: {gone.filename}.") from gone


def _settings_of(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    pks = [one.pk for one in evaluations]
    asked = dict(Evaluation.objects.filter(pk__in=pks).values_list("pk", "scorecard__settings"))
    return [asked.get(pk) or {} for pk in pks]


def _stamps(evaluations: Sequence[Evaluation], paths: Sequence[Path]) -> list[str]:
    """What a kept result holds for: these answers, in scorecards of this version."""
    found = [(one.pk, path.stat()) for one, path in zip(evaluations, paths, strict=True)]
    told = [f"{pk}:{stat.st_size}:{stat.st_mtime_ns}" for pk, stat in found]
    return [str(SCORECARD_VERSION), *told]


def _kept_form(comparison: Comparison) -> KeptComparison:
    told = [(cell.model, row.name, cell.difference) for row in comparison.rows for cell in row.cells if cell.difference]
    differences: dict[str, dict[str, MetricValue]] = {model: {} for model in comparison.reports}
    for model, name, difference in told:
        differences[model][name] = difference
    return KeptComparison(
        slice=comparison.slice,
        slices=comparison.slices,
        items=comparison.items,
        reports=comparison.reports,
        differences=differences,
        otherwise=comparison.otherwise,
    )


def _table(made: KeptComparison, names: Sequence[str]) -> Comparison:
    rows = [Row(name, METRICS[name], [_cell(made, model, name) for model in names]) for name in METRICS]
    return Comparison(made.slice, made.slices, made.items, rows, {name: made.reports[name] for name in names}, made.otherwise)


def _cell(made: KeptComparison, model: str, name: str) -> Cell:
    difference = made.differences[model].get(name)
    return Cell(model, made.reports[model].metrics[name], difference, verdict_of(name, difference))
