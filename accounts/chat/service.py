"""Where a chat service is and how it may be called. Light: the web process reads it too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

KEY_VARIABLE = "RLWHF_ENDPOINT_KEY"
AT_ONCE = 16


class ChatService(BaseModel):
    """Where a service is and how it may be called; its key is in the environment. Prices are per million tokens."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    base_url: str
    model: str
    requests_per_minute: int | None = Field(None, ge=1)
    timeout_s: float = Field(60.0, gt=0)
    price_in: float | None = Field(None, ge=0)
    price_out: float | None = Field(None, ge=0)
    at_once: int = Field(AT_ONCE, ge=1, le=256, description="Requests under way at a time.")
    addresses: list[str] = Field(default_factory=list, description="The only network addresses to call; none: as the name says.")


@dataclass
class Usage:
    """What was used so far, as the service counts it. `retried` are tries that came after one that failed."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    retried: int = 0

    def count(self, *, requests: int = 0, tokens_in: int = 0, tokens_out: int = 0, retried: int = 0) -> None:
        """So much more was used."""
        self.requests += requests
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.retried += retried

    def cost(self, service: ChatService) -> float | None:
        """In the prices' currency; None where the service has none."""
        if service.price_in is None and service.price_out is None:
            return None
        return (self.tokens_in * (service.price_in or 0) + self.tokens_out * (service.price_out or 0)) / 1e6


class Ledger(Usage):
    """What was used, in a file too: a line for each time, so that it holds what earlier processes used that were stopped."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                super().count(**json.loads(line))
            except (ValueError, TypeError):
                continue  # half a line, of a process that was killed

    def count(self, **used: int) -> None:
        """So much more was used. Raises OSError."""
        super().count(**used)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(used)}")  # behind half a line, too


def used_of(usage: Usage, service: ChatService) -> dict[str, float | None]:
    """What was used, with what it cost: None where the service has no price."""
    return {**asdict(usage), "cost": usage.cost(service)}


def summed(parts: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """`used_of` several services; what is not known of one of them is not known of all."""
    columns = {name: [one[name] for one in parts] for name in parts[0]}
    return {name: None if None in column else sum(filter(None, column)) for name, column in columns.items()}
