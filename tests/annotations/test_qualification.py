"""A newcomer's first items: feedback, passing, failing, and another attempt."""

import pytest

from accounts.models import AuditEntry
from annotations import services
from annotations.models import Item, Membership, Project, Score, Turn
from annotations.services import qualification
from annotations.services.gold_items import gold_set
from annotations.services.qualification import feedback, feedback_list, judged, outcome, qualification_again, qualification_waive
from annotations.services.raters import person_rater
from tests.annotations.lead import counts_hold, fresh, score

pytestmark = pytest.mark.django_db


@pytest.fixture
def trial(project, items):
    """Four qualification items, of which newcomers score three and must get two thirds right."""
    for item in items[:4]:
        gold_set(item=item, score=1, note="It says what it is unsure of.", qualification=True, actor=None)
    services.project_update(project=project, actor=None, qualification_items=3, qualification_pass=2 / 3)
    return fresh(project)


def answer(project, user, overalls):
    scores = []
    for overall in overalls:
        item = services.item_next(project=project, actor=user)
        scores.append(score(item, user, overall, cannot_verify=overall is None))
    return scores


def stands(project, user):
    return outcome(project=project, rater=person_rater(user=user))


@pytest.mark.parametrize(
    ("given", "reference", "how"),
    [(1, 1, "right"), (2, 1, "near"), (0, 1, "near"), (-1, 1, "off"), (None, 1, "unscored"),
     (1, 1.5, "right"), (2, 1.5, "right"), (0, 1.5, "near"), (-1, 1.5, "off")],
)  # fmt: skip
def test_exact_is_right_and_within_one_step_is_near(given, reference, how):
    assert judged(given=given, reference=reference) == how


def test_who_gets_enough_right_is_qualified_and_goes_on_to_the_queue(trial, items, person):
    ann = person("ann")
    assert stands(trial, ann).state == "under way"
    scores = answer(trial, ann, [1, 2, 1])
    assert all(fresh(one.item).is_qualification for one in scores)
    told = [feedback(score=one) for one in scores]
    assert [one.how for one in told] == ["right", "near", "right"] and told[1].given == 2 and told[1].reference == 1
    assert told[0].note == "It says what it is unsure of."
    result = stands(trial, ann)
    assert (result.state, result.right, result.near, result.left, result.attempt) == ("passed", 2, 1, 0, 1)
    member = Membership.objects.get()
    assert member.qualified_at and member.qualified_by == "passed"
    assert AuditEntry.objects.filter(action="annotations.qualification_passed", actor=ann).count() == 1
    assert fresh(services.item_next(project=trial, actor=ann)).is_open
    counts_hold(trial)


def test_who_fails_is_handed_nothing_until_a_lead_allows_another_attempt(trial, items, person):
    ann, lead = person("ann"), person("lead", "admin")
    first = answer(trial, ann, [1, -1, None])
    result = stands(trial, ann)
    assert (result.state, result.right, result.share) == ("failed", 1, pytest.approx(1 / 3))
    handout = services.item_handout(project=trial, actor=ann)
    assert (handout.item, handout.reason) == (None, "qualification")
    services.scores_shown(items=[one.item_id for one in first], actor=ann)
    member = qualification_again(project=trial, user=ann, actor=lead)
    assert (member.attempt, member.qualified_at) == (2, None)
    assert (
        not Score.objects.filter(rater__user=ann, withdrawn_at=None).exists()
        and Score.objects.filter(rater__user=ann).count() == 3
    )
    counts_hold(trial)
    assert set(Item.objects.filter(pk__in=[one.item_id for one in first]).values_list("people_scores", flat=True)) == {0}
    again = answer(trial, ann, [1, 1, 1])
    assert [one.item_id for one in again] == [one.item_id for one in first]
    assert stands(trial, ann).state == "passed" and stands(trial, ann).attempt == 2
    counts_hold(trial)


def test_a_lead_can_waive_it(trial, items, person):
    ann = person("ann")
    qualification_waive(project=trial, user=ann, actor=person("lead", "admin"))
    assert stands(trial, ann).state == "waived"
    assert fresh(services.item_next(project=trial, actor=ann)).is_open


def test_what_is_right_is_told_of_qualification_items_alone(trial, items, person):
    ann = person("ann")
    qualification_waive(project=trial, user=ann, actor=None)
    gold_set(item=items[9], score=2, note="Secret.", qualification=False, actor=None)
    assert feedback(score=score(items[9], ann)) is None
    assert feedback(score=score(items[8], ann)) is None
    assert feedback_list(project=trial, rater=person_rater(user=ann)) == []


def test_after_the_feedback_a_score_can_be_neither_changed_nor_taken_back(trial, items, person):
    ann = person("ann")
    (first,) = answer(trial, ann, [0])
    services.scores_shown(items=[first.item_id], actor=ann)
    with pytest.raises(services.ScoringRefused):
        score(first.item, ann, 1)
    with pytest.raises(services.ScoringRefused):
        services.score_undo(project=trial, actor=ann)
    assert stands(trial, ann).answered == 1


def test_a_project_with_fewer_qualification_items_asks_for_those_it_has(trial, items, person):
    ann = person("ann")
    services.project_update(project=trial, actor=None, qualification_items=9)
    answer(fresh(trial), ann, [1, 1, 1, 1])
    assert stands(fresh(trial), ann).state == "passed"


def test_no_qualification_is_asked_where_there_are_no_items_for_it(project, items, person):
    services.project_update(project=project, actor=None, qualification_items=3)
    ann = person("ann")
    assert stands(fresh(project), ann).state == qualification.NOT_ASKED
    assert services.item_next(project=fresh(project), actor=ann) is not None
    assert not Membership.objects.exists() and Turn.objects.count() == 1 and Project.objects.count() == 1
