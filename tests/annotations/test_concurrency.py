"""Many people at once, on a real database."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from annotations import services
from annotations.models import Item, Progress, Project, Score
from tests.annotations.conftest import tuple_of

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(work, arguments):
    def run(argument):
        try:
            return work(argument)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(run, arguments))


def test_eight_people_score_everything_twice_and_nothing_three_times(project, write, person):
    services.item_import(project=project, path=write(tuple_of(n) for n in range(40)), actor=None)
    services.project_update(project=project, actor=None, name=project.name, guidelines="", raters_per_item=2)
    project.refresh_from_db()

    def work(user):
        scored = 0
        while item := services.item_next(project=project, actor=user):
            services.score_submit(item=item, actor=user, submission=uuid4(), overall=scored % 5 - 2)
            scored += 1
        return scored

    counts = in_threads(work, [person(f"ann{number}") for number in range(8)])
    per_item = Counter(Score.objects.values_list("item_id", flat=True))
    assert max(per_item.values()) == 2
    assert sum(counts) == Score.objects.count() == 80
    assert not Item.objects.filter(is_open=True).exists()
    assert sum(Progress.objects.values_list("completed", flat=True)) == 40


def test_one_submission_sent_six_times_at_once_is_one_score(project, items, person):
    ann, key = person("ann"), uuid4()

    def work(_):
        return services.score_submit(item=items[0], actor=ann, submission=key, overall=1).pk

    assert len(set(in_threads(work, range(6)))) == 1
    assert Score.objects.count() == 1 and Progress.objects.get().scored == 1


def test_two_imports_of_the_same_file_at_once_add_each_item_once(project, write):
    path = write(tuple_of(n, reward=1) for n in range(300))
    reports = in_threads(lambda _: services.item_import(project=project, path=path, actor=None), range(3))
    assert sum(report.items_added for report in reports) == 300 == Item.objects.count()
    assert sum(report.scores_added for report in reports) == 300 == Score.objects.count()
    project.refresh_from_db()
    assert project.item_count == 300


def test_a_change_of_the_number_of_raters_waits_for_a_score_that_is_being_counted(project, items, person):
    ann, taken, go_on = person("ann"), Event(), Event()

    def score(_):
        with transaction.atomic():
            services.score_submit(item=items[0], actor=ann, submission=uuid4(), overall=1)
            taken.set()
            go_on.wait(10)

    scoring = Thread(target=in_threads, args=(score, [0]))
    scoring.start()
    assert taken.wait(10)
    change = {"project": project, "actor": None, "name": project.name, "guidelines": "", "raters_per_item": 2}
    changing = Thread(target=in_threads, args=(lambda _: services.project_update(**change), [0]))
    changing.start()
    changing.join(0.3)
    assert changing.is_alive()
    go_on.set()
    scoring.join(10), changing.join(10)
    assert Item.objects.get(pk=items[0].pk).is_open


def test_people_go_on_scoring_while_the_number_of_raters_changes(project, write, person):
    services.item_import(project=project, path=write(tuple_of(n) for n in range(30)), actor=None)

    def work(user):
        if user is None:
            for wanted in (2, 1, 3, 2) * 3:
                services.project_update(project=project, actor=None, name=project.name, guidelines="", raters_per_item=wanted)
            return
        while item := services.item_next(project=Project.objects.get(pk=project.pk), actor=user):
            services.score_submit(item=item, actor=user, submission=uuid4(), overall=1)

    in_threads(work, [None, *(person(f"ann{number}") for number in range(4))])
    for item in Item.objects.all():
        assert item.is_open == (item.people_scores < 2), item.people_scores


def test_one_of_two_projects_of_a_name_at_once_is_refused_in_words(db):
    def make(_):
        try:
            return services.project_create(name="Rivers", actor=None)
        except ValidationError as error:
            return error.messages

    made = in_threads(make, range(4))
    assert sum(isinstance(one, Project) for one in made) == 1 == Project.objects.count()
