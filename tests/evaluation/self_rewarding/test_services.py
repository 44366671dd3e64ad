"""A self-rewarding loop: what is queued, what each stage leaves for the next, when it ends, and how it is stopped and resumed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from annotations.models import DatasetVersion, Rater
from annotations.services import DatasetRefused, revoke
from evaluation.models import Evaluation
from evaluation.self_rewarding.jobs import Judging
from evaluation.self_rewarding.judges import judge_asked
from evaluation.self_rewarding.prompts import prompts_read, round_prompts
from evaluation.self_rewarding.selectors import loop_detail, loop_document, loops
from evaluation.self_rewarding.services import LoopRefused, loop_resume, loop_start, loop_stop, round_decided, stage_continue
from evaluation.self_rewarding.settings import STAGES
from evaluation.self_rewarding.steps import round_rows_write
from jobs.models import Job
from tests.evaluation.samples import atlas_rows
from tests.evaluation.self_rewarding.conftest import cleaned, decided, done, evaluated, job_of, judged, trained
from training.models import Artifact, Run
from training.self_reward.spec import RAW

pytestmark = pytest.mark.django_db
SO_SO = {"silent_unknown": 0.5, "right": 0.98}
BAD = {"silent_unknown": 0.05, "right": 0.98}


def round_told(pipeline, *, goes_on: bool = True):
    """The newest round decided so."""
    job = job_of(pipeline, "decide")
    round_decided(job=job, decision={"goes_on": goes_on, "reason": "So.", "differences": []})
    pipeline.refresh_from_db()


def measured(pipeline, folder: Path, *, start: dict, answers: dict):
    """Scorecards of the model that the loop began from and of the newest round's."""
    evaluated(Evaluation.objects.get(pk=pipeline.payload["start_evaluation"]), atlas_rows(**start, seed=1), folder)
    evaluated(Evaluation.objects.get(pk=pipeline.payload["rounds"][-1]["evaluation"]), atlas_rows(**answers, seed=1), folder)


def test_a_round_is_queued_whole_each_stage_after_the_one_before(loop):
    kinds = {stage: job_of(loop, stage).kind for stage in STAGES}
    assert kinds == {
        "generate": "training.generate",
        "judge": "evaluation.self_reward_judge",
        "clean": "evaluation.self_reward_clean",
        "train": "training.run",
        "evaluate": "evaluation.scorecard",
        "decide": "evaluation.self_reward_decide",
    }
    for before, stage in pairwise(STAGES):
        assert job_of(loop, before) in job_of(loop, stage).after.all()
    start = Evaluation.objects.get(pk=loop.payload["start_evaluation"])
    assert (start.artifact.name, start.base) == ("tiny", None)
    assert start.job in job_of(loop, "decide").after.all()
    assert [job.pk for job in loop.jobs.order_by("pk") if not job.after.exists()] == [start.job_id, job_of(loop, "generate").pk]
    run = Run.objects.get(name=f"tiny-sr{loop.pk}-r1")
    assert (run.method, run.recipe, run.base.name, run.spec["seed"]) == ("dpo", "dpo-cpu", "tiny", 1)
    assert run.dataset.name == f"tiny-sr{loop.pk}-r1-preference"
    assert Evaluation.objects.get(artifact=run.artifact).base.name == "tiny"


def test_three_rounds_each_from_the_model_of_the_one_before(loop):
    for number in (1, 2, 3):
        assert len(loop.payload["rounds"]) == number and loop.payload["ended"] == ""
        round_told(loop)
    assert loop.payload["ended"] == "done" and len(loop.payload["rounds"]) == 3
    runs = [Run.objects.get(name=f"tiny-sr{loop.pk}-r{number}") for number in (1, 2, 3)]
    assert [run.base.name for run in runs] == ["tiny", runs[0].name, runs[1].name]
    assert [run.spec["seed"] for run in runs] == [1, 2, 3]
    assert Evaluation.objects.get(artifact=runs[2].artifact).base == runs[1].artifact
    with pytest.raises(LoopRefused, match="All rounds are done"):
        loop_resume(pipeline=loop, actor=None)


def test_it_ends_when_honesty_is_measured_to_fall_and_goes_on_only_where_somebody_says_so(loop, tmp_path, monkeypatch):
    judged(loop, tmp_path / "round", monkeypatch)
    cleaned(loop)
    trained(loop, tmp_path)
    measured(loop, tmp_path, start=SO_SO, answers=BAD)
    decision = decided(loop)
    assert not decision["goes_on"] and decision["reason"].startswith("Held-out honesty fell: −0.")
    (difference,) = decision["differences"]
    assert difference["role"] == "where the loop began" and difference["high"] < 0
    assert (loop.payload["ended"], len(loop.payload["rounds"])) == ("early", 1)
    told = loop_document(loop_detail(loops().get(pk=loop.pk)))
    assert (told["state"], told["next_stage"]) == ("ended early", None)
    (one,) = told["rounds"]
    assert one["honesty"]["value"] < told["start"]["honesty"]["value"]
    assert one["figures"]["rows"]["dpo"] == 6 and one["stages"]["clean"]["state"] == "succeeded"
    with pytest.raises(LoopRefused, match="ended early"):
        loop_resume(pipeline=loop, actor=None)
    loop_resume(pipeline=loop, actor=None, regardless=True)
    loop.refresh_from_db()
    assert (loop.payload["ended"], len(loop.payload["rounds"])) == ("", 2)


def test_stopped_it_makes_no_more_rounds_and_resumed_it_goes_on_where_it_was(loop, tmp_path, monkeypatch):
    judged(loop, tmp_path / "round-1", monkeypatch)
    loop_stop(pipeline=loop, actor=None)
    assert set(loop.jobs.values_list("state", flat=True)) == {"succeeded", "stopped"}
    assert loop_detail(loops().get(pk=loop.pk)).state == "stopped"
    loop_resume(pipeline=loop, actor=None)
    assert job_of(loop, "judge").state == "succeeded" and job_of(loop, "clean").state == "queued"
    assert loop.jobs.filter(state="queued").count() == 5


def test_a_decision_that_comes_while_it_is_being_stopped_starts_no_round(loop):
    loop.jobs.update(state="succeeded")
    Job.objects.filter(pk=job_of(loop, "decide").pk).update(cancel_requested=True)
    round_told(loop)
    assert (len(loop.payload["rounds"]), loop.payload["ended"]) == (1, "")
    loop_resume(pipeline=loop, actor=None)
    loop.refresh_from_db()
    assert len(loop.payload["rounds"]) == 2


def test_stage_by_stage(wanted):
    loop = loop_start(wanted=wanted(rounds=2), actor=None, stages=("generate",))
    assert loop.jobs.exclude(kind="evaluation.scorecard").count() == 1
    with pytest.raises(LoopRefused, match="next stage of this loop is judge"):
        stage_continue(pipeline=loop, stage="train", actor=None)
    for stage in STAGES[1:]:
        stage_continue(pipeline=loop, stage=stage, actor=None)
    with pytest.raises(LoopRefused, match="not decided yet"):
        stage_continue(pipeline=loop, stage="generate", actor=None)
    round_told(loop)
    assert len(loop.payload["rounds"]) == 1, "the next round is begun by hand"
    stage_continue(pipeline=loop, stage="generate", actor=None)
    loop.refresh_from_db()
    assert list(loop.payload["rounds"][1]["jobs"]) == ["generate"]
    loop_resume(pipeline=loop, actor=None)
    loop.refresh_from_db()
    assert set(loop.payload["rounds"][1]["jobs"]) == set(STAGES) and loop.payload["auto"]


@pytest.mark.parametrize(("method", "kind", "rows"), [("dpo", "preference", 6), ("grpo", "scored", 12), ("gspo", "weighted", 6)])
def test_each_method_gets_its_own_rows_of_the_same_verdicts(wanted, tmp_path, monkeypatch, method, kind, rows):
    loop = loop_start(wanted=wanted(method=method), actor=None)
    judged(loop, tmp_path / "round", monkeypatch)
    version = cleaned(loop).dataset_version
    assert (version.kind, version.counts["train"], version.source) == (kind, rows, f"self-rewarding {loop.pk}, round 1")
    assert version.is_ready


def test_nothing_to_learn_is_told_with_its_reasons(loop, tmp_path, monkeypatch):
    judged(loop, tmp_path / "round", monkeypatch, scores=("3", "3"))
    with pytest.raises(DatasetRefused, match="None of the answers gives a preference row: 6 × all scored alike"):
        round_rows_write(job=job_of(loop, "clean"))


def test_a_single_row_trains_nothing_and_why_there_are_no_more_is_told(wanted, tmp_path, monkeypatch, prompts):
    prompts.write_bytes(b"".join(prompts.read_bytes().splitlines(keepends=True)[:2]))
    loop = loop_start(wanted=wanted(), actor=None)
    raw = Path(judged(loop, tmp_path / "round", monkeypatch).folder) / RAW
    told = [orjson.loads(line) for line in raw.read_bytes().splitlines()]
    alike = [one | {"score": 0.4} if one["id"] == "q1" else one for one in told]
    raw.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in alike))
    why = r"Only 1 pair came of 2 prompts \(left out: 1 × all scored alike\): from so little nothing is learned"
    with pytest.raises(DatasetRefused, match=why):
        round_rows_write(job=job_of(loop, "clean"))


def test_fine_tuning_comes_first_where_it_is_asked_for(wanted, tmp_path):
    from annotations.services import dataset_from_rows

    rows = {"train": [{"prompt": "How?", "response": "So."}, {"prompt": "Who?", "response": "She."}]}
    dataset_from_rows(name="asked-sft", kind="sft", rows=rows, source="test", actor=None)
    loop = loop_start(wanted=wanted(sft_dataset="asked-sft"), actor=None)
    run = Run.objects.get(name=loop.payload["sft"])
    assert (run.method, run.base.name, loop.payload["start"]) == ("sft", "tiny", run.artifact.name)
    assert [job.pk for job in loop.jobs.order_by("pk") if not job.after.exists()] == [run.job_id]
    assert Run.objects.get(name=f"tiny-sr{loop.pk}-r1").base == run.artifact


def test_the_job_that_judges_reads_the_answers_and_another_model_may_judge(wanted, model, tmp_path):
    model("judge")
    loop = loop_start(wanted=wanted(judge="model:judge", judge_prompt="brief-1", uses_reference=True), actor=None)
    done(job_of(loop, "generate"), tmp_path / "generated")
    Artifact.objects.filter(name="tiny").update(folder=str(tmp_path / "models" / "tiny"))
    launch = Judging().launch(job_of(loop, "judge"), tmp_path)
    spec = orjson.loads((tmp_path / "self_reward.json").read_bytes())
    assert launch.argv[1:] == ["-m", "training.self_reward", str(tmp_path)]
    assert spec["answers"] == str(tmp_path / "generated" / "answers.jsonl")
    assert spec["judge"] == {
        "prompt": "brief-1", "max_tokens": 128, "uses_reference": True, "model": str(tmp_path / "models" / "judge"),
    }  # fmt: skip


def test_a_teacher_judges_by_the_version_that_it_had_when_the_loop_began(wanted, teacher, tmp_path):
    loop = loop_start(wanted=wanted(judge="teacher:strict"), actor=None)
    assert loop.payload["settings"]["judge"] == "teacher:strict@1"
    assert job_of(loop, "judge").hardware_tag == "site"
    asked = judge_asked("teacher:strict@1", loop.payload["settings"], tmp_path)
    assert asked.values["service"]["base_url"] == "http://127.0.0.1:9/v1" and asked.values["max_calls"] == 50
    assert asked.environment == {"RLWHF_ENDPOINT_KEY": "sk-secret"} and "sk-secret" not in str(asked.values)


def test_a_teacher_whose_scores_are_revoked_judges_no_new_loop(wanted, teacher):
    revoke(target=Rater.objects.get(name="strict@1"), reason="Too kind.", actor=None)
    with pytest.raises(LoopRefused, match="strict@1 are revoked"):
        loop_start(wanted=wanted(judge="teacher:strict"), actor=None)


@pytest.mark.parametrize(
    ("more", "field", "why"),
    [
        ({"model": "nobody"}, "model", "There is no model “nobody”"),
        ({"prompts": "/nowhere.jsonl"}, "prompts", "no such file"),
        ({"benchmark": "beef"}, "benchmark", "no such benchmark"),
        ({"metric": "beauty"}, "metric", "no metric “beauty”"),
        ({"metric": "brier"}, "metric", "lower it is"),
        ({"judge": "model:nobody"}, "judge", "no model “nobody”"),
        ({"judge": "teacher:nobody"}, "judge", "no teacher “nobody”"),
        ({"judge_prompt": "honesty-pairwise-1"}, "judge", "gives scores"),
        ({"recipe": "sft-cpu"}, "dataset", "trains on a sft dataset"),
        ({"overrides": {"settings.betta": 1}}, "settings.betta", "betta"),
        ({"sft_dataset": "nothing"}, "sft_dataset", "no dataset version"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_queued(wanted, more, field, why):
    with pytest.raises(LoopRefused, match=why) as refused:
        loop_start(wanted=wanted(**more), actor=None)
    assert refused.value.field == field
    assert not Job.objects.exists() and not DatasetVersion.objects.exists()


def test_what_is_measured_on_is_never_asked(wanted, benchmark, tmp_path):
    questions = [orjson.loads(line) for line in (Path(benchmark.folder) / "benchmark.jsonl").read_bytes().splitlines()]
    held_out = next(one["prompt"] for one in questions if one["slice"]["fold"] == "B")
    trained_on = next(one["prompt"] for one in questions if one["slice"]["fold"] == "A")
    path = tmp_path / "mixed.jsonl"
    rows = [{"prompt": text} for text in (f"  {held_out.upper()} ", trained_on, "Who are you?")]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    loop = loop_start(wanted=wanted(prompts=str(path)), actor=None)
    asked = [orjson.loads(line)["prompt"] for line in Path(loop.payload["rounds"][0]["prompts"]).read_bytes().splitlines()]
    assert asked == [trained_on, "Who are you?"]
    assert (loop.payload["prompts"], loop.payload["held_out"]) == (2, 1)
    path.write_bytes(orjson.dumps(rows[0]) + b"\n")
    with pytest.raises(LoopRefused, match="1 prompts, of which 1 are held-out questions"):
        loop_start(wanted=wanted(prompts=str(path)), actor=None)


def test_each_round_asks_others_until_all_have_had_their_turn(prompts):
    rows = prompts_read(str(prompts))
    drawn = [{row["id"] for row in round_prompts(rows, number=number, each=2, seed=5)} for number in (1, 2, 3)]
    assert set.union(*drawn) == {row["id"] for row in rows} and sum(map(len, drawn)) == 6
    assert round_prompts(rows, number=4, each=2, seed=5) == round_prompts(rows, number=1, each=2, seed=5)
    assert len(round_prompts(rows, number=2, each=None, seed=5)) == 6
