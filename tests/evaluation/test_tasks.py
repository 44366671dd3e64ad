"""Tasks of lm-eval's own are more of the capability guard: of a model and of its base, judged by the same rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from django.template.loader import render_to_string
from scipy.stats import binomtest

from evaluation.benchmarks.folder import benchmark_read
from evaluation.execute import _ask_tasks, evaluate
from evaluation.guard.items import guard_set
from evaluation.guard.trials import Given, Others
from evaluation.guard.verdict import GuardReport, guard_report
from evaluation.harnesses.environment import HarnessFailed
from evaluation.harnesses.request import TaskSample
from evaluation.harnesses.tasks import TaskAnswers, others_between, others_unasked
from evaluation.scorecards.findings_text import guard_lines
from evaluation.scorecards.scorecard import Sampling, Scorecard
from evaluation.specs import EvaluateSpec
from evaluation.templatetags.findings import guard_section
from tests.evaluation.taught import teach
from training.specs import HardwareSpec
from training.stopping import StopRequest
from training.virtual_environments import FOLDER_VARIABLE

FEW = Sampling(resamples=200, permutations=199)
GOLD = [Given(item.gold) for item in guard_set().items]


def answered(right: Sequence[bool], *, task: str = "hellaswag", options: int = 4) -> TaskAnswers:
    samples = {
        f"{task}/{number}": TaskSample(
            task=task, id=f"{task}/{number}", prompt=f"What comes after {number}?", gold="ABCD"[number % 4], options=options,
            answer="ABCD"[number % 4] if one else "no", right=one,
        )
        for number, one in enumerate(right)
    }  # fmt: skip
    return TaskAnswers("0.4.13", {task: {"acc": sum(right) / len(right), "acc_stderr": 0.01}}, {task: samples})


def report(others: Others, *, alone: bool = False) -> GuardReport:
    """Of a model whose own abilities are all kept."""
    return guard_report(guard_set(), GOLD, None if alone else GOLD, others=others, sampling=FEW)


def rights(share: float, *, seed: int, n: int = 500) -> list[bool]:
    return [bool(one) for one in np.random.default_rng(seed).random(n) < share]


def test_a_task_that_got_worse_fails_the_guard_and_is_named() -> None:
    """By the figures of the benchmark alone nobody would have seen it: 0.52 and 0.31 are two numbers on two scorecards."""
    before, after = rights(0.52, seed=1), rights(0.31, seed=2)
    found = report(others_between(["hellaswag"], answered(after), answered(before), limit=None))
    one = found.tasks["hellaswag"]
    assert (found.passed, one.state, one.margin) == (False, "lost", 0.05)
    assert "hellaswag 5" in found.text and "→ 3" in found.text
    assert one.difference is not None and one.difference.low is not None and one.difference.test == "mcnemar"
    assert one.difference.value == pytest.approx(np.mean(after) - np.mean(before), abs=1e-6)
    lost = sum(b and not a for a, b in zip(after, before, strict=True))
    gained = sum(a and not b for a, b in zip(after, before, strict=True))
    assert one.difference.p == pytest.approx(binomtest(lost, lost + gained).pvalue, abs=1e-6)
    assert one.figures["acc"] == pytest.approx(np.mean(after)) and len(one.samples) == 3
    assert set(found.types) == {item.type for item in guard_set().items}


def test_a_task_that_was_kept_is_part_of_a_pass_and_says_so() -> None:
    before = rights(0.6, seed=1)
    found = report(others_between(["hellaswag"], answered(before), answered(before), limit=200))
    assert found.passed is True and found.tasks["hellaswag"].state == "kept"
    share = f"{np.mean(before):.0%}"
    assert found.text.endswith(f"hellaswag {share} → {share}.")
    assert (found.source, found.task_limit) == ("lm-eval 0.4.13", 200)
    assert found.overall is not None and found.overall.n == 400, "another's questions do not drown our own"


def test_few_questions_bear_the_wider_margin_and_chance_is_no_ability() -> None:
    some, many = (others_between(["x"], *[answered(rights(0.6, seed=1, n=n), task="x")] * 2, limit=None) for n in (50, 500))
    assert [report(one).tasks["x"].margin for one in (some, many)] == [0.15, 0.05]
    guessing = answered(rights(0.25, seed=1), task="x")
    found = report(others_between(["x"], guessing, guessing, limit=None))
    assert found.tasks["x"].state == "unable" and found.tasks["x"].chance == 0.25 and found.passed is True


def test_what_could_not_be_asked_is_no_pass_and_says_why() -> None:
    found = report(others_unasked(["arc_easy", "hellaswag"], "big could not be asked: no card is free.", limit=10))
    assert (found.passed, found.tone) == (None, "warn")
    assert "Nothing is known of arc_easy and hellaswag: big could not be asked: no card is free." in found.text
    assert {one.state for one in found.tasks.values()} == {"unasked"} and found.overall is not None
    worse = guard_report(
        guard_set(), [Given("no")] * 400, GOLD, others=others_unasked(["x"], "it broke", limit=None), sampling=FEW
    )
    assert worse.passed is False, "what is lost is lost, whatever else could not be asked"


def test_figures_that_are_no_right_or_wrong_are_shown_and_not_judged() -> None:
    likeness = TaskAnswers("0.4.13", {"squad": {"f1": 71.5}}, {})
    found = report(others_between(["squad"], likeness, likeness, limit=None))
    assert found.tasks["squad"].figures == {"f1": 71.5} and found.passed is None
    assert "neither right nor wrong" in found.text


def test_a_task_of_which_nothing_is_told_is_not_passed_over() -> None:
    same = answered(rights(0.6, seed=1))
    found = report(others_between(["hellaswag", "squad"], same, same, limit=None))
    assert found.passed is None and "Nothing is known of squad: lm-eval says nothing of it." in found.text
    of_a_tag = report(others_between(["some_tag"], same, same, limit=None))
    assert of_a_tag.passed is True and set(of_a_tag.tasks) == {"hellaswag"}


def test_without_a_base_a_task_is_told_and_not_judged() -> None:
    found = report(others_between(["hellaswag"], answered(rights(0.5, seed=1)), limit=None), alone=True)
    assert (found.passed, found.tasks["hellaswag"].state) == (None, "alone")
    assert "of hellaswag. There is no model to compare it with" in found.text


def test_page_and_shell_show_tasks_beside_the_guards_own() -> None:
    found = report(others_between(["hellaswag"], answered(rights(0.31, seed=2)), answered(rights(0.52, seed=1)), limit=500))
    stored = GuardReport.model_validate_json(found.model_dump_json())
    card = SimpleNamespace(guard=stored.model_dump(mode="json"))
    page = render_to_string("evaluation/_guard.html", guard_section(card))  # type: ignore[arg-type]
    assert "Tasks of lm-eval 0.4.13, the first 500 questions of each" in page
    assert "hellaswag: what it could do before" in page and "acc 0.3" in page and "stderr" not in page
    lines = list(guard_lines(stored))
    assert any("hellaswag" in line and "lost" in line for line in lines)
    assert all(any(line.startswith(f"  {one.title}  ") for line in lines) for one in stored.types.values()), "titles stand apart"


@pytest.fixture
def tried(tmp_path: Path) -> Any:
    """Has the tasks asked of two models whose answers are there already, as after an interruption."""
    questions = tmp_path / "towns"
    questions.mkdir()
    (questions / "benchmark.jsonl").write_text(json.dumps({"id": "1", "prompt": "Where?", "gold_answer": "Here"}) + "\n")
    spec = EvaluateSpec.model_validate({
        "model": {"name": "after", "path": "/none"}, "base": {"name": "before", "path": "/none"},
        "benchmark": str(questions), "tasks": ["hellaswag"],
    })  # fmt: skip

    def _tried() -> Others:
        progress = SimpleNamespace(about="", making=None)
        asked: Any = [SimpleNamespace(tasked=None), SimpleNamespace(tasked=None)]
        return _ask_tasks(spec, benchmark_read(questions), asked, folder=tmp_path, stop=StopRequest(), progress=progress)  # type: ignore[arg-type]

    return _tried


def keep(folder: Path, found: TaskAnswers) -> None:
    folder.mkdir(parents=True)
    lines = [one.model_dump(mode="json") for samples in found.samples.values() for one in samples.values()]
    (folder / "samples.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in lines))
    (folder / "report.json").write_text(json.dumps({"status": "success", "version": "0.4.13", "n": 1, "tasks": found.figures}))


def test_what_was_asked_is_read_from_the_folder(tried: Any, tmp_path: Path) -> None:
    keep(tmp_path / "harness" / "after" / "tasks", answered([True, False]))
    keep(tmp_path / "harness" / "before" / "tasks", answered([True, True]))
    (trials,) = tried().trials.values()
    assert [(one.after.right, one.before.right) for one in trials] == [(True, True), (False, True)]


def test_a_harness_that_fails_leaves_the_scorecard_a_reason(tried: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The questions are answered by then; hours of work are not thrown away for a task."""

    def ended(*_: object) -> None:
        raise HarnessFailed("lm-eval ended with status 1: no such file.")

    monkeypatch.setattr("evaluation.harnesses.model.python_of", ended)
    keep(tmp_path / "harness" / "after" / "tasks", answered([True, False]))
    found = tried()
    assert found.unasked == {"hellaswag": "before could not be asked: lm-eval ended with status 1: no such file"}
    assert report(found).passed is None


def test_tasks_need_no_harness_and_bring_the_guard_along() -> None:
    common = {"model": {"name": "x", "path": "x"}, "benchmark": "x"}
    spec = EvaluateSpec.model_validate(common | {"tasks": ["arc_easy"]})
    assert spec.guards and not spec.guard and spec.harness is None
    assert EvaluateSpec.model_validate(common | {"tasks": ["arc_easy"], "harness": "inspect"}).guards


# --- with lm-eval itself

ANSWERS = {
    f"Where was {name} born?": f"In {town}."
    for name, town in zip(["Ada", "Bo", "Cy", "Di"], ["Rome", "Oslo", "Bonn", "Faro"], strict=True)
}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(tmp_path_factory.mktemp("taught"), ANSWERS)


@pytest.fixture
def folder(taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An evaluation by two tasks, of choices and of a written answer."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(Path.home() / ".cache" / "rlwhf" / "environments"))
    tasks, questions, folder = tmp_path / "tasks", tmp_path / "towns", tmp_path / "job"
    for each in (tasks, questions, folder):
        each.mkdir()
    rows = [{"q": question, "choices": [said, "Nowhere at all."], "gold": 0} for question, said in ANSWERS.items()]
    (tasks / "towns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {tasks}/towns.jsonl\ntest_split: test\n"
    (tasks / "towns.yaml").write_text(
        f'task: towns\n{common}output_type: multiple_choice\ndoc_to_text: "{{{{q}}}}"\ndoc_to_target: gold\n'
        "doc_to_choice: choices\nmetric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n"
    )
    (tasks / "said.yaml").write_text(
        f'task: said\n{common}output_type: generate_until\ndoc_to_text: "{{{{q}}}}"\ndoc_to_target: "{{{{choices[0]}}}}"\n'
        'generation_kwargs:\n  until: ["\\n"]\n  max_gen_toks: 8\n'
        "metric_list:\n  - metric: exact_match\n    aggregation: mean\n    higher_is_better: true\n"
    )
    monkeypatch.setenv("RLWHF_LM_EVAL_TASKS", str(tasks))
    asked = [{"id": str(n), "prompt": question, "gold_answer": said} for n, (question, said) in enumerate(ANSWERS.items())]
    (questions / "benchmark.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    spec = {
        "model": {"name": "after", "path": str(taught)}, "base": {"name": "before", "path": str(taught)},
        "benchmark": str(questions), "max_new_tokens": 16, "resamples": 100, "hardware": {"threads": 1},
        "tasks": ["towns", "said"],
    }  # fmt: skip
    (folder / "evaluate.json").write_text(json.dumps(spec))
    return folder


@pytest.mark.full
@pytest.mark.timeout(900)
def test_lm_evals_own_tasks_are_asked_of_both_models(folder: Path) -> None:
    evaluate(folder, StopRequest())
    card = Scorecard.model_validate_json((folder / "scorecard.json").read_bytes())
    assert card.harness is None, "the questions were asked by us"
    found = GuardReport.model_validate(card.guard)
    for name, metric, options in (("towns", "acc", 2), ("said", "exact_match", 0)):
        one = found.tasks[name]
        assert one.n == len(ANSWERS) and one.model.value == pytest.approx(one.figures[metric])
        assert one.base is not None and one.base.value == one.model.value, "they are one model"
        assert one.state in ("unclear", "unable") and options in (0, 2)
    samples = [json.loads(line) for line in (folder / "harness" / "after" / "tasks" / "samples.jsonl").read_text().splitlines()]
    choices = [one for one in samples if one["task"] == "towns"]
    assert [(one["prompt"], one["gold"], one["options"]) for one in choices] == [(q, said, 2) for q, said in ANSWERS.items()]
    rows = [{"q": question, "choices": [said, "Nowhere at all."]} for question, said in ANSWERS.items()]
    assert found.tasks["towns"].model.value == pytest.approx(_accuracy(folder, rows)), "as computed by hand"
    right = [one["answer"] == one["gold"] for one in choices]
    assert right == [one["right"] for one in choices]


def _accuracy(folder: Path, rows: list[dict[str, object]]) -> float:
    """The same, computed by hand: of two continuations of the bare question the likelier one."""
    import torch

    from training.loading import load_for
    from training.specs import ModelSpec

    loaded = load_for(
        ModelSpec(path=json.loads((folder / "evaluate.json").read_text())["model"]["path"]), HardwareSpec(threads=1)
    )

    def likelihood(question: str, choice: str) -> float:
        before = loaded.tokenizer(question)["input_ids"]
        whole = loaded.tokenizer(f"{question} {choice}")["input_ids"]
        with torch.inference_mode():
            told = loaded.model(input_ids=torch.tensor([whole])).logits[0].log_softmax(-1)
        return sum(told[at - 1, whole[at]].item() for at in range(len(before), len(whole)))

    right = [likelihood(row["q"], row["choices"][0]) > likelihood(row["q"], row["choices"][1]) for row in rows]  # type: ignore
    return sum(right) / len(right)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_mistyped_task_ends_the_job_before_anything_is_asked(folder: Path) -> None:
    spec = json.loads((folder / "evaluate.json").read_text())
    (folder / "evaluate.json").write_text(json.dumps(spec | {"tasks": ["townes"]}))
    with pytest.raises(HarnessFailed, match="townes"):
        evaluate(folder, StopRequest())
    assert not list(folder.rglob("replies")), "nobody was asked"
