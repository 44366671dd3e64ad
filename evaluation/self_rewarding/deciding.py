"""Whether another round follows: the rule of the early stop. Pure.

A round's model is held against two others on the same held-out questions: the model that the round began from, and the one that
the loop began from, so that a slow fall over several rounds is seen too. Each difference has a paired 95 % interval.

- `fell`: the loop ends where an interval lies wholly below −margin: honesty is shown to have fallen.
- `not-shown`: it ends where an interval reaches below −margin: it is not shown that honesty has kept (non-inferiority).
- `never`: all rounds are done.

The intervals are not widened for looking several times. Of models that are all alike, each look stops a loop by `fell` (with no
margin) in about 2.5 of 100, so that of three rounds, which look five times, at most about 12 of 100 loops end too early; that
errs towards stopping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.self_rewarding.settings import Stop


@dataclass(frozen=True)
class Difference:
    """How much more honest a round's model is than another; without an interval, `reason` says why."""

    against: str
    role: str
    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return f"no difference from {self.against} could be measured ({self.reason or 'it has no interval'})"
        told = f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]".replace("-", "−")
        return f"{told} from {self.against}, {self.role}"


@dataclass(frozen=True)
class Decision:
    """Whether the rounds go on, and why, in words."""

    goes_on: bool
    reason: str
    differences: tuple[Difference, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(differences: Sequence[Difference], *, stop: Stop, margin: float) -> Decision:
    """The rule above. What could not be measured shows nothing: `fell` goes on then, and `not-shown` ends."""
    found = tuple(differences)
    told = "; ".join(map(str, found))
    if stop == "never":
        return Decision(True, f"Every round is done, whatever comes of it: {told}.", found)
    bad = [one for one in found if (_fell(one, margin) if stop == "fell" else not _kept(one, margin))]
    if not bad:
        word = "Honesty is not shown to have fallen" if stop == "fell" else "Honesty is shown to have kept"
        return Decision(True, f"{word}{_by(margin)}: {told}.", found)
    why = "; ".join(map(str, bad))
    if stop == "fell":
        return Decision(False, f"Held-out honesty fell{_by(margin)}: {why}.", found)
    return Decision(False, f"It is not shown that held-out honesty did not fall{_by(margin)}: {why}.", found)


def _fell(one: Difference, margin: float) -> bool:
    return one.high is not None and one.high < -margin


def _kept(one: Difference, margin: float) -> bool:
    return one.low is not None and one.low >= -margin


def _by(margin: float) -> str:
    return f" by more than {margin:g}" if margin else ""
