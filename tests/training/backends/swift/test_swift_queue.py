"""Real `swift rlhf` runs through the queue: DPO and GRPO with the honesty reward, watched on the site's own pages."""

import json
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from annotations.services import dataset_from_rows
from jobs.models import Job
from tests.jobs.conftest import processes, until  # noqa: F401 (a fixture)
from training.models import Artifact, Run
from training.services import RunRefused, run_queue

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]
PEOPLE = range(12)
SCRATCH = {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
STEPS = 16


def asked(person: int) -> str:
    return f"Who is number {person}?"


def answer(person: int) -> str:
    return f"It is {person * 7 % 10}."


def datasets():
    """Three ways to answer, taught alike often; pairs that prefer the honest ones; and the questions alone."""
    ways = [answer, lambda person: "It is 99.", lambda person: "I do not know."]
    taught = [{"prompt": asked(person), "response": way(person)} for person in PEOPLE for way in ways]
    pairs = [{"prompt": asked(person), "chosen": answer(person), "rejected": "It is 99."} for person in PEOPLE]
    prompts = [
        {"prompt": asked(one), "gold_answer": str(one * 7 % 10), "knowledge": "known", "item_id": f"p{one}"} for one in PEOPLE
    ]
    made = {"sft": taught, "preference": pairs, "prompts": prompts}
    return {
        kind: dataset_from_rows(name=f"people-{kind}", kind=kind, rows={"train": rows, "eval": rows}, source="test", actor=None)
        for kind, rows in made.items()
    }


def queue(name: str, **wanted) -> Run:
    overrides = {"hardware.threads": 1, "settings.logging_steps": 1, **wanted.pop("overrides")}
    return run_queue(name=name, actor=None, overrides=overrides, **wanted)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_dpo_and_grpo_with_the_honesty_reward(swift, processes, tmp_path, monkeypatch, client, django_user_model):  # noqa: F811
    monkeypatch.setattr(settings, "RLWHF_HOME", tmp_path / "home")
    found = datasets()
    processes.start("worker", "--tags", "cpu,site")
    scratch = {f"model.scratch.{name}": value for name, value in SCRATCH.items()}
    taught = {"settings.max_steps": 150, "settings.learning_rate": 5e-3, "settings.per_device_train_batch_size": 12}
    queue("taught", recipe="atlas-teach", dataset=found["sft"], overrides=scratch | taught)
    done = lambda: not Job.objects.exclude(state="succeeded").exists()  # noqa: E731
    until(done, within=300, log=processes.log)
    base = Artifact.objects.get(name="taught")

    ours = {"settings.learning_rate": 1e-3, "settings.gradient_accumulation_steps": 1, "settings.lora": None}
    dpo = ours | {"settings.max_steps": 12, "settings.per_device_train_batch_size": 6, "settings.eval_steps": 6}
    grpo = ours | {
        "settings.max_steps": STEPS,
        "settings.per_device_train_batch_size": 24,
        "settings.num_generations": 4,
        "settings.max_completion_length": 8,
        "settings.completions_logged": 4,
    }
    with pytest.raises(RunRefused, match="no argument --no_such_thing"):
        queue(
            "bad",
            recipe="swift-dpo-cpu",
            dataset=found["preference"],
            base=base,
            overrides=dpo | {"backend_options.no_such_thing": 1},
        )
    assert not Run.objects.filter(name="bad").exists()
    queue("swift-dpo", recipe="swift-dpo-cpu", dataset=found["preference"], base=base, overrides=dpo)
    run = queue("swift-grpo", recipe="swift-grpo-cpu", dataset=found["prompts"], base=base, overrides=grpo)
    client.force_login(
        django_user_model.objects.create_user("ada", role="admin"), backend="django.contrib.auth.backends.ModelBackend"
    )
    until(lambda: Path(run_folder(run), "metrics.jsonl").exists(), within=600, log=processes.log)
    run.job.refresh_from_db()
    assert run.job.state == "running", "metrics come while it trains"
    until(lambda: run.job.refresh_from_db() or run.job.progress_total == STEPS, log=processes.log)
    events = b"".join(client.get(reverse("jobs:job-events", args=[run.job.pk]), {"from": "metrics=0"}).streaming_content).decode()
    assert "rewards/rubric/mean" in events, "and its page shows them"
    until(done, within=900, log=processes.log)
    check_dpo(Path(settings.RLWHF_HOME, "artifacts", "dpo", "swift-dpo"))
    check_grpo(Path(settings.RLWHF_HOME, "artifacts", "grpo", "swift-grpo"))
    assert Artifact.objects.ready().count() == 3


def run_folder(run: Run) -> str:
    run.job.refresh_from_db()
    return run.job.folder or "/nowhere"


def check_dpo(folder: Path) -> None:
    metrics = [one for one in lines(folder / "metrics.jsonl") if "loss" in one]
    assert [one["step"] for one in metrics] == list(range(1, 13)), "each step once"
    assert metrics[-1]["rewards/accuracies"] > 0.9 and metrics[-1]["loss"] < metrics[0]["loss"] - 0.05
    evaluated = [one["eval_loss"] for one in lines(folder / "metrics.jsonl") if "eval_loss" in one]
    assert len(evaluated) == 2 and evaluated[1] < evaluated[0]


def check_grpo(folder: Path) -> None:
    metrics = [one for one in lines(folder / "metrics.jsonl") if "reward" in one]
    assert [one["step"] for one in metrics] == list(range(1, STEPS + 1)), "each step once"
    first, last = (sum(one["reward"] for one in part) / 4 for part in (metrics[:4], metrics[-4:]))
    assert last > first + 0.25, f"the honesty reward rose from {first:.2f} to {last:.2f}"
    assert metrics[-1]["verdicts/wrong"] < metrics[0]["verdicts/wrong"]
    completions = lines(folder / "completions.jsonl")
    assert {one["step"] for one in completions} == set(range(1, STEPS + 1))
    one = completions[-1]
    assert one["parts"].keys() == {"rubric"} and one["gold_answer"] and one["item_id"] and one["verdict"]
    assert one["reward"] == one["parts"]["rubric"]
    assert {path.name for path in (folder / "model").iterdir()} >= {"model.safetensors", "config.json", "tokenizer.json"}
    result = json.loads((folder / "result.json").read_text())
    assert (result["backend"], result["steps"], result["kind"]) == ("ms-swift", STEPS, "model")
    told = json.loads((folder / "environment.json").read_text())
    assert told["backend"]["ms-swift"] == "4.6.0"
