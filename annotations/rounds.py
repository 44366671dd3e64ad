"""The rounds of review behind revised answers, as the `turns` of their tuples."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from annotations.fusion import Fused, Given
from annotations.models import Item

Scores = Mapping[int, list[Given]]
COLUMNS = ("id", "answer", "revises", "written_by", "metadata", "open_flags", "deleted_at", "project")


def rounds_before(
    items: Iterable[Item], *, scores_of: Callable[[list[int]], Scores], fused_of: Callable[[Item, list[Given]], Fused | None]
) -> dict[int, list[dict[str, Any]]]:
    """For each of `items` that revises another: `{answer, critique, score}` of every answer before it, the first one first.

    The score is the fused one, or None where there is none. The critique is what whoever revised the answer said about it, else
    the fused feedback. Rounds that the first answer was imported with come before its own. Nothing of a flagged or deleted
    answer is told, nor of what came before it.
    """
    revised = [item for item in items if item.revises_id is not None]
    if not revised:
        return {}
    earlier = _earlier(revised)
    scores = scores_of(sorted(earlier))
    fused = {pk: fused_of(item, scores.get(pk, [])) for pk, item in earlier.items()}
    return {item.pk: _turns(item, earlier, scores, fused) for item in revised}


def _earlier(items: Sequence[Item]) -> dict[int, Item]:
    """All that these revise, directly or not; one query a round."""
    found: dict[int, Item] = {}
    wanted = {item.revises_id for item in items if item.revises_id is not None}
    while wanted:
        rows = Item.every.filter(pk__in=wanted).only(*COLUMNS, "written_by__name").select_related("written_by")
        found |= {row.pk: row for row in rows}
        wanted = {item.revises_id for item in found.values() if item.revises_id is not None} - set(found)
    return found


def _turns(item: Item, earlier: Mapping[int, Item], scores: Scores, fused: Mapping[int, Fused | None]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    later = item
    while later.revises_id is not None:
        one = earlier[later.revises_id]
        if one.open_flags or one.deleted_at:
            break
        turns.insert(0, _turn(one, later, scores.get(one.pk, []), fused[one.pk]))
        later = one
    if later.revises_id is None:
        imported = later.metadata.get("turns")
        turns = [*(imported if isinstance(imported, list) else []), *turns]
    return turns


def _turn(one: Item, later: Item, scores: Sequence[Given], fused: Fused | None) -> dict[str, Any]:
    author = later.written_by.name if later.written_by else None
    said = next((given.critique for given in scores if given.kind == "person" and given.rater == author), "").strip()
    return {
        "answer": one.answer,
        "critique": said or (fused.feedback if fused else ""),
        "score": fused.reward if fused else None,
    }
