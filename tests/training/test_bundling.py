"""A launch bundle by the service, the command, the API and the page: the same files, and the same refusals."""

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.services import token_create
from jobs.models import Job
from tests.training.model_folders import model_folder_at
from training.backends.distributed import needs_launcher
from training.bundling import bundle_for
from training.drafts import recipe_draft
from training.hardware.profiles import load_profile, profile_names
from training.launching import Asked
from training.models import Artifact, Run
from training.services import RunRefused, artifact_register, run_queue
from training.specs import RunSpec, read_spec

pytestmark = pytest.mark.django_db
TWO_MACHINES = {"hardware.distributed": {"processes": 4, "machines": 2, "main_address": "10.0.0.1", "strategy": "fsdp"}}


@pytest.fixture
def base(home: Path) -> Artifact:
    return artifact_register(name="small", folder=model_folder_at(home / "small"), actor=None)


def asked(base: Artifact | None, **overrides) -> Asked:
    return Asked("sft-cuda", base, overrides, "multi-node")


def test_several_machines_get_what_a_worker_refuses(sft_dataset, base):
    wanted = asked(base, **TWO_MACHINES)
    with pytest.raises(RunRefused, match="launch-bundle") as refused:
        run_queue(name="far", dataset=sft_dataset, actor=None, **wanted.arguments())
    assert refused.value.field == "hardware.distributed.machines"
    bundle = bundle_for(name="far", dataset=sft_dataset, asked=wanted)
    assert len(bundle.commands) == 2 and list(bundle.models.values()) == [base.model_folder.resolve()]
    assert "num_nodes: 2" in bundle.files["task.yaml"]
    assert json.loads(bundle.files["accelerate.json"])["distributed_type"] == "FSDP"
    assert not Run.objects.exists() and not Job.objects.exists() and Artifact.objects.count() == 1, "nothing is queued"


def test_what_the_queue_refuses_a_bundle_refuses_too(sft_dataset, base):
    for overrides, field in (
        ({"settings.learning_rate": -1}, "settings.learning_rate"),
        ({"hardware.distributed": {"strategy": "fsdp", "offload": "optimizer"}}, "hardware.distributed.offload"),
        ({"hardware.distributed": {"machines": 2}}, "hardware.distributed"),
    ):
        with pytest.raises(RunRefused) as refused:
            bundle_for(name="far", dataset=sft_dataset, asked=asked(base, **overrides))
        assert refused.value.field == field


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_makes_a_bundle_that_accelerate_can_read(sft_dataset, base, home, name):
    profile = load_profile(name)
    overrides = {}
    if profile.distributed and profile.distributed.machines > 1:
        overrides["hardware.distributed.main_address"] = "10.0.0.1"
    wanted = Asked("sft-cuda", base, overrides, profile.tag, profile=name)
    bundle = bundle_for(name="far", dataset=sft_dataset, asked=wanted)
    spec = RunSpec.model_validate_json(bundle.files["spec.json"])
    assert spec.hardware.preset == name
    machines = spec.hardware.distributed.machines if spec.hardware.distributed else 1
    assert len(bundle.commands) == machines
    if not needs_launcher(spec):
        assert bundle.commands == [["python", "-m", "training.execute", "."]] and "accelerate.json" not in bundle.files
        return
    (home / "accelerate.json").write_text(bundle.files["accelerate.json"])
    for rank, command in enumerate(bundle.commands):
        assert command[:2] == ["accelerate", "launch"]
        words = [str(home / word) if word == "accelerate.json" else word for word in command[2:]]
        arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
        assert (arguments.num_processes, arguments.num_machines) == (spec.hardware.distributed.world_size, machines)
        assert arguments.machine_rank == rank and (arguments.training_script, arguments.training_script_args) == (
            "training.execute",
            ["."],
        )
    has_file = "deepspeed.json" in bundle.files
    assert has_file == (spec.hardware.distributed.strategy == "deepspeed") == arguments.use_deepspeed
    assert ("deepspeed==0.19.8" in bundle.needs) == has_file


def test_another_backends_run_has_that_backends_commands(sft_dataset, base):
    two = {"hardware.distributed": {"processes": 2}}
    bundle = bundle_for(
        name="far", dataset=sft_dataset, asked=asked(base, backend="ms-swift", **{"hardware.profile": "cpu"}, **two)
    )
    assert bundle.backend == "ms-swift" and "task.yaml" in bundle.files
    assert not any("training.execute" in command for command in bundle.commands)


def test_the_command_writes_a_folder_and_says_what_to_start_where(sft_dataset, base, home, capsys):
    flags = ["--recipe", "sft-cuda", "--dataset", sft_dataset.name, "--base", base.name, "--tag", "multi-node"]
    for field, value in TWO_MACHINES["hardware.distributed"].items():
        flags += ["--set", f"hardware.distributed.{field}={json.dumps(value)}"]
    output = home / "bundles" / "far"
    call_command("launch_bundle", *flags, "--output", str(output), "--with-models")
    said = capsys.readouterr().out
    assert "On machine 2: sh machine-1.sh" in said
    spec = read_spec(output / "spec.json")
    assert spec.name == "far" and (output / spec.model.path / "model.safetensors").is_file()
    assert (output / "data/train.jsonl").read_bytes() == Path(sft_dataset.folder, "train.jsonl").read_bytes()
    assert (output / "code/training/execute.py").is_file()
    assert AuditEntry.objects.filter(action="training.bundle_written").count() == 1
    with pytest.raises(CommandError, match="not an empty folder"):
        call_command("launch_bundle", *flags, "--output", str(output))


@pytest.fixture
def admin_secret(django_user_model) -> str:
    """What an admin's program signs in with."""
    admin = django_user_model.objects.create_user("api", password="x", role="admin")
    return token_create(user=admin, name="t", actor=admin)[1]


def test_the_api_and_the_page_hand_out_the_same_file(sft_dataset, base, signed_in, admin_secret):
    client = signed_in("admin")
    body = {"name": "near", "recipe": "sft-cpu", "dataset": sft_dataset.name, "base": base.name}
    told = client.post(
        "/api/runs/bundle", json.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {admin_secret}"}
    )
    assert told.status_code == 200, told.content
    sent = {"recipe": "sft-cpu", "recipe_was": "sft-cpu", "name": "near", "dataset": sft_dataset.pk, "form_of": "sft"}
    text = recipe_draft("sft-cpu").text
    sent |= {"text": f'{text}\nmodel = {{ path = "artifact:{base.name}" }}' if "[model]" not in text else text, "before": text}
    sent |= {"model.pick": base.name}
    page = client.post(reverse("training:run-bundle"), sent)
    assert page.status_code == 200, page.content.decode()[:2000]
    assert "near.zip" in page["Content-Disposition"]
    names = []
    for answer in (told, page):
        with ZipFile(BytesIO(b"".join(answer.streaming_content))) as archive:
            assert archive.testzip() is None
            assert not any(name.startswith("models/") for name in archive.namelist()), "models are large"
            names.append(set(archive.namelist()))
            spec = json.loads(archive.read("spec.json"))
            assert spec["name"] == "near" and spec["model"]["path"] == "models/0-small"
    assert names[0] == names[1] >= {"machine-0.sh", "task.yaml", "bundle.json", "data/train.jsonl"}


def test_over_http_no_file_of_the_machine_is_read_by_its_path(sft_dataset, home, admin_secret, client):
    secret = home / "secret.txt"
    secret.write_text("known to this machine alone")
    overrides = {"model.scratch.tokenizer_texts": str(secret)}
    body = {"name": "near", "recipe": "atlas-teach", "dataset": sft_dataset.name, "overrides": overrides}
    told = client.post(
        "/api/runs/bundle", json.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {admin_secret}"}
    )
    assert told.status_code == 200, told.content
    with ZipFile(BytesIO(b"".join(told.streaming_content))) as archive:
        assert not any(b"known to this machine alone" in archive.read(name) for name in archive.namelist())
        notes = json.loads(archive.read("bundle.json"))["notes"]
    assert any(str(secret) in note and "files/0-secret.txt" in note for note in notes), "it is said where it belongs"


def test_a_faulty_page_is_shown_again_and_a_faulty_request_refused(sft_dataset, signed_in):
    client = signed_in("admin")
    page = client.post(reverse("training:run-bundle"), {"recipe": "sft-cpu", "name": "Bad Name", "dataset": sft_dataset.pk})
    assert page.status_code == 422 and b"<form" in page.content


@pytest.mark.parametrize("role", ["annotator", "member"])
def test_a_bundle_is_for_admins(signed_in, role):
    assert signed_in(role).post(reverse("training:run-bundle"), {}).status_code == 403
