"""The Atlas loop: what it queues, what collecting makes of answers, and one turn of it by real workers."""

import json
from collections import Counter
from pathlib import Path

import orjson
import pytest
from django.conf import settings
from django.core.management import call_command

from annotations.models import DatasetVersion, Item, Project, Score
from annotations.services import project_create
from evaluation.collecting import answers_collect, tuples_of
from evaluation.loop import DemoLoopSettings, loop_start
from evaluation.management.commands.demo import SELDOM_S, Said, is_news
from evaluation.models import Evaluation
from jobs.models import Job, State
from jobs.selectors import pipeline_jobs
from tests.jobs.conftest import processes, until  # noqa: F401 - a fixture
from tests.training.model_folders import model_folder_at
from training.models import Artifact, Run
from training.services import artifact_publish


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "RLWHF_HOME", tmp_path)
    return tmp_path


@pytest.mark.django_db
def test_a_turn_is_queued_whole_and_each_step_waits_for_the_one_before(home):
    pipeline = loop_start(actor=None, wanted=DemoLoopSettings(method="dpo", seed=3))
    jobs = pipeline_jobs(pipeline)
    kinds = [job.kind for job in jobs]
    assert sorted(kinds) == sorted(
        ["training.run", "training.generate", "evaluation.collect", "annotations.dataset", "training.run"]
        + ["evaluation.scorecard"] * 2
    )
    assert [job.pk for job in jobs if not job.after.exists()] == [jobs[0].pk], "only teaching can start at once"
    teach, train = Run.objects.order_by("id")
    assert (teach.method, train.method, train.dataset.kind) == ("sft", "dpo", "preference")
    assert train.base == teach.artifact and train.spec["seed"] == 3
    assert Evaluation.objects.get(artifact=train.artifact).base == teach.artifact


@pytest.mark.django_db
def test_a_second_turn_of_the_same_world_shares_its_corpus_and_takes_new_names(home):
    for _ in range(2):
        loop_start(actor=None, wanted=DemoLoopSettings(seed=3))
    assert DatasetVersion.objects.filter(kind="sft").count() == 1
    assert Project.objects.count() == 1
    assert sorted(Run.objects.values_list("name", flat=True)) == [
        "atlas-3-grpo",
        "atlas-3-grpo-2",
        "atlas-base-3",
        "atlas-base-3-2",
    ]


@pytest.mark.django_db
def test_a_later_turn_starts_from_what_was_taught_in_full_and_never_from_a_turn_cut_short(home):
    def teach(**wanted) -> str:
        """The base that a turn starts from; what it has to teach for that is done at once."""
        base = Artifact.objects.get(name=loop_start(actor=None, wanted=DemoLoopSettings(seed=3, **wanted)).payload["base"])
        folder = home / base.name
        model_folder_at(folder / "model")
        artifact_publish(run=base.run, folder=folder, metrics={})
        return base.name

    assert teach(max_steps=2) == "atlas-base-3"
    assert teach() == "atlas-base-3-2"
    assert teach() == "atlas-base-3-2"
    assert teach(max_steps=2) == "atlas-base-3"
    assert teach(reuse_base=False) == "atlas-base-3-3"


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


QUESTIONS = [
    {"item_id": "a", "prompt": "Where does Ann live?", "gold_answer": "Rome", "knowledge": "known", "entity": "ann"},
    {"item_id": "b", "prompt": "Where does Bob live?", "gold_answer": "Oslo", "knowledge": "unknown", "entity": "bob"},
]
ANSWERS = [
    {"id": "a", "sample": 0, "answer": "Rome.", "confidence": 0.9},
    {"id": "a", "sample": 1, "answer": "Rome.", "confidence": 0.9},
    {"id": "b", "sample": 0, "answer": "Lima.", "confidence": 0.4},
    {"id": "b", "sample": 1, "answer": "I do not know.", "confidence": 0.2},
]


@pytest.mark.django_db
def test_answers_become_items_scored_by_their_gold_answers_once(home, tmp_path):
    project = project_create(name="Atlas", actor=None)
    wanted = {
        "project": project,
        "questions": lines(tmp_path / "questions.jsonl", QUESTIONS),
        "answers": lines(tmp_path / "answers.jsonl", ANSWERS),
        "source": "tiny",
        "folder": tmp_path,
        "actor": None,
    }
    first = answers_collect(**wanted)
    assert (first.items_added, first.items_known, first.scores_added, first.refused) == (3, 1, 3, 0)
    found = dict(Score.objects.values_list("item__answer", "overall"))
    assert found == {"Rome.": 2, "Lima.": -2, "I do not know.": 0}
    item = Item.objects.get(answer="Lima.")
    assert (item.knowledge, item.entity, item.stated_confidence, item.source_model) == ("unknown", "bob", 0.4, "tiny")
    again = answers_collect(**wanted)
    assert (again.items_added, again.scores_added) == (0, 0)


def test_an_answer_to_a_question_that_was_not_asked_is_an_error(tmp_path):
    questions = lines(tmp_path / "questions.jsonl", QUESTIONS[:1])
    with pytest.raises(KeyError):
        list(tuples_of(questions=questions, answers=lines(tmp_path / "answers.jsonl", ANSWERS), source="tiny"))


def test_a_terminal_reads_every_change_and_a_file_a_new_state_at_once_and_the_rest_seldom():
    before = Said("Train: running, 10 %", "running", 100.0)
    further, ended, same = Said("Train: running, 20 %", "running", 101.0), Said("Train: succeeded", "succeeded", 102.0), before
    assert is_news(before, None, seldom=SELDOM_S) and is_news(ended, before, seldom=SELDOM_S)
    assert is_news(further, before, seldom=0) and not is_news(same._replace(at=900.0), before, seldom=0)
    assert not is_news(further, before, seldom=SELDOM_S)
    assert is_news(further._replace(at=100.0 + SELDOM_S), before, seldom=SELDOM_S)


def test_a_short_turn_goes_all_the_way_through_real_workers(processes, capsys):  # noqa: F811
    processes.start("worker", "--tags", "cpu")
    processes.start("worker", "--tags", "site")
    processes.start("reconcile")
    from jobs.selectors import tags_served

    until(lambda: tags_served() == {"cpu", "site"}, log=processes.log)
    call_command("demo", "--steps", "3", "--seed", "5")
    said, followed = capsys.readouterr()
    lines_of = Counter(line.split("s  ", 1)[-1].split(":")[0] for line in followed.splitlines() if " s  " in line)
    assert lines_of and max(lines_of.values()) < 12, "no terminal: not a line a second"
    assert "Truthful rate" in said and "/evaluate/" in said
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}
    run = Run.objects.get(name="atlas-5-grpo")
    folder = Path(run.job.folder)
    assert folder == Path(settings.RLWHF_HOME) / "artifacts" / "grpo" / "atlas-5-grpo"
    wanted = (
        "spec.json config.json metrics.jsonl telemetry.jsonl log.txt environment.json report.html model tokenizer checkpoints"
    )
    assert {path.name for path in folder.iterdir()} >= set(wanted.split())
    assert len(metrics := (folder / "metrics.jsonl").read_text().splitlines()) >= 1
    assert all({"step", "time"} <= json.loads(line).keys() for line in metrics)
    evaluation = Evaluation.objects.get(artifact=run.artifact)
    assert evaluation.scorecard["metrics"]["truthful_rate"]["n"] > 100
    assert evaluation.scorecard["baselines"]
