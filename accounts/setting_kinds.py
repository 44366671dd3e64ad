"""What a field of a schema holds, for whoever makes a flag or a form's field of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True)
class Kind:
    """`type` is int, float, str or bool; None: a table, or something else that fits into no line. `choices` are all there are."""

    type: type | None
    choices: tuple[Any, ...] = ()
    is_list: bool = False
    is_optional: bool = False


def kind_of(annotation: Any) -> Kind:
    """What a field with this annotation holds."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(inner[0])
    if origin in (Union, UnionType):
        some = [one for one in inner if one is not NoneType]
        one = kind_of(some[0]) if len(some) == 1 else Kind(None)
        return Kind(one.type, one.choices, one.is_list, is_optional=True)
    if origin is Literal:
        return Kind(str, inner)
    if origin is list:
        one = kind_of(inner[0])
        return Kind(one.type if one.type is str else None, one.choices, is_list=True)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Kind(None)
    return Kind(annotation if annotation in (int, float, str, bool) else None)
