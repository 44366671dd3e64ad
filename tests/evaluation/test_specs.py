"""Every setting of an evaluation is in the schema, on the page, in the shell and in the docs; nothing else is taken for one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from accounts.chat.service import ChatService
from accounts.setting_kinds import kind_of
from evaluation.forms import EvaluationForm, setting_field
from evaluation.management.commands.evaluate import SETTING, Command
from evaluation.specs import CHOICES, RESERVED, EvaluateSettings, EvaluateSpec, ModelRef, SettingRefused, settings_checked

ROOT = Path(__file__).parents[2]
SETTINGS = EvaluateSettings.model_fields
MODEL, BASE = ModelRef(name="m", path="m"), ModelRef(name="b", path="b")
SERVICE = ModelRef(name="s", endpoint=ChatService(base_url="http://x/v1", model="m"))


def checked(settings: dict[str, Any], model: ModelRef = MODEL, base: ModelRef | None = None) -> EvaluateSpec:
    return settings_checked(settings, model=model, base=base)


def test_every_setting_is_named_on_the_page_in_the_shell_and_in_the_docs() -> None:
    parser = Command().create_parser("rlwhf", "evaluate")
    flags = {action.dest: action for action in parser._actions}
    first_columns = re.findall(r"^\|([^|]*)\|", (ROOT / "docs/evaluate.md").read_text(encoding="utf-8"), re.MULTILINE)
    table = set(re.findall(r"`(\w+)`", "".join(first_columns)))
    form = EvaluationForm.base_fields | {name: setting_field(name, one) for name, one in SETTINGS.items() if name != "hardware"}
    for name, one in SETTINGS.items():
        assert one.title and one.description, name
        assert name in table, f"docs/evaluate.md tells nothing of {name}"
        assert name == "hardware" or (f"{SETTING}{name}" in flags and form[name].label == one.title)
        choices = kind_of(one.annotation).choices
        assert set(CHOICES.get("confidence" if name == "elicit" else name, choices)) == set(choices), name
    assert table <= SETTINGS.keys() | {"elicit", *CHOICES["probes"], *CHOICES["confidence"]}


def test_what_the_page_offers_is_within_the_bounds() -> None:
    samples, known = setting_field("samples", SETTINGS["samples"]), setting_field("known_share", SETTINGS["known_share"])
    assert (samples.min_value, samples.max_value, samples.initial, known.max_value) == (0, 256, 0, 1)
    tasks = setting_field("tasks", SETTINGS["tasks"])
    assert tasks.clean("arc_easy, hellaswag") == ["arc_easy", "hellaswag"] and tasks.clean("") == []


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"sample": 10}, "settings", "did you mean “samples”"),
        ({"gaurd": True}, "settings", "did you mean “guard”"),
        ({"hardware": {"precison": "bfloat16"}}, "hardware.precison", "did you mean “precision”"),
        ({"cache": "/elsewhere"}, "settings", "not a setting"),
        ({"resamples": 10**9}, "resamples", "100000"),
        ({"max_new_tokens": 10**6}, "max_new_tokens", "32768"),
        ({"batch_size": 10**6}, "batch_size", "4096"),
        ({"temperature": float("nan")}, "temperature", "finite"),
        ({"probes": ["flattery"]}, "probes.0", "are_you_sure"),
        ({"confidence": "stated"}, "confidence", "not elicited"),
        ({"kl": True, "samples": 2}, "kl", "base model on disk"),
    ],
)
def test_what_is_no_setting_is_refused_by_name(settings: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(SettingRefused, match=re.escape(words)) as refused:
        checked(settings)
    assert refused.value.field == field


def test_what_a_later_version_wrote_is_read() -> None:
    spec = EvaluateSpec.model_validate({"model": {"name": "m", "path": "m"}, "benchmark": "b", "newer": 1})
    assert spec.model_extra == {"newer": 1}
    assert {"model", "base", "benchmark", "cache", "version"} == RESERVED


def test_divergence_is_from_a_model_on_disk() -> None:
    wanted = {"kl": True, "samples": 2}
    assert checked(wanted, base=BASE).kl
    for model, base in ((MODEL, SERVICE), (SERVICE, BASE)):
        with pytest.raises(SettingRefused) as refused:
            checked(wanted, model, base)
        assert refused.value.field == "kl"


@pytest.mark.parametrize("more", [{}, {"path": "m", "endpoint": {"base_url": "http://x/v1", "model": "m"}}])
def test_a_model_is_in_one_place(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either a path or an endpoint"):
        ModelRef.model_validate({"name": "m", **more})
