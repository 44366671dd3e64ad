"""Gold items: out of the queue, with a reference, and the counts stay right."""

import pytest
from django.test import Client

from annotations import services
from annotations.models import Item, Progress, Project, Rater, Score, Turn
from annotations.selectors.gold_items import gold_candidates, gold_figures, gold_item_list, suggested_references
from annotations.services.adjudication import adjudicate
from annotations.services.gold_items import GoldRefused, gold_clear, gold_set
from annotations.services.members import member_add
from annotations.services.raters import person_rater
from tests.annotations.conftest import tuple_of
from tests.annotations.lead import counts_hold, fresh, score

pytestmark = pytest.mark.django_db


def gold(item, actor=None, overall=1, note="Because.", qualification=False):
    return gold_set(item=item, score=overall, note=note, qualification=qualification, actor=actor)


def test_a_gold_item_leaves_the_queue_and_its_reference_is_an_adjudicators_score(project, items, person):
    mo = person("mo", "member")
    gold(items[0], mo)
    item = fresh(items[0])
    assert (item.gold_score, item.gold_note, item.is_open, item.is_qualification) == (1, "Because.", False, False)
    reference = Score.objects.get()
    assert (reference.rater.kind, reference.rater.name, reference.overall, reference.critique) == (
        "adjudicator",
        "mo",
        1,
        "Because.",
    )
    assert reference.metadata == {"gold": True}
    counts_hold(project)
    assert Project.objects.get().task_count == 9


def test_changing_the_reference_replaces_it_and_counts_it_once(project, items, person):
    gold(items[0], overall=1)
    gold(items[0], person("mo", "member"), overall=-1, note="No.")
    first, second = Score.objects.order_by("pk")
    assert first.withdrawn_at and second.replaces == first and second.overall == -1
    assert fresh(items[0]).gold_score == -1
    counts_hold(project)


def test_an_item_that_was_done_is_no_longer_counted_as_done_and_is_again_when_cleared(project, items, person):
    ann = person("ann")
    score(items[0], ann)
    score(items[1], ann)
    counts_hold(project)
    gold(items[0])
    counts_hold(project)
    assert Progress.objects.get(rater__user=ann).gold == 1
    gold_clear(item=items[0], actor=None)
    assert not fresh(items[0]).is_open and fresh(items[0]).gold_score is None
    counts_hold(project)
    gold(items[5])
    gold_clear(item=items[5], actor=None)
    assert fresh(items[5]).is_open
    assert not Score.objects.filter(rater__kind="adjudicator", withdrawn_at=None).exists()
    gold_clear(item=items[5], actor=None)  # a second time changes nothing
    counts_hold(project)


def test_scores_given_on_gold_items_keep_the_counts_right(project, items, person):
    ann, ben = person("ann"), person("ben")
    gold(items[0])
    score(items[0], ann, -2)
    score(items[0], ben, 1)
    assert not fresh(items[0]).is_open
    counts_hold(project)
    gold_clear(item=items[0], actor=None)
    assert not fresh(items[0]).is_open  # it has more scores than it needs
    counts_hold(project)


def test_holds_and_assignments_end_and_late_work_still_counts(project, items, person):
    ann = person("ann")
    item = services.item_next(project=project, actor=ann)
    gold(item)
    assert not Turn.objects.filter(item=item).exists()
    assert score(item, ann).overall == 1
    counts_hold(project)


@pytest.mark.parametrize("value", [-2.5, 3])
def test_a_reference_lies_on_the_scale(items, value):
    with pytest.raises(GoldRefused):
        gold(items[0], overall=value)


def test_a_project_that_compares_has_no_gold_items(project, items):
    Project.objects.filter(pk=project.pk).update(mode="compare")
    with pytest.raises(GoldRefused, match="compares"):
        gold(items[0])


def test_a_decision_stands_again_when_its_item_is_no_longer_gold(project, items, person):
    mo = person("mo", "member")
    score(items[0], person("ann"), -2)
    decision = adjudicate(item=items[0], actor=mo, submission="7" * 32, overall=2, reason="fact", critique="It is so.")
    gold(items[0], mo, overall=2, note="It is so.")
    assert fresh(decision).withdrawn_at
    gold(items[0], mo, overall=1, note="Nearly.")
    gold_clear(item=items[0], actor=mo)
    assert Score.objects.get(rater__kind="adjudicator", withdrawn_at=None) == decision


def test_people_are_measured_on_what_they_gave_since_the_item_was_gold(project, items, person):
    services.project_update(project=project, actor=None, raters_per_item=4)
    score(items[0], person("early"), 1)
    gold(items[0], overall=1)
    for name, overall in (("a", -2), ("b", -1), ("c", -2)):
        score(items[0], person(name), overall)
    score(items[0], person("d"), None, cannot_verify=True)
    gold(items[0], overall=2)  # the reference was corrected: they are still measured
    (figures,) = gold_figures(items=list(gold_item_list(project=project)))
    assert (figures.people, figures.right, figures.unsure) == (3, 0, 1)
    assert figures.deviation == pytest.approx(-11 / 3) and figures.share == 0 and figures.is_doubtful


def test_candidates_are_decided_items_then_those_on_which_people_agree(project, items, person):
    services.project_update(project=project, actor=None, raters_per_item=2)
    ann, ben, mo = person("ann"), person("ben"), person("mo", "member")
    for item, one, other in ((items[0], 1, 1), (items[1], 2, -2), (items[2], 0, 1)):
        score(item, ann, one, critique="Short.")
        score(item, ben, other, critique="A longer reason.")
    adjudicate(item=items[1], actor=mo, submission="7" * 32, overall=-1, reason="misread", critique="Read it again.")
    assert gold_candidates(project=project) == [items[1], items[0]]
    told = suggested_references(items=[items[0], items[1]])
    assert (told[items[1].pk].overall, told[items[1].pk].critique) == (-1, "Read it again.")
    assert told[items[0].pk].critique == "A longer reason."
    gold(items[0])
    assert gold_candidates(project=project) == [items[1]]


def test_gold_items_come_with_an_import_once(project, write, person):
    lines = [
        tuple_of(1, metadata={"gold_score": -1, "gold_note": "Made up.", "qualification": True}),
        tuple_of(2, metadata={"gold_score": 2.0}),
        tuple_of(3, metadata={"qualification": True}),
        tuple_of(4, metadata={"gold_score": 7}),
    ]
    report = services.item_import(project=project, path=write(lines), actor=None, rater_name="handbook")
    assert (report.items_added, report.refused, report.reasons) == (
        3,
        1,
        {"metadata.gold_score: input should be less than or equal to 2": 1},
    )
    one, two, three = Item.objects.order_by("prompt_text")
    assert (one.gold_score, one.gold_note, one.is_qualification, one.is_open) == (-1, "Made up.", True, False)
    assert (two.gold_score, two.is_qualification) == (2, False)
    assert (three.gold_score, three.is_qualification, three.is_open) == (None, False, True)
    assert "gold_score" not in str(one.metadata)
    assert {(score.rater.name, score.rater.kind, score.overall) for score in Score.objects.all()} == {
        ("handbook", Rater.Kind.ADJUDICATOR, -1), ("handbook", Rater.Kind.ADJUDICATOR, 2)
    }  # fmt: skip
    services.item_import(project=project, path=write(lines), actor=None, rater_name="handbook")
    assert Score.objects.count() == 2
    counts_hold(project)
    assert services.item_next(project=Project.objects.get(), actor=person("ann")) == three


def test_adding_somebody_does_not_make_a_second_rater(project, person):
    ann = person("ann")
    rater = person_rater(user=ann)
    assert member_add(project=project, user=ann, actor=None).rater == rater


@pytest.fixture
def browse(person):
    """Ask for an address as an annotator, the same one every time."""
    client = Client()
    client.user = person("anna")
    client.force_login(client.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_what_is_handed_out_over_http_tells_neither_gold_nor_disputed_items_from_others(project, items, browse):
    services.project_update(project=project, actor=None, gold_share=0.5, raters_per_item=3)
    for item in items[:5]:
        gold(item)
    Project.objects.update(gold_share=1)
    Item.objects.filter(gold_score=None).update(priority=1, tags=["hard"], people_scores=1)
    told = []
    for _ in range(6):
        told.append(browse.get("/api/projects/capitals/next").json())
        score(Item.objects.get(pk=told[-1]["id"]), browse.user)
    told.append(browse.post("/api/projects/capitals/undo").json())
    assert any(fresh(Item(pk=one["id"])).gold_score is not None for one in told)
    alike = {"people_scores": None, "is_open": True, "tags": [], "skill": "", "priority": 0}
    assert all(one | alike == one for one in told)


def test_an_annotator_cannot_tell_from_an_item_that_it_has_a_reference(project, items, browse):
    gold(items[0])
    shown = [browse.get(f"/api/items/{item.pk}").json() for item in items[:2]]
    assert shown[0]["hidden"] == shown[1]["hidden"] == "role"
    pages = [browse.get(f"/items/{item.pk}/").content.decode() for item in items[:2]]
    assert ["Nobody has scored" in page for page in pages] == [False, False]


def test_an_item_that_is_gold_no_more_is_one_of_the_answers_where_answers_are_compared(project, write):
    services.item_import(project=project, path=write([tuple_of(1, answer="Rome."), tuple_of(1, answer="Oslo.")]), actor=None)
    first, second = Item.objects.order_by("pk")
    gold(first)
    services.project_update(project=project, actor=None, mode="compare")
    assert Project.objects.get().comparison_count == 0
    gold_clear(item=first, actor=None)
    assert (fresh(first).is_open, fresh(second).is_open) == (True, False)
    assert Project.objects.get().comparison_count == 1
    gold_clear(item=second, actor=None)
    assert not fresh(second).is_open


def test_an_annotator_finds_gold_items_among_the_open_and_the_done_as_they_find_others(project, items, browse):
    gold(items[0])
    gold(items[1])

    def listed(state):
        found = browse.get(f"/api/items?state={state}").json()["items"]
        page = browse.get(f"/items/?state={state}").context["rows"]
        assert [row.item.pk for row in page] == [one["id"] for one in found]
        return {one["id"]: one["is_open"] for one in found}, {str(row.state) for row in page}

    for item in (items[0], items[2]):
        score(item, browse.user)
    assert listed("done") == ({items[0].pk: False, items[2].pk: False}, {"done"})
    assert listed("open") == ({item.pk: True for item in items if item not in (items[0], items[2])}, {"needs scores"})
    assert {browse.get(f"/api/items/{item.pk}").json()["is_open"] for item in (items[0], items[2])} == {False}
    services.project_update(project=project, actor=None, raters_per_item=2)
    assert listed("done") == ({}, set())
