"""The commands call the same services as the pages."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from annotations import services
from annotations.models import DatasetVersion, Flag, Item, Progress, Project, Score, Turn
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


def test_projects_are_made_changed_and_listed(db, person, tmp_path):
    person("ada", "admin")
    guidelines = tmp_path / "g.md"
    guidelines.write_text("Look it up.")
    run("projects", "create", "Rivers", "--raters", "0", "--guidelines", str(guidelines), "--user", "ada")
    run("projects", "edit", "rivers", "--raters", "2", "--name", "Lakes")
    project = Project.objects.get()
    assert (project.name, project.slug, project.raters_per_item, project.guidelines) == ("Lakes", "rivers", 2, "Look it up.")
    assert "2 raters each" in run("projects", "list")
    for words in (["create", "Lakes"], ["edit", "nothing"], ["edit", "Lakes", "--raters", "99"]):
        with pytest.raises(CommandError):
            run("projects", *words)


def test_gold_answers_score_and_flags_are_resolved(project, write, person):
    services.item_import(project=project, path=write([tuple_of(1, gold_answer="Town 1")]), actor=None)
    assert "1 scores" in run("gold_score", "--project", project.slug) and "already" in run("gold_score", "--project", "Capitals")
    services.item_flag(item=Item.objects.get(), actor=person("ann"), reason="other", note="odd")
    flag = Flag.objects.get()
    assert "odd" in run("flags", "list") and "odd" in run("flags", "list", "--project", "capitals")
    with pytest.raises(CommandError, match="no flag 999"):
        run("flags", "resolve", str(flag.pk), "999")
    run("flags", "resolve", str(flag.pk))
    assert run("flags", "list") == "" and Item.objects.get().open_flags == 0


def test_the_children_report_to_the_folder_they_were_given(project, write, tmp_path, monkeypatch):
    """Their current folder may have been renamed since: it is then the next attempt's."""
    here, given = tmp_path / "renamed", tmp_path / "attempt"
    here.mkdir(), given.mkdir()
    monkeypatch.chdir(here)
    path = write(tuple_of(n, reward=2) for n in range(20))
    record = services.import_queue(project=project, file_name="x", stored_path=path, actor=None)
    run("import_items", "--import", str(record.pk), "--folder", str(given))
    assert (given / "result.json").exists()
    (given / "result.json").unlink()
    version = services.dataset_queue(project=project, name="d", kind="sft", settings={}, actor=None)
    run("dataset", "write", str(version.pk), "--folder", str(given))
    assert (given / "result.json").exists() and not list(here.iterdir())
