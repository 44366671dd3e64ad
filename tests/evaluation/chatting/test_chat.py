"""Chat through its pages and its API: real services on this machine, and a real tiny model."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from accounts.models import AuditEntry, Endpoint
from annotations.models import Item, Project, Turn
from annotations.selectors import metadata_seen
from annotations.services import project_create
from evaluation.chatting.jobs import KIND, serving_key
from evaluation.model_hash import model_hash
from evaluation.serving.engine import Engine
from evaluation.serving.places import ADDRESS
from evaluation.serving.service import serving as model_serving
from jobs.models import Job, State, Worker
from tests.chat_server import ChatServer, serving
from training.models import Artifact
from training.specs import HardwareSpec

pytestmark = pytest.mark.django_db
KEY = "sk-very-secret"
SignedIn = Callable[[str], Client]


def echo(messages: list[dict[str, str]]) -> str:
    system = f"{messages[0]['content']}: " if messages[0]["role"] == "system" else ""
    return f"{system}{len(messages)} you said {messages[-1]['content']}"


@contextmanager
def endpoint(name: str, server: ChatServer) -> Iterator[Endpoint]:
    with serving(server) as url:
        host_allow(host="127.0.0.1", is_private=True, actor=None)
        yield endpoint_save(name=name, base_url=url, model=f"{name}-2026", key=KEY, actor=None)


@pytest.fixture
def big() -> Iterator[Endpoint]:
    with endpoint("big", ChatServer(echo)) as made:
        yield made


@pytest.fixture
def project() -> Project:
    return project_create(name="Chats", actor=None)


def post(client: Client, url: str, **body: Any) -> Any:
    return client.post(f"/api/chat/{url}", json.dumps(body), content_type="application/json")


def events(response: Any) -> list[tuple[str, dict[str, Any]]]:
    told = b"".join(response.streaming_content).decode().strip().split("\n\n")
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in (one.split("\n") for one in told)
    ]


def test_a_reply_comes_word_by_word_and_the_next_goes_on_from_it(signed_in: SignedIn, big: Endpoint) -> None:
    client = signed_in("member")
    *pieces, (name, first) = events(post(client, "messages", model="big", text="Hello", system="Be brief"))
    assert {kind for kind, _ in pieces} == {"piece"}
    assert [told["text"] for _, told in pieces] == ["Be ", "brief: ", "2 ", "you ", "said ", "Hello "]
    assert (name, first["text"], first["turn"], first["tokens"]) == ("done", "Be brief: 2 you said Hello", 1, 6)
    second = post(client, "messages", model="big", text="And?", conversation=first["conversation"], stream=False).json()
    assert second["text"] == "Be brief: 4 you said And?", "it was told the whole conversation, with the prompt of its beginning"
    assert KEY not in json.dumps([first, second])
    assert client.get("/api/chat/models").json() == [{"name": "big", "kind": "endpoint", "about": "big-2026", "state": "ready"}]


def test_nobody_can_make_a_model_have_said_what_it_did_not(signed_in: SignedIn, big: Endpoint, project: Project) -> None:
    client = signed_in("member")
    reply = post(client, "messages", model="big", text="Hello", stream=False).json()
    body, _, signature = reply["conversation"].rpartition(":")
    forged = f"{body[:-3]}AAA:{signature}"
    assert "start a new one" in post(client, "messages", model="big", text="x", conversation=forged).json()["detail"]
    assert post(client, "scores", conversation=forged, turn=1, project="chats").status_code == 422
    with endpoint("other", ChatServer(echo)):
        refused = post(client, "messages", model="other", text="x", conversation=reply["conversation"])
        assert "is with “big”" in refused.json()["detail"]
    for turn in (0, 2, -1):
        assert (
            "no such reply"
            in post(client, "scores", conversation=reply["conversation"], turn=turn, project="chats").json()["detail"]
        )
    assert not Item.objects.exists()


def test_a_scored_reply_is_an_item_with_where_it_comes_from_and_its_desk_hands_it_out(
    signed_in: SignedIn, big: Endpoint, project: Project
) -> None:
    client = signed_in("member")
    first = post(client, "messages", model="big", text="Hello", system="Be brief", stream=False).json()
    second = post(client, "messages", model="big", text="And?", conversation=first["conversation"], stream=False).json()
    made = post(client, "scores", conversation=second["conversation"], turn=3, project="chats")
    assert made.status_code == 201
    told = made.json()
    item = Item.objects.get(pk=told["item"])
    assert [(one["role"], one["content"]) for one in item.prompt] == [
        ("system", "Be brief"), ("user", "Hello"), ("assistant", "Be brief: 2 you said Hello"), ("user", "And?"),
    ]  # fmt: skip
    assert (item.answer, item.source_model) == ("Be brief: 4 you said And?", "big")
    chat = item.metadata["chat"]
    assert (chat["model"], chat["answers_as"], chat["turn"], len(chat["conversation"])) == ("big", "big-2026", 3, 32)
    again = post(client, "scores", conversation=second["conversation"], turn=3, project="chats")
    assert (again.status_code, again.json()["item"]) == (200, item.pk)
    project.refresh_from_db()
    assert project.item_count == 1
    assert AuditEntry.objects.filter(action="annotations.item_added", target_id=str(item.pk)).count() == 1
    assert told["is_handed_to_you"] and Turn.objects.get(item=item).state == Turn.State.ASSIGNED
    page = client.get(told["desk"])
    assert b"And?" in page.content and b"Be brief: 4 you said And?" in page.content
    mo = big._meta.apps.get_model("accounts.User").objects.get(username="member")
    assert "chat" not in metadata_seen(item=item, user=mo), "whoever scores blind is not told who answered"


def test_the_page_works_without_scripts_for_two_side_by_side(signed_in: SignedIn, big: Endpoint, project: Project) -> None:
    client = signed_in("member")
    down = ChatServer(echo, refuse=lambda request: (401, f"no such key {KEY}", {}))
    with endpoint("down", down):
        choice = client.get("/chat/").content.decode()
        assert 'value="big"' in choice and 'value="down"' in choice and KEY not in choice
        both = {"model": "big", "other": "down"}
        assert b"Nothing said yet" in client.get("/chat/", both).content
        page = client.post("/chat/", both | {"text": "Hello <b>"})
        html = page.content.decode()
    assert "1 you said Hello &lt;b&gt;" in html and "did not answer (401)" in html and KEY not in html
    side = page.context["sides"][0]
    again = client.post("/chat/", {"model": "big", "other": "down", "text": "More", "conversation-0": side.token})
    assert "no model and no endpoint" not in again.content.decode()
    scored = client.post("/chat/score/", {"reply": "0:1", "conversation-0": side.token, "project": "chats"})
    item = Item.objects.get()
    assert item.prompt == [{"role": "user", "content": "Hello <b>"}] and item.prompt_is_text
    assert (scored.status_code, scored.url) == (302, "/score/in/chats/")
    for reply in ("x:y", "0", f"0:{'9' * 5000}", f"{'9' * 5000}:1"):
        data = {"reply": reply, "project": "chats", "conversation-0": side.token}
        broken = client.post("/chat/score/", data, headers={"Accept": "application/json"})
        assert (broken.status_code, broken.json()) == (422, {"reason": "There is no such reply."})


def test_two_answers_to_one_question_can_be_compared(signed_in: SignedIn, big: Endpoint) -> None:
    client = signed_in("member")
    project = project_create(name="Duels", mode=Project.Mode.COMPARE, actor=None)
    with endpoint("shy", ChatServer(lambda messages: "I do not know.")):
        page = client.post("/chat/", {"model": "big", "other": "shy", "text": "Hello"})
    one, other = page.context["sides"]
    assert one.conversation.id == other.conversation.id
    data = {"conversation-0": one.token, "conversation-1": other.token, "project": "duels"}
    for reply in ("0:1", "1:1"):
        client.post("/chat/score/", data | {"reply": reply})
    project.refresh_from_db()
    assert (project.item_count, project.comparison_count) == (2, 1)


def test_what_cannot_be_asked_says_why(signed_in: SignedIn, big: Endpoint, tiny: Artifact) -> None:
    client = signed_in("member")

    def refusal(**body: Any) -> str:
        answer = post(client, "messages", **{"text": "Hello", **body})
        assert answer.status_code == 422
        return str(answer.json()["detail"])

    assert refusal(model="tiny") == "“tiny” is not served yet."
    assert "no model and no endpoint named “nobody”" in refusal(model="nobody")
    assert refusal(model="big", text="  ") == "Write something first."
    assert "as long as one may get" in refusal(model="big", text="x" * 200_001)
    big.base_url = "http://elsewhere.example/v1"
    big.save()
    assert "may not call elsewhere.example" in refusal(model="big")
    page = client.post("/chat/", {"model": "tiny", "text": "Hello"})
    assert (
        page.status_code == 422
        and "“tiny” is not served yet." in page.content.decode()
        and "Serve tiny" not in page.content.decode()[:10]
    )
    streamed = client.post("/chat/", {"model": "tiny", "text": ""}, headers={"Accept": "text/event-stream"})
    assert streamed.status_code == 422 and "This field is required" in streamed.json()["reason"]


@pytest.fixture
def served(tiny: Artifact, taught: Path, tmp_path: Path) -> Iterator[Job]:
    """The tiny model as a job would serve it, in a thread."""
    worker = Worker.objects.create(name="w", host="here", pid=1, tags=["cpu"], started_at=Now(), seen_at=Now())
    job = Job.objects.create(
        kind=KIND, title="Serve tiny", payload={"models": ["tiny"]}, hardware_tag="cpu", state=State.RUNNING, worker=worker,
        folder=str(tmp_path), lease_token=uuid.uuid4(), lease_until=Now(),
    )  # fmt: skip
    engine = Engine("tiny", str(taught), hardware=HardwareSpec(threads=1), digest=model_hash(str(taught)))
    with model_serving([engine], key=serving_key(job)) as address:
        told = {"address": address, "host": socket.gethostname(), "models": {"tiny": engine.digest}}
        (tmp_path / ADDRESS).write_text(json.dumps(told))
        yield job


def test_a_model_of_this_site_answers_and_its_hash_goes_with_the_item(
    signed_in: SignedIn, served: Job, taught: Path, project: Project
) -> None:
    client = signed_in("member")
    *pieces, (_, done) = events(post(client, "messages", model="tiny", text="Where was Bo born?"))
    assert done["text"] == "".join(told["text"] for _, told in pieces).strip() == "I do not know."
    assert len(pieces) > 1
    assert done["model_hash"] == model_hash(str(taught))
    item = Item.objects.get(pk=post(client, "scores", conversation=done["conversation"], turn=1, project="chats").json()["item"])
    assert item.metadata["chat"]["model_hash"] == model_hash(str(taught))
    page = client.get("/chat/", {"model": "tiny"}).content.decode()
    assert f"job {served.pk}</a>" in page and serving_key(served) not in page
    assert post(client, "serving", models=["tiny"]).status_code == 200, "it is served already"
    assert post(client, "serving/stop", model="tiny").json() == {"job": served.pk}
    served.refresh_from_db()
    assert served.cancel_requested


def test_serving_is_refused_with_the_reason_and_annotators_do_not_chat(signed_in: SignedIn, tiny: Artifact) -> None:
    client = signed_in("member")
    assert "Start one: `rlwhf worker --tags cpu`" in post(client, "serving", models=["tiny"]).json()["detail"]
    page = client.post("/chat/serve/", {"serve": "tiny", "chosen": "model=tiny"}, follow=True)
    assert "No worker takes cpu jobs now" in page.content.decode() and page.redirect_chain[-1][0] == "/chat/?model=tiny"
    assert "is not served any more" in client.post("/chat/serve/stop/", {"stop": "tiny"}, follow=True).content.decode()
    assert client.get("/chat/serving/", {"model": "tiny"}, headers={"HX-Request": "true"}).status_code == 200
    assert client.get("/chat/serving/", {"model": "tiny"}).url == "/chat/?model=tiny"  # a part of a page is none by itself
    signed_in("annotator")
    for url in ("", "serving/", "serve/", "serve/stop/", "score/"):
        method = client.get if url in ("", "serving/") else client.post
        assert method(f"/chat/{url}").status_code == 403, url
    for url in ("serving", "serving/stop", "messages", "scores"):
        assert post(client, url).status_code == 403, url
    assert client.get("/api/chat/models").status_code == client.get("/api/chat/serving").status_code == 403


def test_models_and_endpoints_lead_to_their_chat(signed_in: SignedIn, big: Endpoint, tiny: Artifact) -> None:
    client = signed_in("admin")
    assert 'href="/chat/?model=tiny"' in client.get(tiny.get_absolute_url()).content.decode()
    assert 'href="/chat/"' in client.get("/models/").content.decode()
    assert 'href="/chat/?model=big"' in client.get("/account/endpoints/").content.decode()
