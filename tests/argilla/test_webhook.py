"""The server's messages: signed, of now, taken once; and what is true is asked of the server."""

import json
import time
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from standardwebhooks import Webhook

from accounts.hosts import host_allow
from accounts.models import AuditEntry
from accounts.secrets import seal
from accounts.services import user_create
from annotations.argilla.client import ArgillaRefused
from annotations.argilla.questions import teacher_questions
from annotations.argilla.sync import sync_carry_out
from annotations.models import ArgillaEvent, ArgillaLink, ArgillaSync, Item, Project, RubricVersion, Score
from annotations.services import project_create
from annotations.services.argilla import argilla_disconnect, argilla_sync_queue
from tests.jobs.conftest import processes, until  # noqa: F401

SECRET = "c2VjcmV0IG9mIGEgdGVzdCBhbmQgbm90aGluZyBlbHNl"


@pytest.fixture
def link(db) -> ArgillaLink:
    project: Project = project_create(name="Messages", actor=None)
    return ArgillaLink.objects.create(
        project=project,
        url="http://127.0.0.1:1",
        sealed_key=seal("k"),
        sealed_webhook_secret=seal(SECRET),
        workspace="w",
        dataset="d",
        dataset_id=uuid4(),
        rubric_version=RubricVersion.objects.get(pk=project.rubric_version_id),
        teachers=teacher_questions([]),
    )


def message(link, *, body=None, at=None, secret=SECRET, message_id="msg_1", tamper=b"", client=None):
    at = at or datetime.now(UTC)
    data = body if body is not None else {"type": "response.updated", "version": 1, "data": {"record": {"id": str(uuid4())}}}
    text = data if isinstance(data, str) else json.dumps(data)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, text),
    }
    sent = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return client.post(f"/hooks/argilla/{link.pk}/", text.encode() + tamper, content_type="application/json", **sent)


def test_a_signed_message_is_taken_and_asks_for_one_pull(link, client):
    assert message(link, client=client).status_code == 200
    assert message(link, client=client, message_id="msg_2").status_code == 200
    assert ArgillaEvent.objects.count() == 2
    sync = ArgillaSync.objects.get()
    assert (sync.direction, sync.mode, sync.job.kind) == ("pull", "events", "annotations.argilla")


def test_the_same_message_again_is_known(link, client):
    assert message(link, client=client).content == b"Taken."
    assert message(link, client=client).content == b"Nothing new."
    assert ArgillaEvent.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"tamper": b" "},
        {"secret": "YW5vdGhlciBzZWNyZXQgdGhhdCBpcyBub3Qgb3Vycw=="},
        {"after": -timedelta(minutes=10)},
        {"after": timedelta(minutes=10)},
    ],
    ids=["tampered", "another secret", "ten minutes old", "of the future"],
)
def test_a_message_that_is_not_the_servers_or_not_of_now_is_refused(link, client, wrong):
    # Reckoned now: the tests may have been collected long ago.
    told = {"at": datetime.now(UTC) + wrong["after"]} if "after" in wrong else wrong
    assert message(link, client=client, **told).status_code == 401
    assert not ArgillaEvent.objects.exists()


def test_without_a_signature_or_a_link_there_is_nothing_to_take(link, client):
    assert client.post(f"/hooks/argilla/{link.pk}/", "{}", content_type="application/json").status_code == 401
    assert client.post("/hooks/argilla/999999/", "{}", content_type="application/json").status_code == 401
    assert client.get(f"/hooks/argilla/{link.pk}/").status_code == 405
    link.sealed_webhook_secret = ""
    link.save()
    assert message(link, client=client).status_code == 401


@pytest.mark.parametrize(
    "body", ["[]", '"x"', "{}", '{"type": "response.updated", "data": {"record": {"id": "no-uuid"}}}', '{"type": 7, "data": 8}']
)
def test_a_message_of_no_use_does_no_harm(link, client, body):
    assert message(link, client=client, body=body).status_code in {200, 401}
    assert not ArgillaSync.objects.exists()


def test_what_the_server_tells_of_other_datasets_asks_for_nothing(link, client):
    def told(dataset):
        return {"type": "response.created", "data": {"record": {"id": str(uuid4()), "dataset": {"id": str(dataset)}}}}

    assert message(link, client=client, body=told(uuid4())).status_code == 200
    assert not ArgillaEvent.objects.exists()
    assert not ArgillaSync.objects.exists()
    assert message(link, client=client, body=told(link.dataset_id)).content == b"Taken."


def test_a_message_that_comes_while_the_project_is_disconnected_is_refused(link, client, monkeypatch):
    def verified_and_then_gone(*_):
        argilla_disconnect(link=ArgillaLink.objects.get(), leave_webhook=True, actor=None)
        return {"type": "record.updated", "data": {"id": str(uuid4())}}

    monkeypatch.setattr("annotations.services.argilla._verified", verified_and_then_gone)
    assert message(link, client=client).status_code == 401


def test_strangers_are_not_told_that_the_key_file_is_another_one(link, client, settings, tmp_path):
    settings.RLWHF_HOME = tmp_path
    told = message(link, client=client)
    assert told.status_code == 401
    assert b"secrets_key" not in told.content


def dataset_of(message):
    about = message["data"]
    return (about.get("record") or about).get("dataset", {}).get("id")


class Inbox:
    """Receives the server's real messages, and hands them to the site as they came."""

    def __init__(self):
        import http.server
        import threading

        inbox = self
        self.messages = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.messages.append((self.path, dict(self.headers.items()), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def wait(self, wanted, *, dataset, within=60.0):
        """Until such a message about the dataset is there: the server tells of those of other tests too."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            come = [json.loads(body) for _, _, body in list(self.messages)]
            if any(wanted(one) and dataset_of(one) == dataset for one in come):
                return
            time.sleep(0.1)
        raise AssertionError(f"no such message among {[json.loads(body)['type'] for _, _, body in self.messages]}")

    def hand_over(self, client):
        """Every message, to the address that the server was given, as signed."""
        for path, headers, body in self.messages:
            sent = {
                f"HTTP_{name.upper().replace('-', '_')}": value
                for name, value in headers.items()
                if name.lower().startswith("webhook")
            }
            answer = client.post(path, body, content_type="application/json", **sent)
            assert answer.status_code == 200, answer.content
        self.messages.clear()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def inbox():
    one = Inbox()
    yield one
    one.close()


def test_answers_arrive_by_the_servers_own_messages(place, items, client, inbox):
    place.link.webhook_address = inbox.url
    place.link.save()
    place.push()  # tells the server
    place.link.refresh_from_db()
    try:
        place.answer("zoe", items[0], overall="1", critique="By message.")
        inbox.wait(lambda one: one["type"] == "response.created", dataset=str(place.link.dataset_id))
        inbox.hand_over(client)
        assert place.pull("events")["responses_taken"] == 1
        assert Score.objects.get(item=items[0]).critique == "By message."
        [response] = place.records()[0]["responses"]
        place.annotator("zoe").delete(f"/responses/{response['id']}")
        inbox.wait(lambda one: one["type"] == "response.deleted", dataset=str(place.link.dataset_id))
        inbox.hand_over(client)
        assert place.pull("events")["responses_deleted"] == 1
        assert not Score.objects.filter(withdrawn_at=None).exists()
    finally:
        place.link.webhook_address = ""
        place.link.save()
        place.push()
    assert not [one for one in place.argilla.get("/webhooks")["items"] if one["url"].startswith(inbox.url)]


def test_a_change_of_the_distribution_tells_of_every_answer_again_and_changes_nothing(place, items, client, inbox):
    place.answer("zoe", items[0], overall="1")
    place.pull()
    place.link.webhook_address = inbox.url
    place.link.save()
    place.push()
    place.link.refresh_from_db()
    try:
        place.argilla.patch(place.dataset, distribution={"strategy": "overlap", "min_submitted": 1})
        inbox.wait(lambda one: one["type"].startswith(("record.", "response.")), dataset=str(place.link.dataset_id))
        inbox.hand_over(client)
        before = list(Score.objects.values_list("pk", "withdrawn_at"))
        counts = place.pull("events")
        assert counts["events"] >= 1
        assert "responses_taken" not in counts
        assert list(Score.objects.values_list("pk", "withdrawn_at")) == before
    finally:
        place.link.webhook_address = ""
        place.link.save()
        place.push()


def hooks(place, address):
    """Ours: all tests share the server."""
    return [one for one in place.argilla.get("/webhooks")["items"] if address.lower() in one["url"]]


def with_messages(place, address):
    place.link.webhook_address = address
    place.link.save()
    place.push()
    place.link.refresh_from_db()


def test_disconnecting_deletes_our_webhook_there_and_no_other(place, inbox):
    with_messages(place, inbox.url)
    by_hand = place.argilla.post("/webhooks", url=f"{inbox.url}/of-somebody-else", events=["record.updated"], description="x")
    waiting = argilla_sync_queue(link=place.link, direction="push", actor=None)
    sync = argilla_disconnect(link=place.link, actor=None)
    assert (sync.direction, sync.job.kind) == ("disconnect", "annotations.argilla")
    assert ArgillaLink.objects.exists(), "until it is gone there"
    sync_carry_out(sync=sync)
    assert [one["id"] for one in hooks(place, inbox.url)] == [by_hand["id"]]
    place.argilla.delete(f"/webhooks/{by_hand['id']}")
    assert not ArgillaLink.objects.exists()
    assert place.argilla.get(f"/datasets/{place.link.dataset_id}")["status"] == "ready"
    waiting.job.refresh_from_db()
    assert waiting.job.state == "stopped", "there is nothing to push any more"
    sync.job.refresh_from_db()
    assert sync.job.state == "queued", "the job that does it is not stopped"
    assert AuditEntry.objects.get(action="annotations.argilla_disconnected").detail["webhook"] == "removed"


def test_a_webhook_that_was_made_as_we_were_cut_off_is_found_by_its_address(place, inbox):
    with_messages(place, inbox.url)
    for end in (place.pull, lambda: sync_carry_out(sync=argilla_disconnect(link=place.link, actor=None))):
        ArgillaLink.objects.update(webhook_id=None, sealed_webhook_secret="")
        place.link.refresh_from_db()
        end()
        assert len(hooks(place, inbox.url)) == ArgillaLink.objects.count()


def test_an_address_that_the_server_writes_its_own_way_is_told_once(place, inbox):
    address = inbox.url.replace("127.0.0.1", "LocalHost")
    with_messages(place, address)
    before = hooks(place, address)
    place.pull()
    assert [one["id"] for one in hooks(place, address)] == [one["id"] for one in before]
    sync_carry_out(sync=argilla_disconnect(link=place.link, actor=None))
    assert hooks(place, address) == []


@pytest.fixture
def away(link, monkeypatch):
    """The link's server takes no connections, and there is no waiting for it."""
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    monkeypatch.setattr("annotations.argilla.client.time.sleep", lambda _: None)
    link.webhook_id, link.webhook_address = uuid4(), "https://rlwhf.example.org"
    link.save()
    return link


def test_where_the_server_is_away_it_is_said_and_a_person_can_go_on(away, client):
    admin = user_create(username="ada", password="a long enough secret", role="admin", actor=None)
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    page = "/items/projects/messages/argilla/"
    assert client.post(f"{page}forget/").status_code == 302
    told = client.get(page).content.decode()
    assert "to be deleted on the Argilla server" in told
    assert "Disconnect, and leave the webhook there" in told
    with pytest.raises(ArgillaRefused, match="does not answer"):
        sync_carry_out(sync=ArgillaSync.objects.get())
    told = client.get(page).content.decode()
    assert "could not be deleted" in told
    assert "does not answer" in told
    assert "Try again" in told
    client.post(f"{page}forget/")
    assert ArgillaSync.objects.filter(finished_at=None).count() == 1
    told = client.post(f"{page}forget/", {"leave_webhook": "1"}, follow=True).content.decode()
    assert f"https://rlwhf.example.org/hooks/argilla/{away.pk}/" in told
    assert not ArgillaLink.objects.exists()
    assert AuditEntry.objects.get(action="annotations.argilla_disconnected").detail["webhook"] == "left"


def test_the_shell_and_the_api_say_it_too(away, client):
    with pytest.raises(CommandError, match=r"does not answer.*--leave-webhook"):
        call_command("argilla", "disconnect", project="messages")
    admin = user_create(username="ada", password="a long enough secret", role="admin", actor=None)
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    address = "/api/projects/messages/argilla"
    told = client.delete(address)
    assert (told.status_code, told.json()["direction"]) == (202, "disconnect")
    assert client.post(f"{address}/syncs", {"direction": "disconnect"}, content_type="application/json").status_code == 422
    assert client.delete(f"{address}?leave_webhook=true").status_code == 204
    assert not ArgillaLink.objects.exists()


def test_the_shell_can_leave_the_webhook_there(away):
    told = StringIO()
    call_command("argilla", "disconnect", "--leave-webhook", project="messages", stdout=told)
    assert "/hooks/argilla/" in told.getvalue()
    assert not ArgillaLink.objects.exists()


def test_a_sync_of_a_project_that_was_disconnected_meanwhile_says_so(away, tmp_path):
    sync = ArgillaSync.objects.create(link=away, direction="push")
    number = sync.pk
    argilla_disconnect(link=away, leave_webhook=True, actor=None)
    with pytest.raises(SystemExit):
        call_command("argilla", "carry-out", str(number), folder=tmp_path)
    assert "was disconnected" in (tmp_path / "failure.json").read_text()


@pytest.mark.django_db(transaction=True)
def test_an_answer_there_becomes_a_score_here_without_anybody_pulling(processes, make_place, client, inbox):  # noqa: F811
    place = make_place(2)
    place.link.webhook_address = inbox.url
    place.link.save()
    place.push()
    place.link.refresh_from_db()
    [item, _] = Item.objects.order_by("pk")
    processes.start("worker", "--tags", "site")
    place.answer("zoe", item, overall="-1", critique="Nobody pulled.")
    inbox.wait(lambda one: one["type"] == "response.created", dataset=str(place.link.dataset_id))
    inbox.hand_over(client)
    until(lambda: Score.objects.filter(critique="Nobody pulled.").exists(), within=60, log=processes.log)
    until(lambda: ArgillaSync.objects.exclude(finished_at=None).filter(mode="events").exists(), log=processes.log)
    sync = ArgillaSync.objects.filter(mode="events").earliest("pk")
    assert sync.counts["responses_taken"] == 1
    until(lambda: sync.job.__class__.objects.get(pk=sync.job_id).state == "succeeded", log=processes.log)


@pytest.mark.django_db(transaction=True)
@pytest.mark.full
def test_a_worker_disconnects(processes, make_place, inbox):  # noqa: F811
    place = make_place(1)
    with_messages(place, inbox.url)
    job = argilla_disconnect(link=place.link, actor=None).job
    processes.start("worker", "--tags", "site")
    until(lambda: not ArgillaLink.objects.exists(), within=60, log=processes.log)
    until(lambda: job.__class__.objects.get(pk=job.pk).state == "succeeded", log=processes.log)
    assert hooks(place, inbox.url) == []
