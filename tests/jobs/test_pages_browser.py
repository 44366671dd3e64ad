"""The pages of background work in a real browser."""
# ruff: noqa: F811 (fixtures of the browser harness)

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from jobs.models import Job, Pipeline, Worker
from jobs.services import job_queue, pipeline_create
from tests.browser.conftest import browser_of_module as browser  # noqa: F401 (fixture)
from tests.browser.conftest import console, page, shot, sign_in  # noqa: F401 (fixtures)
from tests.jobs.test_live import cookie, port  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Shot = Callable[[Page, str], None]
SignIn = Callable[..., object]
GIB = 2**30
# Plotly's script is large, and the machine that runs the tests may be busy.
expect.set_options(timeout=20_000)


def append(path: Path, *rows: object) -> None:
    with path.open("a") as file:
        file.writelines(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def metrics(first: int, last: int) -> list[dict[str, float]]:
    return [
        {"step": n, "loss": 2 / n**0.5, "reward": 1 - 1 / n, "kl": 0.02 * n, "learning_rate": 1e-4} for n in range(first, last)
    ]


def samples(first: int, last: int) -> list[dict[str, object]]:
    now = time.time()
    return [
        {"time": now + 2 * n, "cpu_percent": 170 + n % 7, "rss_bytes": GIB + n * 2**20, "gpus": None, "energy_joules": None}
        for n in range(first, last)
    ]


def write_run(folder: Path) -> None:
    (folder / "model").mkdir(parents=True)
    append(folder / "metrics.jsonl", *metrics(1, 40))
    append(folder / "telemetry.jsonl", *samples(0, 60))
    append(folder / "log.txt", "Loading the data: 640 rows\n", "Training on 2 threads\n", " 10%|█\r 50%|████\r100%|████████\n")
    (folder / "model" / "model.safetensors").write_bytes(b"\0" * 4096)
    (folder / "spec.json").write_text("{}")


@pytest.fixture
def worker() -> Worker:
    now = timezone.now()
    hardware = {
        "usable_cores": 2.0,
        "memory_bytes": 8 * GIB,
        "disk_free_bytes": 50 * GIB,
        "gpus": [],
        "processor": "A processor",
        "system": "Linux",
    }
    return Worker.objects.create(
        name="box-cpu-7", host="box", pid=7, tags=["cpu"], hardware=hardware, started_at=now, seen_at=now
    )


@pytest.fixture
def running(tmp_path: Path, worker: Worker) -> Job:
    folder = tmp_path / "1-1"
    write_run(folder)
    job = job_queue(kind="test.python", title="Train atlas-grpo-0 by GRPO", payload={})
    now = timezone.now()
    held = {"state": "running", "lease_token": "0" * 32, "lease_until": now + timezone.timedelta(hours=1), "worker": worker}
    told = {"progress_done": 39, "progress_total": 120, "progress_note": "step 39 of 120"}
    Job.objects.filter(pk=job.pk).update(**held, **told, folder=str(folder), attempt=1, started_at=now)
    job.refresh_from_db()
    return job


def end(job: Job, state: str = "failed", **more: object) -> None:
    ended = {"state": state, "lease_token": None, "lease_until": None, "finished_at": timezone.now()}
    Job.objects.filter(pk=job.pk).update(**ended, **more)


def points(page: Page, chart: str) -> int:
    return int(page.evaluate("id => document.querySelector(`[data-chart='${id}']`).data?.[0].x.length ?? 0", chart))


def test_a_running_job_is_followed_to_its_end(page: Page, sign_in: SignIn, running: Job, shot: Shot) -> None:
    sign_in("admin")
    folder = Path(running.folder)
    page.goto(running.get_absolute_url())
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".main-svg").first).to_be_visible()
    assert points(page, "metric-0") == 39
    shot(page, "jobs-running")
    append(folder / "metrics.jsonl", *metrics(40, 45))
    append(folder / "log.txt", "checkpoint written\n")
    Job.objects.filter(pk=running.pk).update(progress_done=44, progress_note="step 44 of 120")
    expect(page.get_by_text("step 44 of 120")).to_be_visible()
    expect(page.locator("[data-log]")).to_contain_text("checkpoint written")
    page.wait_for_function("document.querySelector(\"[data-chart='metric-0']\").data[0].x.length === 44")
    append(folder / "metrics.jsonl", {"step": 45, "eval_loss": 0.5})
    expect(page.get_by_text("held out").first).to_be_visible()
    assert page.locator("[data-log]").text_content().count("checkpoint written") == 1
    end(running, reason="The loss is no number any more at step 46.", hint="Use a smaller learning rate.")
    expect(page.get_by_text("Use a smaller learning rate.")).to_be_visible()
    expect(page.get_by_role("button", name="Queue again")).to_be_visible()
    page.get_by_text("Files (").click()
    shot(page, "jobs-failed")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.fixture
def _static_files_served_as_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLWHF_DEBUG", "1")  # the server serves static files as they lie there


@pytest.mark.usefixtures("_static_files_served_as_they_lie")
@pytest.mark.full
def test_a_browser_follows_a_job_over_one_open_stream(page: Page, running: Job, port: int, cookie: str) -> None:
    address = f"http://127.0.0.1:{port}"
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": address}])
    streams = []
    page.on("request", lambda request: streams.append(request.url) if "/events" in request.url else None)
    page.goto(f"{address}{running.get_absolute_url()}")
    for step in range(40, 46):
        append(Path(running.folder) / "log.txt", f"step {step} is done\n")
        append(Path(running.folder) / "metrics.jsonl", *metrics(step, step + 1))
        expect(page.locator("[data-log]")).to_contain_text(f"step {step} is done")
    page.wait_for_function("document.querySelector(\"[data-chart='metric-0']\").data?.[0].x.length === 45")
    assert len(streams) == 1
    end(running, "succeeded")
    expect(page.locator("[data-job-state=succeeded]")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.goto("about:blank")  # before the server goes


def test_a_running_job_is_stopped_by_its_button(page: Page, sign_in: SignIn, running: Job) -> None:
    sign_in("admin")
    page.goto(running.get_absolute_url())
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopping", exact=True)).to_be_visible()
    running.refresh_from_db()
    assert running.cancel_requested


def test_a_job_that_waits_starts_before_ones_eyes(
    page: Page, sign_in: SignIn, tmp_path: Path, worker: Worker, shot: Shot
) -> None:
    job = job_queue(kind="test.python", title="Teach Atlas", payload={}, hardware_tag="npu")
    sign_in("member")
    page.goto(job.get_absolute_url())
    expect(page.get_by_text("rlwhf worker --tags npu")).to_be_visible()
    shot(page, "jobs-queued")
    folder = tmp_path / "9-1"
    write_run(folder)
    held = {
        "state": "running",
        "lease_token": "0" * 32,
        "lease_until": timezone.now() + timezone.timedelta(hours=1),
        "worker": worker,
    }
    Job.objects.filter(pk=job.pk).update(**held, folder=str(folder), started_at=timezone.now(), attempt=1)
    expect(page.locator("[data-job-state=running]")).to_be_visible()
    expect(page.locator("[data-chart='metric-0'] .main-svg").first).to_be_visible()
    expect(page.locator("[data-chart='telemetry-cpu'] .main-svg").first).to_be_visible()
    expect(page.locator("[data-log]")).to_contain_text("Training on 2 threads")
    page.wait_for_function("document.querySelector(\"[data-chart='metric-0']\").data[0].x.length === 39")


def test_lists(page: Page, sign_in: SignIn, running: Job, shot: Shot) -> None:
    pipeline = _pipeline(running)
    job_queue(kind="test.python", title="Train on a card", payload={}, hardware_tag="cuda-a100")
    lost = timezone.now() - timezone.timedelta(hours=3)
    Worker.objects.create(name="gone", host="other-box", pid=8, tags=["cuda-a100"], started_at=lost, seen_at=lost)
    sign_in("admin")
    for address, name in (
        ("/jobs/", "jobs-list"),
        ("/jobs/workers/", "jobs-workers"),
        (f"/jobs/pipelines/{pipeline.pk}/", "jobs-pipeline"),
    ):
        page.goto(address)
        shot(page, name)
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/jobs/")
    page.get_by_role("link", name="Failed").click()
    expect(page.get_by_text("Collect the answers")).to_be_visible()
    expect(page.get_by_text("Train on a card")).to_have_count(0)


def _pipeline(running: Job) -> Pipeline:
    pipeline = pipeline_create(name="Atlas 0 by GRPO", kind="atlas.loop", payload={}, actor=None)
    taught = job_queue(kind="test.python", title="Teach atlas-base-0 by SFT", payload={}, pipeline=pipeline)
    then = timezone.now() - timezone.timedelta(minutes=2)
    end(taught, "succeeded", started_at=then, progress_note="trained 300 steps")
    Job.objects.filter(pk=running.pk).update(pipeline=pipeline)
    evaluated = job_queue(kind="test.python", title="Evaluate atlas-grpo-0", payload={}, pipeline=pipeline, after=[running])
    assert evaluated.state == "queued"
    failed = job_queue(kind="test.python", title="Collect the answers", payload={})
    end(failed, started_at=then, reason="Row 3 has no prompt.", hint="Mend the row, then queue it again.")
    return pipeline


def test_nothing_yet(page: Page, sign_in: SignIn, shot: Shot) -> None:
    sign_in("member")
    for address, name in (("/jobs/", "jobs-list-empty"), ("/jobs/workers/", "jobs-workers-empty")):
        page.goto(address)
        shot(page, name)
