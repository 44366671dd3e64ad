"""Which of its choices an answer makes.

A letter is told from a word that looks like it: “A city called Lyon” and “Vitamin B” choose nothing, so within a text a letter
must be a capital, or in brackets, and stand where a choice is named. How often that is right is measured on answers labelled by
hand (`tests/evaluation/choices.jsonl`, docs/benchmarks.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import zip_longest

from annotations.verdicts import comparable, normalise

NEAR = 80
"""How many characters before and behind a label are looked at."""


class _Named(IntEnum):
    """How plainly a label is named where it stands; only what is named most plainly counts."""

    NOT = 0
    LED = 1
    ENCLOSED = 2
    PLAINLY = 3


@dataclass(frozen=True)
class _Mention:
    label: str
    named: _Named
    joined: bool
    """Whether another label follows as one more choice: “A or B”."""


def chosen(answer: str, choices: Mapping[str, str]) -> str | None:
    """The label of the choice that an answer makes: the letter it begins with or names, or the one whose text it gives. None
    where it makes none, or two.
    """
    mentions = list(_mentions(answer, tuple(choices)))
    plainest = max((one.named for one in mentions), default=_Named.NOT)
    if plainest is _Named.NOT:
        return _by_text(answer, choices)
    named = [one for one in mentions if one.named is plainest]
    alone = len({one.label for one in named}) == 1 and not any(one.joined for one in named)
    return named[0].label if alone else None


# What the words before a label, up to it, must end with; and what the text after it must begin with.
_FILLING = (
    r"(?:(?:is|be|would|must|should|the|a|an|it|that|definitely|clearly|certainly|surely|probably|likely|most|firm|indeed|therefore"
    r"|thus|option|choice|letter|answer|é|seria|certa|correta|final|opção|alternativa|letra|resposta|com|que|provavelmente)\s+)*"
)
_ANNOUNCED = re.compile(
    rf"\b(?:answer|choice|option|letter|choose|pick|select|go with|going with|opt for|say"
    rf"|resposta|escolha|escolho|opção|alternativa|letra|fico com|diria|digo)"
    rf"(?:['’]s)?\s*[:=]?\s*{_FILLING}\W{{0,4}}$",
    re.IGNORECASE,
)
_LED = re.compile(
    r"\b(?:it is|it['’]s|is|be|so|of these|of them|probably|likely|maybe|perhaps|think|believe|therefore|hence|clearly|definitely"
    r"|certainly|é|então|portanto|logo|talvez|provavelmente|acho que|acho|creio que),?\W{0,3}$",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"\b(?:not|neither|nor|rather than|instead of|over|não|nem|em vez de)\s+(?:é )?(?:option |choice |answer |a )?\W{0,2}$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"\W{0,3}\s(?:is|are|was|would be|cannot be|can['’]?t be|isn['’]?t)\s(?:not|wrong|incorrect|false|untrue|out)\b"
    r"|\W{0,3}\s(?:não|(?:é|está) (?:errada|incorreta|falsa))\b",
    re.IGNORECASE,
)
_IS_RIGHT = re.compile(
    r"\W{0,3}\s(?:(?:is|seems|looks|must be|would be|should be)\s(?:the )?(?:correct|right|best|true|answer|one)"
    r"|(?:é|está|parece) (?:a )?(?:certa|correta|resposta|melhor))\b",
    re.IGNORECASE,
)
_JOINED = re.compile(r"\W{0,3}(?:\b(?:and|or|e|ou)\b|&|/)\W{0,3}$", re.IGNORECASE)
_OPENS, _CLOSES = re.compile(r"[(\[{>*]\s*$"), re.compile(r"\s*[)\]}<*]")
_CLAUSE_ENDS = re.compile(r"\W*$|[.,;:!?](?!\w)|\n")
_AFTER_FIRST = re.compile(r"\W*$|[).\]:,;*]|\s+[-–—(]|\s*\n")
# A small letter at the beginning chooses only where it can be nothing else.
_AFTER_SMALL = re.compile(r"\W*$|[).\]:,*]|[ \t]*\n")
# “The answer is: A city” names no choice, “The answer is A because …” does.
_ARTICLE = re.compile(
    r"\s+(?!(?:because|since|as|for|is|due|which|but|and|or|not|over|rather|instead|seems|looks|must|would|é|está|porque|pois|por"
    r"|não|mas)\b)[a-zà-ÿ]"
)
# “No idea” and “no one” choose nothing, and “no doubt” says yes.
_NO_CHOICE = re.compile(
    r"\s+(?:one|idea|clue|comment|way|answer|information|doubt|matter|question|sei|sabemos|tenho|posso|consigo|faço)\b",
    re.IGNORECASE,
)
# Who is spoken to in Portuguese may answer in it.
_PORTUGUESE = {"sim": "yes", "não": "no", "nao": "no"}


@lru_cache(maxsize=256)
def _forms(labels: Sequence[str]) -> dict[str, str]:
    """The labels by how they may be written, in small letters."""
    forms = {one.casefold(): one for one in labels}
    return forms | {form: forms[meant] for form, meant in _PORTUGUESE.items() if {"yes", "no"} <= set(forms)}


@lru_cache(maxsize=256)
def _pattern(labels: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w'’])(?:{'|'.join(map(re.escape, _forms(labels)))})(?![\w'’])", re.IGNORECASE)


def _mentions(answer: str, labels: tuple[str, ...]) -> Iterator[_Mention]:
    by_case = _forms(labels)
    found = list(_pattern(labels).finditer(answer))
    for match, following in zip_longest(found, found[1:]):
        label = by_case[match[0].casefold()]
        before, after = answer[max(0, match.start() - NEAR) : match.start()], answer[match.end() : match.end() + NEAR]
        named = _named(before, after) if len(label) > 1 else _letter_named(match[0], before, after)
        joined = following is not None and _JOINED.fullmatch(answer[match.end() : following.start()]) is not None
        yield _Mention(label, named, joined and following is not None and by_case[following[0].casefold()] != label)


def _named(before: str, after: str) -> _Named:
    """Of a label that is a word, such as Yes; an answer may begin or end with it as it likes."""
    if _NO_CHOICE.match(after):
        return _Named.NOT
    if not normalise(before) or _ANNOUNCED.search(before):
        return _Named.PLAINLY
    if _OPENS.search(before) and _CLOSES.match(after):
        return _Named.ENCLOSED
    begins = re.search(r"[.!?,;:\n]\s*$", before) is not None
    return _Named.LED if (begins or _LED.search(before)) and _CLAUSE_ENDS.match(after) else _Named.NOT


def _letter_named(letter: str, before: str, after: str) -> _Named:
    enclosed = _OPENS.search(before) is not None and _CLOSES.match(after) is not None
    if _DENIED_BEFORE.search(before) or _DENIED_AFTER.match(after):
        return _Named.NOT
    if letter.islower() and not enclosed:
        alone = not normalise(before) or (_ANNOUNCED.search(before) and not normalise(after))
        return _Named.PLAINLY if alone and _AFTER_SMALL.match(after) else _Named.NOT
    if letter == "A" and not enclosed and _ARTICLE.match(after):
        return _Named.NOT
    if _ANNOUNCED.search(before) or (not normalise(before) and (_AFTER_FIRST.match(after) or enclosed)):
        return _Named.PLAINLY
    if enclosed:
        return _Named.ENCLOSED
    return _Named.LED if _IS_RIGHT.match(after) or (_LED.search(before) and _CLAUSE_ENDS.match(after)) else _Named.NOT


def _by_text(answer: str, choices: Mapping[str, str]) -> str | None:
    said = f" {comparable(answer)} "
    named = [label for label, text in choices.items() if comparable(text) and f" {comparable(text)} " in said]
    if len(named) > 1:  # one text may hold the other: “Paris” and “not Paris”
        longest = max(named, key=lambda label: len(choices[label]))
        held = all(f" {comparable(choices[one])} " in f" {comparable(choices[longest])} " for one in named)
        named = [longest] if held and said.strip() == comparable(choices[longest]) else []
    return named[0] if named else None
