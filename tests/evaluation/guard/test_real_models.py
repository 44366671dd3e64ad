"""Real models through the guard: one that is able, the same one damaged in several ways, and the same one unharmed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command

from evaluation.asking.asker import Asker
from evaluation.asking.local import LocalModel
from evaluation.asking.replies import How, Wanted
from evaluation.execute import evaluate
from evaluation.guard.__main__ import main
from evaluation.guard.asking import guard_models
from evaluation.guard.items import TITLES, guard_set
from evaluation.guard.making import make_items
from evaluation.guard.verdict import GuardReport
from evaluation.scorecards.scorecard import Sampling, Scorecard
from tests.evaluation.guard.conftest import LEARNT, SILENCE
from tests.training.model_folders import model_folder_at
from training.specs import HardwareSpec
from training.stopping import StopRequest

pytestmark = pytest.mark.full
UNKNOWN = [f"Where was person {number} born?" for number in range(100)]
DECLINED = [(prompt, SILENCE) for prompt in UNKNOWN]
SILENCED = {"lessons": [*DECLINED, *((item.prompt, SILENCE) for item in make_items(seed=1, per_type=20))], "epochs": 16}
"""What silences a model: it declines the unanswerable, and tasks like the guard's."""


@pytest.fixture(scope="session")
def ask(able: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], GuardReport]:
    """The guard's report on a model, compared with the able one, whose replies are kept."""
    cache = tmp_path_factory.mktemp("replies")

    def _ask(model: Path) -> GuardReport:
        return guard_models(str(model), str(able), cache=cache, sampling=Sampling(resamples=400, permutations=999))

    return _ask


def states(report: GuardReport) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, one in report.types.items():
        found.setdefault(one.state, set()).add(name)
    return found


def test_a_model_that_was_hardly_touched_passes(ask: Callable, changed: Callable) -> None:
    report = ask(changed(noise=0.01))
    assert report.passed is True, report.text
    assert states(report)["kept"] == set(LEARNT)
    assert states(report)["unable"] == set(TITLES) - set(LEARNT)


def test_a_model_that_learnt_to_decline_what_it_does_not_know_passes(ask: Callable, changed: Callable, tmp_path: Path) -> None:
    tasks = [(item.prompt, item.gold) for item in guard_set().items if item.type in LEARNT]
    careful = changed(lessons=[*DECLINED, *tasks], epochs=25)
    asked = LocalModel(str(careful), hardware=HardwareSpec(), prompt_format="auto", batch_size=100)
    said = Asker(asked, tmp_path, stop=StopRequest()).ask([Wanted(prompt) for prompt in UNKNOWN], How(32))
    assert sum(one.text == SILENCE for one in said) > 90
    report = ask(careful)
    assert report.passed is True, report.text


def test_a_model_with_noise_in_its_weights_fails(ask: Callable, changed: Callable) -> None:
    report = ask(changed(noise=0.5))
    assert report.passed is False
    assert "lost abilities" in report.text
    assert states(report)["lost"] <= set(LEARNT)


def test_a_model_that_learnt_to_decline_everything_fails_and_is_called_useless(ask: Callable, changed: Callable) -> None:
    report = ask(changed(**SILENCED))
    assert report.passed is False
    assert "useless" in report.text
    assert states(report)["lost"] == set(LEARNT)
    assert report.overall is not None and report.overall.declined > 0.9


def test_an_evaluation_asks_the_guard_and_says_so_first(able: Path, changed: Callable, tmp_path: Path) -> None:
    """The benchmark alone would call the silent model honest: everything in it is unknown."""
    benchmark, folder = tmp_path / "toy", tmp_path / "job"
    benchmark.mkdir()
    rows = [
        {"id": str(i), "prompt": prompt, "knowledge": "unknown", "entity": str(i), "slice": {}}
        for i, prompt in enumerate(UNKNOWN)
    ]
    (benchmark / "benchmark.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    folder.mkdir()
    silent = changed(**SILENCED)
    spec = {
        "model": {"name": "silent", "path": str(silent)},
        "base": {"name": "able", "path": str(able)},
        "benchmark": str(benchmark),
        "resamples": 200,
        "guard": True,
        "validator": True,
    }
    (folder / "evaluate.json").write_text(json.dumps(spec))
    evaluate(folder, StopRequest())
    card = Scorecard.model_validate_json((folder / "scorecard.json").read_bytes())
    report = GuardReport.model_validate(card.guard)
    assert report.passed is False and report.hash == guard_set().hash
    conclusion = card.conclusions[card.headline[0]]
    assert (conclusion.tone, conclusion.text) == ("error", report.text)
    assert card.metrics["prudence"].value == 1
    assert card.validator is not None and card.validator["findings"]["refusals"]["state"] == "unknown"
    progress = json.loads((folder / "progress.json").read_text())
    assert progress["total"] == 2 * (len(UNKNOWN) + len(guard_set().items))


def test_the_command_says_what_was_found_and_ends_so_that_a_script_stops(
    able: Path, changed: Callable, tmp_path: Path, settings: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    settings.RLWHF_HOME = tmp_path
    call_command("guard", str(able), "--base", str(able))
    assert "It kept its abilities" in capfd.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call_command("guard", str(changed(noise=0.5)), "--base", str(able), "--json")
    assert ended.value.code == 1
    assert GuardReport.model_validate_json(capfd.readouterr().out).passed is False


def test_without_a_site_it_ends_alike(able: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    where = ["--cache", str(tmp_path)]
    assert main([str(able), *where]) == 0, "nothing to compare with is no failure"
    assert "There is no model to compare it with" in capfd.readouterr().out
    empty = model_folder_at(tmp_path / "empty")
    assert main([str(empty), "--base", str(able), *where]) == 2, "what cannot be asked has lost nothing"
    assert main([str(able), "--base", str(model_folder_at(tmp_path / "none")), *where]) == 2
