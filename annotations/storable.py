"""What a database can hold of a tuple: files may say more than that."""

from __future__ import annotations

import orjson
from pydantic_core import PydanticSerializationError

from annotations.tuples import Problem, RlwhfTuple, place_of_nul

NUL = "holds a NUL character, which no database text can"


def unstorable(one: RlwhfTuple) -> Problem | None:
    """Why a tuple cannot be stored, or None: text that is no Unicode, numbers that JSON has no place for."""
    try:
        document = one.document()
        written = orjson.dumps(document)
    except (PydanticSerializationError, TypeError, ValueError, RecursionError) as error:
        return Problem(field="", reason=f"holds something that cannot be stored ({str(error).splitlines()[0][:120]})")
    if b"\\u0000" in written and (where := place_of_nul(document)) is not None:
        return Problem(field=where, reason=NUL)
    return None
