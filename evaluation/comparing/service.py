"""Models side by side, as pages, API and commands show them. What was reckoned once is kept: neither answers nor draws change."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

import orjson
from django.conf import settings
from pydantic import BaseModel, ValidationError

from evaluation.answers import AnswerRow, answers_read, slice_order
from evaluation.comparing.comparison import Cell, Comparison, Contender, Row, compare, verdict_of
from evaluation.comparing.differing import Differing, differing
from evaluation.metrics import METRICS
from evaluation.models import Evaluation
from evaluation.scorecards.scorecard import SCORECARD_VERSION, MetricValue, SliceReport
from evaluation.selectors import answers_path, labels_of

COMPARED_AT_MOST = 6
# Kept comparisons on disk, for all processes, and in this one's memory; those looked at longest ago go first.
KEPT_AT_MOST = 200
AT_HAND_AT_MOST = 12
_HERE = Path(__file__).parent
RECKONERS = (_HERE.parent / "statistics.py", _HERE.parent / "answers.py", _HERE.parent / "scorecards" / "parts.py")
RECKONER_FOLDERS = (_HERE, _HERE.parent / "metrics")
"""What a comparison's figures come from."""

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
_recent: OrderedDict[str, Any] = OrderedDict()
_lock = Lock()


class NotComparable(ValueError):  # noqa: N818 (a refusal is no accident)
    """These evaluations cannot be put side by side; the message says why."""


class KeptComparison(BaseModel):
    """A comparison as it is kept; `differences` are against the first model, by metric."""

    slice: str
    slices: list[str]
    items: int
    reports: dict[str, SliceReport]
    differences: dict[str, dict[str, MetricValue]]
    otherwise: list[str]


def comparison_of(evaluations: Sequence[Evaluation], *, wanted: str | None = None) -> Comparison:
    """Put evaluations of one benchmark side by side. Raises NotComparable."""
    paths = _checked(evaluations)

    def make() -> KeptComparison:
        try:
            return _kept_form(compare(_contenders(evaluations, paths), wanted=wanted))
        except ValueError as error:
            raise NotComparable(f"{error}.") from error

    names = labels_of(evaluations)
    return _table(_kept(KeptComparison, [*_stamps(evaluations, paths), *names, wanted or ""], make), names)


def differing_of(evaluations: Sequence[Evaluation]) -> Differing:
    """The questions on which the models of one benchmark part ways. Raises NotComparable."""
    paths = _checked(evaluations)
    return _kept(Differing, _stamps(evaluations, paths), lambda: differing(_contenders(evaluations, paths)))


def slices_of(evaluations: Sequence[Evaluation], metric: str) -> dict[str, dict[str, MetricValue]]:
    """One metric of every slice that all scorecards have, by slice and model. Raises NotComparable."""
    kept = _at_hand(f"slices {_name(_stamps(evaluations, _checked(evaluations)))}", lambda: _slices(evaluations))
    return {
        name: {label: row[metric] for label, row in zip(labels_of(evaluations), rows, strict=True)}
        for name, rows in kept.items()
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


def _contenders(evaluations: Sequence[Evaluation], paths: Sequence[Path]) -> list[Contender]:
    rows: list[list[AnswerRow]] = [answers_read(path) for path in paths]
    pks = [one.pk for one in evaluations]
    asked = dict(Evaluation.objects.filter(pk__in=pks).values_list("pk", "scorecard__settings"))
    return [
        Contender(label, found, asked.get(pk) or {}) for label, found, pk in zip(labels_of(evaluations), rows, pks, strict=True)
    ]


def _stamps(evaluations: Sequence[Evaluation], paths: Sequence[Path]) -> list[str]:
    """What a kept result holds for: these answers, reckoned as this version of the code does."""
    found = [(one.pk, path.stat()) for one, path in zip(evaluations, paths, strict=True)]
    told = [f"{pk}:{stat.st_size}:{stat.st_mtime_ns}" for pk, stat in found]
    return [str(SCORECARD_VERSION), _code(), *told]


@cache
def _code() -> str:
    """A hash of the code that reckons: a formula or a test that was mended must not leave old figures standing."""
    files = [*RECKONERS, *(path for folder in RECKONER_FOLDERS for path in sorted(folder.glob("*.py")))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _name(about: Sequence[str]) -> str:
    return hashlib.sha256(orjson.dumps(about)).hexdigest()


def _kept(kind: type[M], about: Sequence[str], make: Callable[[], M]) -> M:
    """What is kept under `about`, or else what `make` returns, which then is kept."""
    path = Path(settings.RLWHF_HOME, "cache", "comparisons", f"{_name([kind.__name__, *about])}.json")
    return _at_hand(str(path), lambda: _on_disk(kind, path, make))


def _at_hand(name: str, make: Callable[[], T]) -> T:
    with _lock:
        if name in _recent:
            _recent.move_to_end(name)
            known: T = _recent[name]
            return known
    made = make()
    with _lock:
        _recent[name] = made
        while len(_recent) > AT_HAND_AT_MOST:
            _recent.popitem(last=False)
    return made


def _on_disk(kind: type[M], path: Path, make: Callable[[], M]) -> M:
    try:
        found = kind.model_validate_json(path.read_bytes())
        path.touch()
        return found
    except (OSError, ValidationError):
        made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{uuid4().hex}.part")
    aside.write_bytes(made.model_dump_json().encode())
    aside.replace(path)
    _forget_oldest(path.parent)
    return made


def _forget_oldest(folder: Path) -> None:
    kept = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[KEPT_AT_MOST:]:
        path.unlink(missing_ok=True)


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


def _table(kept: KeptComparison, names: Sequence[str]) -> Comparison:
    rows = [Row(name, METRICS[name], [_cell(kept, model, name) for model in names]) for name in METRICS]
    return Comparison(kept.slice, kept.slices, kept.items, rows, {name: kept.reports[name] for name in names}, kept.otherwise)


def _cell(kept: KeptComparison, model: str, name: str) -> Cell:
    difference = kept.differences[model].get(name)
    return Cell(model, kept.reports[model].metrics[name], difference, verdict_of(name, difference))
