"""Chat with nothing left out: the site's own server, a real worker, a real tiny model, and the API as a script uses it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts.models import AuditEntry, User
from accounts.services import token_create
from annotations.models import Item
from annotations.services import project_create
from evaluation.chatting.jobs import KIND, serving_key
from evaluation.chatting.spending import ACTION
from evaluation.model_hash import model_hash
from jobs.models import Job
from jobs.selectors import tags_served
from tests.chat_server import ChatServer
from tests.evaluation.chatting.test_chat import KEY, endpoint
from tests.jobs.conftest import Processes, processes, until
from training.services import artifact_register

__all__ = ["processes"]
pytestmark = pytest.mark.full


@pytest.fixture
def site(processes: Processes, transactional_db: None) -> Any:
    """A client of the site's own server, as a member's script."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes.start("web", "--port", str(port), "--skip-checks")  # whose lease is too short for a real site
    member = User.objects.create_user("mo", password="x", role="member")
    _, secret = token_create(user=member, name="script", actor=member)
    about = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/chat", headers=about, timeout=60, trust_env=False) as client:

        def answers() -> bool:
            try:
                return client.get("/models").status_code == 200
            except httpx.TransportError:
                return False

        until(answers, within=240, log=processes.log)
        yield client


def streamed(site: httpx.Client, most: int | None = None, **body: Any) -> list[tuple[float, str, dict[str, Any]]]:
    """The events of a message with when each came; hangs up after the first `most`."""
    found = []
    with site.stream("POST", "/messages", json=body) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                found.append((time.monotonic(), name, json.loads(line[6:])))
            if most is not None and len(found) == most:
                break
    return found


def test_a_worker_serves_a_model_its_answer_is_streamed_and_scored(site: Any, processes: Processes, taught: Path) -> None:
    artifact_register(name="tiny", folder=taught, actor=None)
    project_create(name="Chats", actor=None)
    assert site.post("/serving", json={"models": ["tiny"]}).status_code == 409, "no worker yet"
    processes.start("worker", "--tags", "cpu")
    until(lambda: "cpu" in tags_served(), log=processes.log)
    assert site.post("/serving", json={"models": ["tiny"]}).json()[0]["state"] == "waiting"
    until(lambda: site.get("/models").json()[0]["state"] == "ready", within=240, log=processes.log)
    *pieces, (_, name, done) = streamed(site, model="tiny", text="Where was Bo born?")
    assert (name, done["text"], done["model_hash"]) == ("done", "I do not know.", model_hash(str(taught)))
    assert len(pieces) > 1
    made = site.post("/scores", json={"conversation": done["conversation"], "turn": 1, "project": "chats"}).json()
    assert Item.objects.get(pk=made["item"]).metadata["chat"]["model_hash"] == done["model_hash"]
    job = Job.objects.get(kind=KIND)
    assert site.post("/serving/stop", json={"model": "tiny"}).json() == {"job": job.pk}
    until(lambda: Job.objects.get(pk=job.pk).has_ended, log=processes.log)
    assert "not served any more" in site.post("/messages", json={"model": "tiny", "text": "x"}).json()["detail"]
    written = "".join(
        path.read_text(errors="replace") for path in Path(job.folder or Job.objects.get(pk=job.pk).folder).glob("*.*")
    )
    assert written and serving_key(job) not in written + processes.log()


def test_words_pass_through_the_sites_server_as_they_come_and_whoever_leaves_ends_the_answer(
    site: Any, processes: Processes
) -> None:

    def ends() -> list[str]:
        told = AuditEntry.objects.filter(action=ACTION, actor__username="mo").order_by("pk")
        return [one.detail["ended"] for one in told]

    slow = ChatServer(lambda messages: "one two three four five six seven eight nine ten", word_s=0.2)
    with endpoint("slow", slow):
        events = streamed(site, model="slow", text="Hello")
        assert [name for _, name, _ in events] == ["piece"] * 10 + ["done"]
        assert events[-1][0] - events[0][0] > 1.0, "the first word came more than a second before the last"
        slow.say = lambda messages: "word " * 1000
        assert [told["text"] for _, _, told in streamed(site, most=2, model="slow", text="Hello")] == ["word ", "word "]
        assert slow.hung_up.wait(20)
        until(lambda: len(ends()) == 2, log=processes.log)
    assert ends() == ["answered", "stopped"], "both are written down, with who asked"
    assert KEY not in processes.log()
