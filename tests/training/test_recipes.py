"""Every recipe loads, however deep it lies, and starts with the command that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.exceptions import BadSpec
from training.recipes import RECIPES, load_recipe, recipe_paths
from training.specs import ModelSpec

BASE = ModelSpec(path="some/model")


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_makes_a_spec_and_names_its_command(path: Path) -> None:
    recipe = load_recipe(path.stem)
    spec = recipe.spec(name="a-run", train="train.jsonl", model=recipe.model or BASE)
    assert spec.method == recipe.method
    assert path.read_text("utf-8").startswith(f"# rlwhf train --recipe {path.stem} ")


def test_no_two_recipes_have_one_name() -> None:
    assert len(recipe_paths()) == len(list(RECIPES.rglob("*.toml"))) >= 9


def test_a_recipe_without_a_model_asks_for_one() -> None:
    with pytest.raises(BadSpec, match="needs a base model"):
        load_recipe("atlas-grpo").spec(name="a-run", train="train.jsonl")


def test_a_misspelt_setting_is_refused_by_name() -> None:
    with pytest.raises(BadSpec, match="learning_rat"):
        load_recipe("atlas-grpo").spec(name="a-run", train="t.jsonl", model=BASE, settings={"learning_rat": 1})


def test_a_single_setting_can_be_replaced() -> None:
    recipe = load_recipe("atlas-dpo")
    spec = recipe.spec(name="a-run", train="t.jsonl", model=BASE, settings={"max_steps": 3}, seed=7)
    assert (spec.settings.max_steps, spec.seed) == (3, 7)


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadSpec) as caught:
        load_recipe("no-such")
    assert "atlas-grpo" in caught.value.hint
