"""Marks in an answer: which words are a claim, a hedge, a fabrication or evidence.

Offsets count Unicode code points of the answer, from 0; `end` is the first that is not marked. Marks may overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SpanLabel = Literal["claim", "hedge", "fabrication", "evidence"]
SPAN_LABELS: tuple[SpanLabel, ...] = get_args(SpanLabel)
# Nobody reads more than this, and a row should stay a row.
MOST_SPANS = 200


class Span(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    label: SpanLabel


def spans_checked(given: Iterable[Mapping[str, Any] | Span], *, length: int) -> list[dict[str, Any]]:
    """The marks, in order, each once. `length` is that of the answer, in code points.

    Raises ValueError that says which mark is none, and why.
    """
    found: set[Span] = set()
    for number, one in enumerate(given, 1):
        if number > MOST_SPANS:
            raise ValueError(f"There are more than {MOST_SPANS} marks.")
        try:
            span = one if isinstance(one, Span) else Span.model_validate(one)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"Mark {number}: {'.'.join(map(str, first['loc'])) or 'mark'}: {first['msg']}.") from error
        if not span.start < span.end <= length:
            raise ValueError(f"Mark {number} runs from {span.start} to {span.end}, but the answer has {length} characters.")
        found.add(span)
    return [span.model_dump() for span in sorted(found, key=lambda span: (span.start, span.end, span.label))]
