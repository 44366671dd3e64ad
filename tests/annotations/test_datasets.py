"""Dataset versions: fusion, gate, rows, split, folder."""

import json
import stat
from pathlib import Path

import pytest
from django.utils import timezone

from annotations import services
from annotations.dataset_files import DatasetDamaged, verify
from annotations.jobs import result_of
from annotations.models import DatasetVersion, Flag, Item, Project
from jobs.kinds import Outcome, kind_of
from jobs.models import Job
from tests.annotations.conftest import tuple_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def scored(project, write):
    """Twenty prompts with a right, a wrong and an abstaining answer each, scored by gold answers; half of them known."""
    lines = [
        tuple_of(n, answer=answer, gold_answer=f"Town {n}", knowledge="known" if n % 2 else "unknown", entity=f"country-{n // 2}")
        for n in range(20)
        for answer in (f"Town {n}.", "Paris.", "I do not know.")
    ]
    services.item_import(project=project, path=write(lines), actor=None)
    services.gold_score(project=project)
    return project


def build(project, name="one", kind="preference", **settings):
    return services.dataset_build(project=project, name=name, kind=kind, settings=settings, actor=None)


def rows_of(version, split="train"):
    return [json.loads(line) for line in (Path(version.folder) / f"{split}.jsonl").read_text().splitlines()]


def test_the_same_input_settings_and_seed_give_the_same_hash(scored):
    one, two = build(scored, "one"), build(scored, "two")
    other = build(scored, "three", split={"seed": 1})
    assert one.content_hash == two.content_hash != other.content_hash
    assert one.folder.endswith(f"one-{one.content_hash[:12]}")


def test_a_version_is_read_only_and_a_change_is_noticed(scored):
    version = build(scored)
    folder = Path(version.folder)
    assert {path.name for path in folder.iterdir()} == {
        "train.jsonl", "eval.jsonl", "test.jsonl", "provenance.jsonl", "schema_report.json", "manifest.json",
    }  # fmt: skip
    assert stat.S_IMODE((folder / "train.jsonl").stat().st_mode) == 0o444
    verify(folder)
    (folder / "train.jsonl").chmod(0o644)
    (folder / "train.jsonl").write_text("{}\n")
    with pytest.raises(DatasetDamaged):
        verify(folder)


def test_items_of_one_entity_land_in_one_split(scored):
    version = build(scored, split={"eval_share": 0.3, "test_share": 0.2})
    assert version.counts["eval"] and version.counts["test"]
    entities = [{row["entity"] for row in rows_of(version, split)} for split in ("train", "eval", "test")]
    assert not (entities[0] & entities[1] or entities[0] & entities[2] or entities[1] & entities[2])


def test_pairs_prefer_knowing_where_known_and_silence_where_not(scored):
    rows = rows_of(build(scored, split={"eval_share": 0}))
    for row in rows:
        number = int(row["prompt"].split()[-1].rstrip("?"))
        if number % 2:
            assert row["chosen"] == f"Town {number}." and row["rejected"] != row["chosen"]
        else:
            assert row["chosen"] == "I do not know." and row["rejected"] == "Paris."
    assert {int(row["prompt"].split()[-1].rstrip("?")) for row in rows} == set(range(20))


def test_sft_rows_are_answers_worth_imitating(scored):
    rows = rows_of(build(scored, kind="sft", split={"eval_share": 0}))
    assert len(rows) == 20
    assert all(row["response"].startswith("Town") and row["reward"] == 2 for row in rows)


def test_prompts_come_once_each_with_what_the_reward_reads(scored):
    rows = rows_of(build(scored, kind="prompts", split={"eval_share": 0}))
    assert len(rows) == 20
    assert {row["knowledge"] for row in rows} == {"known", "unknown"}
    assert all(row["gold_answer"].startswith("Town") for row in rows)


def test_flagged_and_unscored_items_are_left_out_without_counting_against_the_gate(scored, write, person):
    services.item_import(project=scored, path=write([tuple_of(99)]), actor=None)
    services.item_flag(item=Item.objects.filter(answer="Town 3.").get(), actor=person("ann"), reason="broken")
    version = build(scored, kind="sft")
    assert version.report["left_out"] == {"not scored yet": 1, "flagged": 1}
    assert version.verdict == "pass"
    services.flag_resolve(flag=Flag.objects.get(), actor=None)
    assert build(scored, "again", kind="sft").report["left_out"] == {"not scored yet": 1}


def test_the_gate_refuses_and_may_be_forced_which_is_recorded(scored):
    with pytest.raises(services.DatasetRefused) as refused:
        build(scored, kind="sft", gate={"max_answer_chars": 7})
    assert refused.value.report["gate"]["drops"]
    standing = DatasetVersion.objects.get()
    assert standing.verdict == "refused" and not standing.is_ready
    forced = build(scored, kind="sft", gate={"max_answer_chars": 7, "force": True})
    assert forced.pk == standing.pk and forced.verdict == "forced" and forced.is_ready


def test_a_name_is_taken_once_built(scored):
    build(scored)
    with pytest.raises(services.DatasetRefused, match="already"):
        build(scored)


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [("A B", "sft", {}), ("new", "sft", {}), ("x", "odd", {}), ("x", "sft", {"min_gap": -1}), ("x", "sft", {"odd": 1})],
)
def test_what_makes_no_sense_is_refused(scored, name, kind, settings):
    with pytest.raises(services.DatasetRefused):
        build(scored, name, kind, **settings)


def test_a_setting_in_the_wrong_place_is_told_where_it_belongs(scored):
    with pytest.raises(
        services.DatasetRefused, match=r"^max_answer_chars: there is no such setting. Write gate.max_answer_chars.$"
    ):
        build(scored, "x", "sft", max_answer_chars=9)
    with pytest.raises(services.DatasetRefused, match=r"^gate.odd: there is no such setting.$"):
        build(scored, "x", "sft", gate={"odd": 9})


def test_over_http_a_setting_beside_the_settings_is_refused_not_lost(scored, client, person):
    client.force_login(person("lead", "admin"))
    wanted = {"project": scored.slug, "name": "x", "kind": "sft", "gate": {"anonymise": True}}
    answer = client.post("/api/datasets", wanted, content_type="application/json")
    assert answer.status_code == 422 and "gate" in answer.content.decode() and not DatasetVersion.objects.exists()


def test_people_count_by_their_median_and_gold_wins(project, write, person):
    services.item_import(project=project, path=write([tuple_of(1, gold_answer="Town 1"), tuple_of(2)]), actor=None)
    services.project_update(project=project, actor=None, name="P", guidelines="", raters_per_item=3)
    from uuid import uuid4

    for number, scores in ((1, (-2, -2, -1)), (2, (2, 1, -2))):
        item = Item.objects.get(answer=f"Town {number}.")
        for name, overall in zip("abc", scores, strict=True):
            user = person(f"{name}{number}")
            services.score_submit(item=item, actor=user, submission=uuid4(), overall=overall, critique=f"{name} says {overall}")
    services.gold_score(project=project)
    everything = {"kind": "sft", "min_reward": -2, "split": {"eval_share": 0}}
    gold = {row["response"]: row["reward"] for row in rows_of(build(project, "gold", **everything))}
    assert gold == {"Town 1.": 2.0, "Town 2.": 1.0}
    people = {row["response"]: row["reward"] for row in rows_of(build(project, "people", gold="ignored", **everything))}
    assert people == {"Town 1.": -2.0, "Town 2.": 1.0}
    mixed = {
        row["response"]: row["reward"] for row in rows_of(build(project, "mixed", gold="weighted", gold_weight=0.5, **everything))
    }
    assert mixed == {"Town 1.": 0.0, "Town 2.": 1.0}
    few = build(project, "few", gold="ignored", min_people=3, **everything)
    assert few.counts["train"] == 2


def test_a_version_from_rows_keeps_their_order_and_repetitions(db):
    rows = [{"prompt": "p", "response": "r"}] * 3 + [{"prompt": "q", "response": "s"}]
    version = services.dataset_from_rows(
        name="atlas", kind="sft", rows={"train": rows, "eval": rows[:1]}, source="atlas", actor=None
    )
    assert version.is_ready and version.counts == {"train": 4, "eval": 1, "test": 0}
    assert rows_of(version) == rows
    same = services.dataset_from_rows(
        name="atlas-2", kind="sft", rows={"train": rows, "eval": rows[:1]}, source="atlas", actor=None
    )
    assert same.content_hash == version.content_hash


def test_rows_that_are_no_pairs_are_refused(db):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "a"}]
    with pytest.raises(services.DatasetRefused, match=r"0\.0%"):
        services.dataset_from_rows(name="bad", kind="preference", rows={"train": rows}, source="x", actor=None)


def test_a_queued_build_is_published_when_its_job_ends(scored, tmp_path):
    version = services.dataset_queue(project=scored, name="later", kind="prompts", settings={}, actor=None)
    assert not version.is_ready and version.job.kind == "annotations.dataset"
    launch = kind_of("annotations.dataset").launch(version.job, tmp_path)
    assert "dataset" in launch.argv and launch.argv[-4:] == ["write", str(version.pk), "--folder", str(tmp_path)]
    version.job.result = json.loads(json.dumps(result_of(services.dataset_write(version=version))))
    kind_of("annotations.dataset").finished(version.job, Outcome("succeeded"))
    version.refresh_from_db()
    assert version.is_ready and version.counts["train"] == 18 and version.counts["eval"] == 2


def test_a_failed_build_that_is_queued_again_leaves_alone_what_has_its_name_by_now(scored, tmp_path):
    old = services.dataset_queue(project=scored, name="later", kind="prompts", settings={}, actor=None).job
    result = {"folder": "/elsewhere", "content_hash": "0", "counts": {}, "verdict": "pass", "report": {}}
    Job.objects.filter(pk=old.pk).update(state="failed", finished_at=timezone.now(), result=result)
    version = build(scored, "later")
    old.refresh_from_db()
    with pytest.raises(services.DatasetRefused, match="asked for again"):
        kind_of("annotations.dataset").launch(old, tmp_path)
    with pytest.raises(services.DatasetRefused, match="asked for again"):
        kind_of("annotations.dataset").finished(old, Outcome("succeeded"))
    kind_of("annotations.dataset").finished(old, Outcome("failed"))
    with pytest.raises(services.DatasetRefused, match="never change"):
        services.dataset_publish(version=version, built=services.dataset_write(version=version))
    assert DatasetVersion.objects.get(name="later").content_hash == version.content_hash


def test_the_preview_counts_what_a_build_would_give(scored):
    preview = services.dataset_preview(project=scored, kind="preference", settings={})
    version = build(scored)
    assert preview["splits"] == version.counts
    assert preview["gate"]["valid"] == version.report["gate"]["valid"]


@pytest.mark.full
def test_the_preview_replaces_names_as_the_build_does(project, write):
    """Two answers that differ by an address alone are the same once it is replaced."""
    lines = [
        tuple_of(n, answer=f"Ask {who}@example.org.", reward=2, metadata={"source_ai": who})
        for n in range(12)
        for who in (("ann", "bob") if n == 3 else ("ann",))
    ]
    services.item_import(project=project, path=write(lines), actor=None)
    preview = services.dataset_preview(project=project, kind="sft", settings={"gate": {"anonymise": True}})
    version = build(project, kind="sft", gate={"anonymise": True})
    assert preview["gate"] == version.report["gate"]
    assert preview["gate"]["anonymised"]["replaced"] == {"EMAIL_ADDRESS": 13}
    assert preview["gate"]["drops"] == {"exact duplicate": 1}
    assert preview["splits"] == version.counts


def test_rankings_of_answers_that_name_people_give_pairs_without_the_names(project, write):
    services.project_update(project=project, actor=None, mode="compare")
    lines = [
        {
            "prompt": f"Who is {n}, {n}@example.org?",
            "chosen": f"Ask ann{n}@example.org.",
            "rejected": f"Ask bob{n}@example.net now.",
        }
        for n in range(10)
    ]
    services.item_import(project=project, path=write(lines), actor=None, source_format="preference")
    version = build(Project.objects.get(), gate={"anonymise": True}, split={"eval_share": 0})
    assert {(row["prompt"], row["chosen"], row["rejected"]) for row in rows_of(version)} == {
        (f"Who is {n}, <EMAIL_ADDRESS>?", "Ask <EMAIL_ADDRESS>.", "Ask <EMAIL_ADDRESS> now.") for n in range(10)
    }
    assert version.report["row_gate"]["anonymised"]["replaced"] == {"EMAIL_ADDRESS": 30}
