"""What a run is to do: a recipe, a hardware profile over it, and what was asked for over both."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from training.exceptions import BadSpec
from training.hardware.profiles import batch_kept, batch_of, lay, load_profile, most_rows
from training.machines import place_of
from training.models import Artifact
from training.plain import NOT_PLAIN, is_plain
from training.recipes import load_recipe
from training.services.refusals import RunRefused
from training.specs import ModelSpec, RunSpec, faults_of, unknown_fields


def run_spec(
    *,
    name: str,
    recipe: str,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> RunSpec:
    """The specification that a recipe gives with a hardware profile laid over it, and `overrides` (dotted field names) over both.

    The paths in it stand for files that may not exist yet; `place_spec` fills them in when the run starts.
    Raises RunRefused that names the field at fault.
    """
    try:
        found = load_recipe(recipe)
    except BadSpec as error:
        raise RunRefused("recipe", f"{error.reason} {error.hint}".strip()) from error
    asked = _model_asked(overrides or {})
    if base is not None and asked is not None:
        raise RunRefused("model", f"The run starts from “{base}”, and model names another one: leave one of the two away.")
    try:
        model = ModelSpec(path=base.name) if base is not None else found.model or asked
        values = found.values(name=name, train="train.jsonl", model=model)
    except BadSpec as error:
        raise RunRefused("base", f"{error.reason} {error.hint}".strip()) from error
    values = _laid_over(values, profile, overrides or {})
    try:
        spec = RunSpec.model_validate(values)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "overrides"
        raise RunRefused(field, faults_of(error)) from error
    for field, fault in unknown_fields(spec).items():
        raise RunRefused(field, fault)
    if not is_plain(spec.model_dump(mode="json")):
        raise RunRefused("overrides", f"The run's specification {NOT_PLAIN}.")
    return spec


def _laid_over(values: dict[str, Any], profile: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values, a profile's over them, and what was asked for over both; the effective batch stays the recipe's."""
    before = values
    if profile is not None:
        try:
            found = load_profile(profile)
            values = lay(values, found, place_of(found.tag)).values
        except BadSpec as error:
            raise RunRefused("profile", f"{error.reason} {error.hint}".strip()) from error
    if overrides.get("hardware.preset", profile) != profile:
        raise RunRefused("profile", "hardware.preset notes which profile was laid: name the profile itself (--profile).")
    for dotted, value in overrides.items():
        values = _with_value(values, dotted.split("."), value)
    if profile is None or not any(name.startswith(("settings", "hardware.distributed")) for name in overrides):
        return values
    whole = overrides.get("settings")
    fixed = {name.removeprefix("settings.") for name in overrides} | set(whole if isinstance(whole, Mapping) else ())
    return batch_kept(values, like=batch_of(before), most=most_rows(before, found), fixed=fixed).values


def _model_asked(overrides: Mapping[str, Any]) -> ModelSpec | None:
    """Stands in for the model that a recipe lacks where the overrides bring one; they are laid over it and checked then."""
    return ModelSpec(path="") if any(name.partition(".")[0] == "model" for name in overrides) else None


def _with_value(values: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return {**values, path[0]: value}
    inner = values.get(path[0])
    if isinstance(inner, list):
        return {**values, path[0]: _with_item(inner, path[1:], value, name=path[0])}
    if inner is None:  # a part that the recipe leaves out
        inner = {}
    if not isinstance(inner, Mapping):
        raise RunRefused("overrides", f"“{path[0]}” is a single value and has no “{path[1]}” in it.")
    return {**values, path[0]: _with_value(inner, path[1:], value)}


def _with_item(items: list[Any], path: list[str], value: Any, *, name: str) -> list[Any]:
    """Of a list, items are named by their number, from 0."""
    if not path[0].isdecimal() or int(path[0]) >= len(items):
        raise RunRefused("overrides", f"“{name}” is a list of {len(items)}, and “{path[0]}” is not the number of one of them.")
    at = int(path[0])
    new = _with_value(items[at], path[1:], value) if path[1:] and isinstance(items[at], Mapping) else value
    return [*items[:at], new, *items[at + 1 :]]
