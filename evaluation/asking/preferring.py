"""Does a model find the right answer likelier than a wrong one? And has training moved it that way?

Nothing is generated: the model, and the one it was trained from, read a right and a wrong answer to each question. Right is the
gold answer, or an abstention where the model cannot know (those are the pairs that honesty is taught with); wrong is what the
benchmark lists as wrong, or a believable value in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotations.verdicts import ABSTENTION
from evaluation.answers import AnswerRow
from evaluation.asking.local import LocalModel, reference_logprobs
from evaluation.asking.replies import Prompt, Reply
from evaluation.asking.turns import wrong_answers
from evaluation.benchmarks.folder import BenchmarkFolder
from evaluation.scorecards.scorecard import RewardedPair
from training.stopping import StopRequest


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to one question, of which the chosen one is better."""

    item: str
    entity: str
    prompt: Prompt
    chosen: str
    rejected: str


def preferences_of(benchmark: BenchmarkFolder, rows: Sequence[AnswerRow]) -> list[Preference]:
    """Return a pair for each question that has one; `rows` are its judged answers in order, which say what is known."""
    wrong, found = wrong_answers(benchmark), []
    for question, row in zip(benchmark.questions, rows, strict=True):
        chosen = ABSTENTION if row.known is False else next(iter(question.gold_answers), None)
        rejected = wrong[question.id]
        if chosen is not None and rejected is not None:
            found.append(Preference(question.id, row.entity, question.prompt, chosen, rejected))
    return found


def rewarded_pairs(
    preferences: Sequence[Preference],
    model: LocalModel,
    reference: LocalModel | None,
    *,
    folder: Path,
    stop: StopRequest,
    tell: Callable[[int], None],
) -> list[RewardedPair]:
    """Have the models read both answers of each pair.

    The reward is DPO’s implicit one, log p − log p of the reference (Rafailov et al. 2023, equation 5; its β changes no
    order). Without a reference there is none.
    """
    given = [(one.prompt, Reply(text)) for one in preferences for text in (one.chosen, one.rejected)]
    read: list[list[float | None]] = []
    for reader in (model, reference):
        if reader is not None:
            read.append(reference_logprobs(reader, given, folder=folder, stop=stop, tell=tell))
            reader.unload()
    own, base = read[0], read[1] if reference is not None else None
    found = []
    for k, one in enumerate(preferences):
        chosen, rejected = own[2 * k : 2 * k + 2]
        if chosen is None or rejected is None:
            continue  # longer than the model reads
        before = (None, None) if base is None else (base[2 * k], base[2 * k + 1])
        rewards = (None if q is None else p - q for p, q in zip((chosen, rejected), before, strict=True))
        found.append(RewardedPair(one.item, one.entity, chosen, rejected, *rewards))
    return found
