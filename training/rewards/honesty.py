"""The honesty reward: what an answer turned out to be, paid by a reward shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
    """

    __name__ = "honesty"

    def __init__(self, *, shape: Shape, completions: Path | None = None, logged: int = 0) -> None:
        self._shape = shape
        self._completions = completions
        self._logged = logged

    def __call__(
        self,
        *,
        prompts: Sequence[str | list[Row]],
        completions: Sequence[str | list[Row]],
        gold_answer: Sequence[str | None],
        knowledge: Sequence[str | None],
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float]:
        """One reward per completion, in order."""
        verdicts = [judge(text_of(one), gold) for one, gold in zip(completions, gold_answer, strict=True)]
        rewards = [self._shape.reward(v, k) for v, k in zip(verdicts, knowledge, strict=True)]
        if log_metric:
            shares = Counter(verdicts)
            for verdict in Verdict:
                log_metric(f"verdicts/{verdict.value}", shares[verdict] / len(verdicts))
        if self._completions and self._logged:
            step = trainer_state.global_step if trainer_state else 0
            every = max(1, len(rewards) // self._logged)
            for i in range(0, len(rewards), every):
                append_jsonl(
                    self._completions,
                    {
                        "step": step,
                        "prompt": prompts[i],
                        "completion": text_of(completions[i]),
                        "gold_answer": gold_answer[i],
                        "knowledge": knowledge[i],
                        "verdict": verdicts[i].value,
                        "reward": rewards[i],
                    },
                )
        return rewards
