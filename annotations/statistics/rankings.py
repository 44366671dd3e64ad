"""How far people agree on rankings. Pure, and without arrays: pages and the API ask for it.

What is rated is every two answers to a prompt that somebody saw side by side; the rating is which of the two came first, or that
they tied. α is Krippendorff's, nominal, in its coincidence form ("Computing Krippendorff's Alpha-Reliability", 2011).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class RankingAgreement:
    """Without two people's votes on the same two answers there is no share; where all votes are alike there is no α."""

    rankings: int
    raters: int
    # Pairs of answers on which two people or more voted, and pairs of such votes.
    pairs: int
    votes: int
    share: float | None
    alpha: float | None


def ranking_agreement(orders: Iterable[tuple[Hashable, Mapping[int, int]]]) -> RankingAgreement:
    """`orders`: who ranked, and the rank of each item that they saw; each rater once for a prompt."""
    outcomes: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    raters, rankings = set(), 0
    for rater, ranks in orders:
        raters.add(rater)
        rankings += 1
        for one, other in combinations(sorted(ranks), 2):
            outcomes[one, other][(ranks[one] > ranks[other]) - (ranks[one] < ranks[other])] += 1
    units = [counts for counts in outcomes.values() if counts.total() > 1]
    agreeing = sum(count * (count - 1) for counts in units for count in counts.values())
    compared = sum(counts.total() * (counts.total() - 1) for counts in units)
    return RankingAgreement(
        rankings=rankings,
        raters=len(raters),
        pairs=len(units),
        votes=compared // 2,
        share=agreeing / compared if compared else None,
        alpha=_alpha(units),
    )


def _alpha(units: Iterable[Counter[int]]) -> float | None:
    totals: Counter[int] = Counter()
    observed = 0.0
    for counts in units:
        totals.update(counts)
        ratings = counts.total()
        observed += (ratings**2 - sum(count**2 for count in counts.values())) / (ratings - 1)
    expected = totals.total() ** 2 - sum(count**2 for count in totals.values())
    return 1 - (totals.total() - 1) * observed / expected if expected else None
