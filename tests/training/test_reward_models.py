"""Reward models and ensembles as runs, and as judges afterwards. Tiny models, real training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.atlas_runs import ROOT, child, read_rows, write_rows
from training.exceptions import BadModel
from training.members import member_folders
from training.model_files import check_model_folder
from training.specs import RunSpec, write_spec

TINY = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
SETTINGS = {"max_steps": 12, "per_device_train_batch_size": 8, "learning_rate": 3e-3, "logging_steps": 4, "max_length": 48}
PAIRS = [{"prompt": f"What is {n} and {n}?", "chosen": f"It is {2 * n}.", "rejected": f"No idea {n}."} for n in range(40)]


def run(folder: Path, *, rows: list[dict[str, Any]] = PAIRS, seed: int = 0, model: Any = None, **settings: Any) -> Path:
    folder.mkdir(parents=True)
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "eval.jsonl", PAIRS[::5])
    values = {
        "name": folder.name,
        "method": "rm",
        "model": model or {"scratch": TINY},
        "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
        "settings": SETTINGS | settings,
        "hardware": {"threads": 1},
        "seed": seed,
    }
    write_spec(RunSpec.model_validate(values), folder)
    return folder


def carried_out(folder: Path) -> dict[str, Any]:
    done = child("training.execute", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def losses(folder: Path, name: str = "loss") -> list[tuple[int, float]]:
    return [(row["step"], row[name]) for row in read_rows(folder / "metrics.jsonl") if name in row]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run(tmp_path_factory.mktemp("rm") / "ensemble", members=3, seed=5)
    carried_out(folder)
    return folder


@pytest.mark.full
def test_each_member_is_an_ordinary_run_with_a_seed_of_its_own(ensemble: Path, tmp_path: Path) -> None:
    specs = [json.loads((member / "spec.json").read_text()) for member in member_folders(ensemble)]
    assert [(spec["seed"], spec["settings"]["members"]) for spec in specs] == [(5, 1), (6, 1), (7, 1)]
    alone = run(tmp_path / "alone", seed=6)
    carried_out(alone)
    assert losses(alone) == losses(ensemble / "members" / "1")
    assert losses(alone) == losses(ensemble, "member_1/loss")
    assert json.loads((ensemble / "progress.json").read_text())["note"] == "comparing the members"


@pytest.mark.full
def test_the_figures_of_the_ensemble_are_those_of_its_members_scores(ensemble: Path) -> None:
    from training.pair_figures import ensemble_figures
    from training.reward_models import load_scorer

    result = json.loads((ensemble / "result.json").read_text())
    assert (result["members"], result["produces"], result["steps"]) == (3, "reward_model", 36)
    rows = read_rows(ensemble / "eval.jsonl")
    scorer = load_scorer(str(ensemble))
    assert len(scorer) == 3
    prompts = [row["prompt"] for row in rows]
    chosen, rejected = (scorer.score(prompts, [row[side] for row in rows]) for side in ("chosen", "rejected"))
    expected = ensemble_figures(chosen.members, rejected.members)
    assert {name: result["metrics"][name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert result["metrics"]["heldout_accuracy"] > 0.9
    np.testing.assert_allclose(chosen.mean, chosen.members.mean(axis=0))
    assert (chosen.std > 0).all()


def test_a_member_scores_as_its_trainer_did_and_from_its_own_centre(ensemble: Path) -> None:
    from training.reward_models import load_scorer

    folder = member_folders(ensemble)[0]
    rows = read_rows(ensemble / "train.jsonl")
    scorer = load_scorer(str(folder))
    scores = {side: scorer.score([r["prompt"] for r in rows], [r[side] for r in rows]) for side in ("chosen", "rejected")}
    assert (scores["chosen"].mean.mean() + scores["rejected"].mean.mean()) / 2 == pytest.approx(0, abs=1e-5)
    assert (scores["chosen"].std == 0).all()
    held_out = [scorer.score([r["prompt"] for r in rows[::5]], [r[s] for r in rows[::5]]).mean for s in ("chosen", "rejected")]
    margin = json.loads((folder / "result.json").read_text())["metrics"]["heldout_margin"]
    assert float((held_out[0] - held_out[1]).mean()) == pytest.approx(margin, abs=1e-5)


def test_text_and_a_single_message_are_scored_alike_and_order_and_company_do_not_matter(ensemble: Path) -> None:
    from training.reward_models import load_scorer

    scorer = load_scorer(str(ensemble / "members" / "0"))
    prompts = [row["prompt"] for row in PAIRS]
    answers = [row["chosen"] for row in PAIRS]
    scores = scorer.score(prompts, answers).mean
    turned = scorer.score(prompts[::-1], [f" {answer}\n" for answer in answers[::-1]]).mean[::-1]
    np.testing.assert_allclose(turned, scores, atol=1e-5)
    messages = [[{"role": "user", "content": prompt}] for prompt in prompts[:3]]
    said = [[{"role": "assistant", "content": answer}] for answer in answers[:3]]
    np.testing.assert_allclose(scorer.score(messages, said).mean, scores[:3], atol=1e-5)


@pytest.mark.full
def test_stopped_in_a_later_member_it_goes_on_there_and_ends_as_if_undisturbed(ensemble: Path, tmp_path: Path) -> None:
    undisturbed = run(tmp_path / "whole", members=2, max_steps=150, save_steps=1000, logging_steps=1)
    carried_out(undisturbed)
    folder = run(tmp_path / "stopped", members=2, max_steps=150, save_steps=1000, logging_steps=1)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "training.execute", str(folder)], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        second = folder / "members" / "1"
        while time.monotonic() < deadline and not ((second / "metrics.jsonl").exists() and losses(second)):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    assert (folder / "members" / "0" / "result.json").exists()
    assert not (folder / "result.json").exists()
    carried_out(folder)
    for name in ("member_0/loss", "member_1/loss"):
        assert dict(losses(folder, name)) == pytest.approx(dict(losses(undisturbed, name)))
        assert len(losses(folder, name)) == 150


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks transformers by it
def test_an_adapter_keeps_its_head_for_scores(ensemble: Path, tmp_path: Path) -> None:
    from training.reward_models import load_scorer

    base = {"path": str(ensemble / "members" / "0")}
    folder = run(tmp_path / "adapter", model=base, lora={"r": 2, "alpha": 4})
    result = carried_out(folder)
    assert result["kind"] == "adapter"
    rows = read_rows(folder / "eval.jsonl")
    scorer = load_scorer(str(folder))
    scores = [scorer.score([r["prompt"] for r in rows], [r[side] for r in rows]).mean for side in ("chosen", "rejected")]
    assert float((scores[0] - scores[1]).mean()) == pytest.approx(result["metrics"]["heldout_margin"], abs=1e-4)


def test_a_model_of_another_kind_is_no_judge(ensemble: Path, tmp_path: Path) -> None:
    from training.reward_models import load_scorer

    with pytest.raises(BadModel, match="no reward model at"):
        load_scorer(str(tmp_path))
    config = json.loads((ensemble / "members" / "0" / "model" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForCausalLM"]}))
    with pytest.raises(BadModel, match="is a model, but no reward model"):
        load_scorer(str(tmp_path))


def test_an_ensemble_is_no_model_to_start_from_but_its_members_are(ensemble: Path) -> None:
    assert "holds an ensemble: name one of its members" in (check_model_folder(ensemble) or "")
    assert check_model_folder(ensemble / "members" / "0" / "model") is None


@pytest.mark.full
def test_pairs_that_are_alike_once_cut_are_refused_unless_others_are_left(tmp_path: Path) -> None:
    long = [{"prompt": "So " * 200, "chosen": "Yes.", "rejected": "No."}] * 8
    folder = run(tmp_path / "right", rows=long, truncation_side="right")
    assert child("training.execute", folder).returncode == 1
    failure = json.loads((folder / "failure.json").read_text())
    assert failure["kind"] == "bad-spec"
    assert "In none of the 8 rows" in failure["reason"]
    carried_out(run(tmp_path / "left", rows=long, truncation_side="left", max_steps=2))


@pytest.mark.full
def test_pairs_can_be_read_as_they_are_needed(ensemble: Path, tmp_path: Path) -> None:
    base = {"path": str(ensemble / "members" / "0")}
    folder = run(tmp_path / "run", model=base, max_steps=4, margin=1.0)
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | {"data": spec["data"] | {"streaming": True}}))
    assert carried_out(folder)["metrics"]["heldout_accuracy"] > 0.9


@pytest.mark.full
def test_a_margin_asks_for_a_lead_by_the_scores_that_people_gave(tmp_path: Path) -> None:
    """Before the first step the leads are near 0, so that the loss is log(1 + exp(margin)) where there are scores."""
    scored = [row | {"chosen_reward": 2.0, "rejected_reward": -1.0} for row in PAIRS[:20]]
    folder = run(tmp_path / "run", rows=[*scored, *PAIRS[20:]], margin=0.5, max_steps=1, logging_steps=1,
                 learning_rate=1e-9, per_device_train_batch_size=40)  # fmt: skip
    carried_out(folder)
    assert losses(folder)[0][1] == pytest.approx((np.log1p(np.exp(1.5)) + np.log(2)) / 2, abs=0.05)
