"""A new database gets its tables at once, an older one step by step: both must come to the same."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db.migrations.loader import MigrationLoader

ROOT = Path(__file__).resolve().parents[2]
APPS = {"accounts", "annotations", "evaluation", "jobs", "training"}
# A site of some weeks ago: not all of what was squashed is there, so that none of the squashed migrations may be used.
SOME_WEEKS_AGO = [
    ("accounts", "0004_allowed_hosts"),
    ("jobs", "0003_monitoring"),
    ("annotations", "0013_undo"),
    ("evaluation", "0001_initial"),
]
STEP_BY_STEP = """
import json, sys, django
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
executor = MigrationExecutor(connection)
executor.loader.replace_migrations = False
executor.loader.build_graph()
executor.migrate([tuple(target) for target in json.loads(sys.argv[1])])
"""
AT_ONCE = "import django; django.setup(); from django.core.management import call_command as call; call('migrate', verbosity=0)"
# Whatever of a database a program can tell, but for the order of columns; names that PostgreSQL or Django made included.
SCHEMA = """
SELECT 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull::text,
       coalesce(pg_get_expr(adbin, adrelid), '') || attidentity::text
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum JOIN pg_class ON pg_class.oid = attrelid
 WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r' AND relnamespace = 'public'::regnamespace
UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), '', '', '' FROM pg_index
  JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '', '' FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, pg_get_functiondef(pg_proc.oid), '', '', '' FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'annotations%'
UNION ALL SELECT 'option', relname, reloptions::text, '', '', '' FROM pg_class
 WHERE reloptions IS NOT NULL AND relnamespace = 'public'::regnamespace
"""


@pytest.fixture
def databases() -> Iterator[tuple[str, str]]:
    """The addresses of two empty databases."""
    server = os.environ["DATABASE_URL"]
    names = [f"migrated_{which}_{os.getpid()}" for which in ("old", "new")]
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}".encode())
        yield server.replace("/rlwhf?", f"/{names[0]}?"), server.replace("/rlwhf?", f"/{names[1]}?")
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def python(database: str, code: str, *arguments: str) -> None:
    environment = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rows(database: str, query: str) -> set[tuple[str, ...]]:
    with psycopg.connect(database) as connection:
        return set(connection.execute(query.encode()).fetchall())


def newest_steps() -> list[tuple[str, str]]:
    loader = MigrationLoader(None, replace_migrations=False)
    return sorted(key for key in loader.graph.leaf_nodes() if key[0] not in APPS or not loader.disk_migrations[key].replaces)


@pytest.mark.full
@pytest.mark.parametrize("old", [SOME_WEEKS_AGO, None], ids=["some weeks ago", "all steps"])
def test_a_site_made_step_by_step_has_the_tables_of_one_made_at_once(
    databases: tuple[str, str], old: list[tuple[str, str]] | None
) -> None:
    step_by_step, at_once = databases
    python(step_by_step, STEP_BY_STEP, json.dumps(old or newest_steps()))
    python(step_by_step, AT_ONCE)
    python(at_once, AT_ONCE)
    made, expected = rows(step_by_step, SCHEMA), rows(at_once, SCHEMA)
    assert {kind for kind, *_ in expected} == {"column", "index", "constraint", "trigger", "function", "option"}
    assert made - expected == set()
    assert expected - made == set()
    applied = "SELECT app, name FROM django_migrations"
    assert rows(step_by_step, applied) == rows(at_once, applied)
    assert ("annotations", "0001_squashed_0019_revocations") in rows(at_once, applied)
