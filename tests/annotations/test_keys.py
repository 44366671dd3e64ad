"""One's own keys of the scoring desk: by service, API, command and page."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.services import token_create
from annotations.desk_keys import ACTIONS, DEFAULT_KEYS, clash
from annotations.services import KeysRefused, keys_change, keys_of

pytestmark = pytest.mark.django_db


def test_no_two_usual_keys_clash():
    shared = [(one.name, other.name) for one in ACTIONS for other in ACTIONS if one.key == other.key and clash(one, other)]
    assert not shared


def test_changed_keys_are_the_persons_alone_and_only_those_are_stored(person):
    ann, ben = person("ann"), person("ben")
    keys = keys_change(user=ann, keys={"skip": "Z", "overall_1": "j"}, actor=ann)
    assert (keys["skip"], keys["overall_1"], keys["flag"]) == ("z", "j", "f")
    assert User.objects.get(pk=ann.pk).keys == {"skip": "z", "overall_1": "j"}
    assert keys_of(user=ben) == DEFAULT_KEYS
    assert AuditEntry.objects.filter(action="annotations.keys_changed").count() == 1
    assert keys_change(user=ann, keys={"skip": None}, actor=ann)["skip"] == "s"
    assert keys_change(user=ann, keys={}, reset=True, actor=ann) == DEFAULT_KEYS


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"skip": "f"}, "“F” is the key for “flag a problem with the item” already."),
        ({"skip": "5"}, "overall: +2"),
        ({"mark_hedge": "m"}, "mark words"),
        ({"dance": "x"}, "no action"),
        ({"skip": "Tab"}, "no key"),
        ({"skip": " "}, "no key"),
        ({"skip": "ab"}, "no key"),
        ({"skip": "\x00"}, "no key"),
    ],
)
def test_keys_that_cannot_be_are_refused_in_words(person, keys, words):
    with pytest.raises(KeysRefused, match=words.replace("+", r"\+")):
        keys_change(user=person("ann"), keys={"undo": "k", **keys} if "skip" not in keys else keys, actor=None)
    assert keys_of(user=User.objects.get(username="ann")) == DEFAULT_KEYS


def test_two_keys_are_swapped_at_once_and_one_key_serves_twice_where_never_both_are_wanted(person):
    keys = keys_change(user=person("ann"), keys={"skip": "f", "flag": "s", "mark_claim": "1"}, actor=None)
    assert (keys["skip"], keys["flag"], keys["mark_claim"], keys["overall_1"]) == ("f", "s", "1", "1")


def test_the_api_lists_and_changes_ones_own_keys(person):
    ann = person("ann")
    _token, secret = token_create(user=ann, name="t", actor=ann)
    call = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    client = Client()
    listed = {one["name"]: one for one in client.get("/api/me/keys", **call).json()}
    assert listed["skip"] == {"name": "skip", "label": "skip", "key": "s", "default": "s", "scope": "desk"}

    def change(body):
        return client.patch("/api/me/keys", json.dumps(body), content_type="application/json", **call)

    assert {one["name"]: one["key"] for one in change({"keys": {"skip": "z"}}).json()}["skip"] == "z"
    refused = change({"keys": {"skip": "f"}})
    assert refused.status_code == 422 and "flag a problem" in refused.json()["detail"]
    assert {one["name"]: one["key"] for one in change({"reset": True}).json()}["skip"] == "s"
    assert client.get("/api/me/keys").status_code == 401


def test_the_command_lists_sets_and_resets(person):
    person("ann")
    out = StringIO()
    call_command("keys", "set", "ann", "skip=z", "higher==", stdout=out)
    assert "(usually s)" in out.getvalue() and keys_of(user=User.objects.get())["higher"] == "="
    with pytest.raises(CommandError, match="already"):
        call_command("keys", "set", "ann", "flag=z", stdout=out)
    with pytest.raises(CommandError, match="KEY"):
        call_command("keys", "set", "ann", "flag", stdout=out)
    call_command("keys", "reset", "ann", stdout=out)
    assert keys_of(user=User.objects.get()) == DEFAULT_KEYS


def test_the_page_saves_says_what_clashes_and_resets_without_javascript(person):
    ann, client = person("ann"), Client()
    client.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse("annotations:keys")
    assert address == "/account/keys/" and client.get(address).status_code == 200
    assert client.post(address, DEFAULT_KEYS | {"skip": "z"}).status_code == 302
    assert User.objects.get().keys == {"skip": "z"}
    page = client.post(address, DEFAULT_KEYS | {"skip": "z", "flag": "u"})
    assert page.status_code == 422 and "“U” is the key for" in page.content.decode() and 'value="u"' in page.content.decode()
    client.post(address, {"reset": "1"})
    assert User.objects.get().keys == {}
