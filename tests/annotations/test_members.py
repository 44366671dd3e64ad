"""Who may score in a project, how much, and what they can judge."""

import pytest

from accounts.models import AuditEntry
from annotations import services
from annotations.models import Draft, Item, Project, Turn
from annotations.selectors.members import member_users, members_of
from annotations.services import ScoringRefused
from annotations.services.members import MemberRefused, member_add, member_cap, member_pause, member_resume, member_skills
from annotations.services.raters import person_rater
from tests.annotations.lead import fresh, score

pytestmark = pytest.mark.django_db


def standing(project, user):
    return members_of(project=project, users=[user])[0]


def test_only_members_score_where_the_project_is_for_them_alone(project, items, person):
    ann = person("ann")
    services.project_update(project=project, actor=None, members_only=True)
    project = fresh(project)
    assert services.item_next(project=project, actor=ann) is None
    with pytest.raises(ScoringRefused):
        score(items[0], ann)
    member_add(project=project, user=ann, actor=None)
    assert services.item_next(project=project, actor=ann) is not None


def test_a_pause_gives_back_what_they_hold_and_keeps_what_they_wrote(project, items, person):
    ann, ben = person("ann"), person("ben")
    item = services.item_next(project=project, actor=ann)
    services.draft_save(item=item, actor=ann, data={"critique": "Half a thought"})
    Turn.objects.create(
        item=items[5], project=project, rater=person_rater(user=ann), state="assigned", updated_at=item.created_at
    )
    assert standing(project, ann).assigned == 1
    member_pause(project=project, user=ann, actor=None)
    assert not Turn.objects.filter(rater__user=ann).exists() and Draft.objects.get().data["critique"] == "Half a thought"
    assert services.item_next(project=project, actor=ann) is None
    assert services.item_next(project=project, actor=ben) == item
    member_resume(project=project, user=ann, actor=None)
    assert services.item_next(project=project, actor=ann) is not None
    told = AuditEntry.objects.filter(action__startswith="annotations.member").order_by("pk")
    assert [one.action for one in told] == ["annotations.member_paused", "annotations.member_resumed"]


def test_a_cap_of_ones_own_goes_before_the_projects(project, items, person):
    ann = person("ann")
    services.project_update(project=project, actor=None, cap_per_person=1)
    member_cap(project=project, user=ann, cap=2, actor=None)
    for expected in (True, True, False):
        item = services.item_next(project=fresh(project), actor=ann)
        assert (item is not None) == expected
        if item:
            score(item, ann)
    member_cap(project=project, user=ann, cap=None, actor=None)
    assert standing(project, ann).membership.cap is None
    with pytest.raises(MemberRefused):
        member_cap(project=project, user=ann, cap=0, actor=None)


def test_skills_are_kept_in_small_letters_once_and_open_the_items_that_ask_for_them(project, items, person):
    ann = person("ann")
    Item.objects.update(skill="medicine")
    assert services.item_next(project=project, actor=ann) is None
    rater = member_skills(user=ann, skills=[" Medicine ", "law", "law", ""], actor=None)
    assert rater.skills == ["law", "medicine"]
    assert services.item_next(project=project, actor=ann) is not None
    with pytest.raises(MemberRefused):
        member_skills(user=ann, skills=["x" * 41], actor=None)


def test_the_list_has_everybody_or_in_a_closed_project_those_who_belong_or_belonged(project, items, person):
    ann, ben, cid = person("ann"), person("ben"), person("cid")
    assert list(member_users(project=project)) == [ann, ben, cid]
    score(items[0], ben)
    Project.objects.update(members_only=True)
    project = fresh(project)
    member_add(project=project, user=ann, actor=None)
    assert list(member_users(project=project)) == [ann, ben]
    assert [one.may_score for one in members_of(project=project, users=[ann, ben, cid])] == [True, False, False]
    cid.is_active = False
    cid.save()
    with pytest.raises(MemberRefused):
        member_add(project=project, user=cid, actor=None)
