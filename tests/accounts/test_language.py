"""The language of the pages."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.services import token_create, user_create, user_set_language

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana():
    return user_create(username="ana", password="a long enough secret", role="annotator", actor=None)


def heading(client, url="/account/login/", **headers):
    page = client.get(url, headers=headers).content.decode()
    return page.split("<h1>")[1].split("</h1>")[0], page.split('<html lang="')[1].split('"')[0]


def test_a_stranger_gets_the_language_that_the_browser_asks_for():
    assert heading(Client(), **{"accept-language": "pt-BR,pt;q=0.9"}) == ("Entrar", "pt")
    assert heading(Client(), **{"accept-language": "pt-PT"}) == ("Entrar", "pt")
    assert heading(Client(), **{"accept-language": "xx"}) == ("Log in", "en")


def test_a_choice_is_remembered_in_the_browser_and_beats_what_it_asks_for():
    client = Client()
    assert client.post(reverse("accounts:language"), {"language": "pt", "next": "/account/login/"}).url == "/account/login/"
    assert heading(client, **{"accept-language": "en"}) == ("Entrar", "pt")


def test_a_persons_choice_goes_with_them_to_another_browser(ana):
    first = Client()
    first.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    first.post(reverse("accounts:language"), {"language": "pt"})
    second = Client()
    second.force_login(User.objects.get(pk=ana.pk), backend="django.contrib.auth.backends.ModelBackend")
    assert heading(second, reverse("accounts:password"), **{"accept-language": "en"})[1] == "pt"
    assert AuditEntry.objects.filter(action="accounts.language_changed", actor=ana).count() == 1


def test_an_unknown_language_means_what_the_browser_asks_for(ana):
    client = Client()
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    client.post(reverse("accounts:language"), {"language": "tlh"})
    assert User.objects.get(pk=ana.pk).language == ""
    with pytest.raises(ValueError, match="there are en, pt"):
        user_set_language(user=ana, language="tlh", actor=None)


def test_the_way_back_stays_on_this_site():
    assert Client().post(reverse("accounts:language"), {"language": "pt", "next": "https://elsewhere.example/"}).url == "/"


def test_numbers_are_written_the_same_way_in_every_language(ana):
    from django.utils import translation
    from django.utils.formats import localize

    with translation.override("pt"):
        assert localize(1234.5) == "1234.5"


def test_one_can_read_and_change_ones_language_over_http(ana):
    _, secret = token_create(user=ana, name="x", actor=ana)
    headers = {"authorization": f"Bearer {secret}"}
    client = Client()
    answer = client.patch("/api/me", {"language": "pt"}, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["language"]) == (200, "pt")
    assert client.get("/api/me", headers=headers).json()["language"] == "pt"
    assert client.patch("/api/me", {"language": "zz"}, content_type="application/json", headers=headers).status_code == 422
