"""Exact rules by which the guard's answers are right or wrong. Only the form around an answer is forgiven, never the answer:
quotes, a sentence around it, an explanation behind it, or thoughts before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from annotations.verdicts import normalise
from evaluation.guard.items import Item, Rule

_AROUND = " \t\n\r\"'`“”‘’*_"
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
_THOUGHT = re.compile(r"\A.*</(think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_THINKING = re.compile(r"<(?:think|thinking|thought|reasoning)>.*", re.DOTALL | re.IGNORECASE)
_CONCLUDES = re.compile(
    r"\b(?:answer|result)\b(?:\s+(?:is|would\s+be|must\s+be))?\s*[:=]?|(?:\A|[.!?\n])\s*(?:so|therefore|thus|hence)\b,?",
    re.IGNORECASE,
)
_CLAUSE_ENDS = re.compile(r"[.;!](?=\s|\Z)|\n|,?\s+(?:because|since)\b", re.IGNORECASE)


def is_right(item: Item, answer: str) -> bool:
    """Whether the answer is right by its item's rule; an empty one never is, nor one that is still thinking."""
    said = said_in(answer)
    return bool(said) and RULES[item.rule](item, said)


def said_in(answer: str) -> str:
    """The answer without the thoughts that a model writes down before it, whether its prompt opened them or it did itself."""
    return _THINKING.sub("", _THOUGHT.sub("", answer)).strip()


def is_undecided(item: Item, answer: str) -> bool:
    """Of an answer that was cut off: whether it could have become right: it was still thinking, or had named what is right."""
    thinking = _THINKING.search(_THOUGHT.sub("", answer)) is not None
    return thinking or f" {normalise(item.gold)} " in f" {normalise(answer)} "


def _text(item: Item, answer: str) -> bool:
    """The whole answer, its last line, what follows its last colon, or its conclusion is the gold answer, in its own case."""
    return any(_bare(part) == _bare(item.gold) for part in _parts(answer))


def _word(item: Item, answer: str) -> bool:
    """The same in any case."""
    return any(_bare(part).casefold() == _bare(item.gold).casefold() for part in _parts(answer))


def _list(item: Item, answer: str) -> bool:
    """The same things in the same order; commas, lines, bullets and “and” all separate them."""
    wanted = _listed(item.gold)
    return any(_listed(part) == wanted for part in _parts(answer))


def _number(item: Item, answer: str) -> bool:
    """The last number is the gold one: “12 + 30 = 42” says 42; of an answer with a conclusion, the last one in that."""
    found = _NUMBER.findall(_conclusion(answer) or "") or _NUMBER.findall(answer)
    return bool(found) and float(found[-1].replace(",", "")) == float(item.gold)


def _choice(item: Item, answer: str) -> bool:
    """It names the right one of the options, and no other: “Mara or Tom” is wrong. An answer that explains itself may name others
    beside its conclusion, or behind a first sentence that is nothing but an option.
    """

    def named(text: str) -> set[str]:
        return {one for one in item.options if re.search(rf"\b{re.escape(one)}\b", text, re.IGNORECASE)}

    whole, concluded = named(answer), named(_conclusion(answer) or "")
    if len(whole) < 2 or concluded:
        return (concluded or whole) == {item.gold}
    first = re.split(r"[.!\n]", answer.strip(_AROUND), maxsplit=1)[0]
    return _bare(first).casefold() == item.gold.casefold()


def _conclusion(answer: str) -> str | None:
    """What follows the last “the answer is”, or a sentence's “so”, up to its end or its reason; None: there is none."""
    marks = list(_CONCLUDES.finditer(answer))
    return _CLAUSE_ENDS.split(answer[marks[-1].end() :].lstrip(), maxsplit=1)[0] if marks else None


def _parts(answer: str) -> Iterator[str]:
    yield answer
    yield answer.strip().splitlines()[-1]
    if ":" in answer:
        yield answer.rsplit(":", 1)[1]
    concluded = _conclusion(answer)
    if concluded:
        yield concluded


def _bare(text: str) -> str:
    """Without what may stand around an answer: quotes, emphasis, a full stop, more than one space."""
    folded = " ".join(text.split())
    return folded.strip(_AROUND).removesuffix(".").strip(_AROUND)


def _listed(text: str) -> list[str]:
    plain = re.sub(r"^\s*(?:\d+[.)]|[-•*])\s+", "", text, flags=re.MULTILINE)
    parts = re.split(r"[,;\s]|\band\b", plain)
    return [bare.casefold() for part in parts if (bare := _bare(part))]


RULES: dict[Rule, Callable[[Item, str], bool]] = {
    "text": _text,
    "word": _word,
    "list": _list,
    "number": _number,
    "choice": _choice,
}
