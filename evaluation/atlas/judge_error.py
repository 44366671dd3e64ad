"""How often a judge is wrong about people whom it was not taught about, and how often it says what it was taught."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annotations.statistics.intervals import LEVEL, RESAMPLES, SEED, wilson
from annotations.teachers.prompts import load_prompt
from annotations.teachers.replies import read_reply
from evaluation.atlas.judging_rows import JUDGE_PROMPT


@dataclass(frozen=True)
class Share:
    """A share of `n` verdicts on `people` people, with its interval at 95 %."""

    value: float
    low: float
    high: float
    n: int
    people: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n} of {self.people} people"


@dataclass(frozen=True)
class JudgeError:
    """`error`: not the rubric's score. `agreement`: the score that it was taught. `known_error`: the share of labels that are not
    the rubric's score. A malformed reply is an error, and agrees with nothing.
    """

    error: Share
    agreement: Share
    known_error: float
    malformed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge_error(asked: Iterable[Mapping[str, Any]], replies: Mapping[str, str]) -> JudgeError:
    """`asked` are rows `{id, entity, right, label}`, `replies` what the judge said to each by its id. Raises KeyError for a row
    without a reply, ValueError for no rows.
    """
    form = load_prompt(JUDGE_PROMPT)
    wrong, agrees = defaultdict[str, list[bool]](list), defaultdict[str, list[bool]](list)
    malformed = mislabelled = rows = 0
    for row in asked:
        score = read_reply(replies[row["id"]], form).score
        rows += 1
        malformed += score is None
        mislabelled += row["label"] != row["right"]
        wrong[row["entity"]].append(score != row["right"])
        agrees[row["entity"]].append(score == row["label"])
    if not rows:
        raise ValueError("nothing was asked")
    return JudgeError(_share(wrong), _share(agrees), mislabelled / rows, malformed)


def _share(hits: Mapping[str, list[bool]]) -> Share:
    """Bootstrapped over people, for verdicts on one person go together; where all are alike, Wilson's interval for that many."""
    summed, counts = (np.array([of(one) for one in hits.values()], np.float64) for of in (sum, len))
    value, people, n = float(summed.sum() / counts.sum()), len(summed), int(counts.sum())
    if value in (0.0, 1.0):
        interval = wilson(value, people)
        return Share(value, interval.low, interval.high, n, people)
    drawn = np.random.default_rng(SEED).integers(0, people, (RESAMPLES, people))
    shares = summed[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Share(value, float(low), float(high), n, people)
