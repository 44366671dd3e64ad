"""Items as JSON lines or CSV, with the scores that a person may see. What tells them others' scores marks their turns."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from accounts import audit
from accounts.models import User
from annotations.models import Item, Score
from annotations.selectors.item_filter import ItemFilter
from annotations.selectors.item_matches import item_matches
from annotations.selectors.items import item_rows
from annotations.selectors.revocations import revoked_among
from annotations.selectors.scores import may_still_score
from annotations.services.blindness import scores_shown
from annotations.services.bulk import BulkRefused
from jobs.figures import harmless

FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
BATCH = 500
MOST_NAMED = 10_000
COLUMNS = (
    "id", "project", "prompt", "answer", "source_model", "stated_confidence", "gold_answer", "knowledge", "entity", "tags",
    "skill", "priority", "iteration", "revises", "created_at", "people_scores", "consensus", "spread", "scores",
)  # fmt: skip


def item_export(
    *, wanted: ItemFilter | None = None, items: Sequence[int] = (), kind: str = "jsonl", with_scores: bool = True,
    actor: User | None,
) -> Iterator[bytes]:  # fmt: skip
    """The file in pieces. Items are read in batches by number, so that one that is imported meanwhile is in or not, and none
    comes twice. Raises BulkRefused.
    """
    if kind not in FORMATS:
        raise BulkRefused(f"“{kind}” is neither jsonl nor csv.")
    if actor is not None and not actor.has_role("member"):
        raise BulkRefused("That is for the role member.")
    if (wanted is None and not items) or len(items) > MOST_NAMED:
        raise BulkRefused(f"Name 1 to {MOST_NAMED} items, or ask for them by a filter.")
    detail: dict[str, object] = {"query": wanted.query} if wanted else {"named": len(items)}
    audit.record(actor=actor, action="annotations.items_exported", detail=detail | {"scores": with_scores, "format": kind})
    return _pieces(wanted, sorted(set(items)), kind, with_scores, actor)


def _pieces(wanted: ItemFilter | None, items: list[int], kind: str, with_scores: bool, actor: User | None) -> Iterator[bytes]:
    if kind == "csv":
        yield _csv([COLUMNS])
    for numbers in _batches(wanted, items, actor):
        rows = [row for row in item_rows(items=numbers, whole=True) if wanted is not None or row.deleted_at is None]
        blind = may_still_score(items=rows, user=actor) if actor else set()
        scores = _scores(rows, blind, actor) if with_scores else {}
        gone = revoked_among(row.pk for row in rows) if with_scores else frozenset()
        documents = [_document(row, scores.get(row.pk, []), gone, row.pk not in blind) for row in rows]
        if kind == "csv":
            yield _csv([[_cell(document[column]) for column in COLUMNS] for document in documents])
        else:
            yield b"".join(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE) for document in documents)


def _batches(wanted: ItemFilter | None, items: list[int], actor: User | None) -> Iterator[list[int]]:
    if wanted is None:
        yield from (items[start : start + BATCH] for start in range(0, len(items), BATCH))
        return
    for arm in item_matches(wanted=wanted, user=actor).arms:
        numbers = arm.items.order_by("pk").values_list("pk", flat=True)
        after = 0
        while batch := list(numbers.filter(pk__gt=after)[:BATCH]):
            yield batch
            after = batch[-1]


def _scores(rows: list[Item], blind: set[int], actor: User | None) -> dict[int, list[Score]]:
    """The live scores that they may see. Where there are others' among them, that is noted."""
    told: dict[int, list[Score]] = {}
    live = Score.objects.filter(item__in=rows, withdrawn_at=None).select_related("rater", "rubric_version").order_by("pk")
    for score in live.defer("rubric_version__data"):
        if score.item_id not in blind or (actor and score.rater.user_id == actor.pk):
            told.setdefault(score.item_id, []).append(score)
    if actor is not None:
        others = [item for item, of_item in told.items() if any(score.rater.user_id != actor.pk for score in of_item)]
        scores_shown(items=others, actor=actor)
    return told


def _document(item: Item, scores: list[Score], gone: frozenset[int], sees_all: bool) -> dict[str, Any]:
    # They tell others' scores: only where those are shown.
    people = sees_all and any(score.rater.kind == "person" for score in scores)
    return {
        "id": item.pk,
        "project": item.project.slug,
        "prompt": item.prompt_text if item.prompt_is_text else item.prompt,
        "answer": item.answer,
        "source_model": item.source_model or None,
        "stated_confidence": item.stated_confidence,
        "gold_answer": item.gold_answers,
        "knowledge": item.knowledge,
        "entity": item.entity or None,
        "tags": item.tags,
        "skill": item.skill or None,
        "priority": item.priority if item.priority > 1 else 0,
        "iteration": item.iteration,
        "revises": item.revises_id,
        "created_at": item.created_at.isoformat(),
        "people_scores": item.people_scores,
        "consensus": item.consensus if people else None,
        "spread": item.spread if people else None,
        "scores": [_score(score, is_revoked=score.pk in gone) for score in scores],
    }


def _score(score: Score, *, is_revoked: bool) -> dict[str, Any]:
    return {
        "rater": score.rater.name,
        "kind": score.rater.kind,
        "overall": score.overall,
        "cannot_verify": score.cannot_verify,
        "dimensions": score.dimensions,
        "critique": score.critique,
        "spans": score.spans,
        "rubric": f"{score.rubric_version.name}-{score.rubric_version.version}",
        "given_at": score.given_at.isoformat(),
        "revoked": is_revoked,
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return harmless(value) if isinstance(value, str) else orjson.dumps(value).decode()


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
