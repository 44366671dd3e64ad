"""How fast the dashboard is when the site is full: `python -m tests.benchmarks.dashboard`.

Starts a throw-away PostgreSQL and a granian server on loopback, fills them by bulk SQL (a million scores of 250,000 items by 50
people, a teacher and the gold answers over a year, a thousand in a statement as dated imports write them; 200 scorecards of real
answers; a dozen runs with a reward, their models measured too) unless told otherwise, draws the counts together as the reconciler
does, and asks for each page, one after another, with what was read last forgotten at once. Prints the time of each page, the
time that processors worked for each request in web server and database, which hardly depends on what else the machine does, and
what counting costs whoever writes scores. The machine's load is printed, for the first depends on it.
"""

import argparse
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import psutil

from tests.benchmarks.portal import PASSWORD, ROOT, Person, manage, memory_mb, wait_for

PROJECTS = 3
PAGES = {
    "overview": "/dashboard/",
    "overview, 200 models": "/dashboard/?last=200",
    "model": "/dashboard/models/model-199/",
    "people": "/dashboard/people/",
    "people, another project": "/dashboard/people/?project=bench-2",
    "data": "/dashboard/data/",
    "data of one project": "/dashboard/data/?project=bench-1&kind=teacher",
    "training": "/dashboard/training/",
    "drift": "/dashboard/drift/",
    "drift of one model": "/dashboard/drift/?project=bench-1&model=model-190",
    "compare six, kept": "/evaluate/compare/?ids={six}",
}
# Each order of models is reckoned anew; so few of them that it does not take all day.
COMPARED = 6
FIRST_LOOK, FIRST_LOOKS = "compare six, first look", 3
PAGES_SHOWN = (*PAGES, FIRST_LOOK)
TOGETHER = 1000
REPORTS_KEPT = 10
ITEMS = """
INSERT INTO annotations_item ({columns}) SELECT {values}
  FROM annotations_item AS one, generate_series(1, %(items)s) AS number WHERE one.id = %(template)s
"""
SCORES = """
INSERT INTO annotations_score (item_id, rater_id, rubric_version_id, overall, dimensions, critique, spans, revised_answer,
                               cannot_verify, metadata, given_at, created_at)
SELECT item.id, (%(raters)s)[1 + (item.id * 7 + place * 13) %% array_length(%(raters)s, 1)], %(rubric)s,
       CASE WHEN (item.id + place) %% 31 = 0 THEN NULL ELSE (item.id * 11 + place * place) %% 5 - 2 END,
       '{{}}', '', '[]', '', (item.id + place) %% 31 = 0, '{{}}',
       now() - interval '1 hour' * ((item.id * 97 + place) %% 8760), now()
  FROM annotations_item AS item, generate_series(1, %(each)s) AS place
 WHERE item.project_id = %(project)s AND item.id >= %(first)s AND item.id < %(end)s
"""
ITEM_IDS = "SELECT min(id), max(id) FROM annotations_item WHERE project_id = %(project)s"


def fill(*, items: int, scores: int, scorecards: int, runs: int, home: Path) -> None:
    """Fill an empty site, in bulk."""
    from accounts.models import User
    from accounts.services import user_create
    from annotations.models import Rater
    from annotations.services.raters import person_rater

    users = User.objects.bulk_create(User(username=f"person-{number:02}", role="annotator") for number in range(50))
    people = [person_rater(user=user).pk for user in users]
    others = [Rater.objects.create(kind=kind, name=kind).pk for kind in ("teacher", "gold")]
    user_create(username="mia", password=PASSWORD, role="member", actor=None)
    _scores(items // PROJECTS, scores // items, people, others)
    _scorecards(scorecards, home)
    _runs(runs, home)
    _analyse()


def _scores(items: int, each: int, people: list[int], others: list[int]) -> None:
    from django.db import connection

    from annotations.models import Item, Project, QualityReport
    from annotations.quality_compute import quality_run
    from annotations.services import item_import, project_create

    columns = [one.column for one in Item._meta.concrete_fields if one.column not in {"id", "search"}]
    changed = {
        "project_id": "%(project)s", "prompt_text": "'Question ' || number", "answer": "'Answer ' || number",
        "source_model": "'model-' || (180 + number %% 20)", "content_hash": "md5(number || '-' || %(project)s)",
        "prompt_hash": "md5('p' || number)", "position": "number", "people_scores": "3", "is_open": "false",
    }  # fmt: skip
    values = ", ".join(changed.get(name, f"one.{name}") for name in columns)
    file = Path(tempfile.mkdtemp()) / "one.jsonl"
    file.write_text('{"prompt": "What?", "answer": "That."}\n')
    # The first is small enough for a real quality report; the others get the same.
    small = project_create(name="bench-0", actor=None)
    item_import(project=small, path=file, actor=None)
    template = Item.objects.get(project=small).pk
    for number in range(PROJECTS):
        project = small if number == 0 else project_create(name=f"bench-{number}", actor=None)
        about: dict[str, Any] = {"project": project.pk, "template": template, "rubric": project.rubric_version_id}
        with connection.cursor() as cursor:
            cursor.execute(ITEMS.format(columns=", ".join(columns), values=values), about | {"items": items})
            _scored(cursor, about | {"raters": people, "each": each - 1})
            _scored(cursor, about | {"raters": others, "each": 1})
        Project.objects.filter(pk=project.pk).update(item_count=items)
    sample = Project.objects.create(name="bench-s", slug="bench-s", rubric_version=small.rubric_version)
    with connection.cursor() as cursor:
        about = {"project": sample.pk, "template": template, "rubric": sample.rubric_version_id}
        cursor.execute(ITEMS.format(columns=", ".join(columns), values=values), about | {"items": 4000})
        _scored(cursor, about | {"raters": people, "each": 3})
    report = quality_run(project=sample, actor=None)
    for project in Project.objects.exclude(pk=sample.pk):
        for _ in range(REPORTS_KEPT):
            QualityReport.objects.create(
                project=project, data=report.data, headline=report.headline, summary=report.summary, ready_at=report.ready_at
            )


def _scored(cursor: Any, about: dict[str, Any]) -> None:
    """Scores of a project's items, some thousand in a statement, which counts them."""
    cursor.execute(ITEM_IDS, about)
    first, last = cursor.fetchone()
    step = max(1, TOGETHER // about["each"])
    for start in range(first, last + 1, step):
        cursor.execute(SCORES.format(), about | {"first": start, "end": start + step})


def _scorecards(count: int, home: Path) -> None:
    from evaluation.answers import answers_write
    from evaluation.execute import ANSWERS
    from evaluation.models import Benchmark, Evaluation
    from evaluation.scorecards.scorecard import ArtifactRef, BenchmarkRef, Sampling, scorecard_make
    from evaluation.services import headline_of
    from tests.dashboards import seed
    from tests.evaluation.samples import atlas_rows
    from training.models import Artifact

    card = scorecard_make(
        atlas_rows(people=250, silent_unknown=0.9, seed=2),
        artifact=ArtifactRef(name="model", hash="m"),
        benchmark=BenchmarkRef(name="atlas", version="1", hash="f" * 64),
        base_rows=atlas_rows(people=250, silent_unknown=0.2, seed=1),
        base=ArtifactRef(name="base", hash="b"),
        sampling=Sampling(resamples=100, permutations=99),
    )
    document = card.model_dump(mode="json")
    asked = Benchmark.objects.create(name="atlas", version="1", hash="f" * 64, folder=str(home), n=1000)
    made = Artifact.objects.bulk_create(
        Artifact(name=f"model-{number}", ready_at="2026-01-01T00:00:00Z") for number in range(count)
    )
    chance = random.Random(0)
    for number, (before, artifact) in enumerate(zip([None, *made], made, strict=False)):
        headline = headline_of(card)
        for metric in headline["metrics"].values():
            metric["value"] = chance.random()
        artifact.base = before
        folder = home / "work" / artifact.name
        Evaluation.objects.create(
            artifact=artifact, benchmark=asked, base=before, scorecard=document, headline=headline,
            job=seed.job("evaluation.scorecard", artifact.name, folder=folder),
        )  # fmt: skip
        if number >= count - COMPARED:
            folder.mkdir(parents=True)
            answers_write(folder / ANSWERS, atlas_rows(people=250, silent_unknown=0.9 - (number % COMPARED) / 10, seed=number))
    Artifact.objects.bulk_update(made, ["base"])


def _runs(count: int, home: Path) -> None:
    from evaluation.models import Evaluation
    from tests.dashboards import seed
    from training.models import Artifact

    data, parent = seed.dataset(), Artifact.objects.get(name="model-190")
    like = Evaluation.objects.get(artifact=parent)
    for number in range(count):
        folder = home / "artifacts" / "grpo" / f"run-{number}"
        made = seed.run(f"run-{number}", data=data, folder=folder, base=parent)
        made.spec = {"reward": {"parts": [{"kind": "rubric"}, {"kind": "length", "name": "short", "weight": 0.5}]}}
        made.save()
        Evaluation.objects.create(
            artifact=made.artifact, benchmark=like.benchmark, base=parent, scorecard=like.scorecard, headline=like.headline,
            job=seed.job("evaluation.scorecard", made.artifact.name),
        )  # fmt: skip
        folder.mkdir(parents=True)
        rows = [{"step": step, "time": 1000.0 + step, "loss": 1 / (step + 1), "reward": step / 500} for step in range(500)]
        (folder / "metrics.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        told = {"prompt": "?", "completion": "!" * 200, "reward": 1.0}
        paid = [{**told, "step": step // 8, "parts": {"rubric": step / 2000, "short": -1.0}} for step in range(2000)]
        (folder / "completions.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in paid))


def _analyse() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def drawn_together() -> None:
    """How many changes the writing left, and what the reconciler makes of them."""
    from annotations.models import ScoreCount
    from annotations.services.rollups import score_counts_tend

    changes, began = ScoreCount.objects.count(), time.monotonic()
    score_counts_tend()
    took = time.monotonic() - began
    print(f"{changes:,} changes of counts were drawn together into {ScoreCount.objects.count():,} sums in {took:.1f} s")
    _analyse()


def counting() -> None:
    """What it costs whoever gives a score that it is counted; and counting anew."""
    from django.db import connection, transaction

    from annotations.models import Score, ScoreCount
    from annotations.services.rollups import score_counts_differing, score_counts_rebuild

    some = list(Score.objects.order_by("pk")[:500])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    for switch in ("DISABLE", "ENABLE", "DISABLE", "ENABLE"):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE annotations_score {switch} TRIGGER USER")
        began = processor_ms([backend])
        for one in some:
            with transaction.atomic():
                Score.objects.filter(pk=one.pk).update(withdrawn_at=one.given_at)
                one.pk, one.withdrawn_at = None, None
                one.save()
        each = (processor_ms([backend]) - began) / len(some)
        print(f"the database's work for a score in place of another, counted: {switch == 'ENABLE'!s:5} {each:.2f} ms")
    began = time.monotonic()
    rebuilt = score_counts_rebuild(actor=None)
    print(f"{rebuilt.scores:,} scores counted anew into {rebuilt.rows:,} rows in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    print(f"{len(score_counts_differing())} counts differ from a recount, which took {time.monotonic() - began:.1f} s")
    print(f"{ScoreCount.objects.count():,} rows of counts")


@contextmanager
def site(options: argparse.Namespace) -> Iterator[tuple[int, psutil.Process, psutil.Process]]:
    """A filled site on a free port; everything is gone afterwards."""
    from rlwhf_site.postgres import EmbeddedPostgres

    home = Path(tempfile.mkdtemp(prefix="rlwhf-bench-"))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(home)
    try:
        os.environ |= {"RLWHF_HOME": str(home), "DATABASE_URL": postgres.start(), "RLWHF_DASHBOARD_SECONDS": str(options.keep)}
        manage("migrate", "--verbosity", "0")
        manage("collectstatic", "--noinput", "--verbosity", "0")
        os.environ["DJANGO_SETTINGS_MODULE"] = "rlwhf_site.settings"
        import django

        django.setup()
        began = time.monotonic()
        fill(items=options.items, scores=options.scores, scorecards=options.scorecards, runs=options.runs, home=home)
        print(f"filled in {time.monotonic() - began:.0f} s")
        drawn_together()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        web = subprocess.Popen(
            [sys.executable, "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(port),
             "--workers", "1", "--no-access-log", "--log-level", "warning", "rlwhf_site.asgi:application"],
            cwd=ROOT,
        )  # fmt: skip
        try:
            wait_for(port)
            yield (
                port,
                psutil.Process(web.pid),
                psutil.Process(int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])),
            )
        finally:
            web.terminate()
            web.wait(30)
        counting()
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=250_000)
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--scorecards", type=int, default=200)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--pages", nargs="*", choices=PAGES_SHOWN, help="these alone")
    parser.add_argument("--keep", type=float, default=0, help="seconds for which what was read may be shared; the site's own: 2")
    options = parser.parse_args()
    with site(options) as (port, web, postgres):
        mia = Person(port, "mia")
        print(f"load average {os.getloadavg()}, {os.cpu_count()} processors")
        print(f"{'page':28} {'n':>4} {'wall p50':>9} {'p95':>7} {'cpu p50':>9} {'p95':>7}  ms {'kB':>6}", flush=True)
        wanted = options.pages or PAGES_SHOWN
        for name in (one for one in PAGES_SHOWN if one in wanted):
            addresses = _addresses(name, options.rounds)
            size = 0 if name == FIRST_LOOK else max(len(mia.get(addresses[0])) for _ in range(3))
            asked = [_asked(mia, path, (web, postgres)) for path in addresses]
            wall, worked = sorted(one[0] for one in asked), sorted(one[1] for one in asked)
            told = f"{statistics.median(wall):>9.0f} {_p95(wall):>7.0f} {statistics.median(worked):>9.0f} {_p95(worked):>7.0f}"
            print(f"{name:28} {len(asked):>4} {told}     {size / 1000:>6.0f}", flush=True)
        print(f"load average {os.getloadavg()}; web process {memory_mb(web):.0f} MB")


def _addresses(name: str, rounds: int) -> list[str]:
    """What is asked for, as often as it is; nothing is kept of a comparison in an order that was not asked for before."""
    from evaluation.models import Evaluation

    newest = Evaluation.objects.filter(artifact__name__startswith="model-").order_by("-pk").values_list("pk", flat=True)
    six = [str(pk) for pk in newest[:COMPARED]]
    if name != FIRST_LOOK:
        return [PAGES[name].format(six=",".join(six))] * rounds
    orders = [six[place:] + six[:place] for place in range(1, FIRST_LOOKS + 1)]
    return [PAGES["compare six, kept"].format(six=",".join(one)) for one in orders]


def _p95(times: Sequence[float]) -> float:
    return times[int(len(times) * 0.95)]


def _asked(mia: Person, path: str, servers: Sequence[psutil.Process]) -> tuple[float, float]:
    """Milliseconds until the page is there, and those that processors worked for it."""
    worked, began = ran_ms(servers), time.perf_counter()
    mia.get(path)
    return (time.perf_counter() - began) * 1000, ran_ms(servers) - worked


def ran_ms(servers: Sequence[psutil.Process]) -> float:
    """Processor time of what lives of processes and their children, with all threads that they ever had: by the nanosecond on
    Linux, where each process has a clock of its own; else in hundredths of a second.
    """
    if sys.platform != "linux":
        return processor_ms(servers)
    alive = [one.pid for server in servers for one in (server, *server.children(recursive=True))]
    return sum(_clock(pid) for pid in alive) * 1000


def _clock(pid: int) -> float:
    """Seconds that a process ran: clock_getcpuclockid(3), as Linux numbers those clocks."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:  # it has just ended
        return 0.0


def processor_ms(servers: Sequence[psutil.Process]) -> float:
    """Processor time of processes and of their children, those that have ended too; in hundredths of a second, so to be shared
    out among several requests.
    """
    total = 0.0
    for server in servers:
        with suppress(psutil.NoSuchProcess):
            own = server.cpu_times()
            total += own.children_user + own.children_system
            total += sum(sum(one.cpu_times()[:2]) for one in (server, *server.children(recursive=True)))
    return total * 1000


if __name__ == "__main__":
    main()
