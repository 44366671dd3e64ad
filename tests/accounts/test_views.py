import re

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.models import ApiToken, AuditEntry, Role, User
from accounts.setup_link import setup_link_token, setup_token_valid

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough secret"


@pytest.fixture
def admin() -> User:
    return services.user_create(username="ada", password=PASSWORD, role=Role.ADMIN, actor=None)


@pytest.fixture
def annotator() -> User:
    return services.user_create(username="ann", password=PASSWORD, role=Role.ANNOTATOR, actor=None)


@pytest.fixture
def as_admin(client: Client, admin: User) -> Client:
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def as_annotator(client: Client, annotator: User) -> Client:
    client.force_login(annotator, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_stranger_is_sent_to_the_log_in_page(client):
    response = client.get("/")
    assert response.status_code == 302 and response.url == "/account/login/?next=/"


def test_logging_in_leads_to_where_one_was_going(client, annotator):
    response = client.post("/account/login/", {"username": "ann", "password": PASSWORD, "next": "/account/tokens/"})
    assert response.status_code == 302 and response.url == "/account/tokens/"


def test_a_wrong_password_is_told_without_saying_which_part_is_wrong(client, annotator):
    response = client.post("/account/login/", {"username": "ann", "password": "wrong"})
    assert "do not go together" in response.content.decode()


def test_ten_wrong_passwords_lock_the_name_and_the_page_says_so(client, annotator):
    for _ in range(10):
        response = client.post("/account/login/", {"username": "ann", "password": "wrong"})
    assert response.status_code == 429
    assert "Too many wrong passwords" in response.content.decode()
    response = client.post("/account/login/", {"username": "ann", "password": PASSWORD})
    assert response.status_code == 429, "the right password does not open a locked account"
    assert AuditEntry.objects.filter(action="accounts.login_failed").count() == 11


def test_logging_in_failing_to_and_logging_out_are_in_the_audit_log(client, annotator):
    AuditEntry.objects.all().delete()
    client.post("/account/login/", {"username": "ann", "password": "wrong secret"})
    client.post("/account/login/", {"username": "a secret in the wrong field", "password": "wrong secret"})
    client.post("/account/login/", {"username": "ann", "password": PASSWORD})
    client.post("/account/logout/")
    entries = AuditEntry.objects.order_by("id")
    assert [(entry.action, entry.actor_name, entry.target_label) for entry in entries] == [
        ("accounts.login_failed", "", "ann"),
        ("accounts.login_failed", "", ""),
        ("accounts.user_logged_in", "ann", "ann"),
        ("accounts.user_logged_out", "ann", "ann"),
    ]
    assert "secret" not in str(list(entries.values()))


def test_logging_out_is_a_post(as_annotator):
    assert as_annotator.get("/account/logout/").status_code == 405
    assert as_annotator.post("/account/logout/").status_code == 302
    assert as_annotator.get("/account/tokens/").status_code == 302


def test_changing_the_password_keeps_this_browser_logged_in(as_annotator, annotator):
    new = "another long secret"
    data = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert as_annotator.post("/account/password/", data).status_code == 302
    assert as_annotator.get("/account/password/").status_code == 200
    annotator.refresh_from_db()
    assert annotator.check_password(new)
    assert AuditEntry.objects.filter(action="accounts.password_changed", actor=annotator).exists()


def test_the_set_up_link_makes_the_first_admin_and_logs_in(client):
    token = setup_link_token()
    assert client.get(f"/account/setup/{token}/").status_code == 200
    data = {"username": "ada", "password": PASSWORD, "again": PASSWORD}
    response = client.post(f"/account/setup/{token}/", data)
    assert response.status_code == 302 and response.url == "/"
    assert User.objects.get().role == Role.ADMIN
    assert client.get("/account/people/").status_code == 200
    assert client.get(f"/account/setup/{token}/").status_code == 404, "the link works once"
    assert setup_link_token() is None


def test_only_the_last_set_up_link_opens_the_page(client, settings):
    first, second = setup_link_token(), setup_link_token()
    assert not setup_token_valid(first) and setup_token_valid(second)
    response = client.get(f"/account/setup/{first}/")
    assert response.status_code == 404 and "new link" in response.content.decode()
    file = settings.RLWHF_HOME / "run" / "setup_token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert second not in file.read_text(), "only the digest is kept"


def test_a_weak_first_password_is_refused_beside_its_field(client):
    response = client.post(f"/account/setup/{setup_link_token()}/", {"username": "ada", "password": "short", "again": "short"})
    assert response.status_code == 422
    assert "too short" in response.content.decode() and not User.objects.exists()


def test_an_admin_adds_a_person(as_admin):
    data = {"username": "ben", "password": PASSWORD, "role": "member", "email": ""}
    assert as_admin.post("/account/people/", data).status_code == 302
    assert User.objects.get(username="ben").role == Role.MEMBER
    response = as_admin.post("/account/people/", data)
    assert response.status_code == 422 and "already exists" in response.content.decode()


def test_the_only_admin_cannot_be_demoted_or_switched_off(as_admin, admin):
    for url, data in (
        (f"/account/people/{admin.pk}/role/", {"role": "member"}),
        (f"/account/people/{admin.pk}/active/", {"active": "0"}),
    ):
        response = as_admin.post(url, data)
        assert "only admin" in str(next(iter(get_messages(response.wsgi_request))))
    admin.refresh_from_db()
    assert admin.role == Role.ADMIN and admin.is_active


def test_switching_an_account_off_ends_its_tokens(as_admin, annotator):
    _, secret = services.token_create(user=annotator, name="script", actor=None)
    as_admin.post(f"/account/people/{annotator.pk}/active/", {"active": "0"})
    assert services.token_user(secret=secret) is None


def test_an_unknown_role_is_refused(as_admin, annotator):
    as_admin.post(f"/account/people/{annotator.pk}/role/", {"role": "emperor"})
    annotator.refresh_from_db()
    assert annotator.role == Role.ANNOTATOR


@pytest.mark.parametrize("name", ["person-list", "audit-list"])
def test_annotators_do_not_see_the_admins_pages(as_annotator, name):
    assert as_annotator.get(reverse(f"accounts:{name}")).status_code == 403


def test_a_new_tokens_secret_is_shown_once(as_annotator, annotator):
    response = as_annotator.post("/account/tokens/", {"name": "import", "days": "30"})
    secret = re.search(r"rlwhf_[\w-]{20,}", response.content.decode())
    assert response.status_code == 201 and secret
    assert services.token_user(secret=secret.group()) == annotator
    assert secret.group() not in as_annotator.get("/account/tokens/").content.decode()


def test_one_cannot_revoke_another_persons_token(as_annotator, admin):
    token, _ = services.token_create(user=admin, name="theirs", actor=None)
    assert as_annotator.post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    assert ApiToken.objects.usable().filter(pk=token.pk).exists()


def test_the_audit_log_is_filtered_by_person_and_action(as_admin, admin, annotator):
    services.token_create(user=annotator, name="of ann", actor=annotator)
    services.token_create(user=admin, name="of ada", actor=admin)
    body = as_admin.get("/account/audit/", {"person": "ann", "action": "accounts.token_created"}).content.decode()
    assert "of ann" in body and "of ada" not in body


def test_the_theme_is_remembered_in_the_page(as_annotator):
    assert "data-theme" not in as_annotator.get("/account/tokens/").content.decode()
    response = as_annotator.post("/account/theme/", {"theme": "dark", "next": "/account/tokens/"})
    assert response.url == "/account/tokens/"
    assert 'data-theme="dark"' in as_annotator.get("/account/tokens/").content.decode()
    as_annotator.post("/account/theme/", {"theme": "auto"})
    assert "data-theme" not in as_annotator.get("/account/tokens/").content.decode()


def test_the_theme_form_leads_to_no_other_site(client):
    assert client.post("/account/theme/", {"theme": "dark", "next": "https://example.org/"}).url == "/"


def test_errors_have_pages_of_their_own(as_annotator):
    assert "There is no such page" in as_annotator.get("/no/such/page/").content.decode()
    assert "Not for your role" in as_annotator.get("/account/people/").content.decode()
