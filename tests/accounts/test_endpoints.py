"""Endpoints: made known, changed, checked and forgotten, by page, API and command; the key is shown nowhere."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.chat.service import KEY_VARIABLE
from accounts.endpoint_check import endpoint_check
from accounts.endpoints import EndpointRefused, endpoint_environment, endpoint_forget, endpoint_save, endpoint_service
from accounts.hosts import HostRefused, host_allow, host_forget
from accounts.models import AllowedHost, AuditEntry, Endpoint, User
from tests.chat_server import ChatServer, serving
from tests.training.model_folders import model_folder_at
from training.models import Artifact
from training.services import RunRefused, artifact_register

pytestmark = pytest.mark.django_db
KEY = "sk-very-secret"
WHERE = {"base_url": "http://127.0.0.1:9999/v1", "model": "big"}


@pytest.fixture
def allowed():
    return host_allow(host="127.0.0.1", is_private=True, actor=None)


def test_a_host_that_is_not_allowed_is_refused_when_saved_and_when_called(allowed):
    with pytest.raises(EndpointRefused, match="Allow its host first") as refused:
        endpoint_save(name="one", base_url="https://models.example.org/v1", model="big", actor=None)
    assert refused.value.field == "base_url"
    endpoint = endpoint_save(name="one", **WHERE, actor=None)
    assert endpoint_service(endpoint).addresses == ["127.0.0.1"]
    host_forget(entry=AllowedHost.objects.get(), actor=None)
    with pytest.raises(HostRefused):
        endpoint_service(endpoint)


def test_the_key_is_sealed_in_the_database_and_reaches_a_child_by_its_environment(allowed):
    endpoint = endpoint_save(name="one", **WHERE, key=KEY, actor=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(e)::text FROM accounts_endpoint e")
        stored = cursor.fetchone()[0]
    assert KEY not in stored
    assert endpoint_environment(endpoint) == {KEY_VARIABLE: KEY}
    assert KEY not in endpoint_service(endpoint).model_dump_json()
    assert KEY not in str(list(AuditEntry.objects.values_list("detail", flat=True)))


def test_saving_without_a_key_keeps_it_but_not_for_another_server(allowed):
    endpoint_save(name="one", **WHERE, key=KEY, actor=None)
    changed = endpoint_save(name="one", **WHERE | {"model": "bigger"}, actor=None)
    assert Endpoint.objects.count() == 1
    assert (changed.model, endpoint_environment(changed)) == ("bigger", {KEY_VARIABLE: KEY})
    elsewhere = WHERE | {"base_url": "http://127.0.0.1:1234/v1"}
    with pytest.raises(EndpointRefused, match="another server") as refused:
        endpoint_save(name="one", **elsewhere, actor=None)
    assert refused.value.field == "key"
    assert endpoint_environment(endpoint_save(name="one", **elsewhere, key="", actor=None)) == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "No Name"}, "name"),
        ({"model": " "}, "model"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_what_cannot_work_is_refused(allowed, change, field):
    with pytest.raises(EndpointRefused) as refused:
        endpoint_save(**{"name": "one", **WHERE, "actor": None, **change})
    assert refused.value.field == field


def test_an_endpoint_and_a_model_of_the_site_never_have_one_name(allowed, tmp_path):
    artifact_register(name="mine", folder=model_folder_at(tmp_path / "mine"), actor=None)
    with pytest.raises(EndpointRefused, match="There is a model “mine” on this site"):
        endpoint_save(name="mine", **WHERE, actor=None)
    endpoint_save(name="theirs", **WHERE, actor=None)
    with pytest.raises(RunRefused, match="There is a model named “theirs” already"):
        artifact_register(name="theirs", folder=model_folder_at(tmp_path / "theirs"), actor=None)
    Artifact.objects.create(name="both")
    Endpoint.objects.create(name="both", base_url=WHERE["base_url"], model="big")
    assert endpoint_save(name="both", **WHERE | {"model": "bigger"}, actor=None).model == "bigger", "one of old can be changed"


def test_what_is_not_given_stays_as_it_is(allowed, client):
    limits = {"requests_per_minute": 30, "timeout_s": 5.0, "price_in": Decimal("2.5"), "price_out": Decimal(9), "note": "ours"}
    endpoint_save(name="one", **WHERE, actor=None, **limits)

    def kept():
        one = Endpoint.objects.get(name="one")
        return one.model, {name: getattr(one, name) for name in limits}

    endpoint_save(name="one", **WHERE | {"model": "new"}, actor=None)
    assert kept() == ("new", limits)
    call_command("endpoints", "save", "one", "--url", WHERE["base_url"], "--model", "newer", stdout=StringIO())
    assert kept() == ("newer", limits)
    client.force_login(User.objects.create_user("ada", role="admin"), backend="django.contrib.auth.backends.ModelBackend")
    wanted = {"name": "one", **WHERE, "requests_per_minute": None}
    assert client.post("/api/endpoints", wanted, content_type="application/json").status_code == 201
    assert kept() == (WHERE["model"], limits | {"requests_per_minute": None})
    more = ("--requests-per-minute", "7", "--price-in", "none", "--timeout", "9")
    call_command("endpoints", "save", "one", "--url", WHERE["base_url"], "--model", "m", *more, stdout=StringIO())
    assert kept() == ("m", limits | {"requests_per_minute": 7, "price_in": None, "timeout_s": 9.0})
    # The page that makes one known has all fields, and empty ones; it would empty those of another.
    again = client.post("/account/endpoints/", {"name": "one", **WHERE, "timeout_s": 60})
    assert again.status_code == 422 and "already" in again.content.decode()
    assert kept()[1]["requests_per_minute"] == 7


def test_forgetting_takes_the_key_along(allowed):
    endpoint_forget(endpoint=endpoint_save(name="one", **WHERE, key=KEY, actor=None), actor=None)
    assert not Endpoint.objects.exists()
    assert AuditEntry.objects.filter(action="accounts.endpoint_forgotten").count() == 1


def test_pages(allowed, client):
    client.force_login(User.objects.create_user("ada", role="admin"), backend="django.contrib.auth.backends.ModelBackend")
    fields = {"name": "one", **WHERE, "key": KEY, "timeout_s": 60, "price_in": "2.5"}
    assert "may not call" in client.post("/account/endpoints/", fields | {"base_url": "http://x.example/v1"}).content.decode()
    assert client.post("/account/endpoints/", fields).status_code == 302
    assert Endpoint.objects.get().price_in == Decimal("2.5")
    page = client.get("/account/endpoints/").content.decode()
    assert "kept" in page and KEY not in page
    assert client.post("/account/endpoints/one/", {**WHERE, "model": "bigger", "timeout_s": 30}).status_code == 302
    assert (Endpoint.objects.get().model, Endpoint.objects.get().has_key) == ("bigger", True)
    assert KEY not in client.get("/account/endpoints/one/").content.decode()
    assert client.post("/account/endpoints/one/", {**WHERE, "timeout_s": 30, "forget_key": "on"}).status_code == 302
    assert not Endpoint.objects.get().has_key
    client.post("/account/endpoints/one/remove/")
    assert not Endpoint.objects.exists()


def test_over_http(allowed, client):
    client.force_login(User.objects.create_user("ada", role="admin"), backend="django.contrib.auth.backends.ModelBackend")
    made = client.post("/api/endpoints", {"name": "one", **WHERE, "key": KEY}, content_type="application/json")
    assert made.status_code == 201 and made.json()["has_key"] and KEY not in made.content.decode()
    assert [one["name"] for one in client.get("/api/endpoints").json()["items"]] == ["one"]
    refused = {"name": "one", "base_url": "http://x.example", "model": "m"}
    assert client.post("/api/endpoints", refused, content_type="application/json").status_code == 422
    assert client.delete("/api/endpoints/one").status_code == 204
    assert client.get("/api/endpoints").json()["items"] == []


def test_an_address_that_says_it_is_private_is_refused_when_saved_where_it_is_not_allowed_as_private():
    host_allow(host="127.0.0.1", is_private=False, actor=None)
    with pytest.raises(EndpointRefused, match=r"private network.*rlwhf hosts allow 127\.0\.0\.1 --private"):
        endpoint_save(name="one", **WHERE, actor=None)
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    assert endpoint_save(name="one", **WHERE, actor=None).pk


def test_a_check_asks_one_question_by_page_and_over_http_and_says_why_where_none_answers(allowed, client):
    client.force_login(User.objects.create_user("ada", role="admin"), backend="django.contrib.auth.backends.ModelBackend")
    server = ChatServer(lambda messages: "Paris")
    with serving(server) as url:
        endpoint_save(name="one", base_url=url, model="big", key=KEY, actor=None)
        assert client.post("/api/endpoints/one/check").json() == {"answer": "Paris", "tells_probabilities": True}
        assert "answers “Paris”" in client.post("/account/endpoints/one/check/", follow=True).content.decode()
    gone = client.post("/api/endpoints/one/check")
    assert gone.status_code == 422 and url in gone.json()["detail"] and KEY not in gone.content.decode()
    assert "did not answer" in client.post("/account/endpoints/one/check/", follow=True).content.decode()
    assert len(server.headers) == 2, "one question each"


def test_a_check_tells_of_an_answer_without_words_and_fails_where_the_answer_is_kept_back(allowed):
    server = ChatServer(lambda messages: " ")
    with serving(server) as url:
        endpoint = endpoint_save(name="one", base_url=url, model="big", actor=None)
        assert endpoint_check(endpoint).told("one").startswith("one answers, with nothing in its first 64 tokens")
        server.say = lambda messages: {"finish_reason": "content_filter", "message": {"role": "assistant", "content": ""}}
        with pytest.raises(EndpointRefused, match="filter"):
            endpoint_check(endpoint)


def test_only_admins_see_them(client):
    client.force_login(User.objects.create_user("mo", role="member"), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/account/endpoints/").status_code == 403
    assert client.get("/api/endpoints").status_code == 403


def test_in_the_shell(allowed, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    server = ChatServer(lambda messages: "Paris")
    with serving(server) as url:
        out = StringIO()
        call_command("endpoints", "save", "one", "--url", url, "--model", "big", "--key-from", "MY_KEY", stdout=out)
        call_command("endpoints", "check", "one", stdout=out)
        call_command("endpoints", "list", stdout=out)
    said = out.getvalue()
    assert "answers “Paris”, and tells probabilities" in said and "with a key" in said and KEY not in said
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    call_command("endpoints", "forget-key", "one", stdout=out)
    assert not Endpoint.objects.get().has_key
    with pytest.raises(CommandError, match="no endpoint"):
        call_command("endpoints", "check", "two")
    call_command("endpoints", "forget", "one", stdout=out)
    assert not Endpoint.objects.exists()
