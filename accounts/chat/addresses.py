"""The same request, to network addresses that were looked up beforehand. For both of the HTTP libraries that are here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def readdressed(request: Any, addresses: Sequence[str]) -> Iterator[Any]:
    """The request (httpx's or httpx2's) to each address in turn.

    The name stays where servers look for it: in the Host header, and in what the certificate must be for.
    """
    extensions = dict(request.extensions)
    if request.url.scheme == "https":
        extensions["sni_hostname"] = request.url.host
    for address in addresses:
        url = request.url.copy_with(host=address)
        yield type(request)(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
