"""No secret in any log, page, file, export or process list: a site that works with recognisable ones, searched through.

By design a secret is in these places and in no other (docs/settings.md): the database's password in `run/database_url` and in the
environment of the site's own processes; an endpoint's key in the environment of the child that calls it; the keys that sign and
seal in their own files.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urldefrag, urljoin, urlsplit

import psutil
import pytest
from django.conf import settings
from playwright.sync_api import APIResponse, Browser

from rlwhf_site.backups.archive import unpack
from rlwhf_site.postgres import EmbeddedPostgres
from rlwhf_site.processes import left_behind
from tests.browser.conftest import PASSWORD, Console
from tests.browser.story import Person, running_site, setup_link
from tests.chat_server import ChatServer, serving
from tests.rlwhf_site.test_supervisor import Site, free_port

pytestmark = [pytest.mark.browser, pytest.mark.full, pytest.mark.timeout(1500)]
KEY = "sk-planted-key-of-the-endpoint"
DATABASE_PASSWORD = "planted-password-of-the-database"
KEY_FILES = ("secret_key", "secrets_key", "signing_key")
PLACES = {*KEY_FILES, "run/database_url"}
"""Files of the state folder that hold secrets: each for its owner alone, and the back-up says which it holds."""
PAGES_AT_MOST = 400
GRPO = {
    "model": {"scratch": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}},
    "settings.num_generations": 4,
    "settings.per_device_train_batch_size": 8,
    "settings.max_completion_length": 4,
    "settings.max_steps": 2,
    "reward.parts": [{"kind": "teacher", "teacher": "judge"}],
}


class Watch:
    """What everybody on the machine could see of the site's processes, and in which of them a secret was."""

    def __init__(self, site: Site) -> None:
        self.site, self.over = site, threading.Event()
        self.seen: set[str] = set()
        self.environments: dict[str, set[str]] = {}
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.over.wait(0.1):
            for process in left_behind(self.site.home):
                with contextlib.suppress(psutil.Error, OSError):
                    line = " ".join(process.cmdline())
                    self.seen.add(line)
                    for name, value in process.environ().items():
                        self.environments.setdefault(value, set()).add(f"{name} of {line}")


class Door:
    """The site over HTTP, with a token."""

    def __init__(self, person: Person, token: str) -> None:
        self.asks, self.headers = person.context.request, {"Authorization": f"Bearer {token}"}

    def sends(self, method: str, path: str, **body: Any) -> Any:
        answer = self.asks.fetch(f"/api{path}", method=method, headers=self.headers, **body)
        assert answer.ok, f"{path}: {answer.status} {answer.text()[:2000]}"
        return answer.json() if answer.body() else None

    def ends(self, job: int, state: str = "succeeded") -> dict[str, Any]:
        until = time.monotonic() + 400
        while (found := self.sends("GET", f"/jobs/{job}"))["state"] not in ("succeeded", "failed", "stopped"):
            assert time.monotonic() < until, found
            time.sleep(0.5)
        assert found["state"] == state, found
        return found


@contextmanager
def database() -> Iterator[str]:
    """The address of a PostgreSQL of somebody else's, with a password in it, as one sets it for a site."""
    home = Path(tempfile.mkdtemp(prefix="rlwhf-story-database-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, durable=False)
    try:
        url = server.start().replace("://rlwhf@", f"://rlwhf:{DATABASE_PASSWORD}@")
        assert DATABASE_PASSWORD in url
        yield url
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def console() -> Console:
    return Console()


def test_no_secret_stands_where_it_does_not_belong(browser: Browser, console: Console, tmp_path: Path) -> None:
    judge, angry = ChatServer(lambda messages: "Score: 4"), ChatServer(str, refuse=lambda _: (401, f"no such key: {KEY}", {}))
    with (
        database() as url, running_site(DATABASE_URL=url) as site,
        serving(judge) as address, serving(angry) as refusing, Watch(site) as watch,
    ):  # fmt: skip
        ada = Person(browser, site, console)
        secrets = planted(ada, site, address, refusing)
        worked(Door(ada, secrets["API token"]))
        assert any(header.get("authorization") == f"Bearer {KEY}" for header in judge.headers), "the key was used"
        pages = dict(crawled(ada))
        backups = backed_up(site, tmp_path)
        at_rest = {name: secrets[name] for name in ("endpoint key", "API token", "hook secret")} | {"address": "nobody-listens"}
        in_database = scanned(Path(parse_qs(urlsplit(url).query)["host"][0]).parent, at_rest)
        open_to_others = [one for one in PLACES if (site.home / one).exists() and (site.home / one).stat().st_mode & 0o077]
        in_files = scanned(site.home, secrets)
        in_backups = {name: scanned(folder, secrets) for name, folder in backups.items()}
    assert len(pages) > 60 and any("answers.jsonl" in one for one in pages), f"{len(pages)} pages are too few"
    assert found_in(pages, secrets) == {}
    assert found_in({line: line.encode() for line in watch.seen}, secrets) == {}, "process list"
    assert found_in({"output": site.output.encode()}, secrets) == {}
    assert "secrets_key" in in_files and set(in_files) <= PLACES
    assert {name for names in in_database.values() for name in names} == {"address"}, "what is there is found"
    assert open_to_others == []
    assert in_backups["without"] == {}
    kept = {"files/" + name for name in KEY_FILES}
    assert set(in_backups["with"]) <= kept | {name.replace("files/", "") for name in kept}
    allowed = re.compile(r"RLWHF_ENDPOINT_KEY(_\d+)? of .*-m (annotations|training|evaluation|manage)|manage\.py teachers")
    assert all(allowed.search(one) for one in watch.environments.get(KEY, ())), watch.environments.get(KEY)
    for name in ("API token", "hook secret", "session"):
        assert secrets[name] not in watch.environments


def planted(ada: Person, site: Site, address: str, refusing: str) -> dict[str, str]:
    """Secrets of every kind, given or made as people do; returns them by what they are."""
    link = setup_link(site)
    ada.goes(link)
    ada.fills(username="ada", password=PASSWORD, again=PASSWORD)
    ada.presses("Make the account and log in")
    ada.opens_menu("API tokens")
    ada.fills(name="story")
    with ada.another_page():
        ada.page.locator("#main form button.btn--primary").last.click()
    token = ada.page.locator("#secret").inner_text()
    ada.opens_menu("Hosts")
    ada.fills(host="127.0.0.1", is_private=True)
    ada.presses("Allow")
    ada.opens_menu("Endpoints")
    for name, url in (("judge", address), ("angry", refusing)):
        ada.fills(name=name, base_url=url, model="m", key=KEY)
        ada.presses("Save")
        ada.sees(name)
    ada.goes("/jobs/alerts/")
    ada.fills(url=f"http://127.0.0.1:{free_port()}/nobody-listens")
    with ada.another_page():
        ada.page.locator("#main form.card button.btn--primary").last.click()
    hook = ada.page.locator("#secret").inner_text()
    ada.goes("/jobs/alerts/")
    with ada.another_page():
        ada.page.locator("form[action*='/try/'] button").click()
    session = next(one["value"] for one in ada.context.cookies() if "session" in one["name"])
    found = {"endpoint key": KEY, "API token": token, "hook secret": hook, "session": session, "password": PASSWORD}
    found |= {"database password": DATABASE_PASSWORD, "set-up link": link.rstrip("/").rsplit("/", 1)[1]}
    for name in KEY_FILES:
        if (site.home / name).exists():
            found[name] = (site.home / name).read_text(errors="replace").strip().splitlines()[-1]
    assert all(len(one) >= 8 for one in found.values()), {name: len(one) for name, one in found.items()}
    return found


def worked(door: Door) -> None:
    """A teacher scores, a training run asks it for rewards, an endpoint is evaluated; another service refuses the key, aloud."""
    door.sends("POST", "/projects", data={"name": "Rivers"})
    rows = [
        {"prompt": f"Where does river {one} end?", "answer": f"In lake {one}.", "gold_answer": f"lake {one}"} for one in range(8)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    upload = {"name": "rivers.jsonl", "mimeType": "application/jsonl", "buffer": content}
    door.sends("POST", "/projects/rivers/import", multipart={"file": upload})
    until = time.monotonic() + 120
    while door.sends("GET", "/items?project=rivers")["count"] < len(rows):
        assert time.monotonic() < until
        time.sleep(0.5)
    for name in ("judge", "angry"):
        door.sends("PUT", f"/teachers/{name}", data={"endpoint": name, "prompt": "score-0-5-1", "uses_reference": True})
    door.ends(door.sends("POST", "/teachers/judge/runs", data={"project": "rivers"})["job"])
    failed = door.ends(door.sends("POST", "/teachers/angry/runs", data={"project": "rivers"})["job"], "failed")
    assert "401" in failed["reason"]
    how = {"project": "rivers", "name": "rivers-prompts", "kind": "prompts", "settings": {"split": {"eval_share": 0.0}}}
    door.sends("POST", "/datasets", data=how)
    while not door.sends("GET", "/datasets/rivers-prompts").get("ready_at"):
        assert time.monotonic() < until + 120
        time.sleep(0.5)
    wanted = {"recipe": "grpo-cpu", "dataset": "rivers-prompts", "name": "taught-by-judge", "overrides": GRPO}
    door.ends(door.sends("POST", "/runs", data=wanted)["job"])
    benchmark = door.sends("POST", "/benchmarks/import", multipart={"file": upload, "name": "rivers"})["benchmark"]
    for name, state in (("judge", "succeeded"), ("angry", "failed")):
        door.ends(door.sends("POST", "/evaluations", data={"endpoint": name, "benchmark": benchmark["hash"]})["job"], state)


def crawled(ada: Person) -> Iterator[tuple[str, bytes]]:
    """Every page and every download that can be reached by links, as an admin sees them, and what the API lists."""
    site = ada.page.url.split("/", 3)[2]
    waiting = ["/", *(f"/api/{one}" for one in ("endpoints", "teachers", "audit", "jobs", "runs", "people", "tokens", "hosts"))]
    known = set(waiting)
    while waiting and len(known) < PAGES_AT_MOST:
        address = waiting.pop(0)
        answer: APIResponse = ada.context.request.get(address, max_redirects=3)
        body = answer.body()
        yield address, body
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        for link in re.findall(r'(?:href|src|hx-get)="([^"]+)"', body.decode()):
            parts = urlsplit(urljoin(answer.url, link.replace("&amp;", "&")))
            plain = urldefrag(parts._replace(scheme="", netloc="").geturl()).url
            # A page in all its orders is one page.
            if parts.netloc == site and plain not in known and not plain.startswith(("/static/", "/admin/", "/account/language")):
                known.add(plain)
                waiting.append(plain)


def backed_up(site: Site, tmp_path: Path) -> dict[str, Path]:
    """Back-ups with and without keys, unpacked, their manifests beside."""
    made = {}
    for name, flags in (("with", []), ("without", ["--without-keys"])):
        file, folder = tmp_path / f"{name}.backup", tmp_path / name
        command = [sys.executable, "manage.py", "backup", str(file), *flags]
        subprocess.run(command, cwd=settings.BASE_DIR, env=site.env, check=True, capture_output=True)
        folder.mkdir()
        with file.open("rb") as packed:
            manifest = unpack(packed, folder)
        (folder / "manifest.json").write_bytes(manifest.as_json())
        made[name] = folder
    return made


def scanned(folder: Path, secrets: dict[str, str]) -> dict[str, list[str]]:
    contents = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            with contextlib.suppress(FileNotFoundError):  # the site works on
                contents[name] = path.read_bytes()
    return found_in(contents, secrets)


def found_in(contents: dict[str, bytes], secrets: dict[str, str]) -> dict[str, list[str]]:
    """Where which secrets stand."""
    found = {where: [name for name, one in secrets.items() if one.encode() in content] for where, content in contents.items()}
    return {where: names for where, names in found.items() if names}
