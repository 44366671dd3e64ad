from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts import services
from accounts.models import AuditEntry, Role, User

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough secret"


def test_the_first_admin_can_be_made_only_once():
    admin = services.first_admin_create(username="ada", password=PASSWORD)
    assert admin.has_role("admin")
    with pytest.raises(PermissionError):
        services.first_admin_create(username="eve", password=PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_two_people_with_the_setup_link_at_once_make_one_admin():
    start = Barrier(2)

    def become_admin(name: str) -> str:
        start.wait()
        try:
            return services.first_admin_create(username=name, password=PASSWORD).username
        except PermissionError:
            return ""
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        made = sorted(pool.map(become_admin, ("ada", "eve")))
    assert made[0] == "" and User.objects.get().username == made[1]


def test_a_weak_password_is_refused():
    with pytest.raises(ValidationError):
        services.user_create(username="ada", password="short", role=Role.MEMBER, actor=None)
    assert not User.objects.exists()


def test_each_role_may_do_what_the_lower_ones_may():
    member = services.user_create(username="mo", password=PASSWORD, role=Role.MEMBER, actor=None)
    assert member.has_role("annotator") and member.has_role("member") and not member.has_role("admin")


def test_the_only_admin_keeps_the_role():
    admin = services.first_admin_create(username="ada", password=PASSWORD)
    with pytest.raises(ValueError, match="only admin"):
        services.user_set_role(user=admin, role=Role.MEMBER, actor=admin)


def test_a_token_stands_for_its_user_until_revoked_or_expired():
    user = services.user_create(username="mo", password=PASSWORD, role=Role.MEMBER, actor=None)
    token, secret = services.token_create(user=user, name="laptop", actor=user)
    assert services.token_user(secret=secret) == user
    assert services.token_user(secret=secret + "x") is None
    assert secret not in str(list(type(token).objects.values()))
    services.token_revoke(token=token, actor=user)
    assert services.token_user(secret=secret) is None
    _, late = services.token_create(user=user, name="old", actor=user, expires_at=timezone.now())
    assert services.token_user(secret=late) is None


def test_every_change_is_in_the_audit_log():
    admin = services.first_admin_create(username="ada", password=PASSWORD)
    user = services.user_create(username="mo", password=PASSWORD, role=Role.ANNOTATOR, actor=admin)
    services.user_set_role(user=user, role=Role.MEMBER, actor=admin)
    newest = AuditEntry.objects.first()
    assert (newest.actor, newest.action, newest.detail) == (admin, "accounts.role_changed", {"from": "annotator", "to": "member"})
