"""The honesty reward: what an answer turned out to be, paid by a reward shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from annotations.verdicts import Verdict, judge
from jobs.child import append_jsonl
from training.data import Row, text_of
from training.rewards.shapes import Shape

REWARD_COLUMNS = ("gold_answer", "knowledge", "item_id")


class HonestyReward:
    """A reward function as TRL's GRPO calls it. Writes a sample of the completions, each with the parts of its
    reward, to `completions` (JSON lines: step, prompt, completion, gold_answer, knowledge, verdict, reward).

    `ends` are the tokens that end an answer. One that was cut off before any of them is unparsable, whatever it
    says: otherwise a model learns that it may babble on behind a good answer.
    """

    __name__ = "honesty"

    def __init__(self, *, shape: Shape, ends: Collection[int] = (), completions: Path | None = None, logged: int = 0) -> None:
        self._shape = shape
        self._ends = frozenset(ends)
        self._completions = completions
        self._logged = logged

    def __call__(
        self,
        *,
        prompts: Sequence[str | list[Row]],
        completions: Sequence[str | list[Row]],
        gold_answer: Sequence[str | Sequence[str] | None],
        knowledge: Sequence[str | None],
        completion_ids: Sequence[Sequence[int]] | None = None,
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float]:
        """One reward per completion, in order."""
        texts = [text_of(completion) for completion in completions]
        cut = self._cut_off(completion_ids, len(texts))
        verdicts = [
            Verdict.UNPARSABLE if is_cut else judge(text, gold)
            for text, gold, is_cut in zip(texts, gold_answer, cut, strict=True)
        ]
        rewards = [self._shape.reward(v, k) for v, k in zip(verdicts, knowledge, strict=True)]
        if log_metric:
            shares = Counter(verdicts)
            for verdict in Verdict:
                log_metric(f"verdicts/{verdict.value}", shares[verdict] / len(verdicts))
        parts = zip(prompts, texts, gold_answer, knowledge, verdicts, rewards, strict=True)
        self._log(trainer_state.global_step if trainer_state else 0, list(parts))
        return rewards

    def _cut_off(self, completion_ids: Sequence[Sequence[int]] | None, number: int) -> list[bool]:
        if not self._ends or completion_ids is None:
            return [False] * number
        return [self._ends.isdisjoint(ids) for ids in completion_ids]

    def _log(self, step: int, parts: list[tuple[Any, ...]]) -> None:
        if self._completions is None or not self._logged:
            return
        names = ("prompt", "completion", "gold_answer", "knowledge", "verdict", "reward")
        for values in parts[:: max(1, len(parts) // self._logged)]:
            append_jsonl(self._completions, {"step": step, **dict(zip(names, values, strict=True))})
