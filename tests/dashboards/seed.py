"""A project part of the way round the loop, in the database and on disk."""

from datetime import timedelta
from pathlib import Path

import orjson
from django.utils import timezone

from accounts.models import User
from annotations.models import DatasetVersion, Progress, Project, Rater, RubricVersion
from annotations.rubric import load_rubric
from evaluation.models import Benchmark, Evaluation
from jobs.models import Job, Pipeline
from training.models import Artifact, Run

TREND = ((0.62, 0.73, 0.02, 0.99), (0.81, 0.34, 0.04, 0.98), (0.955, 0.05, 0.03, 0.97))


def project(name: str = "Support answers", *, items: int = 1240, scored: int = 3100, completed: int = 980) -> Project:
    content = {"title": "Honesty", "content_hash": "0" * 64, "data": load_rubric().model_dump(mode="json")}
    rubric, _ = RubricVersion.objects.get_or_create(
        name="honesty",
        version=1,
        defaults=content,
    )
    made = Project.objects.create(
        name=name, slug=name.lower().replace(" ", "-"), rubric_version=rubric, raters_per_item=2, item_count=items
    )
    user, _ = User.objects.get_or_create(username="rita", defaults={"role": "annotator"})
    rater, _ = Rater.objects.get_or_create(kind="person", name="rita", defaults={"user": user})
    Progress.objects.create(project=made, rater=rater, scored=scored, completed=completed)
    return made


def dataset(name: str = "support-2026-10") -> DatasetVersion:
    return DatasetVersion.objects.create(name=name, kind="prompts", ready_at=timezone.now(), verdict="pass")


def job(kind: str, title: str, *, state: str = "succeeded", pipeline: Pipeline | None = None, folder: Path | None = None) -> Job:
    now = timezone.now()
    held = {"lease_token": "6f9619ff-8b86-d011-b42d-00c04fc964ff"} if state in {"starting", "running", "stopping"} else {}
    ended = now if state in {"succeeded", "failed", "stopped"} else None
    return Job.objects.create(
        kind=kind, title=title, hardware_tag="cpu", state=state, pipeline=pipeline, folder=str(folder or ""),
        started_at=None if state == "queued" else now - timedelta(seconds=84), finished_at=ended,
        progress_done=30 if state == "running" else None, progress_total=60 if state == "running" else None, **held,
    )  # fmt: skip


def run(
    name: str, *, data: DatasetVersion, state: str = "succeeded", folder: Path | None = None, base: Artifact | None = None
) -> Run:
    ready = timezone.now() if state == "succeeded" else None
    artifact = Artifact.objects.create(name=name, folder=str(folder or ""), ready_at=ready, base=base)
    work = job("training.run", f"Train {name}", state=state, folder=folder)
    return Run.objects.create(
        name=name, method="grpo", recipe="atlas-grpo", spec={}, dataset=data, base=base, artifact=artifact, job=work
    )


def telemetry(folder: Path, *, energy: float | None) -> None:
    folder.mkdir(parents=True)
    samples = [
        {"time": i, "cpu_percent": 100.0 + 20 * i, "rss_bytes": 10**9 + i * 10**8, "energy_joules": energy} for i in range(3)
    ]
    steps = [{"step": i, "loss": 1.0 / (i + 1), "tokens_per_second": 4000 + i} for i in range(3)]
    (folder / "telemetry.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in samples) + b'{"cut off')
    (folder / "metrics.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in steps))


def evaluation(artifact: Artifact, benchmark: Benchmark, values: tuple[float, float, float, float]) -> Evaluation:
    names = ("truthful_rate", "hallucination_rate_unknown", "over_conservativeness", "known_correct")
    metrics = {
        name: {"value": value, "low": max(value - 0.03, 0), "high": min(value + 0.03, 1), "n": 600, "entities": 120}
        for name, value in zip(names, values, strict=True)
    }
    text = "More honest by 15 points, and it still answers what it knows."
    headline = {"slice": "B", "n": 600, "conclusion": {"tone": "ok", "text": text}, "metrics": metrics}
    work = job("evaluation.scorecard", f"Measure {artifact.name}")
    return Evaluation.objects.create(
        artifact=artifact, benchmark=benchmark, job=work, scorecard={"seeded": True}, headline=headline
    )


def whole_loop(home: Path) -> None:
    """Three models, each more honest than the one before, and a fourth being trained."""
    project()
    project("Medical questions", items=98_760, scored=196_900, completed=98_400)
    data = dataset()
    benchmark = Benchmark.objects.create(name="atlas", version="1", hash="f" * 64, folder=str(home), n=600)
    base = None
    for index, values in enumerate(TREND):
        folder = home / "artifacts" / "grpo" / f"m{index}"
        telemetry(folder, energy=None if index else 5400.0)
        made = run(f"atlas-0-grpo-{index + 1}" if index else "atlas-base-0", data=data, folder=folder, base=base)
        base = made.artifact
        evaluation(base, benchmark, values)
    live = home / "work" / "9-1"
    telemetry(live, energy=None)
    run("support-grpo-2", data=data, state="running", folder=live, base=base)
    run("support-dpo-1", data=data, state="failed", base=base)
