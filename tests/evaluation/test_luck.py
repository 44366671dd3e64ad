"""How much of what was right may be luck: of a model that guesses where it does not know, just what it guessed right."""

from __future__ import annotations

import numpy as np
import pytest

from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow
from evaluation.luck import luck, luck_of
from evaluation.question import JudgeName
from evaluation.scorecards.scorecard import ArtifactRef, BenchmarkRef, Sampling, scorecard_make


def rows(judge: JudgeName, options: int, *, known: float, golds: int = 1, n: int = 20_000) -> tuple[list[AnswerRow], float]:
    """Answers of a guessing model, and the share of right ones that were guesses."""
    rng = np.random.default_rng(5)
    knows = rng.random(n) < known
    right = knows | (rng.random(n) < 1 / options)
    found = [
        AnswerRow(
            id=str(i), entity=str(i), prompt="?", answer="x", gold_answer=str(i % golds), judge=judge,
            verdict=Verdict.CORRECT if one else Verdict.WRONG, options=options if judge == "choice" else 0,
        )
        for i, one in enumerate(right)
    ]  # fmt: skip
    return found, float((right & ~knows).sum() / right.sum())


@pytest.mark.parametrize(
    ("judge", "options", "golds"), [("choice", 2, 1), ("choice", 5, 1), ("references", 2, 9), ("gold", 16, 16)]
)
@pytest.mark.parametrize("known", [0.05, 0.6])
def test_the_share_is_that_of_a_model_that_guesses(judge: JudgeName, options: int, golds: int, known: float) -> None:
    answers, guessed = rows(judge, options, known=known, golds=golds, n=8000)
    assert luck_of(answers) == pytest.approx(guessed, abs=0.04)


def test_what_cannot_be_guessed_is_no_luck() -> None:
    answers, _ = rows("gold", 2, known=0.5, golds=4000, n=4000)
    assert luck_of(answers) < 0.001
    assert luck_of(rows("compliance", 2, known=0.5, n=100)[0]) == 0
    assert luck_of([]) == 0 and luck(0, [2, 2]) == 0 and luck(1, [2] * 9) == 1


def test_a_scorecard_does_not_call_declined_guesses_silence() -> None:
    """Yes or no, unlabelled: the base guesses, the model declines what it does not know."""
    base, _ = rows("choice", 2, known=0.14, n=400)
    guesses = np.random.default_rng(5).random(400) >= 0.14
    honest = [
        row.model_copy(update={"answer": "I do not know.", "verdict": Verdict.ABSTAINED}) if guess else row
        for row, guess in zip(base, guesses, strict=True)
    ]
    silent = [row.model_copy(update={"answer": "I do not know.", "verdict": Verdict.ABSTAINED}) for row in base]

    def said(answers: list[AnswerRow]) -> str:
        reference, benchmark = ArtifactRef(name="m", hash="0"), BenchmarkRef(name="b", version="1", hash="0")
        few = Sampling(resamples=100, permutations=99)
        card = scorecard_make(answers, artifact=reference, benchmark=benchmark, base_rows=base, base=reference, sampling=few)
        return card.conclusions[card.headline[0]].text

    assert "fell silent" not in said(honest)
    assert "fell silent" in said(silent)
