"""The settings of a site that the world can reach."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

ROOT = Path(__file__).resolve().parents[2]


def test_check_deploy_is_clean_in_production_settings():
    production = os.environ | {"RLWHF_HTTPS": "1", "RLWHF_ALLOWED_HOSTS": "honesty.example.org", "RLWHF_DEBUG": "0"}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=production, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def cookies_of(client: Client, *, secure: bool) -> dict[str, object]:
    client.get("/account/login/", secure=secure)
    client.post("/account/theme/", {"theme": "dark"}, secure=secure)
    return {name: client.cookies[name] for name in ("csrftoken", "theme")}


@pytest.mark.django_db
def test_cookies_are_secure_where_the_site_is(client, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    for name, cookie in cookies_of(client, secure=True).items():
        assert cookie["secure"], name
        assert cookie["samesite"] == "Lax", name
    assert settings.SESSION_COOKIE_HTTPONLY


@pytest.mark.django_db
def test_pages_may_not_be_framed_or_sniffed(client):
    response = client.get("/account/login/")
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
