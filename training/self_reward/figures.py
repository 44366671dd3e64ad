"""What a round of self-rewarding data looks like, in figures small enough to be kept with its job: how the scores lie, what
became of the answers and the prompts, and how long answers are. Pure functions.

Lengths are in words. A judge that likes long answers teaches the next model to give longer ones (Yuan et al. 2024, section 3.3,
saw them double in three rounds), so the chosen answers' lengths stand beside the rejected ones'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, median, quantiles
from typing import Any

from annotations.rubric import HIGHEST, LOWEST, Rubric, load_rubric
from annotations.verdicts import judge
from training.rewards.gold import gold_answers
from training.self_reward.rows import Judged, Made

# A score this near to the rubric's is the same one.
NEAR = 0.5


def round_figures(judged: Sequence[Judged], made: Made) -> dict[str, Any]:
    """`scores` counts answers by score, −2 to +2 in halves; `gaps` counts pairs by how far apart they are."""
    scores = [one.score for one in judged if one.score is not None]
    gaps = [row["chosen_reward"] - row["rejected_reward"] for row in made.dpo]
    return {
        "prompts": len({one.id for one in judged}),
        "answers": len(judged),
        "scored": len(scores),
        "score_mean": round(fmean(scores), 6) if scores else None,
        "scores": _in_halves(scores, LOWEST),
        "gaps": _in_halves(gaps, 0),
        "judge": judge_beside_gold(judged),
        "rows": {"dpo": len(made.dpo), "grpo": len(made.grpo), "gspo": len(made.gspo)},
        "dropped": {"answers": dict(+made.dropped_answers), "prompts": dict(+made.dropped_prompts)},
        "lengths": {
            "answers": _lengths(one.answer for one in judged),
            "chosen": _lengths(row["chosen"] for row in made.dpo),
            "rejected": _lengths(row["rejected"] for row in made.dpo),
        },
    }


def judge_beside_gold(judged: Sequence[Judged], rubric: Rubric | None = None) -> dict[str, int] | None:
    """How many scores are those that the rubric gives by the gold answers, within half a step, and how many are higher and lower:
    a judge that believes what the model makes up is too high. None where no prompt has a gold answer.
    """
    table = rubric or load_rubric()
    found = Counter[str]()
    for one in judged:
        golds = gold_answers(one.gold_answer)
        right = table.score_for(judge(one.answer, golds)) if golds and one.score is not None else None
        if right is not None and one.score is not None:
            off = one.score - right
            found["right" if abs(off) <= NEAR else "too high" if off > 0 else "too low"] += 1
    return {"n": found.total(), **{name: found[name] for name in ("right", "too high", "too low")}} if found else None


def _in_halves(values: Iterable[float], least: float) -> dict[str, int]:
    """Counts of values to the nearest half, every half from `least` on that is met or lies between; on the scale's own steps."""
    counts = Counter(round(value * 2) / 2 for value in values)
    if not counts:
        return {}
    whole = all(value == int(value) for value in counts)
    top = HIGHEST if least < 0 else HIGHEST - LOWEST
    step = 1.0 if whole else 0.5
    steps = [least + number * step for number in range(round((top - least) / step) + 1)]
    return {f"{value:g}": counts[value] for value in steps}


def _lengths(texts: Iterable[str]) -> dict[str, float] | None:
    """Of how many texts, with the mean, the median and the middle half; None for none."""
    counts = [len(text.split()) for text in texts]
    if not counts:
        return None
    low, _, high = quantiles(counts, n=4, method="inclusive") if len(counts) > 1 else (counts[0],) * 3
    return {"n": len(counts), "mean": round(fmean(counts), 3), "median": median(counts), "low": low, "high": high}
