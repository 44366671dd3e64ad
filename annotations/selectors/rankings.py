"""Rankings, as far as a person may see them, and how far they agree."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from annotations.models import Item, Project, Ranking, Rater, revoked
from annotations.selectors.revocations import revoked_rankings
from annotations.selectors.scores import may_still_score
from annotations.statistics.rankings import RankingAgreement, ranking_agreement


@dataclass(frozen=True)
class Place:
    """One answer in a ranking."""

    number: int
    item: Item
    rank: int
    is_tied: bool


@dataclass(frozen=True)
class Shown:
    """A ranking with its answers, the best first; numbered as they stood side by side."""

    ranking: Ranking
    places: list[Place]


@dataclass
class SeenRankings:
    """The rankings of an item's prompt that a person may see; `hidden` as in SeenScores."""

    # The item under which the prompt is compared, where it is not this one.
    head: Item
    mine: Shown | None = None
    others: list[Shown] = field(default_factory=list)
    hidden: str = ""

    @property
    def revealing(self) -> list[int]:
        """The items that a person has seen others' rankings of, once this is shown."""
        return sorted({self.head.pk, *(one.ranking.item_id for one in self.others)}) if self.others else []


def rankings_seen(*, item: Item, user: User) -> SeenRankings | None:
    """The live rankings of an item's prompt; None where its answers are not compared. Others' as scores are: not before one has
    given one's own, or the comparison is closed.
    """
    answers = Item.objects.filter(project=item.project_id, prompt_hash=item.prompt_hash, gold_score=None)
    live = _rankings().filter(item__project=item.project_id, item__prompt_hash=item.prompt_hash, withdrawn_at=None)
    rows = list(live)
    if not rows and item.project.mode != Project.Mode.COMPARE:
        return None
    head = answers.order_by("pk").first() or item
    mine = next((row for row in reversed(rows) if row.rater.user_id == user.pk), None)
    others = [row for row in rows if row is not mine]
    shown = rankings_with_answers([mine, *others] if mine else others)
    told = SeenRankings(head, shown[0] if mine else None)
    if others and not user.has_role("member"):
        told.hidden = "role"
    elif others and may_still_score(items=list({row.item for row in others}), user=user):
        told.hidden = "blind"
    else:
        told.others = shown[bool(mine) :]
    return told


def ranking_history(*, item: Item, user: User) -> list[Shown]:
    """A person's own rankings under an item, withdrawn ones too, newest first."""
    return rankings_with_answers(_rankings().filter(item=item, rater__user=user).order_by("-pk"))


def ranking_list(*, project: Project) -> QuerySet[Ranking]:
    """A project's live rankings by people, oldest first."""
    return _rankings().filter(item__project=project, item__deleted_at=None, rater__kind=Rater.Kind.PERSON, withdrawn_at=None)


def rankings_with_answers(rankings: Iterable[Ranking]) -> list[Shown]:
    rows = list(rankings)
    items = Item.every.in_bulk({pk for row in rows for pk in row.shown})
    return [Shown(row, _places(row, items)) for row in rows]


def ranking_documents(*, project: Project, batch: int = 500) -> Iterator[dict[str, Any]]:
    """A project's live rankings as they are written to a file: each with its prompt and answers."""
    rows: list[Ranking] = []
    for row in ranking_list(project=project).iterator(batch):
        rows.append(row)
        if len(rows) == batch:
            yield from _documents(rows)
            rows = []
    yield from _documents(rows)


def _documents(rows: list[Ranking]) -> Iterator[dict[str, Any]]:
    gone = revoked_rankings(rows)
    for shown in rankings_with_answers(rows):
        yield ranking_document(shown) | {"revoked": shown.ranking.pk in gone}


def ranking_document(shown: Shown) -> dict[str, Any]:
    row = shown.ranking
    head = row.item
    places = sorted(shown.places, key=lambda place: place.number)
    return {
        "id": row.pk,
        "item_id": row.item_id,
        "prompt": head.prompt[0]["content"] if head.prompt_is_text else head.prompt,
        "answers": [
            {"item_id": one.item.pk, "answer": one.item.answer, "source_ai": one.item.source_model or None, "rank": one.rank}
            for one in places
        ],
        "all_bad": row.all_bad,
        "critique": row.critique,
        "rater": row.rater.name,
        "seconds": row.seconds,
        "rubric_version": f"{row.rubric_version.name}-{row.rubric_version.version}",
        "given_at": row.given_at.isoformat(),
    }


def project_ranking_agreement(*, project: Project) -> RankingAgreement:
    """Of each rater the latest ranking of a prompt; not those that are revoked."""
    counting = ranking_list(project=project).exclude(revoked()).order_by("given_at", "pk")
    rows = counting.values_list("item__prompt_hash", "rater", "shown", "ranks")
    latest = {(prompt, rater): dict(zip(shown, ranks, strict=True)) for prompt, rater, shown, ranks in rows.iterator(5000)}
    return ranking_agreement((rater, ranks) for (_, rater), ranks in latest.items())


def _rankings() -> QuerySet[Ranking]:
    return Ranking.objects.select_related("rater", "item", "rubric_version").order_by("pk")


def _places(row: Ranking, items: dict[int, Item]) -> list[Place]:
    told = enumerate(zip(row.shown, row.ranks, strict=True), start=1)
    places = [Place(number, items[pk], rank, row.ranks.count(rank) > 1) for number, (pk, rank) in told if pk in items]
    return sorted(places, key=lambda place: (place.rank, place.number))
