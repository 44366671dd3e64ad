"""The child process reads a request from its folder and leaves a verdict, or why there is none."""

import json
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from evaluation.answers import answers_write
from evaluation.promotion.judge import QUESTIONS, REQUEST, VERDICT, JudgeRequest, judge, main
from evaluation.promotion.rules import Contamination, Rules
from evaluation.promotion.verdict import VerdictDocument
from tests.evaluation.promotion.test_verdict import Measured, measured


def told(folder: Path, model: Measured) -> dict:
    path = folder / f"{model.name}.jsonl"
    answers_write(path, model.rows)
    return {"name": model.name, "scorecard": model.card.model_dump(mode="json"), "answers": str(path)}


@pytest.fixture
def request_folder(tmp_path: Path) -> Path:
    challenger, champion = measured("honest", 0.9), measured("champion", 0.25)
    benchmark, data = tmp_path / "benchmark", tmp_path / "data"
    benchmark.mkdir()
    data.mkdir()
    questions = [
        {"id": row.id, "prompt": row.prompt, "gold_answer": "Paris", "entity": row.entity, "slice": row.slices}
        for row in challenger.rows
    ]
    (benchmark / "benchmark.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in questions))
    # Everybody that training may ask about is in fold A, and one of fold B has slipped in.
    rows = [{"prompt": row.prompt, "response": row.answer} for row in challenger.rows if row.slices["fold"] == "A"]
    rows.append({"prompt": next(row.prompt for row in challenger.rows if row.slices["fold"] == "B"), "response": "Paris."})
    (data / "train.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in rows))
    request = {
        "rules": Rules().model_dump(),
        "challenger": told(tmp_path, challenger),
        "champion": told(tmp_path, champion),
        "benchmark": str(benchmark),
        "datasets": [{"name": "rows-1", "folder": str(data)}],
        "unseen": [],
    }
    (tmp_path / REQUEST).write_bytes(orjson.dumps(request))
    return tmp_path


def test_a_question_of_the_held_out_fold_among_the_training_rows_is_found_and_those_of_the_other_fold_do_not_count(
    request_folder,
):
    assert main(request_folder) == 0
    document = VerdictDocument.model_validate_json((request_folder / VERDICT).read_bytes())
    assert document.overlap is not None
    assert (document.overlap.n, document.overlap.exact, document.overlap.answered) == (480, 1, 1)
    assert document.overlap.matches[0].where == "rows-1, row 481"
    assert (document.passed, document.against, document.champion) == (False, "champion", "champion")
    assert [one.rule for one in document.outcomes if one.state == "broken"] == ["contamination"]
    allowed = JudgeRequest.model_validate_json((request_folder / REQUEST).read_bytes())
    allowed.rules = allowed.rules.model_copy(update={"contamination": Contamination(at_most=0.01)})
    assert judge(allowed).passed is True


def test_a_verdict_has_the_first_of_the_questions_that_were_found_and_its_file_all_of_them(request_folder):
    asked = [row.prompt for row in measured("honest", 0.9).rows if row.slices["fold"] == "B"][:30]
    rows = b"".join(orjson.dumps({"prompt": prompt}) + b"\n" for prompt in asked)
    (request_folder / "data" / "train.jsonl").write_bytes(rows)
    assert main(request_folder) == 0
    found = VerdictDocument.model_validate_json((request_folder / VERDICT).read_bytes()).overlap
    assert (found.found, len(found.matches)) == (30, 20)
    lines = [orjson.loads(line) for line in (request_folder / QUESTIONS).read_bytes().splitlines()]
    assert {one["prompt"] for one in lines} == set(asked) and len(lines) == 30


def test_rows_that_the_champion_was_trained_on_too_are_no_advantage_over_it(request_folder):
    request = orjson.loads((request_folder / REQUEST).read_bytes())
    request["reference"] = {"name": "champion", "datasets": list(request["datasets"])}
    document = judge(JudgeRequest.model_validate(request))
    assert (document.passed, document.overlap.exact, document.overlap.before) == (True, 1, 1)
    assert "champion was trained on 1 of them too" in document.outcomes[-1].text
    more = request_folder / "more"
    more.mkdir()
    slipped = [row for row in measured("honest", 0.9).rows if row.slices["fold"] == "B"][1]
    (more / "train.jsonl").write_bytes(orjson.dumps({"prompt": slipped.prompt}) + b"\n")
    request["datasets"].append({"name": "rows-2", "folder": str(more)})
    document = judge(JudgeRequest.model_validate(request))
    assert (document.passed, document.overlap.exact, document.overlap.before) == (False, 2, 1)
    assert document.overlap.matches[0].where == "rows-2, row 1"


@pytest.mark.parametrize(("change", "reason"), [
    ({"rules": {"contamination": {"slice": "C"}}}, "no question is in the slice “C”"),
    ({"benchmark": "/nowhere"}, "benchmark.jsonl"),
    ({"rules": {"unheard": 1}}, "unheard"),
])  # fmt: skip
def test_what_cannot_be_judged_says_why(request_folder, change, reason):
    request = orjson.loads((request_folder / REQUEST).read_bytes()) | change
    (request_folder / REQUEST).write_bytes(orjson.dumps(request))
    assert main(request_folder) == 1
    assert reason in json.loads((request_folder / "failure.json").read_text())["reason"]
    assert not (request_folder / VERDICT).exists()


@pytest.mark.full
def test_it_runs_as_a_process_of_its_own(request_folder):
    subprocess.run([sys.executable, "-m", "evaluation.promotion.judge", str(request_folder)], check=True, timeout=120)
    assert (request_folder / VERDICT).exists()
