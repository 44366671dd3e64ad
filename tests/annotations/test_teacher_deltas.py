"""Teachers' rewards that are made to agree with people's rankings and imported preferences, in builds."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from annotations import services
from annotations.models import DatasetVersion, Item, Project, Ranking, Rater, Score
from annotations.ranking_rows import Vote, preferred
from annotations.teachers.deltas import MARGIN, deltas
from tests.annotations.conftest import tuple_of
from tests.annotations.scored import people, score
from tests.annotations.test_fusion import tuples
from tests.evaluation.conftest import signed_in

__all__ = ["signed_in"]
pytestmark = pytest.mark.django_db
WORDS = ("Rome.", "Oslo.", "Bern.")


@pytest.fixture
def scored(project, write) -> dict[tuple[int, str], Item]:
    """Three prompts with three answers each; a teacher gives +1, 0 and −1. By prompt and answer."""
    services.item_import(project=project, path=write(tuple_of(n, answer=text) for n in range(3) for text in WORDS), actor=None)
    teacher = Rater.objects.create(kind=Rater.Kind.TEACHER, name="strict@1")
    found = {(int(one.prompt_text.split()[-1][:-1]), one.answer): one for one in Item.objects.select_related("project")}
    Score.objects.bulk_create([score(item, teacher, 1.0 - WORDS.index(answer)) for (_, answer), item in found.items()])
    return found


def order(scored, prompt: int, best: str, worst: str, rater: Rater, **more) -> Ranking:
    shown = [scored[prompt, best], scored[prompt, worst]]
    return Ranking.objects.create(
        item=scored[prompt, WORDS[0]], rater=rater, rubric_version_id=shown[0].project.rubric_version_id,
        shown=[one.pk for one in shown], ranks=[1, 2], given_at=timezone.now(), **more,
    )  # fmt: skip


def rewards(project: Project, scored, prompt: int, **settings) -> list[float]:
    found, _ = tuples(project, **settings)
    return [found[scored[prompt, text].pk].reward for text in WORDS]


def test_where_people_prefer_what_a_teacher_does_not_both_move_by_as_little_as_it_takes(project, scored):
    order(scored, 0, "Oslo.", "Rome.", people(1)[0])
    assert rewards(project, scored, 0) == [1, 0, -1]
    found, stream = tuples(project, teacher_deltas=1)
    expected = deltas({1: 1.0, 2: 0.0}, [(2, 1)])
    moved = [found[scored[0, text].pk] for text in WORDS]
    assert [one.reward for one in moved] == [1 + expected[1], expected[2], -1]
    assert moved[1].reward - moved[0].reward == pytest.approx(MARGIN)
    assert [one.metadata.model_dump().get("teacher_delta") for one in moved] == [-0.75, 0.75, None]
    assert stream.moved == [0.75, 0.75]
    assert rewards(project, scored, 1, teacher_deltas=1) == [1, 0, -1]
    assert rewards(project, scored, 0, teacher_deltas=0.5) == [0.625, 0.375, -1]
    assert "teacher_delta" not in tuples(project)[0][scored[0, "Rome."].pk].metadata.model_dump()


def test_what_people_and_gold_say_of_an_answer_stays(project, scored):
    ann, ben = people(2)
    order(scored, 0, "Bern.", "Rome.", ann)
    order(scored, 1, "Bern.", "Rome.", ann)
    gold = Rater.objects.create(kind=Rater.Kind.GOLD, name="gold")
    Score.objects.bulk_create([score(scored[0, "Rome."], ben, 2), score(scored[1, "Bern."], gold, -2)])
    assert rewards(project, scored, 0, teacher_deltas=1) == [2, 0, -1]
    assert rewards(project, scored, 1, teacher_deltas=1) == [1, 0, -2]


def test_imported_preferences_count_where_no_person_has_one_and_our_teachers_orders_never(project, scored, write):
    imported = project.imports.first()
    file = Rater.objects.create(kind=Rater.Kind.TEACHER, name="a file")
    order(scored, 0, "Oslo.", "Rome.", file, source_import=imported, source_line=1)
    order(scored, 1, "Oslo.", "Rome.", file, source_import=imported, source_line=2)
    order(scored, 1, "Rome.", "Oslo.", people(1)[0])
    order(scored, 2, "Oslo.", "Rome.", Rater.objects.create(kind=Rater.Kind.TEACHER, name="pairs@1"))
    assert rewards(project, scored, 0, teacher_deltas=1) == [0.25, 0.75, -1]
    assert rewards(project, scored, 1, teacher_deltas=1) == [1, 0, -1]
    assert rewards(project, scored, 2, teacher_deltas=1) == [1, 0, -1]


def test_more_than_half_decide_and_a_circle_decides_nothing():
    def votes(*orders: str) -> list[Vote]:
        return [Vote(str(number), {word: rank for rank, word in enumerate(told)}) for number, told in enumerate(orders)]

    assert preferred(votes("ba", "ba", "ab")) == [("b", "a")]
    assert preferred(votes("ab", "ba")) == []
    assert preferred(votes("ab", "bc", "ca", "ad")) == [("a", "d")]


def test_flagged_answers_and_comparisons_move_nothing(project, scored):
    ranking = order(scored, 0, "Oslo.", "Rome.", people(1)[0])
    Item.objects.filter(pk=ranking.item_id).update(open_flags=1)
    found, _ = tuples(project, teacher_deltas=1)
    assert found[scored[0, "Oslo."].pk].reward == 0


def test_form_preview_api_and_command_ask_for_it_alike(project, scored, signed_in, settings, tmp_path):
    settings.RLWHF_HOME = tmp_path
    order(scored, 0, "Oslo.", "Rome.", people(1)[0])
    asked = {"teacher_deltas": 0.5}
    version = services.dataset_build(project=project, name="by-service", kind="scored", settings=asked, actor=None)
    assert version.report["teacher_deltas"] == {"moved": 2, "mean": 0.375}
    call_command(
        "dataset", "build", "--project", project.slug, "--name", "by-command", "--kind", "scored", "--teacher-deltas", "0.5",
        stdout=StringIO(),
    )  # fmt: skip
    assert DatasetVersion.objects.get(name="by-command").content_hash == version.content_hash
    client = signed_in("admin")
    form = {
        "project": project.pk, "kind": "scored", "name": "by-form", "gold": "wins", "teacher_deltas": 0.5, "min_people": 0,
        "min_reward": 1, "min_gap": 1, "fill": "on", "eval_share": 0.1, "test_share": 0, "seed": 0,
    }  # fmt: skip
    preview = client.post(reverse("annotations:dataset-preview"), form).content.decode()
    assert "to agree with preferences" in preview
    page = client.post(reverse("annotations:dataset-build"), form, follow=True).content.decode()
    assert "to agree with preferences" in page
    assert DatasetVersion.objects.get(name="by-form").content_hash == version.content_hash
    wanted = {"project": project.slug, "name": "by-api", "kind": "scored", "settings": {"teacher_deltas": 2}}
    assert client.post("/api/datasets", wanted, content_type="application/json").status_code == 422
