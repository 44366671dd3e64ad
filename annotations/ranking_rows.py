"""Preference pairs from people's rankings. Pure.

Every two answers that somebody saw side by side are voted on: each rater's latest order puts one before the other, or ties
them. The one that most put first is chosen, where that is more than half of the votes and at least `min_agreement` of them.
Ties give no pair, nor do contradictions: where the votes go round in a circle (A before B before C before A), none of these
pairs is made.

An answer that most raters who saw it called bad is never the chosen side. With `fill`, it loses against the gold answer where
the model knows it, else against the stock abstention. What preference rows hold to anyway (annotations/rows.py) holds here too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from annotations.rows import Row, abstains, may_be_chosen, preference_pair
from annotations.tuples import RlwhfTuple
from annotations.verdicts import ABSTENTION

HALF = 0.5


@dataclass(frozen=True)
class Vote:
    """One rater's order of the answers that they saw: each answer's rank, 1 the best."""

    rater: str
    ranks: Mapping[str, int]
    all_bad: bool = False


@dataclass(frozen=True)
class Ranked:
    """The answers to one prompt, and the votes on them. Answers without a tuple are left out."""

    tuples: Mapping[str, RlwhfTuple]
    votes: Sequence[Vote]


@dataclass
class Tally:
    """The votes on two answers: who put the first one before the other, the other way round, and who tied them."""

    first: list[str] = field(default_factory=list)
    second: list[str] = field(default_factory=list)
    tied: list[str] = field(default_factory=list)

    @property
    def votes(self) -> int:
        return len(self.first) + len(self.second) + len(self.tied)

    @property
    def raters(self) -> list[str]:
        return sorted({*self.first, *self.second, *self.tied})


def ranked_rows(
    groups: Iterable[Ranked], *, min_agreement: float = HALF, min_votes: int = 0, max_pairs: int = 4, fill: bool = True
) -> Iterator[Row]:
    """`{prompt, chosen, rejected, agreement, votes, raters}` of each prompt, the most agreed first, at most `max_pairs`."""
    for group in groups:
        bad = _bad(group, min_agreement, min_votes)
        rows = list(_pairs(group, bad, min_agreement, min_votes))
        if fill:
            rows += _filled(group, bad)
        yield from rows[:max_pairs]


def tallies(votes: Iterable[Vote]) -> dict[tuple[str, str], Tally]:
    """The votes on every two answers that somebody saw side by side, answers in order of their text."""
    found: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for vote in votes:
        for one, other in combinations(sorted(vote.ranks), 2):
            difference = vote.ranks[one] - vote.ranks[other]
            tally = found[one, other]
            (tally.tied if difference == 0 else tally.first if difference < 0 else tally.second).append(vote.rater)
    return dict(found)


def preferred(votes: Iterable[Vote]) -> list[tuple[str, str]]:
    """(better, worse) of every two answers that more than half of those who saw both put in that order; none of a circle."""
    won = []
    for (one, other), tally in sorted(tallies(votes).items()):
        wins, winner, loser = max((len(tally.first), one, other), (len(tally.second), other, one))
        if wins / tally.votes > HALF:
            won.append((winner, loser))
    after = _reachable(won)
    return [(winner, loser) for winner, loser in won if winner not in after.get(loser, ())]


def _pairs(group: Ranked, bad: Mapping[str, Tally], min_agreement: float, min_votes: int) -> Iterator[Row]:
    won = list(_majorities(group, min_agreement, min_votes))
    before = _reachable([(one, other) for one, other, _, _ in won])
    won.sort(key=lambda pair: (-pair[2], -pair[3].votes, pair[0], pair[1]))
    for chosen, rejected, share, tally in won:
        is_contradicted = chosen in before.get(rejected, ())
        if is_contradicted or chosen in bad or not may_be_chosen(group.tuples[chosen]):
            continue
        told = {"agreement": share, "votes": tally.votes, "raters": tally.raters}
        good, other = group.tuples[chosen], group.tuples[rejected]
        rewards = (good.reward, other.reward)
        yield preference_pair(good, chosen=good.answer, rejected=other.answer, scores=rewards, origin="rankings") | told


def _majorities(group: Ranked, min_agreement: float, min_votes: int) -> Iterator[tuple[str, str, float, Tally]]:
    """(winner, loser, share of the votes, votes) of every two answers that enough put in the same order."""
    for (one, other), tally in tallies(group.votes).items():
        if one not in group.tuples or other not in group.tuples or tally.votes < max(1, min_votes):
            continue
        wins, winner, loser = max((len(tally.first), one, other), (len(tally.second), other, one))
        share = wins / tally.votes
        if share > HALF and share >= min_agreement:
            yield winner, loser, share, tally


def _reachable(edges: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """For each answer those that come after it, directly or not."""
    after: dict[str, set[str]] = defaultdict(set)
    for one, other in edges:
        after[one].add(other)
    found: dict[str, set[str]] = {}
    for start in list(after):
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            waiting += (new := after.get(waiting.pop(), set()) - seen)
            seen |= new
        found[start] = seen
    return found


def _bad(group: Ranked, min_agreement: float, min_votes: int) -> dict[str, Tally]:
    """The answers that most of those who saw them called bad, with their votes: `first` says bad."""
    found: dict[str, Tally] = defaultdict(Tally)
    for vote in group.votes:
        for answer in vote.ranks:
            (found[answer].first if vote.all_bad else found[answer].second).append(vote.rater)
    return {
        answer: tally
        for answer, tally in found.items()
        if answer in group.tuples
        and tally.votes >= max(1, min_votes)
        and (share := len(tally.first) / tally.votes) > HALF
        and share >= min_agreement
    }


def _filled(group: Ranked, bad: Mapping[str, Tally]) -> Iterator[Row]:
    for answer, tally in sorted(bad.items()):
        one = group.tuples[answer]
        knows, golds = one.knowledge == "known", one.gold_answers
        chosen, origin = (golds[0] if golds else "", "gold") if knows else (ABSTENTION, "abstention")
        if not chosen or chosen.strip() == answer or (origin == "abstention" and abstains(one)):
            continue
        told = {"agreement": len(tally.first) / tally.votes, "votes": tally.votes, "raters": tally.raters}
        yield preference_pair(one, chosen=chosen, rejected=one.answer, scores=(None, one.reward), origin=origin) | told
