"""Which other servers this site may call. Nothing leaves the machine for a host that no admin has named here."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.models import AllowedHost, User

SCHEMES = {"http": 80, "https": 443}
# Mapped, compatible and translated (RFC 4291, RFC 6052): the last four bytes are an IPv4 address.
ENDS_IN_IPV4 = tuple(ipaddress.IPv6Network(block) for block in ("::ffff:0:0/96", "::/96", "64:ff9b::/96"))
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")


class HostRefused(ValueError):  # noqa: N818 - reads as what happened
    """The site does not call this address; the message says why, and what an admin can do."""


@dataclass(frozen=True)
class Place:
    """Where an address leads: a host that is allowed, and the network addresses it has at the moment."""

    host: str
    port: int
    addresses: tuple[str, ...]


def host_allowed(url: str) -> bool:
    """Whether the site may call `url`, as far as its host and port go; asks no name server."""
    try:
        host, port = _parts(url)
    except HostRefused:
        return False
    return _entry(host, port) is not None


def place_allowed(url: str) -> Place:
    """Where `url` leads, looked up now. Raises HostRefused where the host is not allowed, or lies in a private network without
    being allowed there. Call one of the addresses, not the name: a second look-up could say something else.
    """
    host, port = _parts(url)
    entry = _entry(host, port)
    if entry is None:
        raise HostRefused(f"This site may not call {host}:{port}. An admin can allow it: Account → Hosts, or `{allowing(url)}`.")
    addresses = _addresses(host, port)
    if not entry.is_private and (inside := next((one for one in addresses if not _is_public(one)), None)):
        raise HostRefused(
            f"{host} lies in a private network ({inside}). An admin can allow that: `rlwhf hosts allow {host} --private`."
        )
    return Place(host, port, addresses)


def _private(host: str) -> str:
    """What the command takes besides, where the name itself says that it lies in a private network."""
    try:
        return "" if ipaddress.ip_address(host).is_global else " --private"
    except ValueError:
        return " --private" if host == "localhost" else ""


def allowing(url: str) -> str:
    """The command that allows an address's host."""
    host = _parts(url)[0]
    return f"rlwhf hosts allow {host}{_private(host)}"


@transaction.atomic
def host_allow(
    *, host: str, port: int | None = None, is_private: bool = False, note: str = "", actor: User | None
) -> AllowedHost:
    """Let the site call a host. A second time changes the entry. Raises HostRefused for what is no host."""
    name = _host(host)
    if port is not None and not 0 < port < 65536:
        raise HostRefused("A port lies between 1 and 65535.")
    values = {"is_private": is_private, "note": note[:200]}
    entry, is_new = AllowedHost.objects.update_or_create(
        host=name, port=port, defaults=values, create_defaults={**values, "created_by": actor}
    )
    audit.record(actor=actor, action="accounts.host_allowed", target=entry, detail={"private": is_private, "new": is_new})
    return entry


def private_refusal(url: str) -> str:
    """Why `url`, whose host is allowed, is refused all the same: by its very words it leads into a private network, where its
    entry does not reach; empty where it does not say so. Asks no name server.
    """
    host, port = _parts(url)
    entry = _entry(host, port)
    return f"{private_caution(entry)} Account → Hosts, or `{allowing(url)}`." if entry and private_caution(entry) else ""


def private_caution(entry: AllowedHost) -> str:
    """What an admin should know who allowed a host by an address that its entry does not reach; empty where there is nothing.

    Asks no name server.
    """
    try:
        address = "127.0.0.1" if entry.host == "localhost" else str(ipaddress.ip_address(entry.host))
    except ValueError:
        return ""
    if entry.is_private or _is_public(address):
        return ""
    return f"{entry.host} lies in a private network, where it is refused all the same: allow it there too."


@transaction.atomic
def host_forget(*, entry: AllowedHost, actor: User | None) -> None:
    """The site calls it no more."""
    audit.record(actor=actor, action="accounts.host_forgotten", target=entry)
    entry.delete()


def _host(text: str) -> str:
    """A host as it is compared. Raises HostRefused for anything else, such as a whole address."""
    name = text.strip().lower().removeprefix("[").removesuffix("]").rstrip(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        name = name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError as error:
        raise HostRefused(f"“{text}” is no host name.") from error
    if len(name) > 253 or not NAME.fullmatch(name):
        raise HostRefused(f"“{text}” is no host name: give it without http:// and without a path.")
    return name


def _parts(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise HostRefused(f"“{url}” is no address.") from error
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise HostRefused("An address starts with http:// or https:// and names a host.")
    if parts.username or parts.password:
        raise HostRefused("An address holds no user name and no password.")
    return _host(parts.hostname), port or SCHEMES[parts.scheme]


def _entry(host: str, port: int) -> AllowedHost | None:
    """The one for this very port before the one for all."""
    found = AllowedHost.objects.filter(Q(port=port) | Q(port=None), host=host)
    return found.order_by("port").first()  # PostgreSQL puts null last


def _addresses(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HostRefused(f"There is no host {host}, as far as this machine knows.") from error
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def _is_public(address: str) -> bool:
    one = ipaddress.ip_address(address.partition("%")[0])
    inner = _inside(one) if isinstance(one, ipaddress.IPv6Address) else None
    return (inner or one).is_global and not (inner or one).is_multicast


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway on the way would call in its stead."""
    if any(address in block for block in ENDS_IN_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour
