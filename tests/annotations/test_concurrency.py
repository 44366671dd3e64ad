"""Many people at once, on a real database."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection

from annotations import services
from annotations.models import Item, Progress, Score
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
