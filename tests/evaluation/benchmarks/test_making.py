"""Benchmarks of published files, of projects' scored items, and of Atlas."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from accounts.models import AuditEntry, User
from accounts.services import user_create
from annotations.models import Item, Project
from annotations.services import item_import, project_create
from annotations.services.scoring import score_submit
from evaluation.answers import answers_write
from evaluation.benchmarks.folder import answer_row, benchmark_read
from evaluation.benchmarks.making import benchmark_atlas, benchmark_from_project, benchmark_import, upload_benchmark
from evaluation.judging import judge_answer
from evaluation.models import Benchmark
from evaluation.question import Question
from evaluation.services import EvaluationRefused
from tests.evaluation.benchmarks import published

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: object) -> Path:
    settings.RLWHF_HOME = tmp_path / "home"  # type: ignore[attr-defined]
    return tmp_path / "home"


@pytest.fixture
def halueval(tmp_path: Path) -> Path:
    path = tmp_path / "qa_data.json"
    path.write_bytes(orjson.dumps(published.HALUEVAL_QA) + b"\n" + orjson.dumps({"colour": "red"}))
    return path


def items(project: Project, path: Path, *rows: dict[str, Any]) -> list[Item]:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    item_import(project=project, path=path, actor=None)
    return [Item.objects.get(project=project, prompt_text=row["prompt"], answer=row["answer"]) for row in rows]


def test_a_published_file_becomes_a_benchmark_once(halueval: Path, home: Path) -> None:
    made = benchmark_import(path=halueval, actor=None)
    assert (made.benchmark.name, made.benchmark.version, made.benchmark.n, made.known) == ("halueval", "1", 2, False)
    assert made.left_out == {"has neither a right and a made-up answer, nor one that is marked": 1}
    assert made.benchmark.facts["judges"] == {"choice": 2} and made.benchmark.facts["entities"] == 1
    assert made.benchmark.facts["slices"]["answer"] == {"made up": 1, "right": 1}
    assert Path(made.benchmark.folder).parent == home / "benchmarks"
    again = benchmark_import(path=halueval, actor=None, name="Another name")
    assert again.known and again.benchmark == made.benchmark
    assert [str(one) for one in (home / "benchmarks").iterdir()] == [made.benchmark.folder], "no second copy is left"
    assert AuditEntry.objects.filter(action="evaluation.benchmark_registered").count() == 1


def test_other_questions_under_a_name_are_its_next_version(halueval: Path) -> None:
    first = benchmark_import(path=halueval, actor=None, name="Mine")
    second = benchmark_import(path=halueval, actor=None, name="Mine", source_format="halueval-answer")
    third = benchmark_import(path=halueval, actor=None, name="Mine", source_format="halueval-answer", version="9")
    assert [(one.benchmark.name, one.benchmark.version) for one in (first, second, third)] == [
        ("mine", "1"),
        ("mine", "2"),
        ("mine", "2"),
    ]


def test_a_version_is_of_one_set_of_questions(halueval: Path, home: Path) -> None:
    benchmark_import(path=halueval, actor=None, name="Mine", version="2026")
    with pytest.raises(EvaluationRefused, match="mine 2026 with other questions") as refused:
        benchmark_import(path=halueval, actor=None, name="Mine", version="2026", source_format="halueval-answer")
    assert refused.value.field == "version"
    assert Benchmark.objects.count() == len(list((home / "benchmarks").iterdir())) == 1


@pytest.mark.parametrize(
    ("how", "field"), [({"source_format": "nothing"}, "source_format"), ({"source_format": "simpleqa"}, "file")]
)
def test_what_cannot_be_read_is_refused_at_its_field(halueval: Path, how: dict[str, str], field: str) -> None:
    with pytest.raises(EvaluationRefused) as refused:
        benchmark_import(path=halueval, actor=None, **how)
    assert refused.value.field == field
    assert not Benchmark.objects.exists()


def test_an_upload_leaves_nothing_behind(halueval: Path, home: Path) -> None:
    made = upload_benchmark(
        [halueval.read_bytes()], "qa_data.json", lambda path: benchmark_import(path=path, actor=None, called="qa.json")
    )
    assert benchmark_read(Path(made.benchmark.folder)).manifest["source"]["file"] == "qa.json"
    with pytest.raises(EvaluationRefused):
        upload_benchmark([b"x"], "x.jsonl", lambda path: benchmark_import(path=path, actor=None))
    assert not list((home / "uploads").iterdir())


def test_atlas_has_all_its_splits(home: Path) -> None:
    made = benchmark_atlas(actor=None)
    facts = made.benchmark.facts
    assert made.benchmark.name == "atlas" and facts["known"] and facts["unknown"]
    assert {name: set(values) for name, values in facts["slices"].items() if name in {"taught", "fold", "split", "template"}} == {
        "taught": {"taught", "untaught"}, "fold": {"A", "B"}, "split": {"easy", "hard"}, "template": {"seen", "held-out"},
    }  # fmt: skip
    assert benchmark_atlas(actor=None).known and benchmark_atlas(actor=None, seed=1).benchmark != made.benchmark


def test_a_projects_questions_are_judged_by_what_people_said(tmp_path: Path) -> None:
    project = project_create(name="Bridges", guidelines="", actor=None, raters_per_item=2)
    who: list[User] = [user_create(username=name, password="a long enough secret", role="annotator", actor=None) for name in "ab"]
    given = {
        ("Who built it?", "Ada Berg"): (2, 2),
        ("Who built it?", "Karl Lund"): (-2, -1),
        ("Who built it?", "I don't know."): (0,),
        ("When?", "In 1911"): (1, 1),  # nobody called an answer right
        ("Where?", "Oslo"): (),
    }
    made_items = items(project, tmp_path / "t.jsonl", *({"prompt": prompt, "answer": answer} for prompt, answer in given))
    for item, scores in zip(made_items, given.values(), strict=True):
        for person, score in zip(who, scores, strict=False):
            score_submit(item=item, actor=person, submission=uuid4(), overall=score, critique="So it is.")
    made = benchmark_from_project(project=project, actor=None)
    [one] = benchmark_read(Path(made.benchmark.folder)).questions
    assert made.benchmark.project == project
    assert made.left_out == {"no answer to it is known to be right": 1, "no answer to it is scored by enough people": 1}
    assert (one.gold_answers, one.false_answers) == (["Ada Berg"], ["Karl Lund"])
    assert judge_answer(one, "karl lund").score == -1.5
    assert benchmark_from_project(project=project, actor=None).known
    fewer = benchmark_from_project(project=project, actor=None, min_scores=2)
    assert fewer.benchmark.version == "2" and len(benchmark_read(Path(fewer.benchmark.folder)).questions[0].scored) == 2


def test_a_models_answers_that_people_score_are_judged_by_them_from_then_on(tmp_path: Path) -> None:
    """A scorecard's answers become items, people score them, and the project's benchmark knows these very answers."""
    asked = [Question(id=str(number), prompt=f"Who built bridge {number}?", gold_answer="Ada") for number in range(2)]
    said = ["A fine engineer.", "Ada did."]
    rows = [answer_row(question, answer, 0.5, None) for question, answer in zip(asked, said, strict=True)]
    assert [row.verdict.value for row in rows] == ["wrong", "correct"]
    answers_write(tmp_path / "answers.jsonl", rows)
    project = project_create(name="Bridges", guidelines="", actor=None)
    item_import(project=project, path=tmp_path / "answers.jsonl", actor=None)
    person = user_create(username="ana", password="a long enough secret", role="annotator", actor=None)
    for item, score in zip(Item.objects.order_by("prompt_text"), (2, -2), strict=True):
        score_submit(item=item, actor=person, submission=uuid4(), overall=score, critique="So it is.")
    again = benchmark_read(Path(benchmark_from_project(project=project, actor=None).benchmark.folder)).questions
    judged = {
        str(one.prompt): answer_row(one, answer, 0.5, None) for one in again for answer in said if answer in _scored_of(one)
    }
    assert [(judged[str(one.prompt)].verdict.value, judged[str(one.prompt)].score) for one in asked] == [
        ("correct", 2),
        ("wrong", -2),
    ]


def _scored_of(question: Question) -> list[str]:
    return [one.answer for one in question.scored]


def test_gold_items_and_gold_answers_count_without_anybodys_score(tmp_path: Path) -> None:
    project = project_create(name="Gold", guidelines="", actor=None)
    gold = {"gold_score": 2, "gold_note": "It was."}
    items(
        project,
        tmp_path / "t.jsonl",
        {"prompt": "Who?", "answer": "Karl", "gold_answer": ["Ada"]},
        {"prompt": "When?", "answer": "1911", "metadata": gold},
    )
    made = benchmark_from_project(project=project, actor=None)
    found = {str(one.prompt): (one.judge, one.gold_answers) for one in benchmark_read(Path(made.benchmark.folder)).questions}
    assert found == {"Who?": ("gold", ["Ada"]), "When?": ("scored", ["1911"])}


def test_a_project_that_nobody_has_scored_is_refused() -> None:
    project: Project = project_create(name="Empty", guidelines="", actor=None)
    with pytest.raises(EvaluationRefused, match="Empty") as refused:
        benchmark_from_project(project=project, actor=None)
    assert refused.value.field == "project"
