"""Leads change a project while people score in it: nobody waits for ever, and the running counts stay right."""

from random import Random
from uuid import uuid4

import pytest

from annotations import services
from annotations.models import Item, Project, Score
from annotations.services.adjudication import AdjudicationRefused, adjudicate, item_send_back
from annotations.services.gold_items import gold_clear, gold_set
from annotations.services.members import member_pause, member_resume
from annotations.services.rubrics import rubric_edit
from tests.annotations.conftest import tuple_of
from tests.annotations.lead import counts_hold, fresh
from tests.annotations.test_concurrency import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def test_people_score_while_leads_change_everything_there_is(project, write, person):
    services.item_import(project=project, path=write(tuple_of(n) for n in range(60)), actor=None)
    services.project_update(project=project, actor=None, raters_per_item=2, gold_share=0.2)
    people = [person(f"ann{number}") for number in range(4)]
    mo, max_ = person("mo", "member"), person("max", "member")
    numbers = list(Item.objects.values_list("pk", flat=True))

    def annotate(user):
        choose = Random(user.username)
        for _ in range(25):
            item = services.item_next(project=project, actor=user)
            if item is None:
                continue
            try:
                services.score_submit(item=item, actor=user, submission=uuid4(), overall=choose.randint(-2, 2))
            except services.ScoringRefused:  # paused in the meantime
                continue
            if choose.random() < 0.2:
                services.score_undo(project=project, actor=user)

    def lead(user):
        choose = Random(user.username)
        for turn in range(25):
            item = Item.objects.get(pk=choose.choice(numbers))
            try:
                if turn % 3 == 0:
                    gold_set(item=item, score=1, note="", qualification=False, actor=user)
                elif turn % 3 == 1 and item.gold_score is not None:
                    gold_clear(item=item, actor=user)
                elif turn % 2:
                    adjudicate(item=item, actor=user, submission=uuid4(), overall=1, reason="fact")
                else:
                    item_send_back(item=item, actor=user)
            except AdjudicationRefused:
                continue

    def change(_):
        rubric = project.rubric_version.rubric.model_dump(mode="json", exclude={"version"})
        for turn in range(6):
            services.project_update(
                project=project, actor=None, raters_per_item=1 + turn % 3, order=["random", "uncertain"][turn % 2]
            )
            rubric_edit(project=project, data=rubric | {"summary": f"Turn {turn}."}, actor=None)
            (member_pause if turn % 2 else member_resume)(project=project, user=people[0], actor=None)

    def bring(_):
        services.item_import(
            project=project, path=write((tuple_of(n, metadata={"gold_score": 1}) for n in range(90, 120)), "more"), actor=None
        )

    jobs = [*((annotate, one) for one in people), (lead, mo), (lead, max_), (change, None), (bring, None)]
    in_threads(lambda job: job[0](job[1]), jobs)
    counts_hold(project)
    now = fresh(project)
    for item in Item.objects.filter(project=project):
        people_scores = item.scores.filter(rater__kind="person", withdrawn_at=None).count()
        assert item.people_scores == people_scores
        assert item.is_open == (item.gold_score is None and people_scores < now.raters_per_item + item.extra_raters)
        assert item.scores.filter(rater__kind="adjudicator", withdrawn_at=None).count() <= 1
    assert Project.objects.count() == 1 and Score.objects.exists()
