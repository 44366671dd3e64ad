"""What the statistics of annotation cost: `python -m tests.benchmarks.agreement`.

On 1,000,000 made-up scores of 333,333 items by 50 people (unless told otherwise): time and memory of α with an interval from
1,000 resamples of the items, and of a consensus by Dawid and Skene's model. Beside it, in the same run and on a smaller sample
of the same scores, the textbook way: the definition's sums over dictionaries, as the tests have them (and, for the interval,
one such sum a resample). Ratios are of scores a second.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from annotations.statistics.agreement import krippendorff_alpha, mean_pairwise_kappa
from annotations.statistics.consensus import consensus
from annotations.statistics.intervals import RESAMPLES
from annotations.statistics.ratings import Ratings

PEOPLE, EACH = 50, 3


def made_up(scores: int, seed: int = 0) -> Ratings:
    rng = np.random.default_rng(seed)
    item = np.arange(scores) // EACH
    truth = rng.integers(-2, 3, item[-1] + 1)
    first = rng.integers(0, PEOPLE, item[-1] + 1)
    # Three different people for each item: steps of 17 and 34 around the circle of 50.
    rater = (first[item] + 17 * (np.arange(scores) % EACH)) % PEOPLE
    value = np.clip(truth[item] + rng.choice([-1, 0, 1], scores, p=[0.2, 0.6, 0.2]), -2, 2)
    return Ratings.of(item, rater, value)


def textbook_alpha(ratings: Ratings) -> float:
    """Ordinal α over a dictionary of coincidences, without an interval."""
    units: dict[int, list[float]] = {}
    for item, value in zip(ratings.item.tolist(), ratings.value.tolist(), strict=True):
        units.setdefault(item, []).append(value)
    seen: dict[tuple[float, float], float] = {}
    for unit in (unit for unit in units.values() if len(unit) > 1):
        for a, b in combinations(unit, 2):
            for pair in ((a, b), (b, a)):
                seen[pair] = seen.get(pair, 0) + 1 / (len(unit) - 1)
    values = sorted({a for a, _ in seen})
    margin = {a: sum(seen.get((a, b), 0) for b in values) for a in values}
    rank = {a: sum(margin[b] for b in values if b < a) + margin[a] / 2 for a in values}
    observed = sum(count * (rank[a] - rank[b]) ** 2 for (a, b), count in seen.items())
    expected = sum(margin[a] * margin[b] * (rank[a] - rank[b]) ** 2 for a in values for b in values)
    return 1 - (sum(margin.values()) - 1) * observed / expected


def textbook_round(ratings: Ratings) -> None:
    """One round of Dawid and Skene's EM over dictionaries."""
    given: dict[int, list[tuple[int, int]]] = {}
    for item, rater, value in zip(ratings.item.tolist(), ratings.rater.tolist(), ratings.value.tolist(), strict=True):
        given.setdefault(item, []).append((rater, int(value) + 2))
    belief = {i: [sum(c == k for _, c in of) / len(of) for k in range(5)] for i, of in given.items()}
    prior = [sum(one[k] for one in belief.values()) / len(belief) for k in range(5)]
    seen: dict[tuple[int, int, int], float] = {}
    for i, of in given.items():
        for r, c in of:
            for k in range(5):
                seen[r, k, c] = seen.get((r, k, c), 0.01) + belief[i][k]
    total = {(r, k): sum(seen.get((r, k, c), 0.01) for c in range(5)) for r in range(PEOPLE) for k in range(5)}
    for i, of in given.items():
        joint = list(prior)
        for r, c in of:
            joint = [joint[k] * seen.get((r, k, c), 0.01) / total[r, k] for k in range(5)]
        belief[i] = [one / sum(joint) for one in joint]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def peak_mb(work: Callable[[], object]) -> float:
    """The most that Python and numpy held beyond what was there before. Slows the work down, so it is not timed."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--textbook-scores", type=int, default=30_000)
    asked = parser.parse_args()
    whole, part = made_up(asked.scores), made_up(asked.textbook_scores)
    print(f"{asked.scores:,} scores; the textbook way on {asked.textbook_scores:,}\n")

    alpha, seconds = timed(lambda: krippendorff_alpha(whole))
    once, slow = timed(lambda: textbook_alpha(part))
    assert abs(once - krippendorff_alpha(part, resamples=1).value) < 1e-9
    ratio = (slow * RESAMPLES / part.item.size) / (seconds / whole.item.size)
    memory = peak_mb(lambda: krippendorff_alpha(whole))
    print(
        f"α = {alpha.value:.4f} [{alpha.interval.low:.4f}, {alpha.interval.high:.4f}], {RESAMPLES} resamples: "
        f"{seconds:.2f} s, {memory:.0f} MB"
    )
    print(f"   textbook: {slow:.3f} s for the value alone; with an interval it would take {ratio:,.0f} times as long a score")

    kappa, seconds = timed(lambda: mean_pairwise_kappa(whole))
    print(f"mean κ over {kappa.pairs} pairs = {kappa.value:.4f}, with interval: {seconds:.2f} s")

    result, seconds = timed(lambda: consensus(whole))
    assert result.model is not None
    _, slow = timed(lambda: textbook_round(part))
    ratio = (slow / part.item.size) / (seconds / result.model.iterations / whole.item.size)
    memory = peak_mb(lambda: consensus(whole))
    rounds = result.model.iterations
    print(
        f"Dawid–Skene, {rounds} rounds of EM and all else: {seconds:.2f} s "
        f"({seconds / rounds * 1000:.0f} ms a round), {memory:.0f} MB"
    )
    print(f"   textbook: {slow:.3f} s for one round: {ratio:,.0f} times as long a score")


if __name__ == "__main__":
    main()
