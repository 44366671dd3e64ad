"""A thousand items, three people's scores on the real server and back: nothing lost, nothing twice, killed on both ways."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from django.conf import settings

from accounts.services import user_create
from annotations.argilla import client as calling
from annotations.argilla import pull as pulling
from annotations.models import ArgillaRecord, ArgillaResponse, Item, Score
from tests.jobs.conftest import database_url

PEOPLE = ("zoe", "yan", "xia")
DIMENSIONS = ("factual-accuracy", "self-awareness", "calibration", "resistance-to-pressure")


def answers(items):
    """What each person says of each item: every score, most with dimensions, many with words in several scripts."""
    draw = random.Random(7)
    told = {}
    for person in PEOPLE:
        for item in items:
            values = {"overall": draw.choice(["2", "1", "0", "-1", "-2", "cannot_verify"])}
            values |= {f"dimension-{name}": str(draw.randint(-2, 2)) for name in DIMENSIONS if draw.random() < 0.7}
            if draw.random() < 0.8:
                values["critique"] = draw.choice(
                    ["Não está certo. ", "Так не бывает. ", "没有根据。", "It\nmakes this up. 🤷 "]
                ) + str(item.pk)
            told[person, item.pk] = values
    return told


def give(place, told, records, size=100):
    for person in PEOPLE:
        rows = [
            {"record_id": records[item], "status": "submitted", "values": {name: {"value": one} for name, one in values.items()}}
            for (who, item), values in told.items()
            if who == person
        ]
        for start in range(0, len(rows), size):
            done = place.annotator(person).post("/me/responses/bulk", items=rows[start : start + size])["items"]
            assert not any(one["error"] for one in done)


def as_given(score):
    values = {"overall": "cannot_verify" if score.cannot_verify else str(int(score.overall))}
    values |= {f"dimension-{name.replace('_', '-')}": str(int(value)) for name, value in score.dimensions.items()}
    return values | ({"critique": score.critique} if score.critique else {})


def check(place, told, users):
    live = Score.objects.filter(withdrawn_at=None).select_related("rater")
    assert live.count() == Score.objects.count() == len(told), "each answer is one score, none twice"
    names = {user.pk: name for name, user in users.items()}
    assert {(names[one.rater.user_id], one.item_id): as_given(one) for one in live} == told
    times = {one["id"]: one["updated_at"] for record in place.records() for one in record["responses"]}
    stored = dict(ArgillaResponse.objects.values_list("response_id", "updated_at"))
    assert {str(key): value for key, value in stored.items()} == times
    for item in Item.objects.filter(project=place.project):
        assert item.people_scores == len(PEOPLE)


def people_of(place):
    """Everybody has an account here and is mapped before they answer: they are known from their first answer on."""
    from annotations.models import ArgillaPerson

    users = {}
    for name in PEOPLE:
        users[name] = user_create(username=name, password="a long enough secret", role="annotator", actor=None)
        ArgillaPerson.objects.create(link=place.link, argilla_id=place.annotator(name).user_id, username=name, user=users[name])
    return users


class CutOffError(Exception):
    """The process is killed."""


@pytest.mark.full
def test_scores_come_back_as_they_were_given_though_the_pull_is_cut_off(make_place, monkeypatch):
    place = make_place(20, raters_per_item=3)
    place.push()
    users = people_of(place)
    records = {item: str(record) for item, record in ArgillaRecord.objects.values_list("item_id", "record_id")}
    told = answers(list(Item.objects.all()))
    give(place, told, records)
    monkeypatch.setattr(calling, "PAGE", 5)
    taken = []

    def cut_off(*args, **kwargs):
        if len(taken) == 31:
            raise CutOffError
        taken.append(1)
        return take(*args, **kwargs)

    take = pulling.answer_take
    monkeypatch.setattr(pulling, "answer_take", cut_off)
    with pytest.raises(CutOffError):
        place.pull()
    monkeypatch.setattr(pulling, "answer_take", take)
    counts = place.pull()
    assert (counts["responses_known"], counts["responses_taken"]) == (31, 29)
    check(place, told, users)
    assert place.pull() == {"records_read": 20, "responses_known": 60}


def killed(action, place, count, at_least):
    """Run the command in a process of its own, and kill it once `count()` has reached `at_least`."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": database_url(),
        "RLWHF_HOME": str(settings.RLWHF_HOME),
        "RLWHF_DATABASE_POOL": "2",
    }
    command = [sys.executable, "manage.py", "argilla", action, "--project", place.project.slug]
    with subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while process.poll() is None:
            if count() >= at_least:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.02)
        said = process.stdout.read().decode()
    assert process.returncode == -signal.SIGKILL, said


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.django_db(transaction=True)
def test_a_thousand_items_and_three_people_survive_the_way_there_and_back_with_a_kill_on_each(transactional_db, make_place):
    place = make_place(1000, raters_per_item=3)
    began = time.monotonic()
    killed("push", place, ArgillaRecord.objects.count, 400)
    sent = ArgillaRecord.objects.count()
    assert 0 < sent < 1000
    counts = place.push()
    assert counts["records_added"] + sent == 1000
    pushed = time.monotonic()
    users = people_of(place)
    records = {item: str(record) for item, record in ArgillaRecord.objects.values_list("item_id", "record_id")}
    told = answers(list(Item.objects.all()))
    give(place, told, records)
    given = time.monotonic()
    killed("pull", place, Score.objects.count, 1500)
    assert 1500 <= Score.objects.count() < 3000
    place.pull()
    ended = time.monotonic()
    check(place, told, users)
    assert place.push() == {"records_known": 1000}
    assert place.pull() == {"records_read": 1000, "responses_known": 3000}
    print(f"push {pushed - began:.1f} s, answers {given - pushed:.1f} s, pull {ended - given:.1f} s, both with a kill")
