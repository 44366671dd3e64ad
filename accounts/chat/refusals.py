"""What a service means that answers a request with a refusal (400, 403, 413, 422)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from openai import APIStatusError

OPTIONS = ("logprobs", "seed", "temperature", "max_tokens", "stream_options")
"""What can be left out, or asked for otherwise, where a service does not know it."""
_UNKNOWN = re.compile(
    r"unsupported|not (?:supported|available|allowed|enabled|permitted|implemented)|(?:does not|doesn.t|cannot|can.t) support"
    r"|un(?:known|recogni[sz]ed|expected)|extra inputs|only the default|is deprecated|no longer",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content.?filter|content management policy|content.?policy|input was flagged|moderation|safety system", re.IGNORECASE
)


def unknown_option(error: APIStatusError, known: Collection[str]) -> str | None:
    """The first of the options that were asked for which the refusal says the service does not know."""
    told = words_of(error)
    param = str(_field(error, "param") or "")
    for name in known:
        # “Reduce max_tokens” is not “I know no max_tokens”: the option is named, and said to be unknown.
        if re.search(rf"\b{name}\b", f"{param} {told}") and (
            _UNKNOWN.search(told) or _UNKNOWN.search(str(_field(error, "code")))
        ):
            return name
    return None


def is_filtered(error: APIStatusError) -> bool:
    """Whether it is what was asked about that the service's filter minds."""
    return bool(_FILTERED.search(f"{_field(error, 'code')} {words_of(error)}"))


def is_of_the_request(error: APIStatusError) -> bool:
    """Whether it may be this one request that is refused, and not every one (a wrong key, an unknown model)."""
    return error.status_code in (400, 413, 422) or (error.status_code == 403 and is_filtered(error))


def words_of(error: APIStatusError) -> str:
    """What the service said; all of it, where no part of it is called the message."""
    told = error.body
    has_message = isinstance(_field(error, "message"), str)
    return str(error) if has_message or not told or str(told) in str(error) else f"{error} - {told}"


def _field(error: APIStatusError, name: str) -> Any:
    """A field of the error, which services put at the top or under `error`."""
    body: Any = error.body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return body.get(name) if isinstance(body, dict) else None
