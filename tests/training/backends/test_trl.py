"""How TRL runs are started here, and what of them is carried elsewhere."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from annotations.stances import PHRASES_PATHS
from tests.training.atlas_runs import read_rows, write_rows
from tests.training.backends.specs import shared_out, spec_in
from tests.training.model_folders import model_folder_at
from tests.training.trainers.tiny import ANSWERS, PAIRS
from training.backends import trl
from training.backends.carrying import carried, code_files
from training.loading import model_for
from training.specs import read_spec

ROOT = Path(__file__).resolve().parents[3]
# Where the site is installed as a link to its checkout, what a bundle lacks would be found there.
WITHOUT_THE_SITE = """
import sys
sys.meta_path = [one for one in sys.meta_path if not getattr(one, "__module__", "").startswith("__editable__")]
"""
FEW = {"max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "max_length": 64}


def test_one_process_is_the_child_itself_and_several_are_accelerates(tmp_path: Path) -> None:
    assert trl.start(spec_in(tmp_path), tmp_path).argv == [sys.executable, "-m", "training.execute", str(tmp_path)]
    started = trl.start(spec_in(tmp_path, hardware={"distributed": {"processes": 2}}), tmp_path)
    assert started.argv[1:3] == ["-m", "training.launcher"] and started.argv[-3:] == ["-m", "training.execute", str(tmp_path)]
    assert json.loads((tmp_path / "accelerate.json").read_text())["num_processes"] == 2
    trl.start(shared_out(tmp_path, strategy="deepspeed"), tmp_path)
    assert json.loads((tmp_path / "deepspeed.json").read_text())["zero_optimization"]["stage"] == 2


def test_each_machine_has_a_command(tmp_path: Path) -> None:
    assert trl.bundle(spec_in(tmp_path)).commands == [["python", "-m", "training.execute", "."]]
    made = trl.bundle(shared_out(tmp_path, machines=3, main_address="10.0.0.1", strategy="fsdp"))
    assert [command[command.index("--machine_rank") + 1] for command in made.commands] == ["0", "1", "2"]
    assert made.main_address == "10.0.0.1" and all(made.main_address in command for command in made.commands)
    assert any("29500" in note for note in made.notes)


def test_what_a_run_needs_is_pinned(tmp_path: Path) -> None:
    needs = trl.bundle(shared_out(tmp_path, strategy="deepspeed")).needs
    assert {"torch==2.13.0", "trl==1.16.0", "deepspeed==0.19.8"} <= set(needs), "of torch the build is for pip to find"
    lora = {"lora": {"quantize": "nf4"}}
    assert any(one.startswith("bitsandbytes==") for one in trl.bundle(spec_in(tmp_path, settings=lora)).needs)


def test_every_path_of_a_specification_goes_along(tmp_path: Path) -> None:
    judge, base = model_folder_at(tmp_path / "judge"), model_folder_at(tmp_path / "runs/base/model")
    adapter = tmp_path / "runs/tuned/adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base), "r": 4}))
    earlier = write_rows(tmp_path / "earlier/train.jsonl", ANSWERS)
    spec = spec_in(
        tmp_path,
        method="grpo",
        model={"path": str(tmp_path / "runs/tuned")},
        reward={"parts": [{"kind": "reward_model", "path": str(judge)}, {"kind": "rubric"}]},
        settings={"ewc": {"rows": str(earlier.parent)}, "num_generations": 4},
    )
    found = carried(spec)
    values = found.values
    assert values["data"]["train"] == "data/train.jsonl" and found.files["data/train.jsonl"] == tmp_path / "train.jsonl"
    assert found.named[values["settings"]["ewc"]["rows"]] == earlier
    assert found.models[values["model"]["path"]] == adapter.resolve()
    assert found.models[values["reward"]["parts"][0]["path"]] == judge.resolve()
    config = json.loads(found.files[f"{values['model']['path']}/adapter_config.json"])
    assert found.models[config["base_model_name_or_path"]] == base.resolve() and config["r"] == 4
    assert str(tmp_path) not in json.dumps(values), "no path of this machine is left"


def imported_by(path: Path) -> set[Path]:
    """The site's own files that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    places = {ROOT / name.replace(".", "/") for name in names}
    found = {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return {one for file in found for one in (file, *(folder / "__init__.py" for folder in file.parents)) if one.is_file()}


def test_all_that_a_run_imports_of_this_site_goes_along() -> None:
    """Also what is imported late. Trainers and rewards are named by text, so each of them counts."""
    starts = [ROOT / "training" / name for name in ("execute.py", "backends/swift/plugin.py")]
    waiting = {*starts, *(ROOT / "training/trainers").rglob("*.py"), *(ROOT / "training/rewards").rglob("*.py")}
    needed: set[Path] = set()
    while waiting:
        path = waiting.pop()
        needed.add(path)
        waiting |= imported_by(path) - needed
    lacking = {path.relative_to(ROOT).as_posix() for path in needed} - {name.removeprefix("code/") for name in code_files()}
    assert not lacking


def test_a_bundle_carries_the_phrases_that_verdicts_come_from() -> None:
    places = code_files()
    assert {f"code/{path.relative_to(ROOT).as_posix()}" for path in PHRASES_PATHS} <= set(places)


@pytest.mark.full
def test_a_bundle_is_carried_out_where_only_its_packages_are(tmp_path: Path) -> None:
    """Its own code, its own rows, a model that is copied along, and nothing of this site."""
    model = tmp_path / "tiny"
    loaded = model_for(spec_in(tmp_path / "texts"), ANSWERS)
    loaded.model.save_pretrained(model)
    loaded.tokenizer.save_pretrained(model)
    spec = spec_in(tmp_path / "site", method="dpo", rows=PAIRS, model={"path": str(model)}, settings=FEW)
    elsewhere = tmp_path / "else where"
    trl.bundle(spec).write(elsewhere, with_models=True)
    (elsewhere / "code/sitecustomize.py").write_text(WITHOUT_THE_SITE)
    (tmp_path / "site").rename(tmp_path / "gone")
    model.rename(tmp_path / "gone-too")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "RLWHF", "PYTHON"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), bare["PATH"]])
    done = subprocess.run(
        ["sh", str(elsewhere / "machine-0.sh")],
        cwd=tmp_path,
        env={**bare, "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((elsewhere / "result.json").read_text())["steps"] == 2
    assert (elsewhere / "model/model.safetensors").is_file()
    assert [row["step"] for row in read_rows(elsewhere / "metrics.jsonl")][:2] == [1, 2]
    assert (elsewhere / "code/training/__pycache__").is_dir(), "it ran its own code"
    assert read_spec(elsewhere / "spec.json").data.train == Path("data/train.jsonl")
