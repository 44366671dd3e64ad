import pytest
from django.test import Client

from accounts import services
from accounts.models import AuditEntry, Role, User

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough secret"


def bearer(role: str) -> dict[str, str]:
    user = services.user_create(username=f"{role}-caller", password=PASSWORD, role=role, actor=None)
    return {"authorization": f"Bearer {services.token_create(user=user, name='test', actor=user)[1]}"}


def test_a_call_without_a_token_is_refused(client):
    assert client.get("/api/me").status_code == 401


def test_me_tells_who_one_is(client):
    answer = client.get("/api/me", headers=bearer("annotator")).json()
    assert answer["username"] == "annotator-caller" and answer["role"] == "annotator"


def test_a_call_above_ones_role_is_refused_with_the_reason(client):
    answer = client.get("/api/people", headers=bearer("member"))
    assert answer.status_code == 403 and "admin" in answer.json()["detail"]


def test_people_are_added_and_changed(client):
    headers = bearer("admin")
    made = client.post("/api/people", {"username": "ben", "password": PASSWORD}, content_type="application/json", headers=headers)
    assert made.status_code == 201 and made.json()["role"] == "annotator"
    changed = client.patch(
        "/api/people/ben", {"role": "member", "is_active": False}, content_type="application/json", headers=headers
    )
    assert changed.status_code == 200
    ben = User.objects.get(username="ben")
    assert ben.role == Role.MEMBER and not ben.is_active
    assert AuditEntry.objects.filter(action="accounts.role_changed", actor__username="admin-caller").exists()


def test_the_only_admin_stays(client):
    answer = client.patch(
        "/api/people/admin-caller", {"role": "member"}, content_type="application/json", headers=bearer("admin")
    )
    assert answer.status_code == 409 and "only admin" in answer.json()["detail"]


def test_a_token_is_made_used_and_revoked(client):
    headers = bearer("annotator")
    made = client.post("/api/tokens", {"name": "script"}, content_type="application/json", headers=headers).json()
    own = {"authorization": f"Bearer {made['secret']}"}
    assert client.get("/api/me", headers=own).status_code == 200
    assert client.delete(f"/api/tokens/{made['id']}", headers=headers).status_code == 204
    assert client.get("/api/me", headers=own).status_code == 401


def test_the_audit_log_is_read_over_http(client):
    headers = bearer("admin")
    answer = client.get("/api/audit", {"action": "accounts.token_"}, headers=headers).json()
    assert answer["count"] == 1 and answer["items"][0]["action"] == "accounts.token_created"


def test_a_browser_session_needs_the_csrf_token():
    client = Client(enforce_csrf_checks=True)
    user = services.user_create(username="ann", password=PASSWORD, role=Role.ANNOTATOR, actor=None)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/api/me").status_code == 200
    assert client.post("/api/tokens", {"name": "x"}, content_type="application/json").status_code == 403


def test_a_token_opens_the_documentation_that_tells_how_to_use_it(client):
    token = bearer("member")
    for page in ("/api/docs", "/api/openapi.json"):
        assert client.get(page, headers=token).status_code == 200
        wrong = client.get(page, headers={"authorization": "Bearer nonsense"})
        assert wrong.status_code == 401 and wrong.json() == {"detail": "Unauthorized"}
        assert client.get(page).status_code == 302, "a browser is sent to the log-in page"
