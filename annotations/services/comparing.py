"""Rankings of several answers to one prompt. One item of the prompt, its head, is handed out for all of them."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from annotations.models import Draft, Item, Project, Ranking, Rater, Turn
from annotations.ranks import BLANKS, MOST, dense
from annotations.services.opening import completed_add
from annotations.services.positions import POSITION_SQL
from annotations.services.turns import (
    Change,
    LockedItem,
    ScoringRefused,
    asked_otherwise,
    count,
    item_locked,
    may_score,
    sane_seconds,
    settle,
    storable,
)

# The head of a prompt is its oldest item. What opens takes its place in the order as it now is.
OPEN = """
WITH heads AS (
  SELECT prompt_hash, min(id) AS id FROM annotations_item
  WHERE project_id = %(project)s AND deleted_at IS NULL AND gold_score IS NULL
  GROUP BY prompt_hash HAVING min(btrim(answer, %(blanks)s)) <> max(btrim(answer, %(blanks)s))
), ranked AS (
  SELECT ranking.item_id AS id, count(*) AS people
  FROM annotations_ranking AS ranking JOIN heads ON heads.id = ranking.item_id
  JOIN annotations_rater AS rater ON rater.id = ranking.rater_id
  WHERE ranking.withdrawn_at IS NULL AND rater.kind = 'person'
  GROUP BY ranking.item_id
), wanted AS (
  SELECT item.id, CASE WHEN heads.id IS NULL THEN item.people_scores ELSE coalesce(ranked.people, 0) END AS people,
    heads.id IS NOT NULL AND %(needed)s > 0 AND coalesce(ranked.people, 0) < %(needed)s + item.extra_raters AS is_open,
    heads.id IS NOT NULL AS is_head
  FROM annotations_item AS item LEFT JOIN heads ON heads.id = item.id LEFT JOIN ranked ON ranked.id = item.id
  WHERE item.project_id = %(project)s
), changed AS (
  UPDATE annotations_item AS item SET is_open = wanted.is_open, people_scores = wanted.people,
    position = CASE WHEN wanted.is_open AND NOT item.is_open THEN {position} ELSE position END
  FROM wanted
  WHERE item.id = wanted.id AND (item.is_open, item.people_scores) IS DISTINCT FROM (wanted.is_open, wanted.people)
)
SELECT count(*), count(*) FILTER (WHERE NOT is_open) FROM wanted WHERE is_head
"""

# What somebody holds that can be compared with nothing: they would wait for a page that does not come.
LET_GO = """
DELETE FROM annotations_turn AS turn USING annotations_item AS item
WHERE turn.project_id = %(project)s AND turn.state IN ('held', 'assigned') AND item.id = turn.item_id
AND (item.gold_score IS NOT NULL OR NOT EXISTS (
  SELECT FROM annotations_item AS other
  WHERE other.project_id = %(project)s AND other.prompt_hash = item.prompt_hash AND other.deleted_at IS NULL
    AND other.gold_score IS NULL AND btrim(other.answer, %(blanks)s) <> btrim(item.answer, %(blanks)s)
))
"""

# As many people have scored each item as there are live scores by people: heads counted rankings.
RECOUNT = """
WITH told AS (
  SELECT score.item_id, count(*) AS people
  FROM annotations_score AS score JOIN annotations_item AS item ON item.id = score.item_id
  JOIN annotations_rater AS rater ON rater.id = score.rater_id
  WHERE item.project_id = %(project)s AND score.withdrawn_at IS NULL AND rater.kind = 'person'
  GROUP BY score.item_id
), wanted AS (
  SELECT item.id, coalesce(told.people, 0) AS people
  FROM annotations_item AS item LEFT JOIN told ON told.item_id = item.id
  WHERE item.project_id = %(project)s
)
UPDATE annotations_item AS item SET people_scores = wanted.people
FROM wanted WHERE item.id = wanted.id AND item.people_scores <> wanted.people
"""


@transaction.atomic
def comparisons_open(*, project: Project) -> int:
    """Open one item of every prompt that has several answers, as long as it lacks rankings, and close all others; count anew
    how many comparisons there are, which is returned, and how many are done.

    To be called where a project begins to compare, and where its items come, go or come back: with no item locked, since
    it takes the project for itself and so waits for everybody who is ranking there.
    """
    project = Project.objects.select_for_update(of=("self",)).get(pk=project.pk)
    values: dict[str, int | str] = {"project": project.pk, "needed": project.raters_per_item, "blanks": BLANKS}
    with connection.cursor() as run:
        run.execute(OPEN.format(position=POSITION_SQL[project.order]), values)
        comparisons, done = (int(number) for number in run.fetchone())
        run.execute(LET_GO, values)
    Project.objects.filter(pk=project.pk).update(comparison_count=comparisons)
    done = done if project.raters_per_item else 0
    completed_add(project=project, change=done - sum(project.progress.values_list("completed", flat=True)))
    return comparisons


def comparisons_closed(*, project: Project) -> None:
    """The project compares no longer: of each item, scores are counted again and not rankings.

    The caller holds the project's row, and then opens the items that lack scores.
    """
    with connection.cursor() as run:
        run.execute(RECOUNT, {"project": project.pk})


def candidates(*, item: Item, rater: Rater, first: Sequence[int] = (), most: int = MOST) -> list[Item]:
    """The answers that `rater` is shown of an item's prompt, in the order in which they are shown; `most` of them at most.

    Drawn for each person anew, so that no answer stands first for everybody; the same whenever the same person asks. Where there
    are more than are shown, those of the items `first` are taken before others, in their order.
    """
    answers: dict[str, Item] = {}
    for one in _answers(item).only("answer", "stated_confidence", "written_by").order_by("pk"):
        answers.setdefault(one.answer.strip(BLANKS), one)
    found = list(answers.values())
    others = [one for one in found if one.written_by_id != rater.pk]
    found = others if len(others) > 1 else found
    shown = Project.objects.values_list("candidates_shown", flat=True).get(pk=item.project_id)
    drawn = sorted(found, key=lambda one: sha256(f"{item.pk}:{rater.pk}:{one.pk}".encode()).digest())
    places = {pk: place for place, pk in enumerate(first)}
    taken = sorted(drawn, key=lambda one: places.get(one.pk, len(places)))[: min(shown, most)]
    return [one for one in drawn if one in taken]


@transaction.atomic
def ranking_submit(
    *,
    item: Item,
    actor: User,
    submission: UUID,
    shown: Sequence[int],
    ranks: Sequence[int] = (),
    all_bad: bool = False,
    critique: str = "",
    seconds: float | None = None,
) -> Ranking:
    """Take a person's order of several answers: `shown` are items as they stood side by side, `ranks` where each of them comes,
    1 the best, equal ranks a tie. The ranks may be left out where all are bad. The same `submission` again gives back the
    ranking that it made the first time; a second ranking by the same person replaces the first.

    Raises ScoringRefused for a ranking that is none.
    """
    locked = item_locked(item=item, user=actor)
    rater = Rater(pk=locked.place.rater_id)
    mine = Q(item=locked.pk, rater=rater, withdrawn_at=None)
    before = list(Ranking.objects.filter(mine | Q(submission=submission)))
    known = next((one for one in before if one.submission == submission), None)
    if known is not None:
        return _own(known, locked)
    _may_rank(locked, item)
    _check(item, shown, ranks, all_bad)
    standing = before[0] if before else None
    if standing is not None:
        Ranking.objects.filter(pk=standing.pk).update(withdrawn_at=timezone.now())
    ranking = Ranking.objects.create(
        item_id=locked.pk,
        rater=rater,
        rubric_version_id=locked.rubric_version_id,
        shown=list(shown),
        ranks=dense(ranks) if ranks else [1] * len(shown),
        all_bad=all_bad,
        critique=storable(critique),
        seconds=sane_seconds(seconds),
        submission=submission,
        given_at=timezone.now(),
        replaces=standing,
    )
    is_new = standing is None
    closed = _counted(locked, item, people=locked.people_scores + is_new)
    settle(locked, Turn.State.SCORED, Change(scored=int(is_new), completed=closed, seconds=ranking.seconds or 0.0))
    audit.record(actor=actor, action="annotations.answers_ranked", target=item, detail={"ranking": ranking.pk})
    return ranking


def ranking_withdraw(item: LockedItem, rater: Rater) -> Ranking | None:
    """Withdraw a person's ranking. Returns the one that it had replaced, which stands again; else what was written is a draft.

    Raises ScoringRefused for what was given before the project compared.
    """
    ranking = Ranking.objects.filter(item=item.pk, rater=rater, withdrawn_at=None).select_related("replaces").first()
    if ranking is None:
        raise asked_otherwise(item)
    now = timezone.now()
    Ranking.objects.filter(pk=ranking.pk).update(withdrawn_at=now)
    earlier = ranking.replaces
    if earlier is not None:
        Ranking.objects.filter(pk=earlier.pk).update(withdrawn_at=None)
        count(item, Change(seconds=-(ranking.seconds or 0.0)))
        return earlier
    data = {
        "shown": ranking.shown,
        "ranks": ranking.ranks,
        "all_bad": ranking.all_bad,
        "critique": ranking.critique,
        "seconds": ranking.seconds or 0,
    }
    Draft.objects.update_or_create(item_id=item.pk, rater=rater, defaults={"data": data, "updated_at": now})
    opened = _counted(item, Item.every.only("project", "prompt_hash").get(pk=item.pk), people=item.people_scores - 1)
    count(item, Change(scored=-1, completed=opened, seconds=-(ranking.seconds or 0.0)))
    return None


def _answers(item: Item) -> QuerySet[Item]:
    """What can be compared under an item: its prompt's answers."""
    return Item.objects.filter(project=item.project_id, prompt_hash=item.prompt_hash, gold_score=None)


def _head(item: Item) -> int | None:
    """The item under which an item's answers are compared now."""
    return _answers(item).order_by("pk").values_list("pk", flat=True).first()


def _may_rank(locked: LockedItem, item: Item) -> None:
    may_score(locked)
    if locked.place.mode != Project.Mode.COMPARE:
        raise ScoringRefused(_("This project asks for no comparisons."))
    if locked.state is None and (head := _head(item)) != item.pk:
        raise ScoringRefused(_("These answers are compared under item %(item)s.") % {"item": head})


def _check(item: Item, shown: Sequence[int], ranks: Sequence[int], all_bad: bool) -> None:
    if len(set(shown)) < 2 or len(set(shown)) != len(shown):
        raise ScoringRefused(_("A ranking is of two answers or more, each of them once."), "shown")
    # One that was deleted while it was being looked at is accepted: datasets leave it out.
    there = Item.every.filter(project=item.project_id, prompt_hash=item.prompt_hash, pk__in=shown).count()
    if there != len(shown):
        raise ScoringRefused(_("These are not answers to the same prompt."), "shown")
    if not ranks and not all_bad:
        raise ScoringRefused(_("Put the answers in order, or say that all are bad."), "ranks")
    if ranks and (len(ranks) != len(shown) or min(ranks) < 1):
        raise ScoringRefused(_("Every answer needs a rank, counted from 1."), "ranks")


def _own(known: Ranking, item: LockedItem) -> Ranking:
    if (known.rater_id, known.item_id) != (item.place.rater_id, item.pk):
        raise ScoringRefused(_("This submission belongs to another ranking."), "submission")
    return known


def _counted(locked: LockedItem, item: Item, *, people: int) -> int:
    """Write down how many have ranked it. Returns +1 where that closed the comparison, −1 where it opened it, else 0.

    An item that is the head no more, since an older one has come back, keeps its rankings and opens no second comparison.
    """
    wanted = locked.place.needed + locked.extra_raters
    is_head = not locked.is_deleted and _head(item) == locked.pk
    Item.every.filter(pk=locked.pk).update(people_scores=people, is_open=is_head and people < wanted)
    return int(locked.people_scores < wanted) - int(people < wanted) if is_head else 0
