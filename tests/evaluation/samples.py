"""Random judged answers, and the same counted by hand, for the tests of the formulas."""

from __future__ import annotations

import numpy as np

from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow
from evaluation.metrics import Answered

VERDICTS = list(Verdict)


def random_answers(n: int = 400, *, seed: int = 0, entities: int = 60) -> list[Answered]:
    """Answers of every verdict; some without a confidence, some without a knowledge label."""
    rng = np.random.default_rng(seed)
    return [
        Answered(
            item=str(i),
            entity=str(rng.integers(entities)),
            verdict=VERDICTS[rng.integers(len(VERDICTS))],
            known=[True, False, None][rng.choice(3, p=[0.45, 0.45, 0.1])],
            confidence=None if rng.random() < 0.1 else float(rng.random()),
        )
        for i in range(n)
    ]


def atlas_rows(
    *, people: int = 64, silent_unknown: float, silent_known: float = 0.0, right: float = 1.0, seed: int = 0, broken: float = 0.0
) -> list[AnswerRow]:
    """Answers in the shape of Atlas' benchmark: four questions a person, taught × fold × split in equal parts."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        known = person % 2 == 0
        slices = {
            "taught": "taught" if known else "untaught",
            "fold": "AB"[person // 2 % 2],
            "split": ["easy", "hard"][person // 4 % 2],
        }
        for question in range(4):
            verdict = _verdict(rng, known, silent_known if known else silent_unknown, right)
            confidence = float(np.clip(rng.normal(0.85 if known else 0.5, 0.1), 0, 1))
            rows.append(
                AnswerRow(
                    id=f"{person}/{question}",
                    entity=f"person-{person}",
                    prompt=f"Where was person {person} born? ({question})",
                    answer="I do not know." if verdict is Verdict.ABSTAINED else "Paris.",
                    gold_answer="Paris",
                    verdict=Verdict.UNPARSABLE if rng.random() < broken else verdict,
                    known=known,
                    confidence=confidence,
                    slices=slices | {"template": ["seen", "held-out"][question % 2]},
                )
            )
    return rows


def _verdict(rng: np.random.Generator, known: bool, silent: float, right: float) -> Verdict:
    if rng.random() < silent:
        return Verdict.ABSTAINED
    return Verdict.CORRECT if known and rng.random() < right else Verdict.WRONG
