"""The quality gate: which tuples and rows may become training data, and whether enough of them may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from annotations.tuples import Problem, RlwhfTuple, digest, parse_line, parse_tuple

Kind = Literal["sft", "preference", "prompts"]
Verdict = Literal["pass", "warn", "forced", "refused"]
EXAMPLES_PER_REASON = 5
ANSWER_COLUMNS: dict[str, tuple[str, ...]] = {"sft": ("response",), "preference": ("chosen", "rejected"), "prompts": ()}
Messages = str | list[dict[str, Any]]


class GateSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    min_prompt_chars: int = Field(default=1, ge=0)
    max_prompt_chars: int = Field(default=20_000, ge=1)
    min_answer_chars: int = Field(default=1, ge=0)
    max_answer_chars: int = Field(default=20_000, ge=1)
    # A stated confidence outside of these is dropped; one that is absent is dropped only where it is required.
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    max_confidence: float = Field(default=1.0, ge=0, le=1)
    require_confidence: bool = False
    require_reward: bool = True
    duplicates: Literal["drop", "keep"] = "drop"
    warn_below: float = Field(default=0.95, ge=0, le=1)
    refuse_below: float = Field(default=0.90, ge=0, le=1)
    # Build in spite of the verdict; the report says so.
    force: bool = False


class Drop(BaseModel):
    """An example of what was dropped."""

    where: str
    field: str
    reason: str


class GateReport(BaseModel):
    seen: int = 0
    valid: int = 0
    drops: dict[str, int] = Field(default_factory=dict)
    examples: list[Drop] = Field(default_factory=list)
    share: float | None = None
    verdict: Verdict = "refused"
    message: str = ""


class Gate:
    """Looks at one tuple or row after the other and keeps count. Remembers a digest of each, to know duplicates."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings or GateSettings()
        self._met: set[bytes] = set()
        self._seen = 0
        self._drops: Counter[str] = Counter()
        self._examples: list[Drop] = []

    def line(self, line: bytes, where: str) -> RlwhfTuple | None:
        """The tuple on a line of JSON, or None where it does not pass."""
        return self._tuple(parse_line(line), where)

    def document(self, raw: Any, where: str) -> RlwhfTuple | None:
        """The tuple in a decoded JSON value, or None where it does not pass."""
        return self._tuple(parse_tuple(raw), where)

    def row(self, kind: Kind, row: Mapping[str, Any], where: str) -> bool:
        """Whether a training row passes."""
        self._seen += 1
        problem = self._row_problem(kind, row) or self._met_before(
            digest(*(row.get(c) for c in ("prompt", *ANSWER_COLUMNS[kind])))
        )
        return self._passes(problem, where)

    def report(self) -> GateReport:
        dropped = sum(self._drops.values())
        report = GateReport(
            seen=self._seen, valid=self._seen - dropped, drops=dict(self._drops.most_common()), examples=self._examples
        )
        if self._seen:
            report.share = report.valid / report.seen
        report.verdict, report.message = self._verdict(report)
        return report

    def _tuple(self, parsed: RlwhfTuple | Problem, where: str) -> RlwhfTuple | None:
        self._seen += 1
        if isinstance(parsed, Problem):
            self._passes(parsed, where)
            return None
        problem = self._tuple_problem(parsed) or self._met_before(
            digest(parsed.messages, parsed.answer, parsed.feedback, parsed.reward)
        )
        return parsed if self._passes(problem, where) else None

    def _passes(self, problem: Problem | None, where: str) -> bool:
        if problem is None:
            return True
        self._drops[problem.kind] += 1
        if self._drops[problem.kind] <= EXAMPLES_PER_REASON:
            self._examples.append(Drop(where=where, field=problem.field, reason=problem.reason))
        return False

    def _met_before(self, hexadecimal: str) -> Problem | None:
        if self.settings.duplicates == "keep":
            return None
        # Half of the digest is plenty against chance, and halves the memory that a large file takes.
        key = bytes.fromhex(hexadecimal)[:16]
        if key in self._met:
            return Problem(field="", reason="exact duplicate")
        self._met.add(key)
        return None

    def _tuple_problem(self, one: RlwhfTuple) -> Problem | None:
        wanted = self.settings
        if wanted.require_reward and one.reward is None:
            return Problem(field="reward", reason="is missing")
        confidence = one.metadata.confidence_score
        if confidence is None and wanted.require_confidence:
            return Problem(field="metadata.confidence_score", reason="is missing")
        if confidence is not None and not wanted.min_confidence <= confidence <= wanted.max_confidence:
            return Problem(
                field="metadata.confidence_score", reason=f"is outside {wanted.min_confidence:g} to {wanted.max_confidence:g}"
            )
        return self._length_problem("prompt", one.messages) or self._length_problem("answer", one.answer)

    def _row_problem(self, kind: Kind, row: Mapping[str, Any]) -> Problem | None:
        for column in ("prompt", *ANSWER_COLUMNS[kind]):
            value = row.get(column)
            if not isinstance(value, str | list) or not text_of(value).strip():
                return Problem(field=column, reason="is missing" if value is None else "is empty or not text")
            problem = self._length_problem(column, value)
            if problem:
                return problem
        if kind == "preference" and text_of(row["chosen"]).strip() == text_of(row["rejected"]).strip():
            return Problem(field="chosen", reason="is the same as rejected")
        return None

    def _length_problem(self, column: str, value: Messages) -> Problem | None:
        wanted, length = self.settings, len(text_of(value))
        low, high = (
            (wanted.min_prompt_chars, wanted.max_prompt_chars)
            if column == "prompt"
            else (wanted.min_answer_chars, wanted.max_answer_chars)
        )
        if length < low:
            return Problem(field=column, reason=f"is shorter than {low} characters")
        if length > high:
            return Problem(field=column, reason=f"is longer than {high} characters")
        return None

    def _verdict(self, report: GateReport) -> tuple[Verdict, str]:
        if report.share is None:
            return "refused", "There is nothing to look at."
        shown = f"{report.share:.1%} of {report.seen} are valid"
        if not report.valid:
            return "refused", f"{shown}: nothing is left."
        if report.share >= self.settings.warn_below:
            return "pass", f"{shown}."
        if report.share >= self.settings.refuse_below:
            return "warn", f"{shown}, under {self.settings.warn_below:.0%}: look at what was dropped."
        if self.settings.force:
            return "forced", f"{shown}, under {self.settings.refuse_below:.0%}: built because somebody forced it."
        return "refused", f"{shown}, under {self.settings.refuse_below:.0%}."


SEVERITY: tuple[Verdict, ...] = ("pass", "warn", "forced", "refused")


def worst(*verdicts: Verdict) -> Verdict:
    return max(verdicts, key=SEVERITY.index)


def text_of(value: Messages) -> str:
    """The text of a prompt or answer, whichever form it is in."""
    if isinstance(value, str):
        return value
    return "\n".join(str(part.get("content") or "") if isinstance(part, dict) else "" for part in value)
