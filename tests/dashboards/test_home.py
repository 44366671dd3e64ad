"""The home page for each role, at each stage of the loop."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from annotations.models import DatasetVersion, Project
from evaluation.models import Evaluation
from evaluation.promotion.services import promote_by_hand
from jobs.models import Pipeline
from tests.dashboards import seed
from tests.dashboards.test_overview import figures_of
from training.models import Artifact

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_role(client: Client) -> Callable[[str], Client]:
    def _as(role: str) -> Client:
        user = User.objects.create_user(f"{role}-person", role=role)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return _as


def test_an_empty_site_shows_the_loop(as_role):
    body = as_role("admin").get("/").content.decode()
    for label in ("Items", "Score", "Data", "Train", "Evaluate", "Models"):
        assert label in body
    assert "No model has a scorecard yet" in body and "Nothing has been trained yet" in body


def test_annotators_see_the_loop_but_neither_models_nor_runs(as_role, tmp_path):
    seed.whole_loop(tmp_path)
    body = as_role("annotator").get("/").content.decode()
    assert "100,000" in body
    assert "Last runs" not in body and "support-grpo-2" not in body


def test_the_models_card_names_the_champion_and_only_to_those_who_may_open_models(as_role, tmp_path):
    seed.whole_loop(tmp_path)
    names = list(Artifact.objects.ready().values_list("name", flat=True))
    assert f"newest: {names[0]}" in as_role("member").get("/").content.decode()
    promote_by_hand(project=Project.objects.first(), artifact=Artifact.objects.get(name=names[-1]), reason="x", actor=None)
    assert f"champion: {names[-1]}" in as_role("admin").get("/").content.decode()
    body = as_role("annotator").get("/").content.decode()
    hidden = [*names, *DatasetVersion.objects.values_list("name", flat=True)]
    assert hidden and not [name for name in hidden if name in body]


def test_a_full_site_shows_trend_numbers_and_telemetry(as_role, tmp_path):
    seed.whole_loop(tmp_path)
    body = as_role("member").get("/").content.decode()
    assert "95.5%" in body and "92.5 – 98.5%" in body
    assert "not readable" in body and "5.40 kJ" in body
    assert 'id="honesty-trend"' in body


def test_a_model_that_was_measured_again_stands_in_the_trend_once(as_role, tmp_path):
    seed.whole_loop(tmp_path)
    again = Evaluation.objects.select_related("artifact", "benchmark").last()
    seed.evaluation(again.artifact, again.benchmark, (0.5, 0.5, 0.02, 0.9))
    line = figures_of(as_role("member").get("/").content.decode())["honesty-trend"]["data"][0]
    assert line["x"].count(again.artifact.name) == 1 and line["y"][line["x"].index(again.artifact.name)] == 0.5


def test_neither_gold_items_nor_further_answers_to_compare_wait_for_a_score(as_role):
    seed.project("Scored", items=10, completed=0)
    seed.project("Compared", items=42, completed=0)
    Project.objects.filter(name="Scored").update(gold_count=3)
    Project.objects.filter(name="Compared").update(mode=Project.Mode.COMPARE, comparison_count=12)
    assert "19 items wait for a score." in as_role("annotator").get("/").content.decode()


def test_the_number_of_queries_does_not_grow_with_the_data(as_role, tmp_path):
    client = as_role("member")
    seed.whole_loop(tmp_path)
    client.get("/")
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/")
    for number in range(12):
        seed.project(f"Project {number}")
        seed.dataset(f"more-{number}")
    with CaptureQueriesContext(connection) as many:
        client.get("/")
    assert len(many) == len(few) <= 25
    touched = " ".join(query["sql"] for query in many)
    assert '"annotations_item"' not in touched and '"annotations_score"' not in touched


def test_a_running_loop_is_watched_in_place_and_the_page_reloads_when_it_ends(as_role):
    client = as_role("admin")
    pipeline = Pipeline.objects.create(name="Atlas 0 by GRPO", kind="atlas.loop")
    seed.job("training.run", "Teach Atlas", pipeline=pipeline)
    step = seed.job("training.run", "Train by GRPO", state="running", pipeline=pipeline)
    body = client.get("/").content.decode()
    assert "Under way: Atlas 0 by GRPO" in body and "every 3s" in body and "1 of 2 steps" in body
    fragment = client.get("/", headers={"HX-Request": "true"})
    assert "<html" not in fragment.content.decode() and "Train by GRPO" in fragment.content.decode()
    step.state, step.lease_token = "succeeded", None
    step.save()
    assert client.get("/", headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
