"""An AI teacher as a reward: what it gives an answer, asked for over the network, kept on disk, within a budget."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accounts.chat.service import KEY_VARIABLE, ChatService, Ledger, Usage
from annotations.rubric import LOWEST, Rubric
from annotations.teachers.kept import KeptVerdicts, judging_key
from annotations.teachers.prompts import Subject, TeacherPrompt
from annotations.teachers.rules import judged_by_rules
from annotations.verdicts import Verdict
from training.data import text_of
from training.exceptions import BadSpec, TeacherGone
from training.processes import rank, world_size
from training.rewards.base import BY_THE_SITE, Batch, Completion, RewardContext, Rewarded, RewardPart
from training.rewards.gold import gold_answers

if TYPE_CHECKING:
    from accounts.chat.client import ChatClient
    from annotations.teachers.judge import Judgement, Teaching

FOLDER: Final = "teachers"
REST_S: Final = 60.0
"""A service that could not be had is left alone for so long, where the run goes on without it."""
UNREADABLE_AT_MOST: Final = 32
"""A service that has sent so many replies and none that could be read is as good as away."""

Source = Literal["asked", "kept", "cut off", "malformed", "rules", "value", "none"]


class Asks(BaseModel):
    """How the teacher is asked. A site fills it in when the run starts; a run that is carried out by hand spells it out.

    The key is in the environment, under `key_variable`, and nowhere else.
    """

    model_config = ConfigDict(extra="forbid")

    service: ChatService
    prompt: TeacherPrompt
    rubric: Rubric
    uses_reference: bool = False
    max_tokens: int = Field(400, ge=1)
    temperature: float = Field(0.0, ge=0, le=2)
    # Not any variable: a specification must not be able to send another secret to a server of its choice.
    key_variable: str = Field(KEY_VARIABLE, pattern=rf"^{KEY_VARIABLE}(_[0-9]{{1,3}})?$")
    cache: Path | None = Field(None, description="Folder where verdicts are kept for other runs; None: the run's own.")

    @model_validator(mode="after")
    def gives_one_score(self) -> Self:
        if self.prompt.kind != "single":
            raise ValueError("a reward needs a prompt that asks for a single score")
        return self


class TeacherPart(RewardPart):
    """The score that an AI teacher gives, −2 to +2: a language model as the judge (Zheng et al. 2023, arXiv:2306.05685),
    its verdicts in place of people's (Lee et al. 2023, arXiv:2309.00267).
    """

    kind: Literal["teacher"] = "teacher"
    teacher: str = Field(min_length=1, description="A teacher of this site, by name. It must ask for a single score.")
    version: int | None = Field(None, ge=1, description="Which of its versions; None: its newest, noted when the run is queued.")
    max_calls: int | None = Field(
        None, ge=1, description="Questions in the whole run, at most; the teacher's own limit holds too."
    )
    max_cost: float | None = Field(None, gt=0, description="The same of what they cost, in the prices' currency.")
    fallback: Literal["fail", "leave_out", "rules", "value"] = Field(
        "fail",
        description="What an answer gets when the budget is used up or the service is away. fail: the run ends, and says so; "
        "leave_out: nothing; rules: what its words and the gold answer say; value: fallback_value.",
    )
    fallback_value: float | None = Field(None, description="For fallback = value.")
    asks: Asks | None = Field(None, json_schema_extra=BY_THE_SITE)

    @model_validator(mode="after")
    def a_value_is_named_where_one_is_paid(self) -> Self:
        if (self.fallback == "value") != (self.fallback_value is not None):
            raise ValueError("fallback = value and fallback_value go together")
        return self


@dataclass(frozen=True)
class _Heard:
    """What there is to say of one answer."""

    value: float | None
    source: Source


class TeacherReward:
    """Asks about each answer that it has not asked about before. An answer that was cut off is not asked about: it is paid as the
    rubric pays what cannot be read. Malformed replies, and verdicts of a teacher that cannot tell, are no reward (None).
    """

    def __init__(self, settings: TeacherPart, asks: Asks, context: RewardContext, client: ChatClient) -> None:
        self._settings, self._asks, self._context, self._client = settings, asks, context, client
        self._name = settings.name or settings.kind
        self.columns = ("gold_answer",)
        self._kept = KeptVerdicts(
            asks.cache or (context.folder or Path()) / FOLDER,
            judging_key(
                teacher=settings.teacher,
                version=settings.version,
                base_url=asks.service.base_url,
                model=asks.service.model,
                prompt=asks.prompt.content_hash,
                rubric=asks.rubric.content_hash,
                max_tokens=asks.max_tokens,
                temperature=asks.temperature,
            ),
        )
        self._secret = secrets.token_hex()  # nobody who wrote an answer can have known it
        self._unreadable: set[str] = set()  # digests of subjects whose replies could not be read, in this process
        self._was_read = False
        self._away_since: float | None = None

    def __call__(self, batch: Batch) -> Rewarded:
        started = perf_counter()
        golds = [gold_answers(gold) for gold in batch.column("gold_answer")]
        cut = self._context.cut_off(batch.completion_ids, len(batch))
        subjects = [
            Subject(_asked(prompt), text, reference=" or ".join(gold) if self._asks.uses_reference else "")
            for prompt, text, gold in zip(batch.prompts, batch.texts, golds, strict=True)
        ]
        before = self._client.usage.requests
        fresh, trouble = self._ask([one for one, is_cut in zip(subjects, cut, strict=True) if not is_cut])
        heard = [self._heard(one, gold, is_cut, fresh) for one, gold, is_cut in zip(subjects, golds, cut, strict=True)]
        if trouble and self._settings.fallback == "fail":
            raise TeacherGone(
                f"The teacher “{self._settings.teacher}” gives no rewards any more: {trouble}",
                "Give the run more budget or wait for the service, and resume it; or say in the recipe what counts instead "
                "(fallback of the reward's part).",
            )
        return Rewarded(
            values=[one.value for one in heard],
            details={"gold_answer": batch.column("gold_answer"), f"{self._name}_source": [one.source for one in heard]},
            figures=self._figures(heard, calls=self._client.usage.requests - before, seconds=perf_counter() - started),
        )

    def _ask(self, subjects: Sequence[Subject]) -> tuple[set[str], str]:
        """Have all of them judged that are not yet. Returns whose verdicts are new, and why not all could be."""
        from accounts.chat.client import ServiceFailed  # noqa: PLC0415 (weight)
        from annotations.teachers.judge import judge_all  # noqa: PLC0415 (weight)

        self._kept.refresh()
        by_digest = {one.digest: one for one in subjects}
        known = self._unreadable | {digest for digest in by_digest if self._kept.find(digest) is not None}
        asked = [one for digest, one in by_digest.items() if digest not in known]
        if not asked:
            return set(), ""
        if self._away_since is not None and monotonic() - self._away_since < REST_S:
            return set(), "its service was away a moment ago"
        fresh: set[str] = set()

        def each(index: int, judgement: Judgement) -> None:
            fresh.add(asked[index].digest)
            self._take(asked[index].digest, judgement)

        try:
            judge_all(self._client, self._teaching(), asked, each=each, budget=self._left())
        except ServiceFailed as failed:
            self._away_since = monotonic()
            return fresh, str(failed)
        self._away_since = None
        if len(fresh) < len(asked):
            return fresh, f"its budget is used up ({self._budget_in_words()})."
        if not self._was_read and len(self._unreadable) >= UNREADABLE_AT_MOST:
            return fresh, f"not one of {len(self._unreadable)} replies could be read."
        return fresh, ""

    def _take(self, digest: str, judgement: Judgement) -> None:
        if judgement.reply.is_malformed:
            self._unreadable.add(digest)
        else:
            self._was_read = True
            self._kept.keep(digest, judgement.reply)

    def _teaching(self) -> Teaching:
        from annotations.teachers.judge import Teaching  # noqa: PLC0415 (weight)

        asks = self._asks
        return Teaching(asks.prompt, asks.rubric, self._secret, max_tokens=asks.max_tokens, temperature=asks.temperature)

    def _heard(self, subject: Subject, gold: list[str], is_cut: bool, fresh: set[str]) -> _Heard:
        rubric = self._asks.rubric
        if is_cut:
            paid = rubric.score_for(Verdict.UNPARSABLE)
            return _Heard(float(LOWEST if paid is None else paid), "cut off")
        found = self._kept.find(subject.digest)
        if found is not None:
            return _Heard(found.score, "asked" if subject.digest in fresh else "kept")
        if subject.digest in self._unreadable:
            return _Heard(None, "malformed")
        if self._settings.fallback == "rules":
            return _Heard(judged_by_rules(subject.answer, gold, rubric).score, "rules")
        if self._settings.fallback == "value":
            return _Heard(self._settings.fallback_value, "value")
        return _Heard(None, "none")

    # --- what it takes

    def _left(self) -> Any:
        """What is left of the run's budget: its share, of a run in several processes, and less what earlier attempts used."""
        from annotations.teachers.judge import Budget  # noqa: PLC0415 (weight)

        calls, cost, usage = self._settings.max_calls, self._settings.max_cost, self._client.usage
        spent = usage.cost(self._client.service) or 0.0
        return Budget(
            calls=None if calls is None else max(0, calls // world_size() - usage.requests),
            cost=None if cost is None else max(0.0, cost / world_size() - spent),
        )

    def _budget_in_words(self) -> str:
        calls, cost = self._settings.max_calls, self._settings.max_cost
        parts = [f"{calls} calls"] if calls is not None else []
        return " or ".join([*parts, f"a cost of {cost:g}"] if cost is not None else parts)

    def _figures(self, heard: Sequence[_Heard], *, calls: int, seconds: float) -> dict[str, float]:
        usage, name = self._client.usage, self._name
        if not heard:
            return {}
        sources = Counter(one.source for one in heard)
        scores = [one.value for one in heard if one.value is not None]
        figures = {
            f"{name}/kept": sources["kept"] / len(heard),
            f"{name}/malformed": sources["malformed"] / len(heard),
            f"{name}/fallback": (sources["rules"] + sources["value"] + sources["none"]) / len(heard),
            f"{name}/calls": float(calls),
            f"{name}/calls_so_far": float(usage.requests),
            f"{name}/tokens_in_so_far": float(usage.tokens_in),
            f"{name}/tokens_out_so_far": float(usage.tokens_out),
            f"{name}/seconds": seconds,
        }
        figures |= {f"{name}/score": sum(scores) / len(scores)} if scores else {}
        cost = usage.cost(self._client.service)
        return figures | ({f"{name}/cost_so_far": cost} if cost is not None else {})


def _asked(prompt: Completion) -> str:
    """The question; of a conversation all that was said, and by whom, but for the system's words."""
    if isinstance(prompt, str):
        return prompt
    said = [message for message in prompt if message.get("role") != "system"]
    if len(said) <= 1:
        return text_of(said)
    return "\n\n".join(f"{message.get('role')}: {message.get('content') or ''}" for message in said)


def build(settings: TeacherPart, context: RewardContext) -> TeacherReward:
    """The reward that the settings describe. Raises BadSpec where nobody has said how the teacher is asked, and for a budget in
    prices of a service that has none.
    """
    from accounts.chat.client import ChatClient  # noqa: PLC0415 (weight)

    asks = settings.asks
    if asks is None:
        reason = f"How the teacher “{settings.teacher}” is asked is not said here."
        raise BadSpec(reason, "A site says it when it starts the run; by hand, fill in the part's `asks`.")
    if settings.max_cost is not None and asks.service.price_in is None and asks.service.price_out is None:
        reason = f"The teacher “{settings.teacher}” may cost {settings.max_cost:g}, and its service has no prices."
        raise BadSpec(reason, "Give its endpoint prices, or limit max_calls.")
    name = settings.name or settings.kind
    usage = Ledger(context.folder / FOLDER / f"{name}-{rank()}.used.jsonl") if context.folder else Usage()
    client = ChatClient(asks.service, key=os.environ.get(asks.key_variable, ""), usage=usage)
    return TeacherReward(settings, asks, context, client)
