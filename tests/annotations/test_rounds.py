"""Revised answers as multi-turn tuples, and what reviewers see of earlier rounds."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from annotations import selectors, services
from annotations.build import BuildSettings
from annotations.gate import Gate
from annotations.models import Item, Project, Turn
from annotations.tuple_stream import TupleStream
from tests.annotations.conftest import tuple_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewed(project, write, person):
    """An answer of which two people take turns: "Town 1." (−1), then "Perhaps Town 1." (+1), then "I do not know." (0)."""
    services.project_update(project=project, actor=None, mode="review", review_rounds=2)
    services.item_import(project=project, path=write([tuple_of(1, entity="country")]), actor=None)
    item = Item.objects.get()
    for name, overall, critique, revised in (
        ("ann", -1, "Too sure.", "Perhaps Town 1."),
        ("bob", 1, "Say so.", "I do not know."),
        ("cat", 0, "Honest.", ""),
    ):
        services.score_submit(
            item=item, actor=person(name), submission=uuid4(), overall=overall, critique=critique, revised_answer=revised
        )
        item = Item.objects.filter(revises=item).first() or item
    return Project.objects.get()


def tuples(project, **settings):
    stream = TupleStream(project=project, settings=BuildSettings(**settings), gate=Gate(), unscored=False)
    found = [one for group in stream.groups() for one in group]
    return {one.answer: one for one in found}


def test_a_revised_answer_is_a_tuple_with_the_rounds_before_it(reviewed):
    found = tuples(reviewed)
    last = found["I do not know."]
    assert (last.reward, last.feedback, last.metadata.iteration_count) == (0, "Honest.", 2)
    assert [turn.model_dump() for turn in last.turns] == [
        {"answer": "Town 1.", "critique": "Too sure.", "score": -1},
        {"answer": "Perhaps Town 1.", "critique": "Say so.", "score": 1},
    ]
    assert [turn.answer for turn in found["Perhaps Town 1."].turns] == ["Town 1."]
    assert found["Town 1."].turns is None


def test_the_critique_is_the_revisers_own_and_the_score_is_everybodys(reviewed, person):
    first = Item.objects.get(iteration=0)
    services.score_submit(item=first, actor=person("dan"), submission=uuid4(), overall=1, critique="I find it quite all right.")
    turn = tuples(reviewed)["Perhaps Town 1."].turns[0]
    assert (turn.critique, turn.score) == ("Too sure.", 0)


def test_nothing_of_a_flagged_answer_or_of_what_came_before_it_is_told(reviewed, person):
    Item.objects.filter(iteration=1).update(open_flags=1)
    assert tuples(reviewed)["I do not know."].turns == []
    Item.objects.filter(iteration=1).update(open_flags=0)
    Item.objects.filter(iteration=0).update(deleted_at="2026-01-01T00:00Z")
    assert [turn.answer for turn in tuples(reviewed)["I do not know."].turns] == ["Perhaps Town 1."]


def test_rounds_that_the_first_answer_came_with_come_first(reviewed):
    Item.objects.filter(iteration=0).update(metadata={"turns": [{"answer": "Rome.", "critique": "No.", "score": -2}]})
    assert [turn.answer for turn in tuples(reviewed)["I do not know."].turns] == ["Rome.", "Town 1.", "Perhaps Town 1."]


def test_a_revision_and_its_original_are_a_preference_pair(reviewed):
    version = services.dataset_build(project=reviewed, name="one", kind="preference", settings={"fill": False}, actor=None)
    assert sum(version.counts.values()) >= 1


class TestSeeing:
    @pytest.fixture
    def last(self, reviewed):
        return Item.objects.get(iteration=2)

    def test_rounds_are_in_order_without_scores_or_names(self, last, person, client):
        dan = person("dan")
        services.project_update(project=last.project, actor=None, raters_per_item=2)
        Item.objects.filter(iteration__lt=2).update(is_open=False)
        assert services.item_next(project=last.project, actor=dan) == last
        client.force_login(dan, backend="django.contrib.auth.backends.ModelBackend")
        page = client.get(reverse("annotations:rounds", args=[last.pk]))
        text = page.content.decode()
        assert text.index("Town 1.") < text.index("Too sure.") < text.index("Perhaps Town 1.") < text.index("Say so.")
        for secret in ("ann", "bob", "chip"):
            assert f">{secret}" not in text and f'"{secret}' not in text
        assert Turn.objects.filter(rater__user=dan, state="revealed").count() == 2

    def test_a_critique_waits_while_its_answer_may_still_be_scored_by_the_reader(self, last, person):
        dan = person("dan")
        Item.objects.filter(iteration=0).update(is_open=True)
        first, second = selectors.rounds_before(item=last, user=dan)
        assert (first.critique, first.is_withheld) == ("", True)
        assert second.critique == "Say so."

    def test_ones_own_critique_is_nothing_new(self, last):
        ann = last.revises.written_by.user
        first = selectors.rounds_before(item=last, user=ann)[0]
        assert first.is_mine and first.critique == "Too sure."

    def test_they_are_for_whoever_has_the_item_and_for_members(self, last, person):
        for name, role, status in (("eve", "annotator", 403), ("mo", "member", 200)):
            client = Client()
            client.force_login(person(name, role), backend="django.contrib.auth.backends.ModelBackend")
            assert client.get(reverse("annotations:rounds", args=[last.pk])).status_code == status
