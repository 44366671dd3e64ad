"""What a lead sets, and what follows for the items that are there."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts.models import AuditEntry, User
from annotations import services
from annotations.models import Item, Progress, Project
from annotations.selectors.leads import project_warnings
from annotations.services.gold_items import gold_set
from annotations.services.positions import UNKNOWN, position_drawn, positions_drawn
from annotations.services.revocations import revocation_lift, revoke
from tests.annotations.conftest import tuple_of
from tests.annotations.lead import counts_hold, fresh, score

pytestmark = pytest.mark.django_db

CONFIDENCES = [0.9, 0.5, None, 0.1, 0.52, 1.0, 0.0, None, 0.49, 0.75]


@pytest.fixture
def confident(project, write):
    lines = [
        tuple_of(n, metadata={"confidence_score": value} if value is not None else {}) for n, value in enumerate(CONFIDENCES)
    ]
    services.item_import(project=project, path=write(lines), actor=None)
    return project


def in_order(project):
    return [item.stated_confidence for item in Item.objects.filter(project=project).order_by("position")]


def doubt(value):
    return 0.25 if value is None else abs(value - 0.5)


def test_uncertain_hands_out_doubtful_answers_first_and_unknown_ones_in_the_middle(confident):
    services.project_update(project=confident, actor=None, order="uncertain")
    told = in_order(confident)
    assert [doubt(value) for value in told] == sorted(doubt(value) for value in told)
    assert told[0] == 0.5 and set(told[-2:]) == {0.0, 1.0}


def test_import_and_a_change_of_order_draw_the_same_positions(confident, write):
    for order in ("uncertain", "random"):
        services.project_update(project=confident, actor=None, order=order)
        for item in Item.objects.filter(project=confident):
            drawn = position_drawn(order=order, content_hash=item.content_hash, stated_confidence=item.stated_confidence)
            assert item.position == drawn
    services.project_update(project=confident, actor=None, order="uncertain")
    services.item_import(project=confident, path=write([tuple_of(99, metadata={"confidence_score": 0.501})]), actor=None)
    before = list(Item.objects.order_by("pk").values_list("position", flat=True))
    assert positions_drawn(project=fresh(confident)) == 11
    assert list(Item.objects.order_by("pk").values_list("position", flat=True)) == before


def test_a_confidence_that_is_no_binary_fraction_is_placed_alike_by_python_and_the_database(project, write):
    services.project_update(project=project, actor=None, order="uncertain")
    lines = [tuple_of(n, metadata={"confidence_score": n / 997}) for n in range(998)]
    services.item_import(project=project, path=write(lines), actor=None)
    before = dict(Item.objects.values_list("pk", "position"))
    positions_drawn(project=fresh(project))
    assert dict(Item.objects.values_list("pk", "position")) == before
    assert position_drawn(order="uncertain", content_hash="0" * 64, stated_confidence=None) == UNKNOWN << 44


def test_a_change_of_order_lets_everybody_begin_at_the_start(confident, person):
    ann = person("ann")
    score(services.item_next(project=confident, actor=ann), ann)
    assert Progress.objects.get().cursor >= 0
    services.project_update(project=confident, actor=None, order="uncertain")
    assert Progress.objects.get().cursor == -1
    assert services.item_next(project=confident, actor=ann).stated_confidence in {0.5, 0.49, 0.52}


def test_what_is_left_out_stays_and_the_log_says_what_changed(project):
    services.project_update(project=project, actor=None, gold_share=0.1, cap_per_person=40)
    services.project_update(project=project, actor=None, cap_per_person=None, name="Towns")
    project = fresh(project)
    assert (project.gold_share, project.cap_per_person, project.name, project.guidelines) == (0.1, None, "Towns", "Look it *up*.")
    said = AuditEntry.objects.filter(action="annotations.project_updated").latest("pk").detail
    assert said == {"from": {"name": "Capitals", "cap_per_person": 40}, "to": {"name": "Towns", "cap_per_person": None}}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"gold_share": 0.7}, "gold_share"),
        ({"cap_per_person": 0}, "cap_per_person"),
        ({"mode": "sing"}, "mode"),
        ({"candidates_shown": 1}, "candidates_shown"),
        ({"disagreement_threshold": 0.1}, "disagreement_threshold"),
        ({"rubric": "no-such-1"}, "rubric"),
        ({"name": " "}, "name"),
    ],
)
def test_settings_that_are_none_are_refused_in_words_beside_their_field(project, settings, field):
    with pytest.raises(ValidationError) as refused:
        services.project_update(project=project, actor=None, **settings)
    assert field in refused.value.message_dict
    assert fresh(project).name == "Capitals"


def test_more_people_per_item_reopen_all_but_gold_and_deleted_items(project, items, person):
    ann = person("ann")
    for item in items[:4]:
        score(item, ann)
    gold_set(item=items[0], score=1, note="", qualification=False, actor=None)
    Item.every.filter(pk=items[1].pk).update(deleted_at="2026-01-01T00:00:00Z", is_open=False)
    services.project_update(project=project, actor=None, raters_per_item=2)
    opened = set(Item.every.filter(is_open=True).values_list("pk", flat=True))
    assert opened == {item.pk for item in items[2:]}
    counts_hold(project)
    services.project_update(project=project, actor=None, raters_per_item=1)
    assert set(Item.every.filter(is_open=True).values_list("pk", flat=True)) == {item.pk for item in items[4:]}
    counts_hold(project)
    services.project_update(project=project, actor=None, raters_per_item=0)
    assert not Item.every.filter(is_open=True).exists()
    counts_hold(project)


def test_an_item_that_wants_more_people_keeps_waiting_for_them(project, items, person):
    Item.objects.filter(pk=items[0].pk).update(extra_raters=1)
    score(items[0], person("ann"))
    assert fresh(items[0]).is_open
    services.project_update(project=project, actor=None, raters_per_item=2)
    score(items[0], person("ben"))
    assert fresh(items[0]).is_open
    services.project_update(project=project, actor=None, raters_per_item=1)
    assert not fresh(items[0]).is_open
    counts_hold(project)


def test_a_lead_is_told_what_cannot_come_true(project, items):
    assert project_warnings(project=project) == []
    services.project_update(project=project, actor=None, gold_share=0.1, qualification_items=3, members_only=True)
    told = [str(warning) for warning in project_warnings(project=Project.objects.get())]
    assert len(told) == 3 and "10% of the items" in told[0] and "are none" in told[1] and "Only members" in told[2]
    for item in items[:2]:
        gold_set(item=item, score=1, note="", qualification=True, actor=None)
    assert "there are 2." in str(project_warnings(project=Project.objects.get())[1])
    gold_set(item=items[2], score=1, note="", qualification=True, actor=None)
    gold_set(item=items[3], score=1, note="", qualification=False, actor=None)
    assert len(project_warnings(project=Project.objects.get())) == 1


def test_a_project_that_compares_for_a_while_comes_back_to_the_scores_it_had(project, write, person):
    lines = [tuple_of(n, answer=f"Town {n}{letter}.") for n in range(3) for letter in "ab"]
    services.item_import(project=project, path=write(lines), actor=None)
    ann = person("ann")
    scored = services.item_next(project=fresh(project), actor=ann)
    score(scored, ann)
    services.project_update(project=project, actor=None, mode="compare")
    assert Item.objects.filter(is_open=True).count() == 3 == fresh(project).comparison_count
    services.project_update(project=project, actor=None, mode="score")
    assert Item.objects.filter(is_open=True).count() == 5 and not fresh(scored).is_open
    counts_hold(project)


def test_a_project_says_that_its_scores_are_revoked_to_leads_and_to_whoever_scores(project, items, person, client):
    ann = person("ann")
    score(items[0], ann)
    client.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
    desk, told = f"/score/in/{project.slug}/", "does not count at present"
    mine = revoke(target=User.objects.get(pk=ann.pk).rater, reason="Guessed", actor=None)
    assert [str(one) for one in project_warnings(project=project)] == ["1 score here is revoked, and does not count."]
    assert told not in client.get(desk).content.decode()
    lea = person("lea", "member")
    client.force_login(lea, backend="django.contrib.auth.backends.ModelBackend")
    assert "1 revoked" in client.get(reverse("annotations:project-detail", args=[project.slug])).content.decode()
    client.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
    revocation_lift(revocation=mine, reason="No.", actor=None)
    revoke(target=project.rubric_version, reason="Bad wording", actor=None)
    warning = str(project_warnings(project=project)[0])
    assert "count for nothing. Edit the rubric" in warning and len(project_warnings(project=project)) == 1
    assert told in client.get(desk).content.decode()
    client.force_login(lea, backend="django.contrib.auth.backends.ModelBackend")
    for page in ("project-detail", "rubric-detail"):
        assert warning in client.get(reverse(f"annotations:{page}", args=[project.slug])).content.decode()
