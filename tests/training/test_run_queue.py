"""Queueing runs: what is refused, what is written down, and what a worker is told."""

import json
from pathlib import Path

import pytest

from accounts.hosts import host_allow
from accounts.models import AuditEntry
from annotations.services import dataset_from_rows
from jobs.models import Job, State
from tests.training.model_folders import model_folder_at
from training.jobs import TrainingRun, place_spec
from training.models import Artifact, Run
from training.recipes import recipe_paths
from training.services import RunRefused, artifact_publish, artifact_register, run_queue

pytestmark = pytest.mark.django_db


def refused(match: str, **wanted) -> RunRefused:
    with pytest.raises(RunRefused, match=match) as caught:
        run_queue(actor=None, **wanted)
    assert not Run.objects.exists() and not Job.objects.exists() and not Artifact.objects.exists(), "nothing is half-written"
    return caught.value


def test_a_queued_run_has_a_job_a_model_to_come_and_an_audit_entry(sft_dataset):
    run = run_queue(name="teach", recipe="atlas-teach", dataset=sft_dataset, actor=None, overrides={"settings.max_steps": 3})
    assert (run.method, run.job.state, run.job.hardware_tag) == ("sft", State.QUEUED, "cpu")
    assert run.spec["settings"]["max_steps"] == 3
    assert run.artifact.ready_at is None and not Artifact.objects.ready().exists()
    assert AuditEntry.objects.filter(action="training.run_queued").count() == 1


def test_what_cannot_work_is_refused_with_the_field_to_change(sft_dataset, home):
    wanted = {"recipe": "atlas-teach", "dataset": sft_dataset}
    assert refused("small letters", name="Bad Name", **wanted).field == "name"
    assert refused("address of a page", name="new", **wanted).field == "name"
    assert refused("address of a page", name="check", **wanted).field == "name"
    assert refused("at most 99 more", name="a" * 101, **wanted).field == "name"
    assert refused("single value", name="a", overrides={"seed.x": 1}, **wanted).field == "overrides"
    assert refused("no hardware tag", name="a", hardware_tag="gpu", **wanted).field == "hardware_tag"
    assert refused("no hardware tag", name="a", hardware_tag="site", **wanted).field == "hardware_tag"
    assert refused("greater than 0", name="a", overrides={"settings.learning_rate": -1}, **wanted).field.endswith("learning_rate")
    assert refused("no recipe", name="a", recipe="nothing", dataset=sft_dataset).field == "recipe"
    assert refused("base model", name="a", recipe="atlas-grpo", dataset=sft_dataset).field == "base"


@pytest.mark.parametrize(
    ("overrides", "field", "says"),
    [
        ({"lora.r": 8}, "lora", "write settings.lora"),
        ({"hardware.thread": 8}, "hardware.thread", "There is no"),
        ({"hardware.profile": "cuda-a100"}, "hardware_tag", "say the tag alone"),
        ({"model": {"path": "artifact:known"}}, "model", "name it as the base"),
        ({"tracking.tensorboard": True, "settings.best_metric": "\0"}, "overrides", "NUL"),
        ({"model": {"path": "/" + "x" * 400}, "settings.max_steps": -5.5}, "settings.max_steps", "integer"),
    ],
)
def test_what_would_pass_unseen_or_fail_at_the_start_is_refused(sft_dataset, overrides, field, says):
    assert refused(says, name="a", recipe="atlas-teach", dataset=sft_dataset, overrides=overrides).field == field


def test_a_batch_of_more_prompts_than_there_are_is_refused(home, model_folder):
    rows = {"train": [{"prompt": f"{n} + 1 =", "gold": str(n + 1)} for n in range(16)]}
    prompts = dataset_from_rows(name="asked", kind="prompts", rows=rows, source="test", actor=None)
    base = artifact_register(name="tiny", folder=model_folder, actor=None)
    few = {"settings.num_generations": 4, "settings.gradient_accumulation_steps": 2, "settings.max_steps": 1}
    wanted = {"recipe": "grpo-cpu", "dataset": prompts, "base": base, "actor": None}
    with pytest.raises(RunRefused, match="takes 32 prompts, and “asked” has 16") as caught:
        run_queue(name="much", overrides={**few, "settings.per_device_train_batch_size": 64}, **wanted)
    assert caught.value.field == "settings.per_device_train_batch_size"
    assert (
        run_queue(name="all", overrides={**few, "settings.per_device_train_batch_size": 32}, **wanted).job.state == State.QUEUED
    )


def test_a_run_starts_from_one_model(sft_dataset, model_folder):
    base = artifact_register(name="tiny", folder=model_folder, actor=None)
    wanted = {"recipe": "sft-cpu", "dataset": sft_dataset, "base": base, "overrides": {"model.path": "another/model"}}
    with pytest.raises(RunRefused, match="leave one of the two away") as caught:
        run_queue(name="a", actor=None, **wanted)
    assert caught.value.field == "model"


def test_a_path_that_this_process_may_not_look_at_is_the_workers_to_judge(sft_dataset):
    path = {"model": {"path": "/" + "x" * 400}}
    run_queue(name="a", recipe="atlas-teach", dataset=sft_dataset, actor=None, overrides=path)
    with pytest.raises(RunRefused, match="cannot be read"):
        artifact_register(name="b", folder=Path(path["model"]["path"]), actor=None)


def test_a_recipe_elsewhere_may_have_a_long_path(sft_dataset, tmp_path):
    copy = tmp_path / ("d" * 100) / "mine.toml"
    copy.parent.mkdir()
    copy.write_text(recipe_paths()["atlas-teach"].read_text())
    assert run_queue(name="a", recipe=str(copy), dataset=sft_dataset, actor=None).recipe == str(copy)


def test_a_name_that_somebody_else_takes_meanwhile_is_refused(sft_dataset, monkeypatch):
    Artifact.objects.create(name="taken")
    monkeypatch.setattr("training.services.checking.name_check", lambda name: None)  # as if asked just before the other wrote it
    with pytest.raises(RunRefused, match="a model named “taken” already") as caught:
        run_queue(name="taken", recipe="atlas-teach", dataset=sft_dataset, actor=None)
    assert caught.value.field == "name"
    assert not Job.objects.exists()


def test_a_published_model_is_in_the_audit_log_with_who_asked_for_it(sft_dataset, home, django_user_model):
    ada = django_user_model.objects.create_user("ada", role="admin")
    run = run_queue(name="first", recipe="atlas-teach", dataset=sft_dataset, actor=ada)
    artifact_publish(run=run, folder=home / "first", metrics={})
    entry = AuditEntry.objects.get(action="training.artifact_published")
    assert (entry.actor, entry.target_label, entry.detail["requested_by"]) == (None, "first", "ada")


def test_a_dataset_of_the_wrong_kind_is_refused(sft_dataset, model_folder):
    base = artifact_register(name="tiny", folder=model_folder, actor=None)
    with pytest.raises(RunRefused, match="DPO trains on a preference dataset") as caught:
        run_queue(name="a", recipe="atlas-dpo", dataset=sft_dataset, base=base, actor=None)
    assert caught.value.field == "dataset"


def test_the_child_is_given_real_paths(sft_dataset, model_folder, tmp_path):
    base = artifact_register(name="tiny", folder=model_folder, actor=None)
    run = run_queue(name="more", recipe="sft-cpu", dataset=sft_dataset, base=base, actor=None)
    spec = place_spec(run, tmp_path)
    assert spec.data.train == Path(sft_dataset.folder) / "train.jsonl" and spec.data.train.exists()
    assert spec.data.eval is not None and spec.data.eval.exists()
    assert spec.model.path == str(model_folder)
    folder = tmp_path / "attempt"
    folder.mkdir()
    launch = TrainingRun().launch(run.job, folder)
    assert launch.argv[1:] == ["-m", "training.execute", str(folder)]
    assert launch.env["HF_HUB_OFFLINE"] == "1"
    assert json.loads((folder / "spec.json").read_text())["name"] == "more"


@pytest.fixture
def model_folder(tmp_path) -> Path:
    return model_folder_at(tmp_path / "tiny")


def test_a_faulty_model_folder_is_not_registered_and_one_that_got_damaged_since_starts_no_run(model_folder, sft_dataset):
    (model_folder / "modeling.py").write_text("")
    with pytest.raises(RunRefused, match="Python code") as caught:
        artifact_register(name="tiny", folder=model_folder, actor=None)
    assert caught.value.field == "folder"
    (model_folder / "modeling.py").unlink()
    base = artifact_register(name="tiny", folder=model_folder, actor=None)
    weights = model_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(RunRefused, match="cut short") as caught:
        run_queue(name="a", recipe="sft-cpu", dataset=sft_dataset, base=base, actor=None)
    assert caught.value.field == "base"


def test_a_model_folder_with_too_long_a_path_is_refused_in_words(tmp_path):
    deep = tmp_path.joinpath(*["x" * 90] * 6)
    deep.mkdir(parents=True)
    with pytest.raises(RunRefused, match="500 characters") as caught:
        artifact_register(name="deep", folder=model_folder_at(deep / "tiny"), actor=None)
    assert caught.value.field == "folder"


def test_rows_that_the_method_cannot_read_are_refused_with_their_line_and_field(sft_dataset):
    train = Path(sft_dataset.folder) / "train.jsonl"
    train.chmod(0o644)
    train.write_text(train.read_text() + '{"prompt": "?"}\n')
    with pytest.raises(RunRefused, match=r"train\.jsonl, line 21, field “response”: is missing") as caught:
        run_queue(name="a", recipe="atlas-teach", dataset=sft_dataset, actor=None)
    assert caught.value.field == "dataset"


def test_metrics_leave_the_machine_only_for_a_host_that_an_admin_allowed(sft_dataset):
    wanted = {"recipe": "atlas-teach", "dataset": sft_dataset, "actor": None, "overrides": {"tracking.wandb": "honesty"}}
    with pytest.raises(RunRefused, match=r"api\.wandb\.ai.*rlwhf hosts allow") as caught:
        run_queue(name="a", **wanted)
    assert caught.value.field == "tracking.wandb"
    host_allow(host="api.wandb.ai", actor=None)
    assert run_queue(name="a", **wanted).spec["tracking"]["wandb"] == "honesty"


def test_models_that_a_spec_names_are_checked_recorded_and_placed(sft_dataset, home):
    for name, purpose, ready in (("wise", "policy", True), ("judge", "reward_model", True), ("late", "policy", False)):
        model_folder_at(home / name / "model")
        Artifact.objects.create(
            name=name, purpose=purpose, folder=str(home / name), ready_at="2026-01-01T00:00Z" if ready else None
        )
    wanted = {"recipe": "atlas-teach", "dataset": sft_dataset, "actor": None}

    def distilled(teacher):
        return run_queue(
            name="small", **wanted, overrides={"method": "gkd", "settings": {}, "teacher.path": f"artifact:{teacher}"}
        )

    for teacher, why in (("nobody", "no model named"), ("late", "not trained yet"), ("judge", "“judge” is a reward model")):
        with pytest.raises(RunRefused, match=why) as caught:
            distilled(teacher)
        assert caught.value.field == "teacher"
    run = distilled("wise")
    assert [used.name for used in run.uses.all()] == ["wise"]
    assert place_spec(run, home).teacher.path == str(home / "wise" / "model")


def test_a_model_that_scores_answers_is_no_base_for_one_that_gives_them(sft_dataset):
    judge = Artifact.objects.create(name="judge", purpose="reward_model", ready_at="2026-01-01T00:00Z")
    with pytest.raises(RunRefused, match="starts from a model that answers") as caught:
        run_queue(name="small", recipe="atlas-teach", dataset=sft_dataset, base=judge, actor=None)
    assert caught.value.field == "base"


def test_a_run_may_wait_for_the_model_that_it_starts_from(sft_dataset):
    first = run_queue(name="first", recipe="atlas-teach", dataset=sft_dataset, actor=None)
    wanted = {"recipe": "sft-cpu", "dataset": sft_dataset, "base": first.artifact, "actor": None}
    with pytest.raises(RunRefused, match="not trained yet"):
        run_queue(name="second", **wanted)
    assert run_queue(name="second", **wanted, after=[first.job]).base == first.artifact
