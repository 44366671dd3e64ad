"""Intervals, and how they are drawn wherever the site draws them: one level, one number of resamples, one seed."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

RESAMPLES = 1000
LEVEL = 0.95
SEED = 20


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval at `LEVEL` unless said otherwise; `method` says where it came from."""

    low: float
    high: float
    method: Literal["bootstrap", "jackknife", "wilson", "t"]


def wilson(share: float, n: float, *, level: float = LEVEL) -> Interval:
    """Wilson's score interval for a share of n independent units (Wilson 1927, section 3). n may be an effective number."""
    if n <= 0:
        raise ValueError("a share needs at least one unit")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and 1 the equation gives the share itself, but for rounding.
    return Interval(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), "wilson")
