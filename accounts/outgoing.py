"""Calls to other servers: to allowed hosts alone, to the very address that was checked, and along no redirect to elsewhere.

For child processes and commands. The web process calls nobody but endpoints, for whoever chats with one or checks it.
"""

import httpx

from accounts.chat.addresses import readdressed
from accounts.hosts import Place, place_allowed

# A server that is there takes a connection at once, however long it then thinks.
LONGEST_CONNECT_S = 10.0


class AllowedOnly(httpx.BaseTransport):
    """Checks each request's host, redirects included, and connects to the address that the check looked up.

    `checked`: a place that was checked just now, so that several threads, which have no database, may call it at once.
    """

    def __init__(self, checked: Place | None = None) -> None:
        self._inner = httpx.HTTPTransport(retries=0)
        self._checked = checked

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises HostRefused before anything leaves."""
        addresses = self._addresses(request.url)
        for number, one in enumerate(readdressed(request, addresses), 1):
            try:
                return self._inner.handle_request(one)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise httpx.ConnectError("the host has no address", request=request)

    def _addresses(self, url: httpx.URL) -> tuple[str, ...]:
        known = self._checked
        port = url.port or (443 if url.scheme == "https" else 80)
        # Encoded, as the place has it: of an international name `url.host` is another writing.
        if known is not None and (url.raw_host.decode("ascii"), port) == (known.host, known.port):
            return known.addresses
        return place_allowed(str(url)).addresses

    def close(self) -> None:
        self._inner.close()


def outgoing_client(
    *, base_url: str, headers: dict[str, str], timeout_s: float = 60.0, checked: Place | None = None
) -> httpx.Client:
    """A client that calls allowed hosts alone and follows no redirect; no proxy of the environment comes between."""
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, LONGEST_CONNECT_S))
    return httpx.Client(
        base_url=base_url,
        headers=headers,
        timeout=timeout,
        transport=AllowedOnly(checked),
        follow_redirects=False,
        trust_env=False,
    )
