"""Made-up items and scores in bulk, for measuring how the site behaves when it is full. Nothing here is for training."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, islice
from math import ceil
from random import Random
from statistics import median
from typing import Any

import orjson
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from accounts.models import Role, User
from annotations.models import Item, Progress, Project, Rater, Score, Turn
from annotations.services.projects import project_create
from annotations.services.raters import person_rater
from annotations.tuples import content_hash, prompt_hash

RATERS_PER_ITEM = 3
TOLD_EVERY = 20_000
# Above this it pays to build the indexes anew afterwards; the tables are locked meanwhile.
REINDEXED_FROM = 50_000
# Of items that came over time.
DAYS = 90
WORDS = [
    "river", "mountain", "harbour", "treaty", "copper", "violin", "senate", "meadow", "theorem", "lantern", "orchard", "glacier",
    "railway", "cathedral", "parliament", "almanac", "compass", "furnace", "granite", "embassy", "monsoon", "pendulum",
]  # fmt: skip
SYLLABLES = ["ba", "co", "du", "fe", "gi", "ha", "jo", "ku", "le", "mi", "na", "po", "qui", "ra", "so", "tu", "ve", "wi", "xa"]
VOCABULARY = 20_000
# Each with its share of the items, so that there are common and rare ones of everything.
SOURCES = {f"model-{number}": 2.0**-number for number in range(7)} | {"model-rare": 0.001}
TAGS = {"audited": 0.12, "health": 0.08, "law": 0.05, "second-batch": 0.03, "hard": 0.01, "look-again": 0.001, "needle": 0.00002}
SKILLS = {"": 0.9, "medicine": 0.05, "law": 0.04, "chemistry": 0.01}
KNOWLEDGE = {None: 0.4, "known": 0.45, "unknown": 0.15}
PRIORITIES = {0: 0.992, 2: 0.005, 3: 0.002, 5: 0.001}
GOLD_SHARE, REVISED_SHARE, FLAGGED_SHARE, UNVERIFIABLE_SHARE = 0.002, 0.02, 0.003, 0.03

Tell = Callable[[str], Any]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Load:
    """What is made, and under which ids."""

    project: Project
    raters: list[Rater]
    items: int
    scores: int
    first: int
    seed: int
    now: datetime
    tell: Tell


@transaction.atomic
def synthetic_load(*, name: str, items: int, scores: int, people: int, password: str | None, seed: int, tell: Tell) -> Project:
    """A project with that many items, scored that many times by made-up people; each has a queue that goes on.

    Raises ValueError where there are more scores than the items can take.
    """
    if scores > items * min(RATERS_PER_ITEM, people):
        raise ValueError(f"{items} items take at most {items * min(RATERS_PER_ITEM, people)} scores by {people} people.")
    project = project_create(name=name, actor=None, raters_per_item=RATERS_PER_ITEM, guidelines="Made up, for measuring.")
    with connection.cursor() as cursor:
        # Where rows wait for their foreign keys to be checked, no index can be built.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    load = Load(project, _people(people, password), items, scores, _first_id(items), seed, timezone.now(), tell)
    with _indexes_afterwards(load):
        _copy(load, Item, ITEM_COLUMNS, _item_rows(load))
        _copy(load, Score, SCORE_COLUMNS, _score_rows(load))
        _copy(load, Turn, TURN_COLUMNS, _turn_rows(load))
    _flag(load)
    _count(load)
    return project


def _people(count: int, password: str | None) -> list[Rater]:
    hashed = make_password(password)
    users = [
        User.objects.get_or_create(username=f"synthetic-{number:03}", defaults={"role": Role.ANNOTATOR, "password": hashed})[0]
        for number in range(count)
    ]
    raters = [person_rater(user=user) for user in users]
    for number, rater in enumerate(raters):
        rater.skills = [skill for place, skill in enumerate(filter(None, SKILLS)) if (number >> place) & 1]
        rater.save(update_fields=["skills"])
    return raters


def _first_id(items: int) -> int:
    """Reserve ids in a row."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE annotations_item IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SELECT nextval('annotations_item_id_seq')")
        first = int(cursor.fetchone()[0])
        cursor.execute("SELECT setval('annotations_item_id_seq', %s)", [first + items])
    return first


class _indexes_afterwards:  # noqa: N801 - read as `with indexes afterwards`
    """Takes the plain indexes of the filled tables away and builds them again at the end: several times faster."""

    TABLES = ("annotations_item", "annotations_score", "annotations_turn")
    PLAIN = """
    SELECT shown.indexname, shown.indexdef FROM pg_indexes AS shown
    JOIN pg_class AS class ON class.relname = shown.indexname JOIN pg_index AS index ON index.indexrelid = class.oid
    WHERE shown.schemaname = current_schema() AND shown.tablename = ANY(%s) AND NOT index.indisunique ORDER BY shown.indexname
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._definitions: list[str] = []

    def __enter__(self) -> None:
        if self._load.items < REINDEXED_FROM:
            return
        with connection.cursor() as cursor:
            cursor.execute(self.PLAIN, [list(self.TABLES)])
            for name, definition in cursor.fetchall():
                self._definitions.append(definition)
                cursor.execute(f'DROP INDEX "{name}"')

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            return
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
            for number, definition in enumerate(self._definitions, 1):
                cursor.execute(definition)
                self._load.tell(f"{number} of {len(self._definitions)} indexes")


def _copy(load: Load, model: type[Item | Score | Turn], columns: Iterable[str], rows: Iterator[Row]) -> None:
    table, done = model._meta.db_table, 0
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        while batch := list(islice(rows, TOLD_EVERY)):
            for row in batch:
                copy.write_row(row)
            done += len(batch)
            load.tell(f"{done} {model._meta.verbose_name_plural}")


def _vocabulary(chance: Random) -> tuple[list[str], list[float]]:
    """Words, and how often each comes, summed up: as in a language, a few are in every text and most are rare."""
    made: dict[str, None] = dict.fromkeys(WORDS)
    while len(made) < VOCABULARY:
        made["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4)))] = None
    # The first words stay in about a third of the answers.
    return list(made), list(accumulate(1 / (rank + 60) for rank in range(VOCABULARY)))


def _drawn(chance: Random, shares: dict[Any, float]) -> Any:
    return chance.choices(list(shares), list(shares.values()))[0]


def _given(load: Load) -> Iterator[list[tuple[int, int | None]]]:
    """Of each item in turn: who scored it, and how. The same each time it is asked for."""
    chance = Random(load.seed)  # noqa: S311 - nothing secret is drawn
    open_places, wanted = load.items * RATERS_PER_ITEM, load.scores
    for _ in range(load.items):
        count = 0
        for _ in range(RATERS_PER_ITEM):
            # Each place is filled with the share of scores that is left: all together are exactly as many as asked for.
            if chance.random() * open_places < wanted:
                count, wanted = count + 1, wanted - 1
            open_places -= 1
        middle, first = chance.randint(-2, 2), chance.randrange(len(load.raters))
        yield [
            ((first + place) % len(load.raters), None if chance.random() < UNVERIFIABLE_SHARE else _near(chance, middle))
            for place in range(min(count, len(load.raters)))
        ]


def _near(chance: Random, middle: int) -> int:
    """People mostly agree."""
    return max(-2, min(2, middle + chance.choices((0, 1, -1, 2, -2, 4, -4), (60, 12, 12, 5, 5, 3, 3))[0]))


ITEM_COLUMNS = (
    "id", "project_id", "prompt", "prompt_is_text", "prompt_text", "answer", "source_model", "stated_confidence", "gold_answers",
    "knowledge", "knowledge_source", "entity", "metadata", "content_hash", "prompt_hash", "position", "people_scores", "is_open",
    "open_flags", "extra_raters", "consensus", "spread", "priority", "skill", "tags", "gold_score", "gold_note",
    "is_qualification", "revises_id", "iteration", "created_at",
)  # fmt: skip


def _item_rows(load: Load) -> Iterator[Row]:
    chance = Random(load.seed + 1)  # noqa: S311 - nothing secret is drawn
    words, weights = _vocabulary(chance)
    for number, given in enumerate(_given(load)):
        drawn = chance.choices(words, cum_weights=weights, k=52)
        yield _item_row(load, number, drawn, given, chance)


def _item_row(load: Load, number: int, drawn: list[str], given: list[tuple[int, int | None]], chance: Random) -> Row:
    topic, said = drawn[:4], drawn[4:]
    prompt = f"Question {number}: what is known about the {' '.join(topic)}?"
    answer = ". ".join(" ".join(said[start : start + 12]).capitalize() for start in range(0, len(said), 12)) + "."
    messages, source = [{"role": "user", "content": prompt}], _drawn(chance, SOURCES)
    hashed = content_hash(messages, answer, source)
    told = [overall for _, overall in given if overall is not None]
    is_gold = chance.random() < GOLD_SHARE and not given
    revised = chance.random() < REVISED_SHARE and number > 0
    confidence = None if chance.random() < 0.1 else round(chance.random(), 2)
    return (
        load.first + number, load.project.pk, orjson.dumps(messages).decode(), True, prompt, answer, source, confidence, "[]",
        _drawn(chance, KNOWLEDGE), "", "", "{}", hashed, prompt_hash(messages), int(hashed[:15], 16), len(given),
        not is_gold and len(given) < RATERS_PER_ITEM, 0, 0, median(told) if told else None,
        max(told) - min(told) if len(told) > 1 else None, _drawn(chance, PRIORITIES), _drawn(chance, SKILLS),
        [tag for tag, share in TAGS.items() if chance.random() < share], chance.randint(-2, 2) if is_gold else None, "", False,
        load.first + chance.randrange(number) if revised else None, int(revised),
        load.now - timedelta(days=DAYS) * (1 - number / load.items),
    )  # fmt: skip


SCORE_COLUMNS = (
    "item_id", "rater_id", "rubric_version_id", "overall", "dimensions", "critique", "spans", "revised_answer", "cannot_verify",
    "seconds", "metadata", "given_at", "created_at",
)  # fmt: skip


def _score_rows(load: Load) -> Iterator[Row]:
    chance = Random(load.seed + 2)  # noqa: S311 - nothing secret is drawn
    for number, given in enumerate(_given(load)):
        for rater, overall in given:
            at = load.now - timedelta(days=DAYS) * (1 - number / load.items) * chance.random()
            yield (
                load.first + number, load.raters[rater].pk, load.project.rubric_version_id, overall, "{}", "Made up.", "[]", "",
                overall is None, round(chance.uniform(5, 60), 1), "{}", at, at,
            )  # fmt: skip


TURN_COLUMNS = ("item_id", "rater_id", "project_id", "state", "updated_at")


def _turn_rows(load: Load) -> Iterator[Row]:
    for number, given in enumerate(_given(load)):
        for rater, _ in given:
            yield load.first + number, load.raters[rater].pk, load.project.pk, Turn.State.SCORED.value, load.now


FLAG = """
WITH flagged AS (
  INSERT INTO annotations_flag (item_id, rater_id, reason, note, created_at)
  SELECT item.id, %(rater)s, 'broken', '', %(now)s FROM annotations_item AS item
  WHERE item.id BETWEEN %(first)s AND %(last)s AND item.id %% %(every)s = 0
  RETURNING item_id
)
UPDATE annotations_item AS item SET open_flags = 1 FROM flagged WHERE item.id = flagged.item_id
"""


def _flag(load: Load) -> None:
    values: dict[str, Any] = {
        "rater": load.raters[0].pk,
        "now": load.now,
        "first": load.first,
        "last": load.first + load.items - 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(FLAG, values | {"every": ceil(1 / FLAGGED_SHARE)})


def _count(load: Load) -> None:
    """The running counts that the services would have kept."""
    with connection.cursor() as cursor:
        # Nobody has looked at what this transaction wrote: a plan for empty tables took an hour for each rater.
        cursor.execute("ANALYZE annotations_item, annotations_score")
    items, scores = Item.objects.filter(project=load.project), Score.objects.filter(item__project=load.project)
    given = dict(scores.order_by().values_list("rater").annotate(Count("pk")))
    golds = items.filter(gold_score__isnull=False).count()
    Project.objects.filter(pk=load.project.pk).update(item_count=items.count(), gold_count=golds)
    closed = items.filter(is_open=False, gold_score=None).count()
    Progress.objects.bulk_create(
        Progress(
            project=load.project, rater=rater, scored=given.get(rater.pk, 0), completed=closed if number == 0 else 0,
        )
        for number, rater in enumerate(load.raters)
    )  # fmt: skip
