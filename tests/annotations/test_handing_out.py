"""Which item a person is handed: urgent, assigned, gold and qualification items, skills, caps, memberships."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import Sum
from django.utils import timezone

from annotations import services
from annotations.models import Item, Membership, Progress, Project, Turn
from annotations.services import Handout, ScoringRefused, item_handout, item_next, item_skip, score_submit, score_undo
from annotations.services.raters import person_rater


def score(item, actor, overall=1, **more):
    return score_submit(item=item, actor=actor, submission=uuid4(), overall=overall, **more)


def change(project, **settings):
    Project.objects.filter(pk=project.pk).update(**settings)


def gold(items, value=1.0, **more):
    for item in items:
        Item.objects.filter(pk=item.pk).update(gold_score=value, is_open=False, **more)


def membership(project, user, **settings):
    return Membership.objects.update_or_create(project=project, rater=person_rater(user=user), defaults=settings)[0]


def handed(project, actor, number):
    """The items that somebody scores one after the other."""
    got = []
    for _ in range(number):
        item = item_next(project=project, actor=actor)
        if item is None:
            break
        score(item, actor)
        got.append(item.pk)
    return got


@pytest.fixture
def ann(person):
    return person("ann")


@pytest.fixture
def ben(person):
    return person("ben")


def test_urgent_items_come_first_and_then_the_walk_goes_on_where_it_was(project, items, ann):
    first = handed(project, ann, 3)
    assert first == [item.pk for item in items[:3]]
    Item.objects.filter(pk__in=[items[8].pk, items[9].pk]).update(priority=2)
    Item.objects.filter(pk=items[9].pk).update(priority=3)
    assert handed(project, ann, 4) == [items[9].pk, items[8].pk, items[3].pk, items[4].pk]


def test_an_item_with_a_lower_priority_comes_last(project, items, ann):
    Item.objects.filter(pk=items[0].pk).update(priority=-1)
    assert handed(project, ann, 20)[-1] == items[0].pk


def test_an_item_that_names_a_skill_goes_to_those_who_have_it(project, items, ann, ben):
    Item.objects.exclude(pk=items[0].pk).update(is_open=False)
    Item.objects.filter(pk=items[0].pk).update(skill="medicine")
    assert item_next(project=project, actor=ann) is None
    rater = person_rater(user=ben)
    rater.skills = ["law", "medicine"]
    rater.save()
    assert item_next(project=project, actor=ben) == items[0]


def test_an_assigned_item_is_that_persons_until_it_goes_back_to_the_queue(project, items, ann, ben):
    mine = items[5]
    until = timezone.now() + timedelta(days=7)
    Turn.objects.create(
        item=mine, rater=person_rater(user=ann), project=project, state="assigned", held_until=until, updated_at=timezone.now()
    )
    assert mine.pk not in handed(project, ben, 20)
    Turn.objects.filter(item=mine).update(held_until=timezone.now() - timedelta(seconds=1))
    assert handed(project, ben, 20) == [mine.pk]


def test_an_assigned_item_comes_before_the_queue(project, items, ann):
    until = timezone.now() + timedelta(days=7)
    Turn.objects.create(
        item=items[7],
        rater=person_rater(user=ann),
        project=project,
        state="assigned",
        held_until=until,
        updated_at=timezone.now(),
    )
    assert handed(project, ann, 2) == [items[7].pk, items[0].pk]


def test_an_assigned_item_keeps_its_long_hold_when_it_is_opened(project, items, ann):
    until = timezone.now() + timedelta(days=7)
    turn = Turn.objects.create(
        item=items[7],
        rater=person_rater(user=ann),
        project=project,
        state="assigned",
        held_until=until,
        updated_at=timezone.now(),
    )
    assert item_next(project=project, actor=ann) == items[7]
    turn.refresh_from_db()
    assert turn.held_until == until


def test_a_cap_ends_the_queue_and_a_membership_may_set_another(project, items, ann):
    change(project, cap_per_person=3)
    assert len(handed(project, ann, 20)) == 3
    assert item_handout(project=project, actor=ann).reason == "cap"
    membership(project, ann, cap=5)
    assert len(handed(project, ann, 20)) == 2
    assert item_handout(project=project, actor=ann).reason == "cap"


def test_a_cap_counts_what_is_in_front_of_a_person(project, items, ann):
    change(project, cap_per_person=2)
    first = item_next(project=project, actor=ann)
    second = item_next(project=project, actor=ann, besides=[first.pk])
    assert second is not None
    assert item_handout(project=project, actor=ann, besides=[first.pk, second.pk]).reason == "cap"


def test_a_project_for_members_hands_out_to_members_alone_and_takes_scores_from_them_alone(project, items, ann, ben):
    change(project, members_only=True)
    membership(project, ann)
    assert item_next(project=project, actor=ann) == items[0]
    assert item_handout(project=project, actor=ben).reason == "not-a-member"
    with pytest.raises(ScoringRefused, match="members"):
        score(items[1], ben)


def test_whoever_is_paused_gets_nothing_but_what_they_hold_is_taken(project, items, ann):
    first = item_next(project=project, actor=ann)
    membership(project, ann, is_active=False)
    assert item_handout(project=project, actor=ann).reason == "paused"
    assert score(first, ann).overall == 1
    with pytest.raises(ScoringRefused, match="paused"):
        score(items[1], ann)


def test_gold_items_are_handed_to_everybody_and_never_close(project, items, ann, ben):
    gold(items[:2])
    change(project, gold_share=0.5)
    expected = {item.pk for item in items[:2]}
    # Half of what is handed out is gold by chance: both come among the first of many, whatever the chance.
    Item.objects.exclude(pk__in=expected).update(extra_raters=5)
    for somebody in (ann, ben):
        got = handed(project, somebody, 10)
        assert len(got) == len(set(got))
        scored_gold = expected & set(got)
        progress = Progress.objects.get(project=project, rater__user=somebody)
        assert progress.gold == len(scored_gold)
        assert progress.scored == len(got)
    assert not Item.objects.filter(pk__in=expected, is_open=True).exists()
    assert Progress.objects.filter(project=project).aggregate(all=Sum("completed"))["all"] == 0


def test_the_share_of_gold_is_about_what_was_asked_for(project, items, person):
    gold(items[:5])
    change(project, gold_share=0.5, raters_per_item=50)
    got = [item_next(project=project, actor=person(f"p{number}")).pk for number in range(60)]
    share = sum(pk in {item.pk for item in items[:5]} for pk in got) / len(got)
    assert 0.2 < share < 0.8  # by chance outside in fewer than one of 200,000


def test_without_a_share_no_gold_item_is_handed_out(project, items, ann):
    gold(items[:2])
    assert len(handed(project, ann, 20)) == 8


def test_undoing_the_score_of_a_gold_item_takes_it_out_of_the_count_and_brings_it_back(project, items, ann):
    gold(items)
    change(project, gold_share=0.5)
    got = next(item for item in (item_next(project=project, actor=ann) for _ in range(200)) if item is not None)
    score(got, ann)
    score_undo(project=project, actor=ann)
    assert Progress.objects.get(project=project, rater__user=ann).gold == 0
    assert item_next(project=project, actor=ann) == got


def test_somebody_new_gets_the_qualification_items_and_nothing_else_until_qualified(project, items, ann):
    gold(items[:3], -2.0, is_qualification=True)
    change(project, qualification_items=2)
    assert handed(project, ann, 20) == [items[0].pk, items[1].pk]
    assert item_handout(project=project, actor=ann).reason == "qualification"
    membership(project, ann, qualified_at=timezone.now(), qualified_by="waived")
    assert handed(project, ann, 20) == [item.pk for item in items[3:]]


def test_a_page_that_loads_ahead_gets_no_more_qualification_items_than_are_asked_for(project, items, ann):
    gold(items[:3], is_qualification=True)
    change(project, qualification_items=2)
    first = item_next(project=project, actor=ann)
    ahead = item_next(project=project, actor=ann, besides=[first.pk])
    assert [first, ahead] == items[:2]
    assert item_next(project=project, actor=ann, besides=[first.pk, ahead.pk]) is None
    score(first, ann)
    assert item_next(project=project, actor=ann, besides=[first.pk, ahead.pk]) is None
    score(ahead, ann)
    assert item_next(project=project, actor=ann, besides=[first.pk, ahead.pk]) == items[3]


def test_a_project_without_qualification_items_asks_nobody_to_qualify(project, items, ann):
    change(project, qualification_items=5)
    assert item_next(project=project, actor=ann) == items[0]


def test_an_item_keeps_the_median_and_the_spread_of_peoples_scores(project, items, person):
    change(project, raters_per_item=3)
    people = [person(f"p{number}") for number in range(3)]
    score(items[0], people[0], 2)
    assert consensus(items[0]) == (2, None)
    score(items[0], people[1], -1)
    assert consensus(items[0]) == (0.5, 3)
    score(items[0], people[2], None, cannot_verify=True)
    assert consensus(items[0]) == (0.5, 3)
    score_undo(project=project, actor=people[1])
    assert consensus(items[0]) == (2, None)
    score(items[0], people[0], 1)
    assert consensus(items[0]) == (1, None)


def test_a_disputed_item_comes_first_and_gets_more_raters_once(project, items, person):
    change(project, raters_per_item=2, extra_raters=1, disagreement_threshold=3)
    ann, ben, cleo, dan = (person(name) for name in ("ann", "ben", "cleo", "dan"))
    score(items[6], ann, 2)
    score(items[6], ben, -2)
    disputed = Item.objects.get(pk=items[6].pk)
    assert (disputed.is_open, disputed.priority, disputed.extra_raters) == (True, 1, 1)
    assert item_next(project=project, actor=cleo) == disputed
    assert completed(project) == 0
    score(disputed, cleo, 2)
    disputed.refresh_from_db()
    assert (disputed.is_open, disputed.spread, completed(project)) == (False, 4, 1)
    assert item_next(project=project, actor=dan) == items[0]
    score_undo(project=project, actor=cleo)
    disputed.refresh_from_db()
    assert (disputed.is_open, completed(project)) == (True, 0)


def test_nobody_is_handed_or_may_score_the_answer_that_they_wrote(project, items, ann):
    Turn.objects.create(
        item=items[0], rater=person_rater(user=ann), project=project, state="wrote", held_until=None, updated_at=timezone.now()
    )
    assert item_next(project=project, actor=ann) == items[1]
    with pytest.raises(ScoringRefused, match="wrote"):
        score(items[0], ann)


def test_a_deleted_item_is_handed_to_nobody_and_takes_no_score(project, items, ann):
    item = item_next(project=project, actor=ann)
    Item.objects.filter(pk=item.pk).update(deleted_at=timezone.now())
    assert item_next(project=project, actor=ann) == items[1]
    with pytest.raises(ScoringRefused, match="deleted"):
        score(item, ann)


def test_marks_are_stored_with_the_score_and_a_wrong_mark_refuses_it(project, items, ann):
    given = score(items[0], ann, spans=[{"start": 0, "end": 4, "label": "claim"}])
    assert given.spans == [{"start": 0, "end": 4, "label": "claim"}]
    with pytest.raises(ScoringRefused, match="Mark 1") as refused:
        score(items[1], ann, spans=[{"start": 0, "end": 999, "label": "claim"}])
    assert refused.value.field == "spans"


def test_a_skipped_item_that_was_assigned_goes_to_others(project, items, ann, ben):
    until = timezone.now() + timedelta(days=7)
    Turn.objects.create(
        item=items[0],
        rater=person_rater(user=ann),
        project=project,
        state="assigned",
        held_until=until,
        updated_at=timezone.now(),
    )
    item_skip(item=items[0], actor=ann)
    assert item_next(project=project, actor=ben) == items[0]


def consensus(item):
    return Item.objects.values_list("consensus", "spread").get(pk=item.pk)


def completed(project):
    return Progress.objects.filter(project=project).aggregate(all=Sum("completed"))["all"]


class TestWhatOthersFinishedInTheMeantime:
    """It is let go, so it is no longer counted as held."""

    @pytest.fixture
    def lost(self, project, items, ann, ben):
        """Ann held two items too long, and Ben has scored them."""
        held = [item_next(project=project, actor=ann)]
        held.append(item_next(project=project, actor=ann, besides=[held[0].pk]))
        Turn.objects.update(held_until=timezone.now() - timedelta(hours=1))
        for item in held:
            score(item, ben)
        return held

    def test_it_takes_nothing_of_a_cap(self, project, lost, ann):
        change(project, cap_per_person=2)
        assert len(handed(project, ann, 5)) == 2

    def test_it_is_no_qualification_item(self, project, items, lost, ann):
        left = Item.objects.filter(is_open=True)[:2]
        gold(left, is_qualification=True)
        change(project, qualification_items=2)
        assert len(handed(project, ann, 2)) == 2


def test_a_project_that_compares_hands_out_no_gold_and_asks_for_no_qualification(project, items, ann):
    gold(items[:3])
    gold(items[3:4], is_qualification=True)
    change(project, gold_share=1, qualification_items=1)
    assert item_next(project=project, actor=ann) == items[3]
    services.project_update(project=project, actor=None, mode="compare", gold_share=0.5)
    change(project, gold_share=1)
    assert item_handout(project=project, actor=ann) == Handout()


class TestWhatWasNotHandedOut:
    """Who sends a score of an item that they never had is asked the same as who asks for one."""

    def test_a_cap_holds(self, project, items, ann):
        change(project, cap_per_person=1)
        score(items[0], ann)
        with pytest.raises(ScoringRefused, match="as many items as one person may"):
            score(items[1], ann)
        score(items[0], ann, 2)

    def test_the_qualification_comes_first(self, project, items, ann):
        gold(items[:1], is_qualification=True)
        change(project, qualification_items=1)
        with pytest.raises(ScoringRefused, match="qualification"):
            score(items[1], ann)
        score(items[0], ann)
        score(items[1], ann)
