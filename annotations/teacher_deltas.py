"""Teachers' rewards made to agree with preferences: by how much each answer's moves, for the builds that ask for it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice

from django.db.models import Q, QuerySet

from annotations.fusion import Fused, Given
from annotations.models import Item, Project, Ranking, Rater, revoked
from annotations.ranking_rows import Vote, preferred
from annotations.teachers.deltas import deltas
from annotations.tuple_stream import COLUMNS, given_scores

# Prompts at a time.
BATCH = 200
# What people say, and the preferences that files brought: another teacher's order is no better than the scores themselves.
TOLD = Q(rater__kind=Rater.Kind.PERSON) | Q(rater__kind=Rater.Kind.TEACHER, source_import__isnull=False)
# A reward by any other rule, and one that people's scores are part of, is not the teachers' and stays.
BY_TEACHERS = ("median", "teachers-weighted", "teachers-majority", "teachers-dawid-skene")

# Of two answers, by their words, the better and the worse.
Preference = tuple[str, str]


def teacher_deltas(
    project: Project, *, strength: float, fused_of: Callable[[Item, list[Given]], Fused | None]
) -> dict[int, float]:
    """By item: what is added to a reward that is made of teachers' scores, so that of every two such answers the one that people
    put first (where none has, imported preferences) leads. Answers that nobody held against each other are not in it.
    """
    prompts = _rankings(project).order_by("item__prompt_hash").values_list("item__prompt_hash", flat=True).distinct().iterator()
    found: dict[int, float] = {}
    while hashes := list(islice(prompts, BATCH)):
        wanted = _preferences(project, hashes)
        for hashed, rewards, words in _rewards(project, hashes, fused_of):
            pairs = [(one, other) for better, worse in wanted[hashed] for one in words[better] for other in words[worse]]
            found |= deltas(rewards, pairs, strength=strength)
    return found


def _rankings(project: Project) -> QuerySet[Ranking]:
    return Ranking.objects.filter(TOLD, item__project=project, item__open_flags=0, withdrawn_at=None).exclude(revoked())


def _preferences(project: Project, hashes: Sequence[str]) -> dict[str, list[Preference]]:
    """What more than half of a prompt's raters say, of each their latest order; imported ones only where no person has one."""
    rows = list(
        _rankings(project).filter(item__prompt_hash__in=hashes).select_related("rater", "item").order_by("given_at", "pk")
    )
    answers = Item.every.filter(pk__in={pk for row in rows for pk in row.shown}).values_list("pk", "answer")
    words = {pk: answer.strip() for pk, answer in answers}
    by_people = {row.item.prompt_hash for row in rows if row.rater.kind == Rater.Kind.PERSON}
    votes: dict[str, dict[tuple[int, frozenset[int]], Vote]] = defaultdict(dict)
    for row in rows:
        hashed, is_person = row.item.prompt_hash, row.rater.kind == Rater.Kind.PERSON
        if hashed in by_people and not is_person:
            continue
        seen = {words[item]: rank for item, rank in zip(row.shown, row.ranks, strict=True) if item in words}
        # A file may hold several orders by one teacher, of different answers each.
        votes[hashed][row.rater_id, frozenset(() if is_person else row.shown)] = Vote(row.rater.name, seen)
    return {hashed: preferred(votes[hashed].values()) for hashed in hashes}


def _rewards(
    project: Project, hashes: Sequence[str], fused_of: Callable[[Item, list[Given]], Fused | None]
) -> Iterator[tuple[str, dict[int, float], dict[str, list[int]]]]:
    """Of each prompt the rewards by teachers, by item, and which items have which words."""
    items = Item.objects.filter(project=project, prompt_hash__in=hashes, open_flags=0).only(*COLUMNS)
    ordered = list(items.select_related("written_by").order_by("prompt_hash", "content_hash"))
    scores = given_scores([item.pk for item in ordered])
    for hashed, group in groupby(ordered, key=lambda item: item.prompt_hash):
        rewards, words = _by_teachers(group, scores, fused_of)
        yield hashed, rewards, words


def _by_teachers(
    items: Iterable[Item], scores: dict[int, list[Given]], fused_of: Callable[[Item, list[Given]], Fused | None]
) -> tuple[dict[int, float], dict[str, list[int]]]:
    rewards: dict[int, float] = {}
    words: dict[str, list[int]] = defaultdict(list)
    for item in items:
        fused = fused_of(item, scores.get(item.pk, []))
        if fused is not None and not fused.people and fused.method in BY_TEACHERS:
            rewards[item.pk] = fused.reward
            words[item.answer.strip()].append(item.pk)
    return rewards, words
