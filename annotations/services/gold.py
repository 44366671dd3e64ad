"""Scores by gold answers: each answer is judged against its gold answers, and the rubric says what the verdict is worth."""

from collections.abc import Iterable, Iterator
from itertools import islice

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Item, Progress, Project, Rater, Score
from annotations.rubric import Rubric
from annotations.services.alone import alone
from annotations.services.raters import gold_rater
from annotations.verdicts import Verdict, judge

BATCH = 1000
CRITIQUES = {
    Verdict.CORRECT: "Gives the gold answer.",
    Verdict.HEDGED_CORRECT: "Gives the gold answer, with doubt.",
    Verdict.ABSTAINED: "Says that it does not know.",
    Verdict.HEDGED_WRONG: "Does not give the gold answer, but admits doubt.",
    Verdict.WRONG: "Does not give the gold answer, and admits no doubt.",
    Verdict.UNPARSABLE: "There is nothing in it to judge.",
}


@transaction.atomic
def gold_score(*, project: Project, items: "QuerySet[Item] | Iterable[Item] | None" = None, actor: User | None = None) -> int:
    """Score the project's items that have gold answers (or those of `items` that do); returns how many scores are new.

    Scoring again changes nothing, unless the rubric or a gold answer has changed: then the new score replaces the old.
    """
    rater, rubric = gold_rater(), project.rubric_version.rubric
    # One scorer of a project at a time: a second would write the same scores. And no item goes or comes meanwhile.
    alone(project.pk)
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    wanted = _with_gold(project) if items is None else iter(items)
    added = fresh = 0
    while batch := [item for item in islice(wanted, BATCH)]:  # noqa: C416 - islice ends the batch, not the iterator
        scores = _new_scores(project, [item for item in batch if item.gold_answers], rater, rubric)
        Score.objects.filter(pk__in=[one.replaces_id for one in scores if one.replaces_id]).update(withdrawn_at=timezone.now())
        Score.objects.bulk_create(scores, batch_size=500)
        added += len(scores)
        fresh += sum(one.replaces_id is None for one in scores)
    if added:
        row, _ = Progress.objects.get_or_create(project=project, rater=rater)
        Progress.objects.filter(pk=row.pk).update(scored=F("scored") + fresh)
        audit.record(actor=actor, action="annotations.gold_scored", target=project, detail={"scores": added})
    return added


def _with_gold(project: Project) -> Iterator[Item]:
    columns = ("id", "answer", "gold_answers")
    return Item.objects.filter(project=project).exclude(gold_answers=[]).only(*columns).order_by("pk").iterator(BATCH)


def _new_scores(project: Project, items: list[Item], rater: Rater, rubric: Rubric) -> list[Score]:
    live = {score.item_id: score for score in Score.objects.filter(item__in=items, rater=rater, withdrawn_at=None)}
    made = (_score(project, item, rater, rubric, live.get(item.pk)) for item in items)
    return [score for score in made if score is not None]


def _score(project: Project, item: Item, rater: Rater, rubric: Rubric, standing: Score | None) -> Score | None:
    verdict = judge(item.answer, item.gold_answers)
    overall = rubric.score_for(verdict)
    if standing and standing.overall == overall and standing.rubric_version_id == project.rubric_version_id:
        return None
    return Score(
        item=item,
        rater=rater,
        rubric_version_id=project.rubric_version_id,
        overall=overall,
        cannot_verify=overall is None,
        critique=CRITIQUES[verdict],
        metadata={"verdict": verdict.value},
        given_at=timezone.now(),
        replaces=standing,
    )
