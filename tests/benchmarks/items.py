"""How fast the Items pages are when a site is full: `python -m tests.benchmarks.items --items 1000000`.

Starts a throw-away PostgreSQL and a granian server on loopback, fills them, and asks as a lead does: search, filters, orders and
what goes together, pages deep into the list, and changes of a page (50 items) and of 1,000 items with their undo. `--home FOLDER`
keeps the filled database there, and uses it again. `--indexes` measures instead what each index of the page costs an import.
"""

import argparse
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from tests.benchmarks.portal import PASSWORD, ROOT, Person, manage, wait_for

LEAD = "items-lead"
GOAL_MS = 300
PAGE = 50


@contextmanager
def database(options: argparse.Namespace) -> Iterator[str]:
    """A filled PostgreSQL; it is gone afterwards, unless it has a home."""
    from rlwhf_site.postgres import EmbeddedPostgres

    home = options.home or Path(tempfile.mkdtemp(prefix="rlwhf-items-"))
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    postgres = EmbeddedPostgres(home)
    try:
        url = postgres.start()
        os.environ |= {"RLWHF_HOME": str(home), "DATABASE_URL": url}
        manage("migrate", "--verbosity", "0")
        with psycopg.connect(url, autocommit=True) as db:
            if not db.execute("SELECT count(*) FROM annotations_project").fetchone()[0]:
                fill(options, db)
            db.execute("VACUUM (ANALYZE) annotations_item")
        yield url
    finally:
        postgres.stop()
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)


# A lead who has scored some: what they see depends on it.
LEADS_SCORES = """
WITH chosen AS (SELECT id, project_id FROM annotations_item WHERE is_open AND id %% 350 = 0),
turns AS (
  INSERT INTO annotations_turn (item_id, rater_id, project_id, state, updated_at)
  SELECT id, %(rater)s, project_id, 'scored', now() FROM chosen ON CONFLICT DO NOTHING
)
INSERT INTO annotations_score (item_id, rater_id, rubric_version_id, overall, dimensions, critique, spans, revised_answer,
  cannot_verify, metadata, given_at, created_at)
SELECT id, %(rater)s, (SELECT min(id) FROM annotations_rubricversion), 1, '{}', '', '[]', '', false, '{}', now(), now()
FROM chosen ON CONFLICT DO NOTHING
"""


def fill(options: argparse.Namespace, db: psycopg.Connection) -> None:
    """Nine tenths in one project, one in another."""
    for name, share in (("Synthetic", 0.9), ("Smaller", 0.1)):
        items = round(options.items * share)
        began = time.monotonic()
        manage("load_synthetic", "--items", str(items), "--scores", str(items * 2), "--project", name, "--password", PASSWORD)
        seconds = time.monotonic() - began
        print(f"{items:,} items, {items * 2:,} scores and turns in {seconds:.0f} s ({items / seconds:,.0f} items a second)")
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", MAKE_LEAD.format(name=LEAD, password=PASSWORD)], cwd=ROOT, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    rater = db.execute("SELECT id FROM annotations_rater WHERE name = %s", [LEAD]).fetchone()[0]
    db.execute(LEADS_SCORES, {"rater": rater})
    db.execute("ANALYZE")
    print(f"database: {db.execute('SELECT pg_database_size(current_database())').fetchone()[0] / 1e9:.1f} GB on disk")


MAKE_LEAD = """
from accounts.models import User
from annotations.services.raters import person_rater
person_rater(user=User.objects.create_user({name!r}, password={password!r}, role="admin"))
"""


@contextmanager
def site() -> Iterator[int]:
    manage("collectstatic", "--noinput", "--verbosity", "0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    web = subprocess.Popen(
        [sys.executable, "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(port),
         "--no-access-log", "--log-level", "warning", "rlwhf_site.asgi:application"], cwd=ROOT,
    )  # fmt: skip
    try:
        wait_for(port)
        yield port
    finally:
        web.terminate()
        web.wait(30)


class Words:
    """Words of the made-up items, by how common they are."""

    def __init__(self, db: psycopg.Connection, chance: random.Random) -> None:
        from annotations.synthetic import _vocabulary

        self.chance = chance
        self.ranked, _ = _vocabulary(random.Random(1))
        ids = [row[0] for row in db.execute("SELECT id FROM annotations_item ORDER BY random() LIMIT 300")]
        self.answers = [row[0] for row in db.execute("SELECT answer FROM annotations_item WHERE id = ANY(%s)", [ids])]

    def common(self) -> str:
        return self.chance.choice(["what", "known", "question", "about"])

    def frequent(self) -> str:
        return self.chance.choice(self.ranked[:20])

    def middling(self) -> str:
        return self.chance.choice(self.ranked[200:3000])

    def rare(self) -> str:
        return self.chance.choice(self.ranked[15_000:])

    def phrase(self) -> str:
        words = re.findall(r"\w+", self.chance.choice(self.answers).split(".")[0])
        start = self.chance.randrange(len(words) - 2)
        return f'"{words[start]} {words[start + 1]}"'


SORTS = ("oldest", "recent", "score-high", "score-low", "disputed", "confidence-high", "confidence-low", "priority")


def asked(words: Words) -> dict[str, Callable[[], dict[str, object]]]:
    """What is asked for, by name; each call asks for something else."""
    chance = words.chance
    share = lambda: round(chance.random() * 0.8, 2)  # noqa: E731
    low = lambda: chance.choice([-2, -1, 0, 0.5, 1])  # noqa: E731
    places = [{}, {"project": "synthetic"}, {"project": "smaller"}]
    return {
        "first page": lambda: {},
        "first page of a project": lambda: {"project": chance.choice(["synthetic", "smaller"])},
        "search: no hit": lambda: {"q": f"zz{chance.randrange(10**6)}"},
        "search: a rare word": lambda: {"q": words.rare()},
        "search: a middling word": lambda: {"q": words.middling()},
        "search: a frequent word": lambda: {"q": words.frequent()},
        "search: a word of every item": lambda: {"q": words.common()},
        "search: a phrase": lambda: {"q": words.phrase()},
        "search: two words": lambda: {"q": f"{words.frequent()} {words.middling()}"},
        "search: two frequent words": lambda: {"q": f"{words.frequent()} {words.frequent()}"},
        "search: a word without another": lambda: {"q": f"{words.middling()} -{words.frequent()}"},
        "search: a number": lambda: {"q": str(chance.randrange(1, 10**6))},
        **{f"state: {state}": lambda state=state: {"state": state}
           for state in ("open", "done", "flagged", "mine", "assigned", "disputed", "gold", "deleted")},
        "filter: project and model": lambda: {"project": "synthetic", "source": f"model-{chance.randrange(7)}"},
        "filter: model": lambda: {"source": chance.choice([*(f"model-{n}" for n in range(7)), "model-rare"])},
        "filter: tag": lambda: {"tag": chance.choice(["audited", "health", "law", "hard", "look-again", "needle", "none such"])},
        "filter: skill": lambda: {"skill": chance.choice(["medicine", "law", "chemistry"])},
        "filter: score": lambda: {"score_min": (at := low()), "score_max": at + chance.choice([0, 1])},
        "filter: disagreement": lambda: {"spread": chance.choice([1, 2, 3, 4])},
        "filter: confidence": lambda: {"confidence_min": (at := share()), "confidence_max": at + chance.choice([0, 0.05, 0.2])},
        "filter: knowledge": lambda: {"knowledge": chance.choice(["known", "unknown"])},
        "filter: round": lambda: {"iteration": chance.choice([0, 1, 2])},
        "filter: imported since": lambda: {"since": chance.choice(["24h", "7d", "30d", "90d"])},
        "filter: assigned to": lambda: {"to": f"synthetic-{chance.randrange(20):03}"},
        **{f"order: {sort}": lambda sort=sort: {"sort": sort, **chance.choice(places)} for sort in SORTS},
        "together: word, model, state": lambda: {
            "q": words.middling(), "source": f"model-{chance.randrange(5)}", "state": "open"},
        "together: word and order": lambda: {
            "q": words.frequent(), "sort": chance.choice(["score-low", "disputed", "confidence-low", "oldest"])},
        "together: every word, rare model": lambda: {"q": words.common(), "source": "model-rare"},
        "together: tag, knowledge, confidence": lambda: {
            "tag": chance.choice(["audited", "law"]), "knowledge": "unknown", "confidence_max": share()},
        "together: project, done, model, by score": lambda: {
            "project": "synthetic", "state": "done", "source": f"model-{chance.randrange(4)}", "sort": "score-low"},
        "together: score, disagreement, order": lambda: {"score_min": low(), "spread": 2, "sort": "score-high"},
        "together: since and oldest first": lambda: {"since": chance.choice(["24h", "7d"]), "sort": "oldest"},
        "deep: newest": lambda: {"after": chance.randrange(1000, 900_000)},
        "deep: a project, oldest": lambda: {"project": "smaller", "sort": "oldest", "after": chance.randrange(900_000, 990_000)},
        "deep: a word": lambda: {"q": words.frequent(), "after": chance.randrange(1000, 900_000)},
        "deep: by confidence": lambda: {"sort": "confidence-low", "after": f"{share()}~{chance.randrange(10**6)}"},
        "deep: by score": lambda: {"sort": "score-high", "after": f"{low()}~{chance.randrange(10**6)}"},
    }  # fmt: skip


class Figures:
    """Times by name, printed as they come; and all of them together."""

    def __init__(self) -> None:
        self.all: dict[str, list[float]] = {}
        print(f"{'milliseconds':44} {'n':>5} {'p50':>7} {'p95':>7} {'max':>7}")

    def add(self, name: str, times: list[float], of: str) -> None:
        self.all.setdefault(of, []).extend(times)
        self.show(name, times)

    def show(self, name: str, times: list[float]) -> None:
        ordered = sorted(one * 1000 for one in times)
        p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        over = "  over" if p95 > GOAL_MS else ""
        print(f"{name:44} {len(times):>5} {statistics.median(ordered):>7.0f} {p95:>7.0f} {ordered[-1]:>7.0f}{over}", flush=True)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pages(lead: Person, words: Words, figures: Figures, options: argparse.Namespace) -> None:
    questions = {name: make for name, make in asked(words).items() if not options.only or options.only in name}
    times: dict[str, list[float]] = {name: [] for name in questions}
    # In turn, not one after the other: what is in the memory is what a mixed day leaves there.
    for _ in range(options.rounds):
        for name, make in questions.items():
            path = "/items/?" + urlencode(make())
            times[name].append(timed(lambda path=path: lead.get(path)))
    for name, of_one in times.items():
        figures.add(name, of_one, name.split(":")[0])
    if not options.only:
        absent = [timed(lambda: lead.get(f"/items/?q=-{words.frequent()}")) for _ in range(5)]
        figures.add("(only an absent word: no index helps)", absent, "absent")


SOME = "SELECT id FROM annotations_item TABLESAMPLE SYSTEM (2) WHERE is_open LIMIT %s"


# Scattered over the table, as those are that a filter finds.
SOME = "SELECT id FROM annotations_item TABLESAMPLE SYSTEM (2) WHERE is_open LIMIT %s"


def bulk(lead: "Lead", db: psycopg.Connection, figures: Figures, options: argparse.Namespace) -> None:
    changes = {
        "tag": {"tags": ["measured"]}, "priority": {"value": "3"}, "delete": {},
        "assign": {"people": ["synthetic-001", "synthetic-002"]},
    }  # fmt: skip
    for many in (PAGE, 1000):
        for action, settings in changes.items():
            done, undone = [], []
            for _ in range(options.rounds if many == PAGE else max(5, options.rounds // 3)):
                items = random.sample([row[0] for row in db.execute(SOME, [many * 4])], many)
                # A page has fifty rows to tick; more are named over HTTP.
                done.append(timed(partial(lead.ticked if many == PAGE else lead.named, action, items, settings)))
                record = db.execute("SELECT max(id) FROM annotations_bulkaction").fetchone()[0]
                undone.append(timed(lambda record=record: lead.post(f"/items/actions/{record}/undo/", {})))
            figures.add(f"bulk: {action} {many} items", done, f"bulk of {many}")
            figures.add(f"bulk: undo {action} of {many}", undone, f"bulk of {many}")


class Lead(Person):
    def post(self, path: str, fields: dict[str, object]) -> str:
        return self._ask("POST", path, fields, 302)  # type: ignore[arg-type]

    def ticked(self, action: str, items: list[int], settings: dict[str, object]) -> str:
        fields = {**settings, "priority": settings.get("value", "")}
        return self.post("/items/bulk/", {"action": action, "items": items, "query": "", **fields})

    def named(self, action: str, items: list[int], settings: dict[str, object]) -> str:
        body = json.dumps({"action": action, "items": items, **settings})
        headers = {"Content-Type": "application/json", "X-CSRFToken": self._cookies.get("csrftoken", "")}
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request("POST", "/api/items/bulk", body, headers | {"Cookie": cookies})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status}: {text[:300]}")
        return text


NAMES = ("tags", "skill", "score", "confidence", "knowledge", "priority", "deleted", "since")
INDEXES = [f"item_{name}" for name in NAMES]
SIZES = "SELECT relname, pg_relation_size(oid) / 1e6 FROM pg_class WHERE relname = ANY(%s)"


def indexes(options: argparse.Namespace, db: psycopg.Connection) -> None:
    """Seconds of an import of some thousand lines, with all indexes of the page and without each."""
    chance, lines = random.Random(5), options.import_lines
    definitions = dict(db.execute("SELECT indexname, indexdef FROM pg_indexes WHERE indexname = ANY(%s)", [INDEXES]).fetchall())
    sizes = dict(db.execute(SIZES, [INDEXES]).fetchall())
    folder = Path(tempfile.mkdtemp(prefix="rlwhf-lines-"))

    def seconds(label: str) -> float:
        path = folder / "lines.jsonl"
        with path.open("w") as file:
            for number in range(lines):
                words = " ".join(chance.choices(["river", "copper", "senate", *map(str, range(3000))], k=50))
                about = {"source_ai": f"model-{number % 7}", "confidence_score": round(chance.random(), 2)}
                known = chance.choice(["known", "unknown"])
                file.write(
                    json.dumps({"prompt": f"{label} {number}?", "answer": words, "metadata": about, "knowledge": known}) + "\n"
                )
        began = time.monotonic()
        manage("import_items", "--project", "smaller", str(path))
        return time.monotonic() - began

    try:
        seconds("warm")
        print(f"an import of {lines:,} lines into a project of 100,000 in a site of {options.items:,}")
        whole = statistics.median(seconds(f"all{turn}") for turn in range(3))
        print(f"{'with all indexes':24} {whole:6.2f} s")
        for name, definition in definitions.items():
            db.execute(f"DROP INDEX {name}")
            without = statistics.median(seconds(f"{name}{turn}") for turn in range(3))
            began = time.monotonic()
            db.execute(definition)
            built = time.monotonic() - began
            print(f"{name:24} {whole - without:+6.2f} s   {sizes[name]:7.1f} MB, built in {built:.1f} s", flush=True)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40, help="requests of each kind")
    parser.add_argument("--home", type=Path, help="keep the filled database here")
    parser.add_argument("--only", default="", help="what has this in its name")
    parser.add_argument("--indexes", action="store_true")
    parser.add_argument("--import-lines", type=int, default=10_000)
    options = parser.parse_args()
    with database(options) as url, psycopg.connect(url, autocommit=True) as db:
        if options.indexes:
            indexes(options, db)
            return
        os.environ["DJANGO_SETTINGS_MODULE"] = "rlwhf_site.settings"
        import django

        django.setup()
        words, figures = Words(db, random.Random(7)), Figures()
        with site() as port:
            lead = Lead(port, LEAD)
            lead.get("/items/")
            pages(lead, words, figures, options)
            if not options.only or "bulk" in options.only:
                bulk(lead, db, figures, options)
        print()
        for of, times in figures.all.items():
            figures.show(f"all of {of}", times)


if __name__ == "__main__":
    main()
