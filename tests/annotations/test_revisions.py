"""Revised answers become items that others score."""

from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection

from accounts.models import AuditEntry
from annotations import services
from annotations.models import Draft, Item, Project, Score, Turn
from annotations.services import ScoringRefused
from annotations.services.import_batch import Batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviews(project, items):
    """A project in which answers are reviewed, with one item left open."""
    services.project_update(project=project, actor=None, mode="review", review_rounds=2)
    Item.objects.exclude(pk=items[0].pk).update(is_open=False)
    Item.objects.filter(pk=items[0].pk).update(gold_answers=["Town"], knowledge="known", entity="country 1")
    return Project.objects.get()


def submit(item, user, overall=-1, revised="A better answer.", **more):
    return services.score_submit(item=item, actor=user, submission=uuid4(), overall=overall, revised_answer=revised, **more)


def only(item):
    return Item.every.get(revises=item)


def test_a_revised_answer_is_an_item_of_the_same_question_one_round_later(reviews, items, person):
    submit(items[0], person("ann"), revised=" A better answer. ")
    item, revision = Item.objects.get(pk=items[0].pk), only(items[0])
    assert (revision.answer, revision.iteration, revision.written_by.name) == ("A better answer.", 1, "ann")
    assert revision.is_open and revision.people_scores == 0 and revision.source_model == ""
    for copied in ("prompt", "prompt_is_text", "prompt_text", "prompt_hash", "gold_answers", "knowledge", "entity"):
        assert getattr(revision, copied) == getattr(item, copied), copied
    assert revision.content_hash != item.content_hash
    assert Project.objects.get().item_count == 11
    assert AuditEntry.objects.get(action="annotations.answer_revised").actor.username == "ann"


def test_its_author_is_never_handed_it_and_cannot_score_it(reviews, items, person):
    ann, bob = person("ann"), person("bob")
    submit(items[0], ann)
    assert services.item_next(project=reviews, actor=ann) is None
    with pytest.raises(ScoringRefused):
        submit(only(items[0]), ann)
    assert services.item_next(project=reviews, actor=bob) == only(items[0])


def test_an_import_of_the_same_answer_finds_the_revision(reviews, items, person, write):
    submit(items[0], person("ann"))
    line = {"prompt": items[0].prompt_text, "answer": "A better answer."}
    assert services.item_import(project=reviews, path=write([line]), actor=None).items_added == 0


@pytest.mark.parametrize("revised", ["", "  ", "same", "another's"])
def test_nothing_new_makes_no_item_and_no_noise(reviews, items, person, write, revised):
    line = {"prompt": items[0].prompt_text, "answer": "Said by a model.", "metadata": {"source_ai": "m1"}}
    services.item_import(project=reviews, path=write([line]), actor=None)
    text = {"same": f" {items[0].answer}\n", "another's": "Said by a model."}.get(revised, revised)
    score = submit(items[0], person("ann"), revised=text)
    assert score.revised_answer == text.strip()
    assert not Item.every.filter(revises__isnull=False).exists()
    assert Project.objects.get().item_count == 11


def test_the_same_revision_by_two_people_is_one_item(reviews, items, person):
    for name in ("ann", "bob"):
        submit(items[0], person(name))
    assert only(items[0]).written_by.name == "ann"


def test_after_the_last_round_nothing_is_revised(reviews, items, person):
    item = items[0]
    for round_, name in enumerate(("ann", "bob"), start=1):
        submit(item, person(name), revised=f"Round {round_}.")
        item = only(item)
    assert item.iteration == 2
    submit(item, person("cat"), revised="Round 3.")
    assert not Item.every.filter(revises=item).exists()


def test_an_answer_to_a_gold_item_is_not_revised(reviews, items, person):
    Item.objects.filter(pk=items[0].pk).update(gold_score=1, is_open=False)
    submit(items[0], person("ann"))
    assert not Item.every.filter(revises=items[0]).exists()


def test_undo_takes_the_revision_back_and_gives_its_text_back(reviews, items, person):
    ann = person("ann")
    submit(items[0], ann)
    assert services.score_undo(project=reviews, actor=ann) == items[0]
    assert not Item.every.filter(revises=items[0]).exists()
    assert Project.objects.get().item_count == 10
    assert Draft.objects.get().data["revised_answer"] == "A better answer."


def test_what_others_have_scored_is_not_taken_back(reviews, items, person):
    ann, bob = person("ann"), person("bob")
    submit(items[0], ann)
    submit(only(items[0]), bob, revised="")
    with pytest.raises(ScoringRefused):
        services.score_undo(project=reviews, actor=ann)
    with pytest.raises(ScoringRefused):
        submit(items[0], ann, revised="Yet another.")
    assert Score.objects.filter(withdrawn_at=None).count() == 2
    assert Project.objects.get().item_count == 11


def test_what_somebody_is_writing_about_is_not_taken_back(reviews, items, person):
    ann, bob = person("ann"), person("bob")
    submit(items[0], ann)
    held = services.item_next(project=reviews, actor=bob)
    services.draft_save(item=held, actor=bob, data={"critique": "Hm"})
    with pytest.raises(ScoringRefused):
        services.score_undo(project=reviews, actor=ann)


def test_another_score_with_the_same_revision_leaves_it_as_it_is(reviews, items, person):
    ann = person("ann")
    submit(items[0], ann)
    revision = only(items[0])
    submit(revision, person("bob"), revised="")
    submit(items[0], ann, overall=-2)
    assert only(items[0]) == revision


def test_a_replaced_revision_comes_back_when_the_later_score_is_undone(reviews, items, person):
    ann = person("ann")
    submit(items[0], ann, revised="First thought.")
    submit(items[0], ann, revised="Second thought.")
    assert only(items[0]).answer == "Second thought."
    services.score_undo(project=reviews, actor=ann)
    assert only(items[0]).answer == "First thought."
    assert Turn.objects.get(item=only(items[0])).state == Turn.State.WROTE
    assert Project.objects.get().item_count == 11


def test_other_projects_ask_for_no_revised_answers(project, items, person):
    with pytest.raises(ScoringRefused) as refused:
        submit(items[0], person("ann"))
    assert refused.value.field == "revised_answer"


@pytest.mark.django_db(transaction=True)
def test_a_revision_waits_for_no_import(reviews, items, person, write, monkeypatch):
    ann = person("ann")
    revised = []

    def meanwhile():
        try:
            submit(items[0], ann)
            revised.append(Item.objects.get(revises=items[0]))
        finally:
            connection.close()

    flush = Batch.flush

    def slow(batch):
        flush(batch)
        thread = Thread(target=meanwhile)
        thread.start()
        thread.join(20)

    monkeypatch.setattr(Batch, "flush", slow)
    services.item_import(project=reviews, path=write([{"prompt": "Another?", "answer": "Yes."}]), actor=None)
    assert len(revised) == 1
    assert Project.objects.get().item_count == 12
