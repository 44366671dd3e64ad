"""Bulk actions while people score, and several of them at a time, on a real database."""

from random import Random
from threading import Event, Thread
from uuid import uuid4

import pytest
from django.db import connection, transaction

from annotations import services
from annotations.models import BulkAction, Item, Project, Score
from annotations.services import BulkRefused
from annotations.services import bulk as bulk_module
from tests.annotations.conftest import tuple_of
from tests.annotations.test_bulk import counts
from tests.annotations.test_concurrency import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def test_counts_stay_right_while_people_score_and_leads_delete_restore_assign_and_undo(project, write, person):
    services.item_import(project=project, path=write(tuple_of(n) for n in range(60)), actor=None)
    services.project_update(project=project, actor=None, raters_per_item=2)
    everything = list(Item.objects.values_list("pk", flat=True))
    people = [person(f"ann{number}") for number in range(4)]

    def score(user):
        refused = 0
        while item := services.item_next(project=Project.objects.get(pk=project.pk), actor=user):
            try:
                services.score_submit(item=item, actor=user, submission=uuid4(), overall=1)
            except services.ScoringRefused:
                refused += 1
        return refused

    def lead(seed):
        chance = Random(seed)
        for _ in range(15):
            items = chance.sample(everything, 12)
            action = chance.choice(["delete", "restore", "delete", "assign", "tag", "priority"])
            settings = {"people": ["ann0", "ann1"], "tags": ["x"], "value": 3}
            try:
                record = services.bulk_start(action=action, settings=settings, items=items, actor=None)
                if chance.random() < 0.6:
                    services.bulk_undo(record=record, actor=None)
            except BulkRefused as refused:
                assert "No item matches" in str(refused)

    in_threads(lambda one: score(one) if not isinstance(one, int) else lead(one), [*people, 1, 2])
    kept, right = counts(project)
    assert kept == right
    for item in Item.objects.all():
        assert item.is_open == (item.people_scores < 2)
        assert item.people_scores == Score.objects.filter(item=item, withdrawn_at=None).count()
    services.bulk_start(action="restore", settings={}, items=everything, actor=None)
    kept, right = counts(project)
    assert kept == right and right[0] == 60


def test_an_action_that_two_carry_out_at_once_is_done_once(project, write, monkeypatch):
    services.item_import(project=project, path=write(tuple_of(n) for n in range(30)), actor=None)
    monkeypatch.setattr(bulk_module, "DIRECT_ITEMS", 5)
    monkeypatch.setattr(bulk_module, "BATCH", 3)
    wanted = services.bulk.ItemFilter(project=project, asked={"project": project.slug})
    record = services.bulk_start(action="delete", settings={}, wanted=wanted, actor=None)
    in_threads(lambda _: services.bulk_carry_out(record=BulkAction.objects.get(pk=record.pk)), range(4))
    record.refresh_from_db()
    assert record.changed == 30 and record.done_at and counts(project)[0] == (0, 0, 0)


def test_while_a_file_is_read_into_the_project_a_deletion_says_so(project, items, monkeypatch):
    monkeypatch.setattr(bulk_module, "PATIENCE_MS", 200)
    held, go_on = Event(), Event()

    def import_something(_):
        with transaction.atomic():
            Project.objects.select_for_update(no_key=True).get(pk=project.pk)
            held.set()
            go_on.wait(10)

    reading = Thread(target=in_threads, args=(import_something, [0]))
    reading.start()
    assert held.wait(10)
    with pytest.raises(BulkRefused, match="reading a file"):
        services.bulk_start(action="delete", settings={}, items=[items[0].pk], actor=None)
    assert not BulkAction.objects.exists() and Item.objects.count() == 10
    # What needs no count of the project is done meanwhile.
    assert services.bulk_start(action="tag", settings={"tags": ["x"]}, items=[items[0].pk], actor=None).changed == 1
    go_on.set()
    reading.join(10)
    assert services.bulk_start(action="delete", settings={}, items=[items[0].pk], actor=None).changed == 1
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone()[0] == "0", "nobody else's patience is changed"
