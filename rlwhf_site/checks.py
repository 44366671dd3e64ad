"""Mistakes in the settings, told by `rlwhf check`, and by `rlwhf up` at its start, instead of later by a traceback."""

# ruff: noqa: ARG001 - Django gives every check all its arguments, by name

import difflib
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils.module_loading import import_string

from jobs.broker import SCHEMES
from jobs.kinds import JobKind
from jobs.storage.stores import StorageError, open_store

# Every variable that the project reads; docs/settings.md says what each means, and a test compares the two.
KNOWN_VARIABLES = {
    "RLWHF_ALLOWED_HOSTS",
    "RLWHF_BEHIND_PROXY",
    "RLWHF_CHROMIUM",
    "RLWHF_DATABASE_LISTEN",
    "RLWHF_DATABASE_POOL",
    "RLWHF_DEBUG",
    "RLWHF_DISK_LOW_GIB",
    "RLWHF_ENVIRONMENTS",
    "RLWHF_HOME",
    "RLWHF_HTTPS",
    "RLWHF_DASHBOARD_SECONDS",
    "RLWHF_JOB_LEASE_SECONDS",
    "RLWHF_JOB_STOP_GRACE_SECONDS",
    "RLWHF_LM_EVAL_TASKS",
    "RLWHF_LOG_LEVEL",
    "RLWHF_SECRET_KEY",
    "RLWHF_SERVE_KEY",
    "RLWHF_SWIFT_PYTHON",
    "RLWHF_STALL_SECONDS",
    "RLWHF_STORAGE_FOLDERS",
    "RLWHF_STORAGE_URL",
    "RLWHF_TRUSTED_ORIGINS",
}
# Set by the project for its own processes, never by a person.
INTERNAL_VARIABLES = {"RLWHF_ENDPOINT_KEY", "RLWHF_SHOTS", "RLWHF_SUPERVISED_HOME", "RLWHF_TEST_OWNER"}
SHORTEST_LEASE_S = 5.0
# The checks of what a person can set. `rlwhf up` makes these at each start; all others hold for the code, and import every page.
SETTINGS = "settings"


@register(SETTINGS)
def unknown_variables(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting is one that silently does nothing."""
    found: list[CheckMessage] = []
    for name in sorted(os.environ):
        if name.startswith("RLWHF_") and name not in KNOWN_VARIABLES | INTERNAL_VARIABLES:
            near = difflib.get_close_matches(name, KNOWN_VARIABLES, n=1)
            hint = f"Did you mean {near[0]}?" if near else "docs/settings.md lists them all."
            found.append(Warning(f"{name} is set, but nothing reads it.", hint=hint, id="rlwhf.W001"))
    return found


@register(SETTINGS)
def broker_address(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    scheme = urlsplit(settings.BROKER_URL).scheme
    if scheme in SCHEMES:
        return []
    known = ", ".join(f"{each}://" for each in SCHEMES)
    return [Error(f"BROKER_URL starts with {scheme}://, and there is no such queue.", hint=f"Use {known}.", id="rlwhf.E001")]


@register()
def job_kinds(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name, path in settings.JOB_KINDS.items():
        try:
            kind = import_string(path)
        except ImportError as error:
            found.append(Error(f"JOB_KINDS[{name!r}] names {path}, which cannot be imported: {error}", id="rlwhf.E002"))
            continue
        if not (isinstance(kind, type) and issubclass(kind, JobKind)):
            found.append(Error(f"JOB_KINDS[{name!r}] names {path}, which is no JobKind.", id="rlwhf.E003"))
    return found


@register()
def chores(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for path in settings.CHORES:
        try:
            import_string(path)
        except ImportError as error:
            found.append(Error(f"CHORES names {path}, which cannot be imported: {error}", id="rlwhf.E008"))
    return found


@register(SETTINGS)
def job_times(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.JOB_LEASE_SECONDS < SHORTEST_LEASE_S:
        text = f"RLWHF_JOB_LEASE_SECONDS is {settings.JOB_LEASE_SECONDS:g}: a busy worker would lose its jobs."
        found.append(Error(text, hint=f"Use {SHORTEST_LEASE_S:g} or more; 20 is the default.", id="rlwhf.E004"))
    if settings.JOB_STOP_GRACE_SECONDS < 0:
        found.append(Error("RLWHF_JOB_STOP_GRACE_SECONDS is negative.", id="rlwhf.E005"))
    return found


@register(SETTINGS)
def storage_address(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.STORAGE_URL:
        return []
    try:
        open_store(settings.STORAGE_URL)
    except StorageError as error:
        return [Error(str(error), hint="docs/storage.md has examples.", id="rlwhf.E007")]
    return []


@register(SETTINGS)
def database_door(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    supervised = bool(os.environ.get("RLWHF_SUPERVISED_HOME"))
    if settings.DATABASE_LISTEN is None or not os.environ.get("DATABASE_URL") or supervised:
        return []
    text = "RLWHF_DATABASE_LISTEN opens the embedded database only, and DATABASE_URL names another."
    return [Warning(text, hint="Unset one of the two.", id="rlwhf.W004")]


@register(SETTINGS, Tags.security)
def secrets_and_proxies(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.HTTPS and settings.DEBUG:
        text = "RLWHF_DEBUG and RLWHF_HTTPS are both on: error pages would show the world your settings."
        found.append(Error(text, hint="Turn RLWHF_DEBUG off.", id="rlwhf.E006"))
    if settings.HTTPS and "*" in settings.ALLOWED_HOSTS:
        text = "RLWHF_ALLOWED_HOSTS accepts any name, so links in e-mails and redirects can be forged."
        found.append(Warning(text, hint="Name the site's own host.", id="rlwhf.W002"))
    return found


@register(Tags.security, deploy=True)
def reachable_hosts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if set(settings.ALLOWED_HOSTS) - {"localhost", "127.0.0.1", "[::1]"}:
        return []
    text = "RLWHF_ALLOWED_HOSTS names this machine alone, so nobody else can open the site."
    return [Warning(text, hint="Name the host that people type, as in honesty.example.org.", id="rlwhf.W003")]
