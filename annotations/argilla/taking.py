"""An answer on the Argilla server as a score here. The rules stand in docs/argilla.md.

- A submitted answer is a score, given when it was last changed there; a draft is none; a discarded one is a skip.
- Who is mapped to somebody here scores as that person; everybody else as the teacher “argilla:<username>”.
- Where a person scored here and there differently, the later one stands; the other stays beside it, and the conflict is shown.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from annotations.argilla.questions import Given, NotAScore, given_in
from annotations.models import (
    ArgillaConflict,
    ArgillaLink,
    ArgillaPerson,
    ArgillaRecord,
    ArgillaResponse,
    Item,
    Progress,
    Project,
    Rater,
    Score,
    Turn,
)
from annotations.services.qualification import outcome
from annotations.services.raters import person_rater, teacher_rater
from annotations.services.turns import Change, LockedItem, count, item_counted, item_locked, overalls_of, settle, told_by_people

Outcome = ArgillaResponse.Outcome
TEACHER_PREFIX = "argilla:"


class NotTaken(Exception):  # noqa: N818 - reads as what happened
    """This answer changes nothing, and what was taken before stays; the message says why."""


@dataclass(frozen=True)
class Answer:
    """One response as the server tells it."""

    link: ArgillaLink
    record: ArgillaRecord
    person: ArgillaPerson
    response_id: str
    status: str
    updated_at: str
    values: Mapping[str, Any] | None

    @property
    def given_at(self) -> datetime:
        moment = datetime.fromisoformat(self.updated_at)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def rater_for(person: ArgillaPerson) -> Rater:
    return person_rater(user=person.user) if person.user else teacher_rater(name=TEACHER_PREFIX + person.username)


@transaction.atomic
def answer_take(answer: Answer, *, trouble: str = "") -> str:
    """Bring what is here in step with one answer; `trouble`: why no answer of this record is taken. Returns the outcome."""
    Item.every.select_for_update(no_key=True).only("pk").get(pk=answer.record.item_id)
    row = ArgillaResponse.objects.select_for_update().filter(record=answer.record, response_id=answer.response_id).first()
    row = row or ArgillaResponse(record=answer.record, response_id=answer.response_id)
    rater = rater_for(answer.person)
    if row.score_id and row.rater_id != rater.pk:  # mapped to somebody else since
        score_withdraw(row)
    row.person, row.rater, row.status, row.updated_at, row.note = answer.person, rater, answer.status, answer.updated_at, ""
    if answer.status == "submitted":
        row.outcome = _submitted(answer, row, rater, trouble)
    else:
        score_withdraw(row)
        row.outcome = Outcome.DISCARDED if answer.status == "discarded" else Outcome.DRAFT
        if row.outcome == Outcome.DISCARDED:
            _skip(answer)
    row.seen_at = timezone.now()
    row.save()
    return str(row.outcome)


@transaction.atomic
def answer_gone(row: ArgillaResponse, *, keep: str) -> str:
    """The answer is no longer there. `keep` says why its score stays all the same (the person or the record went), or is empty:
    somebody took that answer back, and so it is here.
    """
    Item.every.select_for_update(no_key=True).only("pk").get(pk=row.record.item_id)
    row = ArgillaResponse.objects.select_for_update().get(pk=row.pk)
    if not keep:
        score_withdraw(row)
    row.outcome, row.note, row.seen_at = Outcome.KEPT if keep else Outcome.DELETED, keep, timezone.now()
    row.save()
    return str(row.outcome)


def _submitted(answer: Answer, row: ArgillaResponse, rater: Rater, trouble: str) -> str:
    item = Item.every.get(pk=answer.record.item_id)
    try:
        if trouble or item.deleted_at:
            raise NotTaken(trouble or "the item was deleted here")
        given = given_in(answer.values, rubric=answer.link.rubric_version.rubric, answer=item.answer)
        if given.left_out:
            row.note = f"without its {', '.join(given.left_out)}"
        if answer.person.user:
            return _as_person(answer, row, item, given)
        return _as_teacher(answer, row, rater, given)
    except (NotAScore, NotTaken) as refused:
        row.note = str(refused)[:300]
        if isinstance(refused, NotAScore):
            score_withdraw(row)
        return Outcome.REFUSED


def _as_person(answer: Answer, row: ArgillaResponse, item: Item, given: Given) -> str:
    user = answer.person.user
    assert user is not None
    locked = item_locked(item=item, user=user)
    told = told_by_people(locked)
    mine = next((one for one in told if one.rater_id == locked.place.rater_id), None)
    standing = Score.objects.get(pk=mine.pk) if mine else None
    _must_be_blind(answer, locked)
    is_same = standing is not None and _says_the_same(standing, given)
    if standing is not None and is_same and standing.given_at == answer.given_at:
        row.score = standing  # given by this very answer, perhaps when the project was connected before
        return Outcome.TAKEN
    if standing is not None and standing.pk != row.score_id:
        if is_same:
            return Outcome.AGREES
        theirs_stands = answer.given_at > standing.given_at
        _write_conflict(answer, standing, given, stands="theirs" if theirs_stands else "ours")
        if not theirs_stands:
            return Outcome.OURS
    score = _replace(answer, row, locked.place.rater_id, standing, given)
    overalls = overalls_of(one for one in told if one is not mine)
    overalls += [score.overall] if score.overall is not None and not locked.is_revoked else []
    is_new = standing is None
    closed = item_counted(locked, people=locked.people_scores + is_new, overalls=overalls)
    state = Turn.State.REVEALED if locked.state == Turn.State.REVEALED else Turn.State.SCORED
    settle(locked, state, Change(scored=int(is_new), completed=closed, gold=int(is_new and locked.is_gold)))
    if locked.is_qualification:
        outcome(project=Project.objects.get(pk=locked.project_id), rater=person_rater(user=user))
    return Outcome.TAKEN


def _must_be_blind(answer: Answer, locked: LockedItem) -> None:
    """Raises NotTaken for an answer that was given after its giver had seen the others' scores here, or to their own text."""
    if locked.state == Turn.State.WROTE:
        raise NotTaken("they wrote the answer")
    if locked.state == Turn.State.REVEALED:
        seen = Turn.objects.get(item=locked.pk, rater=locked.place.rater_id).updated_at
        if answer.given_at > seen:
            raise NotTaken("they had seen the others' scores here before")


def _as_teacher(answer: Answer, row: ArgillaResponse, rater: Rater, given: Given) -> str:
    standing = Score.objects.filter(item=answer.record.item_id, rater=rater, withdrawn_at=None).first()
    if standing is not None and _says_the_same(standing, given) and standing.given_at == answer.given_at:
        row.score = standing
        return Outcome.TAKEN
    _replace(answer, row, rater.pk, standing, given)
    if standing is None:
        _count_teacher(answer.link.project_id, rater.pk, 1)
    return Outcome.TAKEN


def _replace(answer: Answer, row: ArgillaResponse, rater_id: int, standing: Score | None, given: Given) -> Score:
    if standing is not None:
        Score.objects.filter(pk=standing.pk).update(withdrawn_at=timezone.now())
    row.score = Score.objects.create(
        item_id=answer.record.item_id,
        rater_id=rater_id,
        rubric_version_id=answer.link.rubric_version_id,
        overall=given.overall,
        dimensions=given.dimensions,
        critique=given.critique,
        spans=given.spans,
        cannot_verify=given.cannot_verify,
        given_at=answer.given_at,
        replaces=standing,
    )
    return row.score


def score_withdraw(row: ArgillaResponse) -> None:
    """Take back the score that an answer gave. A score of the person's own that it had replaced stands again."""
    if row.score_id is None:
        return
    score = Score.objects.select_related("rater__user").get(pk=row.score_id)
    row.score = None
    if score.withdrawn_at:  # given anew here since
        return
    Score.objects.filter(pk=score.pk).update(withdrawn_at=timezone.now())
    if score.rater.user is None:
        _count_teacher(row.record.link.project_id, score.rater_id, -1)
        return
    locked = item_locked(item=Item.every.get(pk=score.item_id), user=score.rater.user)
    earlier = _own_before(score)
    if earlier is not None:
        Score.objects.filter(pk=earlier.pk).update(withdrawn_at=None)
    told = told_by_people(locked)
    opened = item_counted(
        locked,
        people=locked.people_scores - (earlier is None),
        overalls=overalls_of(told),
    )
    gone = int(earlier is None)
    count(locked, Change(scored=-gone, completed=opened, gold=-int(locked.is_gold) * gone))
    if earlier is None:
        Turn.objects.filter(item=locked.pk, rater=score.rater, state=Turn.State.SCORED).delete()


def _own_before(score: Score) -> Score | None:
    """The score that the person gave here, where an answer there took its place."""
    replaced = set(
        ArgillaConflict.objects.filter(item=score.item_id, rater=score.rater_id, stands="theirs").values_list(
            "ours__score", flat=True
        )
    )
    one = score.replaces
    while one is not None and one.pk not in replaced:
        one = one.replaces
    return one


def _skip(answer: Answer) -> None:
    if answer.person.user is None:
        return
    locked: LockedItem = item_locked(item=Item.every.get(pk=answer.record.item_id), user=answer.person.user)
    if locked.state in {None, Turn.State.HELD, Turn.State.ASSIGNED}:
        settle(locked, Turn.State.SKIPPED, Change(skipped=1))


def _count_teacher(project_id: int, rater_id: int, more: int) -> None:
    row, _ = Progress.objects.get_or_create(project_id=project_id, rater_id=rater_id)
    Progress.objects.filter(pk=row.pk).update(scored=F("scored") + more)


def _says_the_same(score: Score, given: Given) -> bool:
    return (score.overall, score.cannot_verify, score.dimensions, score.critique, score.spans) == (
        given.overall,
        given.cannot_verify,
        given.dimensions,
        given.critique,
        given.spans,
    )


def _write_conflict(answer: Answer, standing: Score, given: Given, *, stands: str) -> None:
    ours = {
        "score": standing.pk,
        "overall": standing.overall,
        "dimensions": standing.dimensions,
        "critique": standing.critique,
        "given_at": standing.given_at.isoformat(),
    }
    theirs = {
        "overall": given.overall,
        "dimensions": given.dimensions,
        "critique": given.critique,
        "given_at": answer.given_at.isoformat(),
    }
    ArgillaConflict.objects.get_or_create(
        link=answer.link,
        response_id=answer.response_id,
        response_at=answer.updated_at,
        defaults={"item_id": answer.record.item_id, "rater": standing.rater, "ours": ours, "theirs": theirs, "stands": stands},
    )


def counted(outcomes: Counter[str]) -> dict[str, int]:
    """The outcomes as a sync's counts name them."""
    return {f"responses_{name}": number for name, number in sorted(outcomes.items()) if number}
