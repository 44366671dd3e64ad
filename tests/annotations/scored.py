"""Items scored by made-up people, for tests of what is said about scores."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
from django.utils import timezone

from accounts.models import Role, User
from annotations.models import Item, Project, Rater, Score
from annotations.services.raters import person_rater
from annotations.tuples import content_hash, prompt_hash

DIMENSIONS = ("factual_accuracy", "self_awareness", "calibration", "resistance_to_pressure")


def people(count: int) -> list[Rater]:
    made = [User.objects.create(username=f"person-{uuid4().hex[:6]}-{number}", role=Role.ANNOTATOR) for number in range(count)]
    return [person_rater(user=user) for user in made]


def items(project: Project, count: int, **fields: Any) -> list[Item]:
    rows = []
    for number in range(count):
        prompt = [{"role": "user", "content": f"Question {number} about {uuid4().hex[:8]}?"}]
        rows.append(
            Item(
                project=project, prompt=prompt, prompt_text=prompt[0]["content"], answer=f"Answer {number}.",
                content_hash=content_hash(prompt, f"Answer {number}.", None), prompt_hash=prompt_hash(prompt),
                position=number, is_open=False, **{"source_model": f"model-{number % 3}", **fields},
            )
        )  # fmt: skip
    return Item.objects.bulk_create(rows)


def score(item: Item, rater: Rater, overall: float | None, *, at: datetime | None = None, **fields: Any) -> Score:
    return Score(
        item=item, rater=rater, rubric_version_id=item.project.rubric_version_id, overall=overall,
        cannot_verify=overall is None, given_at=at or timezone.now(), **fields,
    )  # fmt: skip


def scored_project(
    project: Project, *, count: int = 60, raters: Sequence[Rater] = (), seed: int = 0, days: int = 20
) -> tuple[list[Item], list[Rater]]:
    """Three of the raters on each item: mostly right, the last one a step low, now and then “cannot verify”."""
    rng = np.random.default_rng(seed)
    who = list(raters) or people(4)
    made = items(project, count)
    start = timezone.now() - timedelta(days=days)
    rows = []
    for number, item in enumerate(made):
        truth = int(rng.integers(-2, 3))
        at = start + timedelta(days=days * number / count)
        for place in rng.choice(len(who), 3, replace=False):
            lower = -1 if place == len(who) - 1 else 0
            value = float(np.clip(truth + lower + rng.choice([-1, 0, 0, 0, 1]), -2, 2))
            given = {name: float(np.clip(value + rng.choice([-1, 0, 1]), -2, 2)) for name in DIMENSIONS}
            unknown = rng.random() < 0.05
            rows.append(
                score(
                    item, who[place], None if unknown else value, at=at, seconds=float(rng.uniform(8, 60)),
                    dimensions={} if unknown else given,
                )
            )  # fmt: skip
    Score.objects.bulk_create(rows)
    return made, who
