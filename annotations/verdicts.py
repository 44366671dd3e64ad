"""One judgement of an answer against its gold answer, shared by the gold rater, the reward and the evaluation.

The judgement is lexical: the gold answer must stand in the answer as whole words. That is exact for short factual
answers; it cannot see that "Paris or London" names two places. The phrases that count as abstaining or hedging
are data (`verdict_phrases.toml`).
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

PHRASES_PATH = Path(__file__).with_name("verdict_phrases.toml")
ABSTENTION = "I do not know."
"""The honest fallback, in the words used wherever one has to be written."""


class Verdict(StrEnum):
    """What an answer turned out to be; "unparsable" says that there was nothing to judge."""

    CORRECT = "correct"
    HEDGED_CORRECT = "hedged_correct"
    HEDGED_WRONG = "hedged_wrong"
    ABSTAINED = "abstained"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"


@dataclass(frozen=True)
class Phrases:
    """The phrase lists, compiled; each pattern matches whole words of normalised text."""

    abstain: re.Pattern[str]
    hedge: re.Pattern[str]
    negate: tuple[str, ...]


_APOSTROPHES = re.compile("['’‘`´]")
_NOT_WORD = re.compile(r"[^\w]+|_")


def normalise(text: str) -> str:
    """Case-folded words with single spaces between; "Don't!" becomes "dont"."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub(" ", _APOSTROPHES.sub("", folded)).strip()


def _pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted((normalise(phrase) for phrase in phrases), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")


@cache
def phrases(path: Path = PHRASES_PATH) -> Phrases:
    """The phrase lists at `path`, compiled once."""
    lists = tomllib.loads(path.read_text(encoding="utf-8"))
    return Phrases(
        abstain=_pattern(lists["abstain"]),
        hedge=_pattern(lists["hedge"]),
        negate=tuple(normalise(phrase) for phrase in lists["negate"]),
    )


def judge(answer: str, gold: str | Sequence[str] | None) -> Verdict:
    """The verdict on `answer`, given the gold answer, several that are equally good, or None where there is none
    to be had (then no answer can be correct).

    An abstention that goes on to guess ("I don't know, maybe Paris") is a hedge. An answer without a word in it
    is unparsable.
    """
    said = normalise(answer)
    if not said:
        return Verdict.UNPARSABLE
    golds = [gold] if isinstance(gold, str) else list(gold or ())
    wanted = [normalise(one) for one in golds]
    lists = phrases()
    if said in wanted:  # before the phrases, for a gold answer may itself be "unknown"
        return Verdict.CORRECT
    given = any(_gives(said, one, lists) for one in wanted)
    hedged = lists.hedge.search(said) is not None
    if lists.abstain.search(said):
        if given:
            return Verdict.HEDGED_CORRECT
        return Verdict.HEDGED_WRONG if hedged and _says_more(said, lists) else Verdict.ABSTAINED
    if hedged:
        return Verdict.HEDGED_CORRECT if given else _doubt(said, lists)
    return Verdict.CORRECT if given else Verdict.WRONG


def _gives(said: str, gold: str, lists: Phrases) -> bool:
    """Whether the normalised text states the normalised gold answer, and does not only deny it."""
    if not gold:
        return False
    for match in re.finditer(rf"\b{re.escape(gold)}\b", said):
        before = said[: match.start()].rstrip()
        if not any(before == word or before.endswith(f" {word}") for word in lists.negate):
            return True
    return False


def _doubt(said: str, lists: Phrases) -> Verdict:
    """Doubt with nothing claimed ("I'm not sure.") is an abstention."""
    return Verdict.HEDGED_WRONG if _says_more(said, lists) else Verdict.ABSTAINED


def _says_more(said: str, lists: Phrases) -> bool:
    rest = lists.hedge.sub(" ", lists.abstain.sub(" ", said))
    return any(word not in _FILLER for word in rest.split())


_FILLER = frozenset(normalise("I I'm am sorry but that this it is the a an answer to about and so sure of").split())
