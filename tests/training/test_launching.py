"""Checks, previews, clones and sweeps: the same through the service, the API and the shell."""

import io
import json
import shlex

import pytest
from django.core.management import CommandError, call_command

from annotations.services import dataset_from_rows
from jobs.models import Job, Pipeline
from training.backends.swift.options import Refused
from training.comparing import run_compare
from training.drafts import recipe_draft
from training.launching import asked_for, rows_preview, run_clone, run_values, sweep_queue
from training.models import Artifact, Run
from training.services import RunRefused, run_queue, run_spec
from training.sweep_results import against_axis, curves, sweep_results
from training.sweeps import points, read_axes

pytestmark = pytest.mark.django_db
TINY = {"model.scratch.hidden_size": 32, "model.scratch.intermediate_size": 64}


def queued(dataset, name="first", **overrides):
    return run_queue(name=name, recipe="atlas-teach", dataset=dataset, actor=None, overrides=overrides)


def told(*words, **options):
    said = io.StringIO()
    call_command(*words, stdout=said, **options)
    return said.getvalue()


def post(client, address, values):
    return client.post(address, values, content_type="application/json")


def test_a_clone_is_the_run_but_for_what_is_given(sft_dataset):
    first = queued(sft_dataset, **{"settings.max_steps": 3, "seed": 7, "hardware.precision": "bfloat16"})
    second = run_clone(run=first, name="second", actor=None)
    assert second.spec | {"name": ""} == first.spec | {"name": ""}
    third = run_clone(run=second, name="third", actor=None, overrides={"settings.max_steps": 4}, hardware_tag="cuda-a100")
    assert third.spec["settings"]["max_steps"] == 4 and third.spec["hardware"]["profile"] == "cuda-a100"
    with pytest.raises(RunRefused, match="already"):
        run_clone(run=first, name="second", actor=None)


def test_a_clone_of_a_run_whose_recipe_is_gone_says_the_same(sft_dataset, home):
    first = queued(sft_dataset, **TINY)
    Run.objects.update(recipe="/somewhere/else.toml")
    second = run_clone(run=Run.objects.get(pk=first.pk), name="second", actor=None)
    assert second.spec | {"name": ""} == first.spec | {"name": ""}


def test_a_clone_starts_from_the_same_model(sft_dataset, home):
    base = Artifact.objects.create(name="base", folder=str(home / "elsewhere"), ready_at=sft_dataset.ready_at)
    first = run_queue(name="first", recipe="sft-cpu", dataset=sft_dataset, base=base, actor=None)
    assert run_values(first)["model"] == {"path": "artifact:base"}
    second = run_clone(run=first, name="second", actor=None)
    assert second.base == base and second.artifact.base == base


def test_a_clone_from_another_model_forgets_the_one_it_had(sft_dataset, home):
    run_queue(name="first", recipe="sft-cpu", dataset=sft_dataset, actor=None, overrides={"model": {"path": "some/model"}})
    Artifact.objects.create(name="base", folder=str(home / "elsewhere"), ready_at=sft_dataset.ready_at)
    told("train", "--from", "first", "--base", "base", "--name", "second")
    assert Run.objects.get(name="second").spec["model"]["path"] == "base"


@pytest.mark.full
def test_rows_are_shown_by_a_process_of_their_own(sft_dataset):
    spec = run_spec(name="run", recipe="atlas-teach", overrides=TINY)
    found = rows_preview(spec=spec, dataset=sft_dataset, base=None, first=2, count=1)
    assert found["total"] == 20 and found["rows"][0]["number"] == 2
    text = "".join(piece["text"] for piece in found["rows"][0]["lanes"][0]["pieces"])
    assert text == "<|user|>What is 2 and 2?<|assistant|>4.<|end|>"
    pairs = run_spec(name="run", recipe="dpo-cpu", overrides={"model": {"path": "nobody/nothing"}})
    with pytest.raises(RunRefused, match="DPO trains on a preference dataset"):
        rows_preview(spec=pairs, dataset=sft_dataset, base=None)
    nowhere = run_spec(name="run", recipe="sft-cpu", overrides={"model": {"path": "nobody/nothing"}})
    with pytest.raises(RunRefused, match="tokenizer of “nobody/nothing” cannot be loaded"):
        rows_preview(spec=nowhere, dataset=sft_dataset, base=None)


def test_a_sweep_is_a_run_each_or_none(sft_dataset):
    asked = asked_for(recipe="atlas-teach", values=recipe_draft("atlas-teach").values)
    grid = points(read_axes("settings.learning_rate = [1e-3, 1e-4]\nseed = [0, 1]"), mode="grid")
    pipeline = sweep_queue(name="tune", dataset=sft_dataset, asked=asked, points=grid, actor=None)
    runs = {run.name: run for run in Run.objects.all()}
    assert sorted(runs) == ["tune-1", "tune-2", "tune-3", "tune-4"]
    assert {(run.spec["settings"]["learning_rate"], run.spec["seed"]) for run in runs.values()} == {
        (1e-3, 0), (1e-3, 1), (1e-4, 0), (1e-4, 1)
    }  # fmt: skip
    assert all(run.job.pipeline == pipeline for run in runs.values())
    broken = points(read_axes("settings.learning_rate = [1e-3, -1]"), mode="grid")
    with pytest.raises(RunRefused, match=r"Run bad-2 \(settings.learning_rate = -1\)"):
        sweep_queue(name="bad", dataset=sft_dataset, asked=asked, points=broken, actor=None)
    assert Run.objects.count() == 4 and Pipeline.objects.count() == 1


def test_the_runs_of_a_sweep_are_put_to_their_backends_parser_at_once_and_before_any_is_queued(sft_dataset, monkeypatch):
    asked: list[list[int]] = []

    def parser(specs, *, evaluates):
        asked.append([spec.settings.lora.r for spec in specs])
        if len(asked) > 1:
            raise Refused("backend_options", "No.")

    monkeypatch.setattr("training.services.checking.specs_validate", parser)
    values = recipe_draft("atlas-teach").values | {"backend": "ms-swift", "model": {"path": "/models/none"}}
    wanted = asked_for(recipe="atlas-teach", values=values)
    grid = points(read_axes("settings.lora.r = [4, 8]"), mode="grid")
    sweep_queue(name="tune", dataset=sft_dataset, asked=wanted, points=grid, actor=None)
    assert asked == [[4, 8]] and Run.objects.count() == 2
    with pytest.raises(RunRefused, match="No") as refused:
        sweep_queue(name="more", dataset=sft_dataset, asked=wanted, points=grid, actor=None)
    assert refused.value.field == "backend_options"
    assert Run.objects.count() == 2 and Pipeline.objects.count() == 1


def test_a_sweep_orders_its_runs_by_what_came_out(sft_dataset, tmp_path):
    asked = asked_for(recipe="atlas-teach", values=recipe_draft("atlas-teach").values)
    grid = points(read_axes("settings.learning_rate = [1e-1, 1e-2, 1e-4]"), mode="grid")
    pipeline = sweep_queue(name="tune", dataset=sft_dataset, asked=asked, points=grid, actor=None)
    for loss, run in zip((0.3, 0.1), Run.objects.order_by("id"), strict=False):
        folder = tmp_path / run.name
        folder.mkdir()
        (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n')
        result = {"metrics": {"eval_loss": loss, "accuracy": loss}}
        Job.objects.filter(pk=run.job_id).update(state="succeeded", folder=str(folder), result=result)
    sweep = sweep_results(pipeline)
    assert sweep.metric == "eval_loss" and [one.run.name for one in sweep.runs] == ["tune-2", "tune-1", "tune-3"]
    assert [one.run.name for one in sweep_results(pipeline, metric="accuracy").runs] == ["tune-1", "tune-2", "tune-3"]
    chart = against_axis(sweep)
    assert chart.figure["data"][0]["x"] == [1e-2, 1e-1] and chart.figure["data"][0]["y"] == [0.1, 0.3]
    assert [trace["name"] for trace in curves(sweep.runs).figure["data"]] == ["tune-2", "tune-1"]
    document = sweep.document()
    assert document["runs"][0] == {
        "name": "tune-2", "state": "succeeded", "point": {"settings.learning_rate": 0.01},
        "metrics": {"eval_loss": 0.1, "accuracy": 0.1},
    }  # fmt: skip


def test_two_runs_differ_in_settings_data_and_code(sft_dataset, tmp_path):
    rows = [{"prompt": f"What is {n} and {n}?", "response": f"{2 * n}."} for n in range(1, 11)]
    other = dataset_from_rows(name="fewer", kind="sft", rows={"train": rows}, source="test", actor=None)
    first, second = queued(sft_dataset), run_clone(run=queued(sft_dataset, "x"), name="second", actor=None, dataset=other)
    found = run_compare(first, second)
    assert not found.differing and not found.data.is_same and not found.code.is_known
    assert (found.data.shared.both, found.data.shared.only_first, found.data.shared.only_second) == (10, 10, 0)
    assert run_compare(first, Run.objects.get(name="x")).data.is_same
    for run, version in ((first, "1.0"), (second, "2.0")):
        folder = tmp_path / "runs" / run.name
        folder.mkdir(parents=True)
        (folder / "environment.json").write_text(json.dumps({"revision": "abc", "packages": {"trl": version}}))
        result = {"metrics": {"loss": float(version)}, "steps": 3}
        Job.objects.filter(pk=run.job_id).update(folder=str(folder), result=result)
    third = run_clone(run=second, name="third", actor=None, overrides={"settings.learning_rate": 0.5})
    found = run_compare(*(Run.objects.get(pk=one.pk) for one in (first, second)))
    assert [pair.name for pair in found.code.pairs if pair.differs] == ["packages.trl"]
    assert {pair.name: pair.change for pair in found.results} == {"loss": 1.0, "steps": 0}
    assert [pair.name for pair in run_compare(second, third).differing] == ["settings.learning_rate"]


@pytest.mark.full
def test_it_is_all_there_over_http(signed_in, sft_dataset):
    client = signed_in("admin")
    wanted = {"recipe": "atlas-teach", "dataset": "sums", "name": "first", "overrides": TINY}
    checked = post(client, "/api/runs/check", wanted).json()
    assert checked["faults"] == [] and checked["spec"]["model"]["scratch"]["hidden_size"] == 32
    assert "--set model.scratch.hidden_size=32" in checked["command"] and not Run.objects.exists()
    text = recipe_draft("atlas-teach").text.replace("learning_rate = ", "learning_rate = -")
    faults = post(client, "/api/runs/check", wanted | {"recipe_text": text}).json()["faults"]
    assert [fault["field"] for fault in faults] == ["settings.learning_rate"] and faults[0]["line"]
    assert post(client, "/api/runs", wanted | {"recipe_text": "a = "}).status_code == 422
    rows = post(client, "/api/runs/rows", wanted | {"count": 1}).json()
    assert rows["rows"][0]["lanes"][0]["trained"] >= 2
    edited = recipe_draft("atlas-teach").text.replace("max_steps", "max_steps = 2 #")
    created = post(client, "/api/runs", wanted | {"recipe_text": edited})
    assert created.status_code == 201 and created.json()["spec"]["settings"]["max_steps"] == 2
    clone = post(client, "/api/runs/first/clone", {"name": "second", "overrides": {"settings.max_steps": 5}})
    assert clone.status_code == 201 and clone.json()["spec"]["model"]["scratch"]["hidden_size"] == 32
    compared = client.get("/api/runs/first/compare/second").json()
    assert compared["settings"] == {"settings.max_steps": {"first": 2, "second": 5}} and compared["data"]["same"]
    swept = post(client, "/api/sweeps", wanted | {"name": "tune", "axes": {"seed": [0, 1]}})
    assert swept.status_code == 201 and len(swept.json()["runs"]) == 2
    assert client.get("/api/sweeps").json()[0]["runs"] == 2
    assert client.get(f"/api/sweeps/{swept.json()['id']}").json()["axes"] == ["seed"]
    assert "list of values" in post(client, "/api/sweeps", wanted | {"name": "b", "axes": {"seed": 1}}).json()["detail"]
    tag = post(client, "/api/runs", {"recipe": "sft-cuda", "dataset": "sums", "name": "third"})
    assert tag.json()["spec"]["hardware"]["profile"] == "cuda-a100", "the recipe's own, where none is named"


def test_what_nobody_would_send_is_answered_over_http_too(signed_in, sft_dataset):
    client = signed_in("admin")
    wanted = {"recipe": "atlas-teach", "dataset": "sums", "name": "first"}
    for text in ("title = 'x'\nmethod = 'nothing'", "title = 'x'\nmethod = ['sft']"):
        assert post(client, "/api/runs", wanted | {"recipe_text": text}).status_code == 422
    for changed in ({"dataset": "\0"}, {"base": "\0"}, {"overrides": {"settings.extra": {"a": "\0"}}}):
        assert post(client, "/api/runs", wanted | changed).status_code == 422
    not_a_number = json.dumps(wanted | {"axes": {"seed": [float("nan")]}})
    assert post(client, "/api/sweeps", not_a_number).status_code == 422
    for address in ("/api/runs/%00", "/api/models/%00", "/api/runs/%00/compare/a"):
        assert client.get(address).status_code == 422
    for address in ("/train/first/compare/?with=%00", "/train/alignment/?dataset=%00&method=rm"):
        queued(sft_dataset) if not Run.objects.exists() else None
        assert client.get(address, headers={"HX-Request": "true"}).status_code == 404


@pytest.mark.full
def test_it_is_all_there_in_the_shell(sft_dataset):
    what = ["--recipe", "atlas-teach", "--dataset", "sums", "--set", "model.scratch.hidden_size=32"]
    said = told("train", *what, "--name", "first", "--check")
    assert '"hidden_size": 32' in said and not Run.objects.exists()
    said = told("train", *what, "--name", "first", "--rows", "1")
    assert "What is 1 and 1?<|assistant|>[2.<|end|>]" in said and not Run.objects.exists()
    assert said == told("train", *what, "--name", "first", "--rows", "0") and not Run.objects.exists()
    told("train", *what, "--name", "first")
    told("train", "--from", "first", "--name", "second", "--set", "settings.max_steps=5", "--set", "settings.lora=null")
    assert Run.objects.get(name="second").spec["settings"]["max_steps"] == 5
    assert '"settings.max_steps"' in told("compare_runs", "first", "second")
    said = told(
        "sweep",
        "queue",
        *what,
        "--name",
        "tune",
        "--vary",
        "settings.learning_rate={min=1e-5,max=1e-3,log=true}",
        "--random",
        "3",
    )
    assert said.count("Queued tune-") == 3
    assert "tune" in told("sweep") and "tune-3" in told("sweep", "show", "tune")
    for words, says in (
        (["train", "--name", "x", "--dataset", "sums"], "Name a recipe"),
        (["train", "--name", "x", "--recipe", "atlas-teach"], "Name a dataset"),
        (["compare_runs", "first", "nothing"], "no run named"),
        (["sweep", "show", "nothing"], "no sweep named"),
        (["sweep", "queue", *what, "--name", "b", "--vary", "seed=1"], "list of values"),
        (["sweep", "queue", *what, "--name", "b", "--vary", "seed=[1]", "--random", "0"], "at least 1"),
    ):
        with pytest.raises(CommandError, match=says):
            told(*words)


def test_the_command_that_is_shown_queues_what_the_page_would(signed_in, sft_dataset):
    client = signed_in("admin")
    text = recipe_draft("sft-cpu").text.replace("[settings.lora]\nr = 16\nalpha = 32\n", "").replace("max_length = 1024", "")
    wanted = {"recipe": "sft-cpu", "dataset": "sums", "name": "first", "recipe_text": text}
    command = post(client, "/api/runs/check", wanted).json()["command"]
    told(*shlex.split(command)[1:])
    post(client, "/api/runs", wanted | {"name": "second"})
    first, second = Run.objects.order_by("id")
    assert first.spec["settings"]["lora"] is None
    assert first.spec | {"name": ""} == second.spec | {"name": ""}
