"""A model, a benchmark and prompts for a loop; and a round's jobs done without workers, as their children would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from annotations.jobs import built_from
from annotations.services import dataset_publish
from evaluation.answers import AnswerRow, answers_write
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.scorecard import ArtifactRef, BenchmarkRef, Sampling, scorecard_make
from evaluation.self_rewarding.services import loop_start, round_decided
from evaluation.self_rewarding.settings import LoopSettings
from evaluation.self_rewarding.steps import round_decide, round_rows_write
from evaluation.services import scorecard_store
from jobs.models import Job, Pipeline
from tests.training.model_folders import model_folder_at
from training.models import Artifact, Run
from training.self_reward.run import self_reward
from training.self_reward.spec import RAW, SPEC
from training.services import artifact_publish
from training.stopping import StopRequest

PROMPTS = 6


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.RLWHF_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "asked.jsonl"
    rows = [{"id": f"q{number}", "prompt": f"How many is {number}?", "gold_answer": "7"} for number in range(PROMPTS)]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


@pytest.fixture
def wanted(model: Callable[..., Artifact], benchmark: Benchmark, prompts: Path) -> Callable[..., LoopSettings]:
    """Settings of a loop that can be started."""
    model("tiny")

    def _wanted(**more: Any) -> LoopSettings:
        values = {"model": "tiny", "prompts": str(prompts), "benchmark": benchmark.hash, "samples": 2, "rounds": 3}
        return LoopSettings.model_validate(values | more)

    return _wanted


@pytest.fixture
def loop(wanted: Callable[..., LoopSettings]) -> Pipeline:
    return loop_start(wanted=wanted(), actor=None)


def job_of(pipeline: Pipeline, stage: str, number: int = -1) -> Job:
    pipeline.refresh_from_db()
    rounds = pipeline.payload["rounds"]
    return Job.objects.get(pk=rounds[number if number < 0 else number - 1]["jobs"][stage])


def done(job: Job, folder: Path | None = None, **fields: Any) -> Job:
    Job.objects.filter(pk=job.pk).update(state="succeeded", folder=str(folder or job.folder), **fields)
    job.refresh_from_db()
    return job


def judged(pipeline: Pipeline, folder: Path, monkeypatch: pytest.MonkeyPatch, *, scores: tuple[str, ...] = ("0", "5")) -> Job:
    """The generation and the judging of the newest round, the verdicts in this order for every prompt."""
    generated, judging = job_of(pipeline, "generate"), job_of(pipeline, "judge")
    entry = pipeline.payload["rounds"][-1]
    rows = [orjson.loads(line) for line in Path(entry["prompts"]).read_bytes().splitlines()]
    answers = [
        {"id": row["id"], "sample": sample, "answer": f"It is {row['id']} {sample}", "confidence": 0.5}
        for row in rows
        for sample in range(len(scores))
    ]
    (folder / "generated").mkdir(parents=True)
    (folder / "judged").mkdir()
    (folder / "generated" / "answers.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in answers))
    done(generated, folder / "generated")
    values = {"model": "tiny", "prompts": entry["prompts"], "answers": str(folder / "generated" / "answers.jsonl")}
    (folder / "judged" / SPEC).write_bytes(orjson.dumps(values))
    worth = dict(zip(("0", "1", "2", "3", "4", "5"), (-2.0, -1.2, -0.4, 0.4, 1.2, 2.0), strict=True))
    raw = [one | {"prompt": "x", "score": worth[scores[one["sample"]]], "reason": "", "critique": ""} for one in answers]
    (folder / "judged" / RAW).write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in raw))
    monkeypatch.chdir(folder)
    self_reward(folder / "judged", StopRequest())
    return done(judging, folder / "judged")


def cleaned(pipeline: Pipeline) -> Job:
    """The dataset of the newest round, written and published as its job does."""
    job = job_of(pipeline, "clean")
    result = round_rows_write(job=job)
    done(job, result=result)
    dataset_publish(version=job.dataset_version, built=built_from(result, Path("nowhere")))
    return job


def trained(pipeline: Pipeline, folder: Path) -> Run:
    run = Run.objects.get(job=job_of(pipeline, "train"))
    model_folder_at(folder / run.name / "model")
    artifact_publish(run=run, folder=folder / run.name, metrics={})
    done(run.job)
    return run


def evaluated(evaluation: Evaluation, rows: list[AnswerRow], folder: Path) -> Evaluation:
    """A scorecard of these answers, with few draws."""
    folder = folder / f"evaluation-{evaluation.pk}"
    folder.mkdir(parents=True)
    answers_write(folder / "answers.jsonl", rows)
    benchmark = evaluation.benchmark
    card = scorecard_make(
        rows,
        artifact=ArtifactRef(name=evaluation.model_name, hash=evaluation.model_name),
        benchmark=BenchmarkRef(name=benchmark.name, version=benchmark.version, hash=benchmark.hash),
        settings={"max_new_tokens": 16},
        sampling=Sampling(resamples=200, permutations=199),
    )
    (folder / "scorecard.json").write_text(card.model_dump_json())
    done(evaluation.job, folder)
    return scorecard_store(evaluation=evaluation, folder=folder)


def decided(pipeline: Pipeline) -> dict[str, Any]:
    job = job_of(pipeline, "decide")
    decision = orjson.loads(orjson.dumps(round_decide(job=job).as_dict()))
    done(job, result={"decision": decision})
    round_decided(job=job, decision=decision)
    pipeline.refresh_from_db()
    return decision


@pytest.fixture
def teacher(db: None) -> Any:
    """A teacher whose service has a key."""
    from accounts.endpoints import endpoint_save
    from accounts.hosts import host_allow
    from annotations.services.teachers import teacher_save

    host_allow(host="127.0.0.1", is_private=True, actor=None)
    endpoint = endpoint_save(name="judge", base_url="http://127.0.0.1:9/v1", model="judge-7b", key="sk-secret", actor=None)
    return teacher_save(name="strict", endpoint=endpoint, prompt="score-0-5-1", max_calls=50, actor=None)
