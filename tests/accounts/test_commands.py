import io

import pytest
from django.core.management import CommandError, call_command

from accounts import services
from accounts.models import AuditEntry, Role, User

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough secret"


def run(*args: str) -> str:
    out = io.StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def test_an_admin_is_made_from_the_shell(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    assert "is an admin now" in run("create_admin", "ada", "--password-stdin")
    assert User.objects.get().has_role("admin")


def test_a_weak_password_ends_with_one_sentence(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    with pytest.raises(CommandError, match="too short"):
        run("create_admin", "ada", "--password-stdin")


def test_people_are_listed_added_and_changed(monkeypatch):
    admin = services.user_create(username="ada", password=PASSWORD, role=Role.ADMIN, actor=None)
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    run("people", "add", "ben", "annotator", "--user", "ada")
    run("people", "role", "ben", "member")
    run("people", "off", "ben")
    assert "ben" in run("people", "list")
    ben = User.objects.get(username="ben")
    assert ben.role == Role.MEMBER and not ben.is_active
    assert AuditEntry.objects.get(action="accounts.user_created", target_label="ben").actor == admin
    with pytest.raises(CommandError, match="nobody named"):
        run("people", "off", "nobody")
    with pytest.raises(CommandError, match="only admin"):
        run("people", "role", "ada", "member")


def test_a_token_made_in_the_shell_opens_the_api(client):
    services.user_create(username="ann", password=PASSWORD, role=Role.ANNOTATOR, actor=None)
    secret = run("token", "create", "ann", "nightly").strip()
    headers = {"authorization": f"Bearer {secret}"}
    assert client.get("/api/me", headers=headers).json()["username"] == "ann"
    number = run("token", "list", "ann").split()[0]
    run("token", "revoke", number)
    assert client.get("/api/me", headers=headers).status_code == 401
