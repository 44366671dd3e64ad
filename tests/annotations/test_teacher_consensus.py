"""Several teachers' scores as one: by median, weight, majority and Dawid and Skene's model, in builds and on the item's page."""

from __future__ import annotations

import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from accounts.models import Endpoint
from annotations import services
from annotations.agreed_scores import AgreedScores, heard_at
from annotations.fusion import Agreed, Given, Teachers, fuse
from annotations.models import DatasetVersion, Item, Rater, Revocation, Score, Teacher, TeacherVersion
from annotations.statistics.consensus import consensus
from annotations.statistics.ratings import Ratings
from annotations.teacher_versions import voices
from tests.annotations.scored import items, score
from tests.annotations.test_fusion import said, tuples
from tests.evaluation.conftest import signed_in

__all__ = ["signed_in"]


def taught(*values: float, kind: str = "teacher") -> list[Given]:
    """Scores by teachers a, b, c …"""
    return [
        Given(kind=kind, rater=name, overall=value, given_at=said(0).given_at)
        for name, value in zip("abcde", values, strict=False)
    ]


def test_by_weight_each_teacher_counts_as_much_as_it_weighs_and_the_unnamed_weigh_one():
    fused = fuse(taught(2, -1, 0), teachers=Teachers("weighted", {"a": 3.0, "b": 2.0}))
    assert (fused.reward, fused.method) == (pytest.approx((6 - 2 + 0) / 6), "teachers-weighted")
    # 3·2·3 + 3·1·2 + 2·1·1 = 26 apart, over 6 + 3 + 2 pairs' weight and the scale's width of 4.
    assert fused.consensus == pytest.approx(1 - 26 / 11 / 4)


def test_who_weighs_nothing_is_not_heard_and_where_nobody_weighs_anything_the_median_counts():
    fused = fuse(taught(2, -2), teachers=Teachers("weighted", {"b": 0.0}))
    assert (fused.reward, fused.consensus, [one.rater for one in fused.counted]) == (2, None, ["a"])
    none = fuse(taught(2, -2, -2), teachers=Teachers("weighted", dict.fromkeys("abc", 0.0)))
    assert (none.reward, none.method, len(none.counted)) == (-2, "median", 3)


def test_the_majority_is_what_most_gave_and_of_a_tie_the_median():
    most = Teachers("majority")
    fused = fuse(taught(2, 2, -2, -1), teachers=most)
    assert (fused.reward, fused.method, fused.consensus) == (2, "teachers-majority", 0.5)
    tied = fuse(taught(2, 2, -1, -1, 0), teachers=most)
    assert (tied.reward, tied.method) == (0, "median")
    alone = fuse(taught(1), teachers=most)
    assert (alone.reward, alone.method, alone.consensus) == (1, "teachers-majority", None)


def test_the_model_of_teachers_stands_for_teachers_and_never_for_people():
    model = Teachers("dawid-skene", agreed=Agreed(score=-1.0, expected=-0.8, disagreement=0.25))
    fused = fuse(taught(2, 0), teachers=model)
    assert (fused.reward, fused.expected, fused.consensus, fused.method) == (-1, -0.8, 0.75, "teachers-dawid-skene")
    people = fuse([said(2), *taught(0)], teachers=model)
    assert (people.reward, people.expected, people.method) == (2, None, "median")
    assert fuse(taught(2, 0), teachers=Teachers("dawid-skene")).method == "median"


@pytest.mark.parametrize("rule", ["weighted", "majority", "dawid-skene"])
def test_people_decisions_and_gold_stand_above_whatever_rule(rule):
    teachers = Teachers(rule, {"a": 5.0}, Agreed(-2.0, -2.0, 0.0))
    assert fuse([said(1), *taught(-2, -2)], teachers=teachers).reward == 1
    assert fuse([said(0, "adjudicator"), *taught(-2, -2)], teachers=teachers).method == "adjudicated"
    assert fuse([said(1, "gold"), *taught(-2, -2)], teachers=teachers).method == "gold"
    averaged = fuse([said(2, "gold"), *taught(-2, -2)], gold="weighted", gold_weight=0.5, teachers=teachers)
    assert (averaged.reward, averaged.method) == (0, "weighted")


@pytest.fixture
def teachers(project) -> list[Rater]:
    """Two of ours, of weights 3 and 1, and one that came with an import."""
    endpoint = Endpoint.objects.create(name="local", base_url="http://127.0.0.1:9/v1", model="judge")
    ours = []
    for name, weight in (("strict", 3.0), ("mild", 1.0)):
        rater = Rater.objects.create(kind=Rater.Kind.TEACHER, name=f"{name}@1")
        teacher = Teacher.objects.create(name=name, weight=weight)
        TeacherVersion.objects.create(
            teacher=teacher, number=1, endpoint=endpoint, model="judge", prompt={}, prompt_hash="0", rater=rater
        )
        ours.append(rater)
    return [*ours, Rater.objects.create(kind=Rater.Kind.TEACHER, name="imported")]


@pytest.fixture
def three(project, teachers) -> list[Item]:
    """An item with a majority, one with a tie, and one that a person scored too."""
    made = items(project, 3)
    values = ([2, -1, -1], [2, 0, -2], [2, 2, 2])
    rows = [score(item, rater, value) for item, given in zip(made, values, strict=True)
            for rater, value in zip(teachers, given, strict=True)]  # fmt: skip
    adjudicator = Rater.objects.create(kind=Rater.Kind.ADJUDICATOR, name="lead")
    Score.objects.bulk_create([*rows, score(made[2], adjudicator, 1)])
    return made


@pytest.mark.django_db
def test_builds_take_the_teachers_by_the_rule_that_was_asked_for_and_say_so(project, three):
    found, stream = tuples(project, teachers="weighted")
    assert [found[item.pk].reward for item in three] == [pytest.approx((6 - 1 - 1) / 5), pytest.approx((6 - 2) / 5), 1]
    assert stream.teacher_weights == {"strict@1": 3.0, "mild@1": 1.0, "imported": 1.0}
    assert found[three[0].pk].metadata.model_dump()["consensus_method"] == "teachers-weighted"
    found, stream = tuples(project, teachers="majority")
    assert [found[item.pk].reward for item in three] == [-1, 0, 1]
    assert (stream.teachers_tied, stream.methods) == (1, {"teachers-majority": 1, "median": 1, "adjudicated": 1})
    assert tuples(project)[1].methods == {"median": 2, "adjudicated": 1}


@pytest.mark.django_db
def test_a_teacher_has_one_voice_and_where_two_of_its_versions_scored_an_item_the_newer_one_speaks(project, teachers, three):
    strict = TeacherVersion.objects.get(rater=teachers[0])
    newer = Rater.objects.create(kind=Rater.Kind.TEACHER, name="strict@2")
    TeacherVersion.objects.create(
        teacher=strict.teacher, number=2, endpoint=strict.endpoint, model="judge", prompt={}, prompt_hash="1", rater=newer
    )
    Score.objects.bulk_create([score(three[0], newer, -2)])
    found, _ = tuples(project, teachers="weighted")
    assert [found[item.pk].reward for item in three[:2]] == [pytest.approx((-6 - 1 - 1) / 5), pytest.approx((6 - 2) / 5)]
    counted = AgreedScores(project, kind=Rater.Kind.TEACHER)
    items_of, raters = np.array([9, 9, 9, 8, 8]), np.array([newer.pk, teachers[0].pk, teachers[1].pk, teachers[0].pk, 0])
    assert heard_at(items_of, raters, voices()).tolist() == [True, False, True, True, True]
    assert counted.why_median(three[0].pk)
    Revocation.objects.create(kind="rater", rater=newer, reason="wrong prompt")
    assert tuples(project, teachers="weighted")[0][three[0].pk].reward == pytest.approx((6 - 1 - 1) / 5)


@pytest.mark.django_db
def test_the_model_is_fitted_to_teachers_scores_and_little_data_gets_medians_that_say_why(project, teachers, three):
    _, stream = tuples(project, teachers="dawid-skene")
    assert stream.methods == {"median": 2, "adjudicated": 1}
    assert list(stream.median_because) == ["a teacher who scored it has given fewer than 50 scores that the model can go by"]
    rng = np.random.default_rng(0)
    rows = []
    for item in items(project, 250):
        truth = int(rng.integers(-2, 3))
        for place, rater in enumerate(teachers):  # the last one is a step low
            rows.append(score(item, rater, float(np.clip(truth - (place == 2) + rng.choice([-1, 0, 0, 0, 1]), -2, 2))))
    Score.objects.bulk_create(rows)
    given = Score.objects.filter(rater__kind="teacher").values_list("item_id", "rater_id", "overall")
    expected = consensus(Ratings.of(*zip(*given, strict=True)))
    found, stream = tuples(project, teachers="dawid-skene")
    assert stream.methods["teachers-dawid-skene"] > 240
    for place, item in enumerate(expected.item.tolist()):
        if found[item].metadata.model_dump()["consensus_method"] == "teachers-dawid-skene":
            assert found[item].reward == expected.score[place]
    assert tuples(project, consensus="dawid-skene")[1].methods == {"median": 252, "adjudicated": 1}


@pytest.mark.django_db
def test_form_preview_api_and_command_ask_for_it_alike(project, three, signed_in, settings, tmp_path):
    settings.RLWHF_HOME = tmp_path
    call_command(
        "dataset", "build", "--project", project.slug, "--name", "by-command", "--kind", "scored", "--teachers", "weighted",
        stdout=StringIO(),
    )  # fmt: skip
    asked = {"teachers": "weighted"}
    version = services.dataset_build(project=project, name="by-service", kind="scored", settings=asked, actor=None)
    assert DatasetVersion.objects.get(name="by-command").content_hash == version.content_hash
    assert version.report["teacher_weights"] == {"imported": 1.0, "mild@1": 1.0, "strict@1": 3.0}
    client = signed_in("admin")
    form = {
        "project": project.pk, "kind": "scored", "name": "by-form", "gold": "wins", "consensus": "", "teachers": "weighted",
        "min_people": 0, "min_reward": 1, "min_gap": 1, "fill": "on", "eval_share": 0.1, "test_share": 0, "seed": 0,
    }  # fmt: skip
    page = client.post(reverse("annotations:dataset-build"), form, follow=True).content.decode()
    assert "mean of teachers’ scores by their weights" in page and "strict@1" in page
    assert DatasetVersion.objects.get(name="by-form").content_hash == version.content_hash
    preview = client.post(reverse("annotations:dataset-preview"), form | {"name": "x", "teachers": "majority"}).content.decode()
    assert "as many teachers gave one score as another" in preview
    wanted = {"project": project.slug, "name": "by-api", "kind": "scored", "settings": asked}
    answer = client.post("/api/datasets", json.dumps(wanted), content_type="application/json")
    assert (answer.status_code, answer.json()["settings"]["teachers"]) == (201, "weighted")
    refused = client.post(
        "/api/datasets", json.dumps(wanted | {"settings": {"teachers": "loudest"}}), content_type="application/json"
    )
    assert refused.status_code == 422


@pytest.mark.django_db
def test_the_items_page_shows_what_its_teachers_say_together(project, three, signed_in):
    client = signed_in("member")
    page = client.get(three[0].get_absolute_url()).content.decode()
    assert "The 3 teachers together" in page and "strict@1" in page and "imported" in page
    told = client.get(f"/api/items/{three[0].pk}").json()["teachers"]
    assert told == {"scores": 3, "median": -1, "weighted": pytest.approx(0.8), "majority": -1, "consensus": 0.5}
    assert client.get(f"/api/items/{three[1].pk}").json()["teachers"]["majority"] is None
    assert signed_in("annotator").get(f"/api/items/{three[0].pk}").json()["teachers"] is None
    signed_in("member")
    Score.objects.filter(item=three[0], rater__name__in=("mild@1", "imported")).update(overall=None, cannot_verify=True)
    assert client.get(f"/api/items/{three[0].pk}").json()["teachers"] is None
