"""A project's quality report from its people's scores. Pure: arrays in, a document of plain values out.

What is in an α is always one rubric: the headline is of the project's present version, and the others are slices of their own.
Gold items are shown to everybody and chosen by a lead, so they are a slice too and in no headline; qualification items teach,
and are in nothing but the figures on gold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations.statistics.agreement import krippendorff_alpha, mean_pairwise_kappa, percent_agreement
from annotations.statistics.annotators import GivenScores, annotators, others_median
from annotations.statistics.consensus import WHYS, Consensus, consensus
from annotations.statistics.ratings import Estimate, FloatArray, IntArray, Ratings

Document = dict[str, Any]
Tell = Callable[[str, int, int], None]
Mask = npt.NDArray[np.bool_]

VERSION = 1
OVERALL = "overall"
DAY = 86_400.0
WEEK = 7 * DAY
# Days up to this long a time, then weeks, then four weeks.
DAYS_SPAN, WEEKS_SPAN = 35 * DAY, 60 * WEEK
SLICES_SHOWN = 20
DISPUTED_KEPT = 300
HISTOGRAM_BINS = 10
# A slice's interval need not be known to the last digit.
SLICE_RESAMPLES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Live scores by people, a row a score. `overall` and dimensions are NaN where not given."""

    item: IntArray
    rater: IntArray
    rubric: IntArray
    overall: FloatArray
    dimensions: Mapping[str, FloatArray]
    given_at: FloatArray
    """seconds since 1970"""
    seconds: FloatArray
    gold: FloatArray
    """the right score of a gold item, NaN for others"""
    qualification: Mask
    slices: Mapping[str, IntArray]
    """by what items differ ("source model"), as an index of `names`"""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self.item.size

    def ratings(self, chosen: Mask, dimension: str = OVERALL) -> Ratings:
        value = self.overall if dimension == OVERALL else self.dimensions[dimension]
        return Ratings.of(self.item[chosen], self.rater[chosen], value[chosen])


def build_report(scores: Scores, *, rubric: int, rubrics: Mapping[int, str], tell: Tell | None = None) -> Document:
    """The report. `rubric` is the project's present version; `rubrics` names every one that occurs."""
    present = (scores.rubric == rubric) & ~scores.qualification
    plain = present & np.isnan(scores.gold)
    report: Document = {"version": VERSION, "rubric": {"id": rubric, "name": rubrics.get(rubric, "")}, **_counts(scores, present)}
    result: Consensus | None = None

    def consensus_of() -> Consensus:
        nonlocal result
        result = result or consensus(scores.ratings(plain))
        return result

    steps: dict[str, Callable[[], Any]] = {
        "agreement": lambda: _headlines(scores, plain),
        "over_time": lambda: _over_time(scores, plain),
        "slices": lambda: _slices(scores, plain, rubric, rubrics),
        "consensus": lambda: _consensus(consensus_of()),
        "annotators": lambda: _annotators(scores, rubric, plain, consensus_of()),
    }
    for done, (name, make) in enumerate(steps.items()):
        if tell:
            tell(name.replace("_", " "), done, len(steps))
        report[name] = make()
    if tell:
        tell("computed", len(steps), len(steps))
    return report


def _counts(scores: Scores, present: Mask) -> Document:
    return {
        "scores": scores.count,
        "scores_present": int(present.sum()),
        "cannot_verify": int(np.isnan(scores.overall[present]).sum()),
        "items": int(np.unique(scores.item[present]).size),
        "people": int(np.unique(scores.rater[present]).size),
        "qualification": int(scores.qualification.sum()),
    }


# Agreement


def _headlines(scores: Scores, plain: Mask) -> list[Document]:
    return [_headline(scores.ratings(plain, name), name) for name in (OVERALL, *scores.dimensions)]


def _headline(ratings: Ratings, name: str) -> Document:
    return {
        "name": name,
        "alpha": _plain(krippendorff_alpha(ratings, metric="ordinal")),
        "nominal": _plain(krippendorff_alpha(ratings, metric="nominal")),
        "interval_alpha": _plain(krippendorff_alpha(ratings, metric="interval")),
        "kappa": _plain(mean_pairwise_kappa(ratings, weights="quadratic")),
        "exact": _plain(percent_agreement(ratings)),
        "within_one": _plain(percent_agreement(ratings, within=1)),
    }


def _slice_of(ratings: Ratings, **more: Any) -> Document:
    return {
        **more,
        "scores": ratings.item.size,
        "alpha": _plain(krippendorff_alpha(ratings, metric="ordinal", resamples=SLICE_RESAMPLES)),
        "within_one": _plain(percent_agreement(ratings, within=1)),
    }


def _over_time(scores: Scores, plain: Mask) -> Document:
    """α of the items that got their latest score in each stretch of time: an item is in one stretch, with all its scores."""
    rated = plain & ~np.isnan(scores.overall)
    if not rated.any():
        return {"bin": "day", "rows": []}
    items, index = np.unique(scores.item[rated], return_inverse=True)
    latest = np.full(items.size, -np.inf)
    np.maximum.at(latest, index, scores.given_at[rated])
    width, name = _width(latest)
    place = np.floor(latest / width).astype(np.int64)[index]
    ratings = scores.ratings(rated)
    rows = [_slice_of(ratings.where(place == one), start=_date(one * width)) for one in np.unique(place)]
    return {"bin": name, "rows": rows}


def _width(moments: FloatArray) -> tuple[float, str]:
    span = float(moments.max() - moments.min())
    if span <= DAYS_SPAN:
        return DAY, "day"
    return (WEEK, "week") if span <= WEEKS_SPAN else (4 * WEEK, "four weeks")


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _slices(scores: Scores, plain: Mask, rubric: int, rubrics: Mapping[int, str]) -> list[Document]:
    found = [_slice_by(scores, plain, by, codes, scores.names[by]) for by, codes in scores.slices.items()]
    of_gold = scores.ratings((scores.rubric == rubric) & ~scores.qualification & ~np.isnan(scores.gold))
    if of_gold.item.size:
        found.append({"by": "gold", "rows": [_slice_of(of_gold, name="gold items")], "left": 0})
    versions = [int(one) for one in np.unique(scores.rubric) if int(one) != rubric]
    if versions:
        not_taught = ~scores.qualification & np.isnan(scores.gold)
        rows = [_slice_of(scores.ratings((scores.rubric == one) & not_taught), name=rubrics.get(one, "")) for one in versions]
        found.append({"by": "rubric version", "rows": rows, "left": 0})
    return [one for one in found if one["rows"]]


def _slice_by(scores: Scores, plain: Mask, by: str, codes: IntArray, names: Sequence[str]) -> Document:
    """The largest slices first; nothing where there is but one."""
    here, counts = np.unique(codes[plain], return_counts=True)
    # Equally large ones by name: in what order the database gives rows says nothing.
    order = np.array(sorted(range(here.size), key=lambda place: (-counts[place], names[int(here[place])])), dtype=np.int64)
    shown = here[order][:SLICES_SHOWN] if here.size > 1 else here[:0]
    rows = [_slice_of(scores.ratings(plain & (codes == one)), name=names[int(one)]) for one in shown]
    return {"by": by, "rows": rows, "left": max(0, here.size - SLICES_SHOWN) if rows else 0}


# Consensus


def _consensus(result: Consensus) -> Document:
    whys, counts = np.unique(result.why, return_counts=True)
    methods = {WHYS[int(why)]: int(count) for why, count in zip(whys, counts, strict=True)}
    shared = ~np.isnan(result.spread)
    histogram, _ = np.histogram(result.spread[shared], bins=HISTOGRAM_BINS, range=(0, 1))
    model = result.model
    return {
        "items": result.item.size,
        "fitted": int(result.fitted.sum()),
        "median": {why: count for why, count in methods.items() if why},
        "rounds": model.iterations if model else None,
        "converged": model.converged if model else None,
        "histogram": histogram.tolist(),
        "unanimous": int((result.spread[shared] == 0).sum()),
        "shared": int(shared.sum()),
        "disputed": _disputed(result),
    }


def _disputed(result: Consensus) -> list[Document]:
    """The items whose scores lie furthest apart, with how undecided the model is about them."""
    known = np.flatnonzero(np.nan_to_num(result.spread) > 0)
    undecided = np.where(result.fitted, result.disagreement, 0.0)
    order = known[np.lexsort((result.item[known], -undecided[known], -result.spread[known]))][:DISPUTED_KEPT]
    return [
        {
            "item": int(result.item[one]),
            "spread": float(result.spread[one]),
            "entropy": float(result.disagreement[one]) if result.fitted[one] else None,
            "score": float(result.score[one]),
            "expected": float(result.expected[one]),
            "method": result.method(int(one)),
            "ratings": int(result.ratings[one]),
        }
        for one in order
    ]


# Annotators


def _annotators(scores: Scores, rubric: int, plain: Mask, result: Consensus) -> list[Document]:
    """Each annotator's figures under the present rubric; against the others on plain items, against gold on gold items."""
    chosen = scores.rubric == rubric
    if not chosen.any():
        return []
    came_to = np.full(scores.count, np.nan)
    place = np.minimum(np.searchsorted(result.item, scores.item), max(0, result.item.size - 1))
    if result.item.size:
        # What one's own score alone has come to says nothing.
        known = plain & (result.item[place] == scores.item) & (result.ratings[place] > 1)
        came_to[known] = result.score[place[known]]
    # Gold items are an item of their own for each rater, so that nobody there is measured against the others.
    alone = np.where(plain, scores.item, -1 - np.arange(scores.count))
    given = GivenScores(
        alone[chosen], scores.rater[chosen], scores.overall[chosen], scores.seconds[chosen], came_to[chosen], scores.gold[chosen]
    )
    found = []
    for one in annotators(given):
        document = _plain(one)
        document["signals"] = list(document["signals"])
        document["confusion"] = [{"score": row, "given": counts} for row, counts in one.confusion.items()]
        found.append(document)
    times = _times(scores, chosen, alone)
    for document in found:
        document["over_time"] = times.get(document["rater"], {"bin": "day", "rows": []})
    return sorted(found, key=lambda one: (-one["n"], one["rater"]))


def _times(scores: Scores, chosen: Mask, alone: IntArray) -> dict[int, Document]:
    """For each annotator and stretch of time: how many scores, and how these lie to the median of the others."""
    moments = scores.given_at[chosen]
    width, name = _width(moments)
    apart = scores.overall[chosen] - others_median(alone[chosen], scores.overall[chosen])
    raters, rater = np.unique(scores.rater[chosen], return_inverse=True)
    bins, place = np.unique(np.floor(moments / width).astype(np.int64), return_inverse=True)
    cell, size = rater * bins.size + place, raters.size * bins.size
    known = ~np.isnan(apart)
    counts = np.bincount(cell, minlength=size)
    compared = np.bincount(cell[known], minlength=size)
    sums = np.bincount(cell[known], weights=apart[known], minlength=size)
    near = np.bincount(cell[known], weights=np.abs(apart[known]) <= 1, minlength=size)
    rows: dict[int, Document] = {}
    for index, one in enumerate(raters):
        own = range(index * bins.size, (index + 1) * bins.size)
        rows[int(one)] = {
            "bin": name,
            "rows": [
                {
                    "start": _date(float(bins[at % bins.size] * width)),
                    "scores": int(counts[at]),
                    "compared": int(compared[at]),
                    "bias": float(sums[at] / compared[at]) if compared[at] else None,
                    "within_one": float(near[at] / compared[at]) if compared[at] else None,
                }
                for at in own
                if counts[at]
            ],
        }
    return rows


def _plain(value: Estimate | Any) -> Document:
    document: Document = asdict(value)
    return document
