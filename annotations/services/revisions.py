"""Revised answers: items of their own, which others score. Who wrote one is never shown to who scores it."""

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from annotations.models import Draft, Item, Project, Score, Turn
from annotations.services.import_batch import item_made
from annotations.services.turns import ScoringRefused


def revision_exchange(*, was: Score | None, score: Score | None) -> Item | None:
    """Somebody's live score of an item is now `score` in place of `was`; so are the items that their revised answers became.
    Returns the new one, if there is one. A revised answer that both have stays the item that it is.

    Raises ScoringRefused where others have scored the old one, or have begun to. Where there is nothing new to score, no item
    is made and nobody is told: an answer that the project has already, a revision after the last round or of a gold item.

    To be called with the item locked, and last in a transaction: the project's count of items is everybody's.
    """
    if was is not None and score is not None and was.revised_answer.strip() == score.revised_answer.strip():
        return None
    gone = _withdrawn(was) if was is not None else None
    revision = _created(score) if score is not None else None
    project, change = (gone or revision or Item()).project_id, int(revision is not None) - int(gone is not None)
    if change:
        Project.objects.filter(pk=project).update(item_count=F("item_count") + change)
    return revision


def _created(score: Score) -> Item | None:
    """The item that a score's revised answer becomes: the same question, one round later, never handed to its author."""
    if not (answer := score.revised_answer.strip()):
        return None
    item = score.item
    if item.iteration >= item.project.review_rounds or item.gold_score is not None:
        return None
    revision = item_made(
        project=item.project,
        prompt=item.prompt,
        answer=answer,
        prompt_is_text=item.prompt_is_text,
        gold_answers=item.gold_answers,
        knowledge=item.knowledge,
        knowledge_source=item.knowledge_source,
        entity=item.entity,
        skill=item.skill,
        revises=item,
        iteration=item.iteration + 1,
        written_by_id=score.rater_id,
    )
    if _is_known(revision):
        return None
    try:
        with transaction.atomic():
            revision.save(force_insert=True)
    except IntegrityError:  # somebody else wrote the same in this instant
        return None
    wrote = {"state": Turn.State.WROTE, "updated_at": timezone.now()}
    Turn.objects.create(item=revision, rater_id=score.rater_id, project=item.project, **wrote)
    _record("annotations.answer_revised", revision, score)
    return revision


def _withdrawn(score: Score) -> Item | None:
    """The item that a score's revised answer became and that is no more; None where it became none."""
    revision = _revision_of(score)
    if revision is None:
        return None
    # Whoever scores it at this moment has it locked: then this waits, and finds their score.
    Item.every.select_for_update(of=("self",)).only("pk").get(pk=revision.pk)
    if Score.objects.filter(item=revision).exists() or Item.every.filter(revises=revision).exists():
        raise ScoringRefused(_("Others have scored your revised answer already, so what you said stands."), "revised_answer")
    if Draft.objects.filter(item=revision).exists():
        raise ScoringRefused(_("Somebody is scoring your revised answer, so what you said stands."), "revised_answer")
    _record("annotations.revision_withdrawn", revision, score)
    Item.every.filter(pk=revision.pk).delete()
    return None if revision.deleted_at else revision


def _is_known(revision: Item) -> bool:
    """Whether the prompt has this answer already, whoever gave it; of a deleted item only the very same counts."""
    same_prompt = Item.every.filter(project=revision.project_id, prompt_hash=revision.prompt_hash)
    answers = same_prompt.values_list("answer", "content_hash", "deleted_at")
    return any(
        hashed == revision.content_hash or (deleted is None and answer.strip() == revision.answer)
        for answer, hashed, deleted in answers
    )


def _revision_of(score: Score) -> Item | None:
    if not score.revised_answer:
        return None
    mine = Item.every.filter(revises=score.item_id, written_by=score.rater_id)
    answer = score.revised_answer.strip()
    return next((item for item in mine.order_by("pk") if item.answer == answer), None)


def _record(action: str, revision: Item, score: Score) -> None:
    by = User.objects.filter(rater=score.rater_id).first()
    audit.record(actor=by, action=action, target=revision, detail={"item": score.item_id, "score": score.pk})
