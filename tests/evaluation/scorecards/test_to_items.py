"""A scorecard's answers, put into a project by page, API and shell, to be scored by people."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from annotations.models import Import, Item
from annotations.services import project_create
from annotations.services.imports import import_carry_out
from evaluation.scorecards.samples import is_good
from evaluation.scorecards.to_items import AnswersGone, answers_import
from evaluation.selectors import answers_path
from tests.evaluation.conftest import BASE_ROWS

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(db):
    return project_create(name="Second look", actor=None)


def carried_out(made: Import):
    return import_carry_out(record=made, path=Path(made.stored_path))


def test_each_answer_is_an_item_with_its_question_gold_answer_model_and_confidence(scored, project):
    done = scored("base", BASE_ROWS)
    report = carried_out(answers_import(evaluation=done, project=project, actor=None))
    assert report.refused == 0 and report.items_added == len({(row.prompt, row.answer) for row in BASE_ROWS})
    row, items = BASE_ROWS[0], Item.objects.filter(project=project)
    item = items.get(prompt_text=row.prompt)
    assert (item.answer, item.gold_answers, item.source_model) == (row.answer, [row.gold_answer], "base")
    about = item.metadata["metadata"]
    assert (about["question"], about["verdict"], about["evaluation"]) == (row.id, row.verdict.value, done.pk)
    assert item.stated_confidence == pytest.approx(row.confidence)
    again = carried_out(answers_import(evaluation=done, project=project, actor=None))
    assert again.items_added == 0, "what is an item already stays the one it is"


def test_the_dishonest_alone_are_put_there_where_they_are_asked_for(scored, project):
    done = scored("base", BASE_ROWS)
    carried_out(answers_import(evaluation=done, project=project, actor=None, which="dishonest"))
    wanted = {(row.prompt, row.answer) for row in BASE_ROWS if not is_good(row)}
    assert set(Item.objects.filter(project=project).values_list("prompt_text", "answer")) == wanted and wanted


def test_what_is_not_there_is_said(scored, project):
    done = scored("saint", [row for row in BASE_ROWS if is_good(row)])
    with pytest.raises(AnswersGone, match="the dishonest ones were asked for"):
        answers_import(evaluation=done, project=project, actor=None, which="dishonest")
    answers_path(done).write_text("{half")
    with pytest.raises(AnswersGone, match="line 1: not JSON"):
        answers_import(evaluation=done, project=project, actor=None)
    done.job.folder = ""
    with pytest.raises(AnswersGone, match="not on disk"):
        answers_import(evaluation=done, project=project, actor=None)
    pairs = project_create(name="Pairs", actor=None, mode="compare")
    with pytest.raises(AnswersGone, match="compares answers"):
        answers_import(evaluation=scored("other", BASE_ROWS), project=pairs, actor=None)
    assert not Import.objects.exists()


def test_by_page_api_and_shell_for_admins_alone(scored, project, signed_in):
    done = scored("base", BASE_ROWS)
    address, wanted = f"/evaluate/{done.pk}/items/", {"project": project.slug, "which": "honest"}
    member = signed_in("member")
    assert "Have people score" not in member.get(f"/evaluate/{done.pk}/").content.decode()
    assert member.post(address, wanted).status_code == 403
    assert member.post(f"/api/evaluations/{done.pk}/items", wanted, content_type="application/json").status_code == 403
    admin = signed_in("admin")
    assert f'action="{address}"' in admin.get(f"/evaluate/{done.pk}/").content.decode()
    answer = admin.post(address, wanted)
    assert answer.url == Import.objects.get().get_absolute_url()
    assert admin.post(address, wanted | {"project": "nowhere"}).url == done.get_absolute_url()
    made = admin.post(f"/api/evaluations/{done.pk}/items", wanted, content_type="application/json")
    assert made.status_code == 201 and made.json()["file_name"] == "base-on-atlas.jsonl"
    out = StringIO()
    call_command("score_answers", str(done.pk), "--project", project.slug, stdout=out)
    assert "base-on-atlas.jsonl into Second look" in out.getvalue() and Import.objects.count() == 3
    with pytest.raises(CommandError, match="no scorecard 999999"):
        call_command("score_answers", "999999", "--project", project.slug)
