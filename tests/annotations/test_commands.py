"""The commands call the same services as the pages."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from annotations.models import DatasetVersion, Item, Progress, Project, Score, Turn
from tests.annotations.conftest import tuple_of

pytestmark = pytest.mark.django_db


def run(*words):
    out = StringIO()
    call_command(*words, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_import_build_list_and_show(write, person, db):
    person("ada", "admin")
    path = write([*(tuple_of(n, reward=2) for n in range(20)), "nonsense"])
    said = run("import_items", str(path), "--project", "Towns", "--create", "--user", "ada", "--rater", "grader")
    assert "20 new items" in said and "1 refused" in said and "refused.csv" in said
    assert AuditEntry.objects.filter(action="annotations.items_imported", actor__username="ada").exists()
    said = run(
        "dataset", "build", "--project", "towns", "--name", "t", "--kind", "sft", "--set", "split.eval_share=0.2", "--seed", "3"
    )
    assert "train 16, eval 4" in said
    assert DatasetVersion.objects.get().settings["split"]["seed"] == 3
    assert "t " in run("dataset", "list")
    assert '"verdict": "pass"' in run("dataset", "show", "t")
    for words in (
        ["dataset", "show", "x"],
        ["dataset", "build", "--project", "x", "--name", "y", "--kind", "sft"],
        ["import_items", str(path), "--project", "x"],
        ["import_items", "/nothing", "--project", "towns"],
    ):
        with pytest.raises(CommandError):
            run(*words)


def test_the_gate_ends_with_one_where_too_little_is_valid(write, tmp_path):
    good, bad = write([tuple_of(n, reward=1) for n in range(9)], "good.jsonl"), write(["x"], "bad.jsonl")
    kept = tmp_path / "kept.jsonl"
    assert "pass" in run("gate", str(good))
    assert "warn" in run("gate", str(good), str(bad), "--out", str(kept))
    assert len(kept.read_text().splitlines()) == 9
    with pytest.raises(CommandError) as refused:
        run("gate", str(bad))
    assert refused.value.returncode == 1


def test_made_up_items_are_consistent_and_can_be_scored_on(db):
    run("load_synthetic", "--items", "60", "--scores", "100", "--people", "5")
    project = Project.objects.get()
    assert project.item_count == 60 == Item.objects.count() and Score.objects.count() == 100 == Turn.objects.count()
    assert sum(Progress.objects.values_list("scored", flat=True)) == 100
    closed = Item.objects.filter(is_open=False).count()
    assert closed == Item.objects.filter(people_scores=3).count() == sum(Progress.objects.values_list("completed", flat=True))
    with pytest.raises(CommandError, match="at most"):
        run("load_synthetic", "--items", "2", "--scores", "100", "--project", "Other")
