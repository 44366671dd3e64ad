"""Where a chat service is and how it may be called. Light: the web process reads it too."""

from __future__ import annotations

from dataclasses import dataclass

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

    def __sub__(self, other: Usage) -> Usage:
        """What was used since."""
        return Usage(
            self.requests - other.requests,
            self.tokens_in - other.tokens_in,
            self.tokens_out - other.tokens_out,
            self.retried - other.retried,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.retried + other.retried,
        )

    def cost(self, service: ChatService) -> float | None:
        """In the prices' currency; None where the service has none."""
        if service.price_in is None and service.price_out is None:
            return None
        return (self.tokens_in * (service.price_in or 0) + self.tokens_out * (service.price_out or 0)) / 1e6
