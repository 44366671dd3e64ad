"""Imports that are cut off go on; imports that are taken back leave nothing; orders become rankings."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from annotations import services
from annotations.models import Import, Item, Progress, Project, Ranking, Score
from annotations.services import imports
from annotations.services.comparing import ranking_submit
from annotations.sources.errors import SourceError
from tests.annotations.conftest import tuple_of
from tests.annotations.test_ranking_rows import build, rows_of

pytestmark = pytest.mark.django_db

BROKEN = '{"prompt": "only this"}'


def pair(number, chosen="Rome.", rejected="Paris.", **more):
    return {"prompt": f"Capital {number}?", "chosen": chosen, "rejected": rejected, **more}


def cut_off_after(chunks):
    """Raises when so many chunks are written, in the middle of the next."""
    seen = []

    def tell(done, total):
        seen.append(done)
        if len(seen) > chunks:
            raise RuntimeError("the machine went down")

    return tell


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(imports, "CHUNK_RECORDS", 4)


def begun(project, path, **more):
    return Import.objects.create(project=project, file_name=path.name, source_format="tuples", **more)


def test_an_import_that_was_cut_off_goes_on_where_it_was(project, write, small_chunks):
    lines = [tuple_of(n, reward=1) if n % 5 else BROKEN for n in range(20)]
    path = write(lines)
    record = begun(project, path)
    with pytest.raises(RuntimeError):
        services.import_carry_out(record=record, path=path, tell=cut_off_after(2))
    record.refresh_from_db()
    assert (record.records_done, record.finished_at) == (8, None)
    assert Item.objects.count() == record.report["items_added"] == 6
    assert Project.objects.get().item_count == 6 and Progress.objects.get().scored == 6
    report = services.import_carry_out(record=record, path=path)
    assert (report.lines, report.items_added, report.scores_added, report.refused, report.items_known) == (20, 16, 16, 4, 0)
    rows = list(csv.DictReader((imports.import_folder() / f"{record.pk}-refused.csv").read_text().splitlines()))
    assert [row["line"] for row in rows] == ["1", "6", "11", "16"]
    assert report.reasons == {"answer: is missing": 4}
    record.refresh_from_db()
    assert record.finished_at and "refused_bytes" not in record.report
    assert (record.first_item, record.last_item) == (min(ids := Item.objects.values_list("pk", flat=True)), max(ids))


def test_what_a_cut_off_chunk_refused_is_not_told_twice(project, write, small_chunks):
    path = write([BROKEN] * 3 + [tuple_of(n) for n in range(3)] + [BROKEN] * 3)
    record = begun(project, path)
    with pytest.raises(RuntimeError):
        services.import_carry_out(record=record, path=path, tell=cut_off_after(1))
    leftovers = imports.import_folder() / f"{record.pk}-refused.csv"
    with leftovers.open("a") as file:
        file.write("half a li")
    record.refresh_from_db()
    report = services.import_carry_out(record=record, path=path)
    assert (report.refused, report.lines) == (6, 9)
    assert [row["line"] for row in csv.DictReader(leftovers.read_text().splitlines())] == ["1", "2", "3", "7", "8", "9"]


def test_an_import_does_not_go_on_with_another_file(project, write, small_chunks):
    path = write(tuple_of(n) for n in range(9))
    record = begun(project, path)
    with pytest.raises(RuntimeError):
        services.import_carry_out(record=record, path=path, tell=cut_off_after(1))
    record.refresh_from_db()
    write(tuple_of(n) for n in range(50, 60))
    with pytest.raises(services.ImportRefused, match="content has changed"):
        services.import_carry_out(record=record, path=path)
    assert Item.objects.count() == 4


def test_two_processes_do_not_carry_out_one_import(project, write):
    path = write([tuple_of(1)])
    record = begun(project, path)
    other = Import.objects.get(pk=record.pk)
    services.import_carry_out(record=record, path=path)
    with pytest.raises(services.ImportRefused, match="another process"):
        services.import_carry_out(record=other, path=path)
    assert Item.objects.count() == 1


@pytest.mark.full
@pytest.mark.django_db(transaction=True)
def test_a_killed_process_leaves_whole_chunks_and_the_next_one_goes_on(project, write, settings, tmp_path):
    path = write(tuple_of(n, reward=1) for n in range(30_000))
    record = begun(project, path, stored_path=str(path))
    argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), "import_items", "--skip-checks", "--import", str(record.pk)]
    argv += ["--folder", str(tmp_path)]
    name = project._state.db and settings.DATABASES["default"]["NAME"]
    env = {**os.environ, "RLWHF_HOME": str(settings.RLWHF_HOME)}
    if url := env.get("DATABASE_URL"):
        env["DATABASE_URL"] = _with_name(url, name)
    process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not Import.objects.get(pk=record.pk).records_done and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    record.refresh_from_db()
    assert 0 < record.records_done < 30_000 and not record.finished_at
    assert Item.objects.count() == Score.objects.count() == record.records_done == Project.objects.get().item_count
    subprocess.run(argv, env=env, check=True, stdin=subprocess.DEVNULL)
    record.refresh_from_db()
    assert record.finished_at and record.report["items_added"] == record.report["scores_added"] == 30_000
    assert Item.objects.count() == Project.objects.get().item_count == 30_000 and Progress.objects.get().scored == 30_000


def _with_name(url, name):
    from urllib.parse import urlsplit, urlunsplit

    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def test_items_and_scores_know_their_file_and_line(project, write):
    services.item_import(project=project, path=write([BROKEN, tuple_of(1, reward=2)], "a.jsonl"), actor=None)
    item, score = Item.objects.get(), Score.objects.get()
    assert item.source_import.file_name == "a.jsonl" and item.source_line == 2
    assert (score.source_import_id, score.source_line) == (item.source_import_id, 2)


def test_a_file_that_was_read_before_is_recognised(project, write):
    path = write([tuple_of(1)])
    services.item_import(project=project, path=path, actor=None)
    first = Import.objects.get()
    again = services.item_import(project=project, path=path, actor=None)
    assert again.read_before == first.pk and again.items_added == 0


def test_a_file_of_no_known_format_leaves_no_import(project, write):
    path = write([{"colour": "red"}])
    with pytest.raises(SourceError, match="no format is recognised"):
        services.item_import(project=project, path=path, actor=None, source_format="auto")
    assert not Import.objects.exists()


def test_dimensions_of_the_rubric_are_scores_and_others_are_kept(project, write):
    known = project.rubric_version.rubric.dimension_ids[0]
    given = {"dimensions": {known: 1, "sparkle": 2, f"{known}x": True}}
    services.item_import(project=project, path=write([tuple_of(1, reward=1, metadata=given)]), actor=None)
    score = Score.objects.get()
    assert score.dimensions == {known: 1.0} and score.metadata["dimensions"] == {"sparkle": 2, f"{known}x": True}


def test_a_score_of_other_dimensions_is_another_score(project, write):
    known = project.rubric_version.rubric.dimension_ids[0]
    for given, added in ((1, 1), (1, 0), (2, 1)):
        path = write([tuple_of(1, reward=1, metadata={"dimensions": {known: given}})])
        assert services.item_import(project=project, path=path, actor=None).scores_added == added
    assert Score.objects.get(withdrawn_at=None).dimensions == {known: 2.0}


# Orders


def test_chosen_and_rejected_answers_are_ranked_by_the_teacher(project, write):
    lines = [pair(1), pair(1, rejected="Bonn."), pair(2)]
    report = services.item_import(project=project, path=write(lines), actor=None, source_format="auto", rater_name="labels")
    assert (report.items_added, report.items_known, report.rankings_added, report.scores_added) == (5, 1, 3, 0)
    ranked = {tuple(Item.objects.get(pk=pk).answer for pk in one.shown): one.ranks for one in Ranking.objects.all()}
    assert ranked == {("Rome.", "Paris."): [1, 2], ("Rome.", "Bonn."): [1, 2]}
    assert {one.rater.kind for one in Ranking.objects.all()} == {"teacher"} and Import.objects.get().source_format == "preference"
    again = services.item_import(project=project, path=write(lines), actor=None, source_format="auto", rater_name="labels")
    assert (again.rankings_added, again.rankings_known, again.items_added) == (0, 3, 0)


def test_the_other_order_by_the_same_teacher_replaces_the_first(project, write):
    for line in (pair(1), pair(1, chosen="Paris.", rejected="Rome.")):
        services.item_import(project=project, path=write([line]), actor=None, source_format="preference")
    live = Ranking.objects.get(withdrawn_at=None)
    assert Item.objects.get(pk=live.shown[0]).answer == "Paris." and live.replaces.withdrawn_at


def test_teachers_orders_make_pairs_only_where_no_person_has_ranked(project, write, person):
    services.project_update(project=project, actor=None, mode="compare")
    services.item_import(project=project, path=write(pair(n) for n in range(4)), actor=None, source_format="preference")
    project.refresh_from_db()
    assert project.comparison_count == 4 and Item.objects.filter(is_open=True).count() == 4
    head = Item.objects.filter(is_open=True).first()
    shown = sorted(Item.objects.filter(prompt_hash=head.prompt_hash).values_list("pk", flat=True))
    worst_first = [2 if Item.objects.get(pk=pk).answer == "Rome." else 1 for pk in shown]
    ranking_submit(item=head, actor=person("ann"), submission=uuid4(), shown=shown, ranks=worst_first)
    rows = rows_of(build(project))
    best = {row["prompt"]: (row["raters"], row["chosen"]) for row in rows}
    assert best.pop(head.prompt[0]["content"]) == (["ann"], "Paris.")
    assert set(map(str, best.values())) == {str((["imported"], "Rome."))} and len(best) == 3


# Taking back


def test_an_undone_import_leaves_nothing_that_counts(project, write):
    record = import_of(project, write([tuple_of(n, reward=1) for n in range(5)]))
    services.import_undo(record=record, actor=None)
    assert not Item.objects.exists() and not Score.objects.filter(withdrawn_at=None).exists()
    project.refresh_from_db()
    assert project.item_count == 0 and Progress.objects.get().scored == 0
    record.refresh_from_db()
    assert record.undone_at and record.report["undone"] == {"items": 5, "scores": 5, "rankings": 0, "done": 1}
    with pytest.raises(services.ImportRefused, match="taken back already"):
        services.import_undo(record=record, actor=None)


def import_of(project, path, **more):
    services.item_import(project=project, path=path, actor=None, **more)
    return Import.objects.first()


def test_what_was_there_before_stays_and_a_replaced_score_stands_again(project, write):
    first = import_of(project, write([tuple_of(1, reward=-1), tuple_of(2)]))
    second = import_of(project, write([tuple_of(1, reward=2), tuple_of(3)]))
    services.import_undo(record=second, actor=None)
    assert set(Item.objects.values_list("source_line", flat=True)) == {1, 2}
    assert Score.objects.get(withdrawn_at=None).overall == -1 and Progress.objects.get().scored == 1
    services.import_undo(record=first, actor=None)
    assert not Score.objects.filter(withdrawn_at=None).exists() and Progress.objects.get().scored == 0


def test_a_score_of_an_undone_import_does_not_stand_again(project, write):
    first = import_of(project, write([tuple_of(1, reward=-1)]))
    second = import_of(project, write([tuple_of(1, reward=0)]))
    third = import_of(project, write([tuple_of(1, reward=1)]))
    services.import_undo(record=second, actor=None)
    assert Score.objects.get(withdrawn_at=None).overall == 1
    services.import_undo(record=third, actor=None)
    assert Score.objects.get(withdrawn_at=None).overall == -1
    assert Item.objects.get().source_import == first


def test_an_undone_file_can_be_read_again_in_another_way(project, write):
    path = write([tuple_of(1, reward=1, gold_answer="A"), tuple_of(2)])
    services.import_undo(record=import_of(project, path), actor=None)
    path = write([tuple_of(1, reward=1, gold_answer="B"), tuple_of(2)])
    report = services.item_import(project=project, path=path, actor=None, rater_name="right")
    assert (report.items_restored, report.items_added, report.items_known, report.scores_added) == (2, 0, 0, 1)
    project.refresh_from_db()
    assert project.item_count == Item.objects.count() == 2
    assert Item.objects.get(answer="Town 1.").gold_answers == ["B"]
    again = Import.objects.first()
    services.import_undo(record=again, actor=None)
    assert not Item.objects.exists()


def test_an_item_that_a_lead_deleted_stays_deleted_for_the_same_file(project, write):
    path = write([tuple_of(1), tuple_of(2)])
    import_of(project, path)
    Item.objects.filter(answer="Town 1.").update(deleted_at="2024-01-01T00:00:00Z")
    report = services.item_import(project=project, path=path, actor=None)
    assert (report.items_deleted, report.items_known, report.items_restored) == (1, 1, 0)


def test_rankings_are_withdrawn_with_their_import(project, write):
    services.project_update(project=project, actor=None, mode="compare")
    record = import_of(project, write([pair(1), pair(2)]), source_format="preference")
    services.import_undo(record=record, actor=None)
    assert not Ranking.objects.filter(withdrawn_at=None).exists() and not Item.objects.exists()
    project.refresh_from_db()
    assert (project.item_count, project.comparison_count) == (0, 0)


def test_a_large_undo_is_left_to_a_worker(project, write, monkeypatch, tmp_path):
    from django.core.management import call_command

    monkeypatch.setattr("annotations.services.import_undoing.DIRECT", 3)
    monkeypatch.setattr("annotations.services.import_undoing.TOGETHER", 2)
    record = services.import_undo(record=import_of(project, write(tuple_of(n, reward=1) for n in range(5))), actor=None)
    assert record.job.payload == {"import": record.pk, "undo": True} and Item.objects.count() == 5
    call_command("import_items", "--undo-import", str(record.pk), "--folder", str(tmp_path))
    assert not Item.objects.exists() and (tmp_path / "result.json").exists()


def test_an_import_that_is_not_finished_can_be_given_up(project, write, small_chunks):
    path = write(tuple_of(n) for n in range(9))
    record = begun(project, path)
    with pytest.raises(RuntimeError):
        services.import_carry_out(record=record, path=path, tell=cut_off_after(1))
    record.refresh_from_db()
    services.import_undo(record=record, actor=None)
    assert not Item.objects.exists()
    with pytest.raises(services.ImportRefused, match="taken back"):
        services.import_carry_out(record=record, path=path)


def test_a_gold_item_comes_back_with_its_reference(project, write):
    line = tuple_of(1, metadata={"gold_score": 2, "gold_note": "So it is."})
    services.import_undo(record=import_of(project, write([line])), actor=None)
    import_of(project, write([line]))
    assert Item.objects.get().gold_score == 2
    assert Score.objects.get(withdrawn_at=None).rater.kind == "adjudicator"
    assert Project.objects.get().gold_count == 1


@pytest.mark.parametrize("odd", ["\ud800 half", "a\0b"])
def test_text_that_is_no_unicode_refuses_its_record_alone(project, tmp_path, odd):
    from annotations.services.import_batch import Batch
    from annotations.tuples import RlwhfTuple, parse_tuple

    batch = Batch(project=project, rater_name="x")
    for extra in ({"note": odd}, {"note": {"deep": [odd]}}, {odd: 1}, {"note": 10**30}):
        parsed = parse_tuple(tuple_of(1, **extra))
        problem = batch.add_record([parsed], 1) if isinstance(parsed, RlwhfTuple) else parsed
        assert problem is not None, extra
    assert batch.add_record([parse_tuple(tuple_of(2, note=float("nan"), other=float("inf")))], 2) is None  # stored as null
    batch.flush()
    assert Item.objects.count() == 1


def test_folders_and_paths_that_cannot_be_read_say_so(project):
    with pytest.raises(OSError):
        services.item_import(project=project, path=Path("/nowhere/at/all.jsonl"), actor=None)
    assert not Import.objects.exists()
