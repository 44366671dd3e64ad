"""Disputed items: the queue, decisions, sending back, undo."""

from uuid import uuid4

import pytest

from annotations import services
from annotations.models import Item, Project, Score, Turn
from annotations.selectors.adjudication import (
    decision_list,
    decision_reasons,
    decisions_on_mine,
    disputed_items,
    disputed_next,
    voices,
)
from annotations.services.adjudication import AdjudicationRefused, adjudicate, adjudication_undo, item_send_back
from annotations.services.gold_items import gold_set
from tests.annotations.lead import counts_hold, fresh, score

pytestmark = pytest.mark.django_db


@pytest.fixture
def disputed(project, items, person):
    """Three items scored by two people, who differ by 4, 2 and 1."""
    services.project_update(project=project, actor=None, raters_per_item=2)
    ann, ben = person("ann"), person("ben")
    for item, one, other in ((items[0], 1, -1), (items[1], 2, -2), (items[2], 0, 1)):
        score(item, ann, one, critique=f"I say {one}.", dimensions={"calibration": 1})
        score(item, ben, other, spans=[{"start": 0, "end": 4, "label": "claim"}])
    return [fresh(item) for item in items[:3]]


def decide(item, actor, overall=-1, **more):
    return adjudicate(item=item, actor=actor, submission=uuid4(), overall=overall, reason=more.pop("reason", "fact"), **more)


def test_the_most_disputed_item_comes_first_and_those_below_the_threshold_do_not_come(project, disputed):
    assert list(disputed_items(project=fresh(project))) == [disputed[1], disputed[0]]
    assert disputed_next(project=fresh(project)) == disputed[1]
    assert disputed_next(project=fresh(project), after=disputed[1]) == disputed[0]
    assert disputed_next(project=fresh(project), after=disputed[0]) is None
    services.project_update(project=project, actor=None, disagreement_threshold=1)
    assert disputed_items(project=fresh(project)).count() == 3


def test_an_item_that_still_waits_for_a_score_is_not_in_the_queue_and_cannot_be_decided(project, disputed, items, person):
    services.project_update(project=project, actor=None, raters_per_item=3)
    assert not disputed_items(project=fresh(project)).exists()
    with pytest.raises(AdjudicationRefused, match="waits"):
        decide(disputed[0], person("mo", "member"))


def test_a_decision_takes_the_item_off_the_queue_and_withdraws_no_persons_score(project, disputed, person):
    mo = person("mo", "member")
    decision = decide(disputed[1], mo, critique=" It was **checked**. ", dimensions={"calibration": -1})
    assert (decision.rater.kind, decision.rater.name, decision.metadata) == ("adjudicator", "mo", {"reason": "fact"})
    assert decision.critique == "It was **checked**." and decision.overall == -1
    item = fresh(disputed[1])
    assert item.adjudicated_at == decision.given_at and (item.consensus, item.spread, item.people_scores) == (0, 4, 2)
    assert list(disputed_items(project=fresh(project))) == [disputed[0]]
    assert Score.objects.filter(item=item, withdrawn_at=None).count() == 3
    assert Turn.objects.get(item=item, rater__user=mo).state == "revealed"
    counts_hold(project)


def test_the_same_submission_twice_is_one_decision(disputed, person):
    mo, key = person("mo", "member"), uuid4()
    first = adjudicate(item=disputed[0], actor=mo, submission=key, overall=1, reason="other")
    assert adjudicate(item=disputed[0], actor=mo, submission=key, overall=1, reason="other") == first
    with pytest.raises(AdjudicationRefused):
        adjudicate(item=disputed[1], actor=mo, submission=key, overall=1, reason="other")


def test_two_leads_do_not_overwrite_each_other_unknowingly(disputed, person):
    mo, max_ = person("mo", "member"), person("max", "member")
    first = decide(disputed[0], mo)
    with pytest.raises(AdjudicationRefused, match="mo has decided"):
        decide(disputed[0], max_, 2)
    second = decide(disputed[0], max_, 2, instead_of=first.pk)
    assert fresh(first).withdrawn_at and second.replaces == first
    assert Score.objects.filter(item=disputed[0], rater__kind="adjudicator", withdrawn_at=None).count() == 1


def test_undo_brings_back_the_earlier_decision_and_then_the_dispute(project, disputed, person):
    mo = person("mo", "member")
    first = decide(disputed[0], mo)
    second = decide(disputed[0], mo, 2, instead_of=first.pk)
    adjudication_undo(item=disputed[0], actor=mo)
    assert fresh(second).withdrawn_at and not fresh(first).withdrawn_at
    assert fresh(disputed[0]).adjudicated_at == first.given_at
    adjudication_undo(item=disputed[0], actor=mo)
    assert fresh(disputed[0]).adjudicated_at is None and disputed_items(project=fresh(project)).count() == 2
    with pytest.raises(AdjudicationRefused):
        adjudication_undo(item=disputed[0], actor=mo)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"overall": None}, "overall"),
        ({"overall": 3}, "overall"),
        ({"reason": "tired"}, "reason"),
        ({"dimensions": {"beauty": 1}}, "beauty"),
    ],
)
def test_what_is_no_decision_is_refused(disputed, person, given, field):
    with pytest.raises(AdjudicationRefused) as refused:
        adjudicate(
            **{"item": disputed[0], "actor": person("mo", "member"), "submission": uuid4(), "overall": 1, "reason": "fact"}
            | given
        )
    assert refused.value.field == field


def test_that_nobody_can_tell_is_a_decision_too_and_no_zero(disputed, person):
    decision = decide(disputed[0], person("mo", "member"), None, cannot_verify=True)
    assert decision.overall is None and decision.cannot_verify


def test_an_item_that_is_sent_back_goes_first_to_somebody_new(project, disputed, person):
    cid = person("cid")
    item_send_back(item=disputed[1], actor=person("mo", "member"))
    item = fresh(disputed[1])
    assert (item.extra_raters, item.is_open, item.priority) == (1, True, 1)
    counts_hold(project)
    assert services.item_next(project=fresh(project), actor=cid) == item
    score(item, cid, -2)
    assert not fresh(item).is_open and disputed_next(project=fresh(project)) == item
    counts_hold(project)
    item_send_back(item=item, actor=None)
    assert fresh(item).extra_raters == 2
    with pytest.raises(AdjudicationRefused, match="waits"):
        item_send_back(item=item, actor=None)


def test_a_decided_item_is_not_sent_back_and_a_gold_item_not_decided(project, disputed, person):
    mo = person("mo", "member")
    decide(disputed[0], mo)
    with pytest.raises(AdjudicationRefused, match="decided"):
        item_send_back(item=disputed[0], actor=mo)
    gold_set(item=disputed[1], score=1, note="", qualification=False, actor=mo)
    with pytest.raises(AdjudicationRefused, match="gold item"):
        decide(disputed[1], mo)
    assert not disputed_items(project=fresh(project)).exists()


def test_voices_have_letters_in_an_order_of_their_own_and_say_what_was_marked(disputed):
    told = voices(item=disputed[0])
    assert [one.letter for one in told] == ["A", "B"]
    assert {one.score.rater.name for one in told} == {"ann", "ben"}
    assert [one.marks for one in told if one.score.rater.name == "ben"] == [[("claim", disputed[0].answer[:4])]]
    assert voices(item=disputed[0]) == told


def test_reasons_are_counted_over_the_decisions_that_stand(project, disputed, person):
    mo = person("mo", "member")
    first = decide(disputed[0], mo, reason="guideline")
    decide(disputed[0], mo, reason="misread", instead_of=first.pk)
    decide(disputed[1], mo, reason="misread")
    gold_set(item=disputed[2], score=1, note="", qualification=False, actor=mo)
    assert decision_reasons(project=project) == {"misread": 2}
    assert [one.item_id for one in decision_list(project=project)] == [disputed[1].pk, disputed[0].pk]


def test_people_find_the_decisions_on_what_they_scored(project, disputed, items, person):
    mo = person("mo", "member")
    decide(disputed[0], mo, critique="Both right in part.")
    ann = Score.objects.filter(rater__name="ann").first().rater.user
    (told,) = decisions_on_mine(user=ann)
    assert (told.mine.overall, told.decision.overall, told.decision.critique) == (1, -1, "Both right in part.")
    assert decisions_on_mine(user=mo) == [] and Item.objects.count() == 10 and Project.objects.count() == 1


def test_nothing_is_sent_back_where_answers_are_compared(project, disputed):
    services.project_update(project=project, actor=None, mode="compare")
    with pytest.raises(AdjudicationRefused, match="asks nobody for scores"):
        item_send_back(item=disputed[0], actor=None)
    assert not fresh(disputed[0]).is_open
