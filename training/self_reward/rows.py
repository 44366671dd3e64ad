"""From scored answers to training rows, with a count of all that was left out and why. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import exp, fsum
from typing import Any

from training.data import Row

DISTINCT_BEYOND = 1e-9


@dataclass(frozen=True)
class Judged:
    """One answer with its verdict: a score from −2 to +2, or the `reason` why there is none."""

    id: str
    prompt: str | list[Row]
    sample: int
    answer: str
    ended: bool
    score: float | None
    reason: str = ""
    cannot_tell: bool = False
    critique: str = ""
    gold_answer: Any = None

    @property
    def problem(self) -> str:
        """Why no row may hold it; empty where one may."""
        if not self.answer.strip():
            return "empty"
        if not self.ended:
            return "cut off"
        if self.cannot_tell:
            return "the judge cannot tell"
        if self.score is None:
            return "malformed verdict"
        return "repeats the prompt" if isinstance(self.prompt, str) and _same(self.answer, self.prompt) else ""


@dataclass
class Made:
    """The rows, and what was left out of them: answers and prompts, by reason."""

    dpo: list[Row] = field(default_factory=list)
    grpo: list[Row] = field(default_factory=list)
    gspo: list[Row] = field(default_factory=list)
    samples: list[Row] = field(default_factory=list)
    dropped_answers: Counter[str] = field(default_factory=Counter)
    dropped_prompts: Counter[str] = field(default_factory=Counter)


def rows_made(judged: Iterable[Judged], *, min_gap: float, temperature: float, logged: int) -> Made:
    """All three sets. The same words twice are one answer, worth the mean of its scores.

    A pair is the best answer and the worst, where they are `min_gap` apart; the first drawn where several are. A group's weights
    are wᵢ = exp(sᵢ / T) / Σⱼ exp(sⱼ / T) of its answers' scores, T being `temperature`.
    """
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[one.id].append(one)
    made = Made()
    for group in groups.values():
        clean = _clean(sorted(group, key=lambda one: one.sample), made.dropped_answers)
        made.grpo += [_row(one, response=one.answer, reward=score) for one, score in clean]
        pair = _pair(clean, min_gap, made.dropped_prompts)
        if pair is not None:
            made.dpo.append(pair)
        if len(clean) > 1:
            scores = [score for _, score in clean]
            answers = [one.answer for one, _ in clean]
            made.gspo.append(_row(clean[0][0], responses=answers, weights=softmax(scores, temperature), rewards=scores))
        if len(made.samples) < logged:
            made.samples.append(_sample(group, pair))
    return made


def softmax(scores: Sequence[float], temperature: float) -> list[float]:
    """Shares that add up to 1, the larger the score the larger."""
    top = max(scores)
    raised = [exp((score - top) / temperature) for score in scores]
    total = fsum(raised)
    return [one / total for one in raised]


def _clean(group: Sequence[Judged], dropped: Counter[str]) -> list[tuple[Judged, float]]:
    by_words: dict[str, list[Judged]] = defaultdict(list)
    for one in group:
        if one.problem:
            dropped[one.problem] += 1
        else:
            by_words[_words(one.answer)].append(one)
    dropped["the same words again"] += sum(len(same) - 1 for same in by_words.values())
    return [(same[0], fsum(one.score for one in same if one.score is not None) / len(same)) for same in by_words.values()]


def _pair(clean: Sequence[tuple[Judged, float]], min_gap: float, dropped: Counter[str]) -> Row | None:
    if len(clean) < 2:
        dropped["fewer than two answers to compare"] += 1
        return None
    best, worst = max(clean, key=lambda one: one[1]), min(clean, key=lambda one: one[1])
    gap = best[1] - worst[1]
    if gap < min_gap - DISTINCT_BEYOND:
        dropped["all scored alike" if gap <= DISTINCT_BEYOND else "too close"] += 1
        return None
    rewards = {"chosen_reward": best[1], "rejected_reward": worst[1]}
    return _row(best[0], chosen=best[0].answer, rejected=worst[0].answer, **rewards)


def _row(one: Judged, **values: Any) -> Row:
    gold = {} if one.gold_answer is None else {"gold_answer": one.gold_answer}
    return {"prompt": one.prompt, **values, "item_id": one.id, **gold}


def _sample(group: Sequence[Judged], pair: Row | None) -> Row:
    """One prompt with all that was said of it, for people to read."""
    answers = [
        {"answer": one.answer, "score": one.score, "dropped": one.problem, "judge": one.critique, "reason": one.reason}
        for one in sorted(group, key=lambda one: one.sample)
    ]
    chosen = {"chosen": pair["chosen"], "rejected": pair["rejected"]} if pair else {"chosen": None, "rejected": None}
    return {"prompt": group[0].prompt, "answers": answers, **chosen}


def _words(text: str) -> str:
    return " ".join(text.split()).casefold()


def _same(one: str, other: str) -> bool:
    return _words(one) == _words(other)
