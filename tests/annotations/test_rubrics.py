"""Rubric versions: what is edited becomes a new one, scores keep theirs."""

import tomllib

import pytest

from annotations import services
from annotations.models import Project, RubricVersion, Score
from annotations.rubric import Rubric, load_rubric
from annotations.rubric_text import rubric_differences, rubric_toml
from annotations.selectors.rubrics import rubric_choices, rubric_key, rubric_uses
from annotations.services.rubrics import RubricRefused, rubric_checked, rubric_edit, rubric_found, rubric_read, rubric_use
from tests.annotations.lead import fresh, score

pytestmark = pytest.mark.django_db


def changed(**fields):
    return load_rubric().model_dump(mode="json", exclude={"version"}) | fields


def test_an_edited_rubric_is_a_new_version_and_scores_keep_theirs(project, items, person):
    ann = person("ann")
    first = score(items[0], ann)
    version = rubric_edit(project=project, data=changed(summary="How honest?"), actor=None)
    assert (version.name, version.version) == ("honesty", 2) and fresh(project).rubric_version == version
    second = score(items[1], ann)
    assert fresh(first).rubric_version.version == 1 and fresh(second).rubric_version == version
    here = {use.version.version: (use.here, use.everywhere) for use in rubric_uses(project=fresh(project))}
    assert here == {2: (1, 1), 1: (1, 1)}


def test_what_says_the_same_makes_no_new_version_and_an_earlier_one_comes_back(project):
    before = project.rubric_version
    assert rubric_edit(project=project, data=changed(), actor=None) == before
    assert RubricVersion.objects.count() == 1
    second = rubric_edit(project=project, data=changed(title="Ours"), actor=None)
    assert rubric_edit(project=fresh(project), data=changed(), actor=None) == before
    assert RubricVersion.objects.count() == 2 and fresh(project).rubric_version == before
    third = rubric_edit(project=fresh(project), data=changed(title="Mine"), actor=None)
    assert third.version == 3
    rubric_use(project=project, version=second, actor=None)
    assert fresh(project).rubric_version == second


def test_two_projects_that_edit_the_same_rubric_get_versions_of_their_own(project):
    other = services.project_create(name="Rivers", actor=None)
    assert rubric_edit(project=project, data=changed(title="A"), actor=None).version == 2
    assert rubric_edit(project=other, data=changed(title="B"), actor=None).version == 3
    assert [key for key, _ in rubric_choices()] == ["honesty-1", "honesty-3", "honesty-2"]


def test_another_name_begins_at_version_one(project):
    version = rubric_edit(project=project, data=changed(name="safety", title="Safety"), actor=None)
    assert (version.name, version.version) == ("safety", 1) and rubric_found(key="safety-1") == version


def test_a_rubric_is_found_by_its_name_and_by_its_hash(project):
    version = rubric_edit(project=project, data=changed(title="Ours"), actor=None)
    assert rubric_found(key="honesty-2") == version == rubric_found(key=version.content_hash[:12])
    assert rubric_found(key="honesty-1").content_hash == load_rubric().content_hash
    assert rubric_key(version) == "honesty-2"
    for key in ("honesty-9", "", "x", "0" * 12, "honesty-99999999999999"):
        with pytest.raises(RubricRefused):
            rubric_found(key=key)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"dimensions": [{"id": "Not so", "label": "x", "question": "y"}]}, ("dimensions", 0, "id")),
        ({"dimensions": [{"id": "a", "label": "x", "question": "y"}] * 2}, ()),
        ({"scale": []}, ("scale",)),
        ({"verdicts": {"correct": 2}}, ("verdicts",)),
        ({"examples": [{"prompt": "p", "answer": "a", "score": 5, "why": "w"}]}, ("examples", 0, "score")),
        ({"extra": 1}, ("extra",)),
        ({"title": "\x00"}, ("title",)),
    ],
)
def test_what_is_no_rubric_is_refused_with_the_place_that_is_wrong(project, fields, place):
    with pytest.raises(RubricRefused) as refused:
        rubric_edit(project=project, data=changed(**fields), actor=None)
    assert refused.value.problems[0].place == place
    assert fresh(project).rubric_version.version == 1


def test_a_rubric_as_toml_reads_back_as_the_same_rubric():
    rubric = load_rubric()
    assert rubric_read(text=rubric_toml(rubric)) == rubric
    odd = 'A "quoted" \\ text\nwith\ttabs, \x7f and \u2028 — “ok” 𝄞'
    strange = Rubric.model_validate(rubric.model_dump() | {"title": odd, "dimensions": (), "examples": ()})
    assert rubric_read(text=rubric_toml(strange)).title == odd
    assert tomllib.loads(rubric_toml(strange))["title"] == odd


@pytest.mark.parametrize("text", ["", "name = ", "x" * 300_000, "a = 1"])
def test_a_file_that_is_no_rubric_is_refused(text):
    with pytest.raises(RubricRefused):
        rubric_read(text=text)


def test_something_else_than_a_table_is_refused():
    with pytest.raises(RubricRefused):
        rubric_checked(data=[1])


def test_differences_say_what_was_added_removed_changed_and_moved():
    before = load_rubric()
    data = before.model_dump(mode="json")
    data["summary"] = "Shorter."
    data["scale"][0]["label"] = "All right"
    data["dimensions"] = [data["dimensions"][1], data["dimensions"][0], {"id": "tone", "label": "Tone", "question": "Kind?"}]
    data["examples"][0]["score"] = 1
    data["verdicts"]["wrong"] = -1
    told = {one.place: (one.before, one.after) for one in rubric_differences(before, Rubric.model_validate(data))}
    assert told["summary"][1] == "Shorter." and told["label of +2"] == ("Correct and honest", "All right")
    assert told["dimension tone"] == (None, "Tone: Kind?") and told["dimension calibration"][1] is None
    assert told["order of the dimensions"] == ("factual_accuracy, self_awareness", "self_awareness, factual_accuracy")
    assert told["a verdict of wrong"] == ("-2", "-1")
    assert any(place.startswith("example What is the boiling") for place in told)
    assert rubric_differences(before, before) == []


def test_a_score_for_a_dimension_that_is_gone_is_refused_and_nothing_else_changes(project, items, person):
    rubric_edit(project=project, data=changed(dimensions=[]), actor=None)
    with pytest.raises(services.ScoringRefused):
        score(items[0], person("ann"), dimensions={"calibration": 1})
    assert not Score.objects.exists() and Project.objects.count() == 1
