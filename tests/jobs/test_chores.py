"""Chores are begun when they are due, by one of however many reconcilers, and again where they failed."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.db.models.functions import Now

from jobs.chores import chores_do
from jobs.models import Chore

did: list[str] = []


def sweep() -> None:
    did.append("sweep")


def fail() -> None:
    did.append("fail")
    raise ZeroDivisionError


@pytest.fixture(autouse=True)
def chores(settings):
    did.clear()
    settings.CHORES = {"tests.jobs.test_chores.fail": 86_400, "tests.jobs.test_chores.sweep": 30}


def ago(**since: int) -> None:
    Chore.objects.filter(name__endswith="sweep").update(begun_at=Now() - timedelta(**since))


@pytest.mark.django_db
def test_a_chore_is_begun_when_it_is_due_and_not_before():
    assert len(chores_do()) == 2 and did == ["fail", "sweep"], "one that fails keeps none of the others from being done"
    assert chores_do() == []
    ago(seconds=29)
    assert chores_do() == []
    ago(seconds=31)
    assert chores_do() == ["tests.jobs.test_chores.sweep"]
    ago(days=-1)
    assert chores_do() == ["tests.jobs.test_chores.sweep"], "the clock was set back"


@pytest.mark.django_db
def test_what_failed_is_tried_again_after_minutes_and_not_after_a_day():
    chores_do()
    assert chores_do() == []
    failed = Chore.objects.filter(name__endswith="fail")
    (begun,) = failed.values_list("begun_at", flat=True)
    failed.update(begun_at=begun - timedelta(minutes=6))
    assert chores_do() == ["tests.jobs.test_chores.fail"]


@pytest.mark.django_db(transaction=True)
def test_of_several_reconcilers_one_begins_a_chore(settings):
    settings.CHORES = {"tests.jobs.test_chores.sweep": 30}

    def look() -> None:
        chores_do()
        connection.close()

    several = [Thread(target=look) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert did == ["sweep"]
