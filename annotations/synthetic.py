"""Made-up items and scores in bulk, for measuring how the site behaves when it is full. Nothing here is for training."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts.models import Role, User
from annotations.models import Item, Progress, Project, Rater, Score, Turn
from annotations.services.import_batch import item_from_tuple
from annotations.services.projects import project_create
from annotations.services.raters import person_rater
from annotations.tuples import RlwhfTuple

BATCH = 2000
RATERS_PER_ITEM = 3
WORDS = [
    "river", "mountain", "harbour", "treaty", "copper", "violin", "senate", "meadow", "theorem", "lantern", "orchard", "glacier",
    "railway", "cathedral", "parliament", "almanac", "compass", "furnace", "granite", "embassy", "monsoon", "pendulum",
]  # fmt: skip

Tell = Callable[[str], Any]


@transaction.atomic
def synthetic_load(*, name: str, items: int, scores: int, people: int, password: str | None, seed: int, tell: Tell) -> Project:
    """A project with that many items, scored that many times by made-up people; each has a queue that goes on.

    Raises ValueError where there are more scores than the items can take.
    """
    if scores > items * min(RATERS_PER_ITEM, people):
        raise ValueError(f"{items} items take at most {items * min(RATERS_PER_ITEM, people)} scores by {people} people.")
    chance = Random(seed)  # noqa: S311 - nothing secret is drawn
    project = project_create(name=name, actor=None, raters_per_item=RATERS_PER_ITEM, guidelines="Made up, for measuring.")
    raters = _people(people, password)
    wanted = _scores_per_item(items, scores, chance)
    numbers = iter(range(items))
    while batch := list(islice(numbers, BATCH)):
        made = Item.objects.bulk_create([_item(project, number, wanted[number], chance) for number in batch])
        _score(project, made, raters, chance)
        tell(f"{batch[-1] + 1} of {items} items")
    _count(project, raters)
    return project


def _people(count: int, password: str | None) -> list[Rater]:
    hashed = make_password(password)
    users = [
        User.objects.get_or_create(username=f"synthetic-{number:03}", defaults={"role": Role.ANNOTATOR, "password": hashed})[0]
        for number in range(count)
    ]
    return [person_rater(user=user) for user in users]


def _scores_per_item(items: int, scores: int, chance: Random) -> list[int]:
    """How many scores each item has: spread at random, none with more than it needs, all together `scores`."""
    places = chance.sample(range(items * RATERS_PER_ITEM), scores)
    counted = Counter(place // RATERS_PER_ITEM for place in places)
    return [counted[number] for number in range(items)]


def _item(project: Project, number: int, scores: int, chance: Random) -> Item:
    topic = " ".join(chance.choices(WORDS, k=4))
    answer = ". ".join(" ".join(chance.choices(WORDS, k=12)).capitalize() for _ in range(4))
    one = RlwhfTuple.model_validate(
        {
            "prompt": f"Question {number}: what is known about the {topic}?",
            "answer": f"{answer}.",
            "metadata": {"source_ai": f"model-{number % 7}", "confidence_score": round(chance.random(), 2)},
        }
    )
    item = item_from_tuple(project=project, one=one)
    item.people_scores, item.is_open = scores, scores < RATERS_PER_ITEM
    return item


def _score(project: Project, items: list[Item], raters: list[Rater], chance: Random) -> None:
    now = timezone.now()
    given = [(item, rater) for item in items for rater in chance.sample(raters, item.people_scores)]
    Score.objects.bulk_create(_scores(project, given, chance), batch_size=BATCH)
    done = {"state": Turn.State.SCORED, "updated_at": now, "project": project}
    Turn.objects.bulk_create((Turn(item=item, rater=rater, **done) for item, rater in given), batch_size=BATCH)


def _scores(project: Project, given: list[tuple[Item, Rater]], chance: Random) -> Iterator[Score]:
    now = timezone.now()
    for item, rater in given:
        yield Score(
            item=item, rater=rater, rubric_version_id=project.rubric_version_id, overall=chance.randint(-2, 2),
            critique="Made up.", seconds=round(chance.uniform(5, 60), 1), given_at=now,
        )  # fmt: skip


def _count(project: Project, raters: list[Rater]) -> None:
    """The running counts that the services would have kept."""
    items = Item.objects.filter(project=project)
    Project.objects.filter(pk=project.pk).update(item_count=items.count())
    closed = items.filter(is_open=False).count()
    Progress.objects.bulk_create(
        Progress(
            project=project, rater=rater, scored=Score.objects.filter(item__project=project, rater=rater).count(),
            completed=closed if number == 0 else 0,
        )
        for number, rater in enumerate(raters)
    )  # fmt: skip
