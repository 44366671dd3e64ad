"""Puts the guard's items to models, and compares two models on disk without a site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evaluation.asking.asker import Asker
from evaluation.asking.local import LocalModel
from evaluation.asking.replies import How, Wanted
from evaluation.guard.items import guard_set
from evaluation.guard.trials import Given
from evaluation.guard.verdict import GuardReport, guard_report
from evaluation.scorecards.parts import Sampling
from training.specs import HardwareSpec
from training.stopping import StopRequest

ANSWER_TOKENS = 512
"""How long an answer may be: right ones are a few words, but who learnt to think aloud needs room for that. It costs only where
it is used.
"""


def guard_answers(asker: Asker) -> list[Given]:
    """What a model says to the guard's items, in their order. Raises Stopped, or a TrainingError."""
    replies = asker.ask([Wanted(item.prompt) for item in guard_set().items], How(ANSWER_TOKENS))
    return [Given(reply.text, cut=reply.tokens is not None and reply.tokens >= ANSWER_TOKENS) for reply in replies]


def guard_models(
    model: str,
    base: str | None,
    *,
    cache: Path,
    hardware: HardwareSpec | None = None,
    prompt_format: str = "auto",
    batch_size: int = 128,
    sampling: Sampling | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> GuardReport:
    """Ask a model folder, and its base's, and compare them; replies are kept in `cache`. Raises a TrainingError."""
    answers = []
    for path in [model] + ([base] if base else []):
        asked = LocalModel(path, hardware=hardware or HardwareSpec(), prompt_format=prompt_format, batch_size=batch_size)
        answers.append(guard_answers(Asker(asked, cache, stop=StopRequest(), tell=tell)))
        asked.unload()
    return guard_report(guard_set(), answers[0], answers[1] if base else None, sampling=sampling)
