"""What a teacher's reply amounts to, or why it amounts to nothing. Knows no Django.

A score is never made up: what does not hold one score on the scale is malformed, whatever could be guessed from it. Values
beyond the scale are malformed too, not cut to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from accounts.chat.answers import plain_text
from annotations.rubric import HIGHEST, LOWEST
from annotations.teachers.prompts import TeacherPrompt

Better = Literal["first", "second", "tie"]
CRITIQUE_AT_MOST = 4000
STEP = 0.5
OUT_OF_FIVE = 5
_SCORE_LINE = re.compile(r"score\s*[:=]\s*\**\s*(-?\d+(?:\.\d+)?)(?:\s*/\s*5)?(?!\s*/)(?![\d.]*\d)", re.IGNORECASE)
_MINUS = "−–—‑"
"""What models write for a minus besides one."""
_NUMBER = re.compile(rf"^[^\w+\-{_MINUS}]*([-+{_MINUS}]?\d(?:\.\d+)?)(?![\d.]*\d)")
_CHOICES: Mapping[str, Better] = {"a": "first", "b": "second", "tie": "tie"}


@dataclass(frozen=True)
class Reply:
    """A reply as read. `reason` says why there is neither a score nor a choice; `cannot_tell`: the teacher said so itself."""

    score: float | None = None
    dimensions: Mapping[str, float] = field(default_factory=dict)
    better: Better | None = None
    confidence: float | None = None
    critique: str = ""
    cannot_tell: bool = False
    reason: str = ""

    @property
    def is_malformed(self) -> bool:
        return bool(self.reason)


class _Malformed(ValueError):  # noqa: N818
    """Why a reply amounts to nothing, in words."""


def read_reply(text: str, prompt: TeacherPrompt, dimensions: Sequence[str] = ()) -> Reply:
    """Read a reply to this prompt; `dimensions` are the names that may be scored. What it says can be written to a database."""
    text = plain_text(text)
    try:
        if prompt.reply == "score":
            return _out_of_five(text)
        if prompt.reply == "rubric":
            return _plain_number(text)
        found = _json_object(text)
        return _pair(found) if prompt.kind == "pairwise" else _scored(found, prompt, dimensions)
    except _Malformed as malformed:
        return Reply(critique=text.strip()[:CRITIQUE_AT_MOST], reason=str(malformed))


def _out_of_five(text: str) -> Reply:
    """The last “Score: n”; 0 is −2 and 5 is +2, evenly between."""
    found = _SCORE_LINE.findall(text)
    if not found:
        raise _Malformed("it holds no line “Score: <0-5>”")
    value = float(found[-1])
    if not 0 <= value <= OUT_OF_FIVE:
        raise _Malformed(f"{found[-1]} is not between 0 and {OUT_OF_FIVE}")
    score = LOWEST + value * (HIGHEST - LOWEST) / OUT_OF_FIVE
    return Reply(score=round(score, 6), critique=text.strip()[:CRITIQUE_AT_MOST])


def _plain_number(text: str) -> Reply:
    found = _NUMBER.match(text.strip())
    if not found:
        raise _Malformed("it does not begin with a number")
    return Reply(score=_on_the_scale(_number(found[1]), "score"))


def _number(text: str) -> float:
    """Raises ValueError."""
    return float(text.translate(dict.fromkeys(map(ord, _MINUS), "-")))


def _json_object(text: str) -> dict[str, Any]:
    """The one JSON object in a reply: services and models like to write around it."""
    decoder, found, place = json.JSONDecoder(parse_constant=_no_number), [], 0
    while (place := text.find("{", place)) >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            place += 1
            continue
        found.append(value)
        place = end
    objects = [one for one in found if isinstance(one, dict) and {"score", "better"} & one.keys()]
    if not objects:
        raise _Malformed("it holds no JSON object with a verdict")
    if any(one != objects[0] for one in objects):
        raise _Malformed("it holds several verdicts")
    return objects[0]


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _scored(found: Mapping[str, Any], prompt: TeacherPrompt, dimensions: Sequence[str]) -> Reply:
    if "score" not in found:
        raise _Malformed("it names no score")
    told = found.get("dimensions") or {}
    if not isinstance(told, Mapping):
        raise _Malformed("its dimensions are no object")
    if unknown := told.keys() - set(dimensions):
        raise _Malformed(f"“{min(map(str, unknown))}” is no dimension")
    per_dimension = {name: _on_the_scale(value, name) for name, value in told.items() if value is not None}
    if prompt.kind == "dimensions" and not per_dimension and found["score"] is not None:
        raise _Malformed("it scores no dimension")
    score = None if found["score"] is None else _on_the_scale(found["score"], "score")
    return Reply(
        score=score,
        dimensions=per_dimension,
        confidence=_confidence(found.get("confidence")),
        critique=_words(found.get("critique")),
        cannot_tell=score is None,
    )


def _pair(found: Mapping[str, Any]) -> Reply:
    better = _CHOICES.get(str(found.get("better", "")).strip().strip('."').casefold())
    if better is None:
        raise _Malformed("it names neither A, B nor a tie")
    return Reply(better=better, critique=_words(found.get("critique")))


def _on_the_scale(value: Any, name: str) -> float:
    """A number of the rubric's scale, in half steps."""
    if isinstance(value, str):
        try:
            value = _number(value)
        except ValueError:
            raise _Malformed(f"its {name}, “{value[:40]}”, is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Malformed(f"its {name} is no number")
    if not LOWEST <= value <= HIGHEST:
        raise _Malformed(f"its {name}, {value:g}, is not between {LOWEST} and {HIGHEST}")
    if value / STEP != round(value / STEP):
        raise _Malformed(f"its {name}, {value:g}, is no half step")
    return float(value)


def _confidence(value: Any) -> float | None:
    """A share in [0, 1]; anything else is none, and spoils no score."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)


def _words(value: Any) -> str:
    return plain_text(value).strip()[:CRITIQUE_AT_MOST] if isinstance(value, str) else ""
