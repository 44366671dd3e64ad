"""The walls of the house: which part may import which, and what a process may hold in memory."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]
HEAVY = [
    "torch", "trl", "transformers", "datasets", "pandas", "argilla", "httpx", "httpx2", "openai", "peft", "accelerate", "scipy",
    "pyarrow", "presidio_analyzer", "spacy", "rensa", "matplotlib", "typst",
]  # fmt: skip
# Imported in the training child, on machines that have neither Django's settings nor the database.
PURE = [
    "accounts.chat.client",
    "annotations.chains.asking",
    "annotations.dataset_files",
    "annotations.gate",
    "annotations.preview",
    "annotations.rows",
    "annotations.rubric",
    "annotations.sources.ingest",
    "annotations.sources.reading",
    "annotations.statistics.report",
    "annotations.statistics.pairwise",
    "annotations.statistics.rankings",
    "annotations.teachers.deltas",
    "annotations.teachers.evidence",
    "annotations.teachers.judge",
    "annotations.teachers.rules",
    "annotations.tuples",
    "annotations.verdicts",
    "evaluation.atlas",
    "evaluation.execute",
    "evaluation.metrics",
    "evaluation.promotion.judge",
    "evaluation.scorecards.scorecard",
    "evaluation.self_rewarding.deciding",
    "evaluation.statistics",
    "jobs.child",
    "training.backends.trl",
    "training.backends.transformer_lab",
    "training.execute",
    "training.drafts",
    "training.generate",
    "training.preview",
    "training.recipes",
    "training.rewards.teacher",
    "training.self_reward.__main__",
    "training.specs",
]
WEB = """
import gc
import sys
from django.urls import get_resolver
import rlwhf_site.asgi
def views(patterns):
    for each in patterns:
        if hasattr(each, "url_patterns"):
            yield from views(each.url_patterns)
        else:
            yield each.callback
found = list(views(get_resolver().url_patterns))
from rlwhf_site.api import api
api.get_openapi_schema()
print(len(found), gc.get_freeze_count(), gc.get_threshold()[0], [name for name in {heavy!r} if name in sys.modules])
"""


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_contracts_hold():
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_web_process_holds_nothing_heavy():
    count, frozen, threshold, heavy = run_python(WEB.format(heavy=HEAVY)).split(" ", 3)
    assert int(count) > 10
    assert heavy == "[]"
    assert int(frozen) > 50_000 and int(threshold) > 700, (
        "a full collection would go through all of Django, in the middle of pages"
    )


@pytest.mark.parametrize("module", PURE)
def test_the_childs_modules_import_without_django(module):
    code = f"import sys, {module}; print([n for n in ('django', 'psycopg', 'dramatiq', 'ninja') if n in sys.modules])"
    assert run_python(code) == "[]"


def test_the_supervised_web_servers_main_process_holds_no_django():
    assert run_python("import sys, rlwhf_site.web; print('django' in sys.modules)") == "False"


@pytest.mark.django_db
def test_every_model_change_has_its_migration():
    said = StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=said, stderr=said)
    except SystemExit:
        pytest.fail(f"run `rlwhf makemigrations`:\n{said.getvalue()}")
