"""Teachers' scores made to agree with preferences that people have given. Knows no Django.

Where people preferred one answer to another, a teacher's scores of the two should say the same. If they do not, both are moved,
by as little as possible: the nearest scores (least squares) in which the preferred answer leads by a margin. That is the
projection onto the half-space s⁺ − s⁻ ≥ m; for several pairs that share answers, projections are repeated until none moves
anything (Dykstra 1983, JASA 78:837, which converges to the nearest point of all half-spaces together).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from annotations.rubric import HIGHEST, LOWEST

MARGIN = 0.5
ROUNDS = 200
CLOSE = 1e-9


def deltas(
    scores: Mapping[int, float], preferred: Sequence[tuple[int, int]], *, margin: float = MARGIN, strength: float = 1.0
) -> dict[int, float]:
    """By how much each score moves. `preferred` are pairs (better, worse) of keys of `scores`; `strength` in [0, 1] is how much
    of the way is gone. Answers in no pair do not move.

    Raises KeyError for an answer without a score, ValueError for a bad strength.
    """
    if not 0 <= strength <= 1:
        raise ValueError("strength lies between 0 and 1")
    if not preferred:
        return {}
    keys = sorted({key for pair in preferred for key in pair})
    place = {key: number for number, key in enumerate(keys)}
    before = np.array([scores[key] for key in keys], np.float64)
    pairs = [(place[better], place[worse]) for better, worse in preferred]
    after = _nearest(before, pairs, margin)
    moved = strength * (after - before)
    return {key: round(float(moved[number]), 6) + 0.0 for key, number in place.items()}


def _nearest(start: np.ndarray, pairs: Sequence[tuple[int, int]], margin: float) -> np.ndarray:
    """The nearest point where every pair keeps its margin and every score its scale; where the pairs contradict each other there
    is none, and the result lies between.
    """
    point = start.copy()
    owed = np.zeros((len(pairs) + 1, 2))
    kept = np.zeros_like(point)
    for _ in range(ROUNDS):
        last = point.copy()
        for number, (better, worse) in enumerate(pairs):
            one, other = point[better] + owed[number, 0], point[worse] + owed[number, 1]
            lack = max(0.0, margin - (one - other)) / 2
            point[better], point[worse] = one + lack, other - lack
            owed[number] = -lack, lack
        moved = point + kept
        point = np.clip(moved, LOWEST, HIGHEST)
        kept = moved - point
        if np.abs(point - last).max() < CLOSE:
            break
    return point
