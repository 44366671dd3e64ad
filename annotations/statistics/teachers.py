"""How good a teacher's scores are, measured against people's. Pure: arrays in, figures out.

Everything goes by the median of people's scores of an item, or by whatever stands for it (an adjudicator's decision, a gold
answer). A teacher is biased where the mean of its score less people's is not 0: over all, at each of people's scores, by source,
and along the length of answers, which judges that are models are known to favour (Dubois et al. 2024, arXiv:2404.04475).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats

from annotations.statistics.agreement import weighted_kappa
from annotations.statistics.annotators import Figure, mean_difference, near
from annotations.statistics.intervals import LEVEL, RESAMPLES, SEED, Interval
from annotations.statistics.ratings import SAME, Estimate, FloatArray

STEP = 1.0
# A row of a table with fewer items than these says nothing.
LEAST_IN_ROW = 5
LEAST_FOR_LENGTH = LEAST_FOR_SLOPE = 20
NO_BOTH = "no item was scored by people and by the teacher"
FEW_LENGTHS = FEW_FOR_SLOPE = f"fewer than {LEAST_FOR_LENGTH} items were scored by both"
ALL_ALIKE = "all differences or all lengths are the same"


@dataclass(frozen=True, slots=True)
class ByLevel:
    """Of the items at one level of something, the mean of another thing."""

    level: str
    mean: Figure


@dataclass(frozen=True, slots=True)
class TeacherQuality:
    """What can be said of one teacher in one project."""

    both: int
    """items that people and the teacher scored"""
    kappa: Estimate
    """quadratically weighted κ against people's score"""
    exact: Figure
    """the share of items on which the two are the same"""
    within_step: Figure
    """the share on which they lie at most one step apart"""
    bias: Figure
    """the mean of the teacher's score less people's"""
    by_score: tuple[ByLevel, ...]
    """the bias at each of people's scores, highest first"""
    by_source: tuple[ByLevel, ...]
    """the bias by where the answer comes from, most items first"""
    length: Figure
    """Spearman's ρ of the bias and the answer's length: above 0 it is kinder to long answers than people are"""
    calibration: tuple[ByLevel, ...]
    """for each score that the teacher gives, the mean of people's scores: calibrated, the two are the same"""
    slope: Figure
    """of people's score on the teacher's: 1 is calibrated, below 1 its scores are more extreme than people's are"""
    sources: Mapping[str, int] = field(default_factory=dict)


def teacher_quality(
    people: npt.ArrayLike,
    teacher: npt.ArrayLike,
    length: npt.ArrayLike,
    source: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> TeacherQuality:
    """Columns with a row an item: people's score and the teacher's in [−2, 2] (NaN: none), the answer's length in characters, and
    where it comes from ("" is not known). Raises ValueError for columns of unequal length.
    """
    y, f, size = (np.asarray(one, np.float64) for one in (people, teacher, length))
    origin = np.asarray(source, dtype=object)
    if not y.shape == f.shape == size.shape == origin.shape:
        raise ValueError("people's scores, the teacher's, lengths and sources are columns of equal length")
    both = ~(np.isnan(y) | np.isnan(f))
    y, f, size, origin = y[both], f[both], size[both], origin[both]
    apart = f - y
    return TeacherQuality(
        both=y.size,
        kappa=weighted_kappa(y, f, resamples=resamples, seed=seed),
        exact=near(apart, 0.0, NO_BOTH),
        within_step=near(apart, STEP, NO_BOTH),
        bias=mean_difference(apart, NO_BOTH),
        by_score=_by(y, apart),
        by_source=_by_source(origin, apart),
        length=_with_length(apart, size, resamples, seed),
        calibration=_by(f, y),
        slope=_calibration_slope(f, y),
        sources={str(name): int((origin == name).sum()) for name in dict.fromkeys(origin)},
    )


def _by(level: FloatArray, value: FloatArray) -> tuple[ByLevel, ...]:
    return tuple(ByLevel(f"{one:+g}" if one else "0", _row(value[level == one])) for one in np.unique(level)[::-1])


def _by_source(origin: npt.NDArray[np.object_], apart: FloatArray) -> tuple[ByLevel, ...]:
    names = sorted(dict.fromkeys(origin), key=lambda name: (-int((origin == name).sum()), str(name)))
    return tuple(ByLevel(str(name), _row(apart[origin == name])) for name in names)


def _row(values: FloatArray) -> Figure:
    if values.size < LEAST_IN_ROW:
        return Figure(None, None, values.size, f"fewer than {LEAST_IN_ROW} items")
    return mean_difference(values, NO_BOTH)


def _with_length(apart: FloatArray, size: FloatArray, resamples: int, seed: int) -> Figure:
    """Spearman's ρ with a percentile interval over resampled items."""
    if apart.size < LEAST_FOR_LENGTH:
        return Figure(None, None, apart.size, FEW_LENGTHS)
    if np.ptp(apart) == 0 or np.ptp(size) == 0:
        return Figure(None, None, apart.size, ALL_ALIKE)
    drawn = np.random.default_rng(seed).integers(0, apart.size, (resamples, apart.size))
    # Ranks among the resample itself, as the statistic has them.
    one, other = stats.rankdata(apart[drawn], axis=1), stats.rankdata(size[drawn], axis=1)
    samples = _correlations(one, other)
    samples = samples[~np.isnan(samples)]
    value = float(_correlations(stats.rankdata(apart)[None], stats.rankdata(size)[None])[0])
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(value, Interval(float(low), float(high), "bootstrap"), apart.size)


def _correlations(one: FloatArray, other: FloatArray) -> FloatArray:
    """Pearson's, row by row: shape (rows,)."""
    one, other = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: FloatArray = (one * other).sum(axis=1) / np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return found


def _calibration_slope(f: FloatArray, y: FloatArray) -> Figure:
    """The least-squares slope of people's score on the teacher's, with Student's interval (Cox 1958, Biometrika 45)."""
    if f.size < LEAST_FOR_SLOPE:
        return Figure(None, None, f.size, FEW_FOR_SLOPE)
    if np.ptp(f) == 0:
        return Figure(None, None, f.size, "the teacher gives one score to everything")
    line = stats.linregress(f, y)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, f.size - 2)) * float(line.stderr)
    slope = float(line.slope)
    return Figure(slope, Interval(slope - half, slope + half, "t") if half > SAME else None, f.size)
