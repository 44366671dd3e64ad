"""What people's mean score would be, from a few of their scores and many of a teacher's. Pure: arrays in, figures out.

Prediction-powered inference (Angelopoulos et al. 2023, Science 382) with the power tuning of PPI++ (Angelopoulos, Duchi and Zrnic
2023, arXiv:2311.01453, section 6): the teacher's mean over all items, corrected by how far it lies from people where both scored.

    θ = λ·mean(f over items that only the teacher scored) + mean(y − λ·f over items that people scored as well)

λ is chosen for the least variance: 0 is people's scores alone, 1 trusts the teacher's differences fully. However wrong the
teacher is, θ is as right as people are; a better teacher makes the interval narrower. It asks for one thing: the items that
people scored are drawn at random from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from annotations.statistics.annotators import Figure, mean_difference
from annotations.statistics.intervals import LEVEL, Interval
from annotations.statistics.ratings import FloatArray

# With fewer items that both scored, neither the correction nor its spread is known well enough.
LEAST_BOTH = 20
FEW_BOTH = f"fewer than {LEAST_BOTH} items were scored by people and by the teacher"
NO_OTHERS = "the teacher scored no item besides those that people scored"


@dataclass(frozen=True, slots=True)
class DebiasedMean:
    """People's mean, as estimated with the teacher's help. Without a value there is a reason."""

    value: float | None
    interval: Interval | None
    both: int
    """items that people and the teacher scored"""
    teacher_only: int
    weight: float | None
    """λ in [0, 1]"""
    people_alone: Figure
    """the mean of people's scores, without the teacher"""
    teacher_alone: float | None
    """the mean of the teacher's scores of all items, uncorrected"""
    worth: float | None = None
    """how many people's scores the interval is worth, per score that they gave: 2 is as narrow as twice as many"""
    reason: str | None = None


def debiased_mean(
    people: npt.ArrayLike, teacher: npt.ArrayLike, teacher_only: npt.ArrayLike, *, level: float = LEVEL
) -> DebiasedMean:
    """`people` and `teacher` are columns with a row for each item that both scored; `teacher_only` its scores of other items.

    The interval is Student's with as many degrees of freedom as the correction has, where the papers take the normal one: of
    fewer than a hundred items that one is too narrow. Raises ValueError for columns of unequal length.
    """
    y, f, other = (np.asarray(one, np.float64) for one in (people, teacher, teacher_only))
    if y.shape != f.shape or y.ndim != 1:
        raise ValueError("people's and the teacher's scores are columns of equal length")
    alone = mean_difference(y, "no item was scored by people and by the teacher", level=level)
    whole = np.concatenate([f, other])
    teacher_mean = float(whole.mean()) if whole.size else None
    reason = FEW_BOTH if y.size < LEAST_BOTH else NO_OTHERS if not other.size else None
    if reason:
        return DebiasedMean(None, None, y.size, other.size, None, alone, teacher_mean, reason=reason)
    weight = _power_tuned(y, f, other)
    value = weight * float(other.mean()) + float((y - weight * f).mean())
    variance = weight**2 * float(other.var(ddof=1) if other.size > 1 else f.var(ddof=1)) / other.size
    variance += float((y - weight * f).var(ddof=1)) / y.size
    half = float(special.stdtrit(y.size - 1, 0.5 + level / 2)) * variance**0.5
    worth = float(y.var(ddof=1)) / y.size / variance if variance > 0 else None
    interval = Interval(value - half, value + half, "t") if variance > 0 else None
    return DebiasedMean(value, interval, y.size, other.size, weight, alone, teacher_mean, worth)


def _power_tuned(y: FloatArray, f: FloatArray, other: FloatArray) -> float:
    """λ of the least variance (PPI++, example 6.1), kept to [0, 1]; 0 where the teacher says the same of everything."""
    spread = float(np.concatenate([f, other]).var(ddof=1))
    if spread == 0:
        return 0.0
    covariance = float(((y - y.mean()) * (f - f.mean())).mean())
    return float(np.clip(covariance / ((1 + y.size / other.size) * spread), 0.0, 1.0))
