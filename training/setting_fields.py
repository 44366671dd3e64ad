"""What can be set on a form, read off the schemas: a field for each setting, by its dotted name. No Django here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from training.recipes.text import REMOVED, shown
from training.rewards import REWARDS
from training.rewards.base import BY_THE_SITE
from training.specs import HardwareSpec, config_class
from training.trainers import METHODS, resolve
from training.trainers.base_config import BaseConfig

FieldKind = Literal["switch", "number", "choice", "text", "toml"]
ON: Final = "on"
# The shared settings that one looks at first; the others are below, folded away.
FIRST = (
    "learning_rate", "lr_scheduler_type", "warmup_steps", "max_steps", "num_train_epochs", "per_device_train_batch_size",
    "gradient_accumulation_steps", "eval_steps",
)  # fmt: skip

HARDWARE = ("threads", "precision", "must_fit", "fallback", "distributed")


@dataclass(frozen=True)
class SettingField:
    """One setting as a form shows it. `path` is where it stands in a recipe; `part_of` names the optional table it is in."""

    path: tuple[str, ...]
    kind: FieldKind
    default: Any
    about: str = ""
    choices: tuple[str, ...] = ()
    is_optional: bool = False
    is_switch_of_table: bool = False

    @property
    def dotted(self) -> str:
        return ".".join(self.path)

    @property
    def label(self) -> str:
        return self.path[-1]

    def text_of(self, values: Mapping[str, Any]) -> str:
        """What the form shows: what the recipe says, else the default."""
        value = found(values, self.path, self.default)
        if self.is_switch_of_table:
            return ON if isinstance(value, Mapping) else ""
        if self.kind == "switch":
            return ON if value is True else ""
        if value is None:
            return ""
        return value if isinstance(value, str) and self.kind != "toml" and not _needs_quotes(value) else shown(value)

    def value_of(self, text: str) -> Any:
        """What a filled-in field means. What cannot be read stays a text, for the schema to refuse with its name."""
        text = text.strip()
        if self.is_switch_of_table:
            return {} if text == ON else REMOVED
        if self.kind == "switch":
            return text == ON
        if not text:
            return REMOVED
        if self.kind == "choice" or (self.kind == "text" and not text.startswith('"')):
            return text
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
        return text if self.kind == "number" and isinstance(value, bool) else value


def _needs_quotes(text: str) -> bool:
    """Whether something of it would be lost in a line of a form."""
    return text != text.strip() or "\n" in text or text.startswith('"')


@dataclass(frozen=True)
class FieldGroup:
    """Settings that belong together; those that are not `is_open` are folded away."""

    title: str
    fields: tuple[SettingField, ...]
    is_open: bool = False
    about: str = ""


def groups_of(method: str, values: Mapping[str, Any]) -> list[FieldGroup]:
    """All that can be set about a run by this recipe."""
    config = config_class(method)
    tables = [name for name, one in config.model_fields.items() if _inner_model(one.annotation) is not None]
    own = [name for name in config.model_fields if name not in BaseConfig.model_fields and name not in tables]
    shared = [name for name in BaseConfig.model_fields if name not in FIRST and name not in tables]
    groups = [
        FieldGroup("Optimiser and length", _fields(config, FIRST, ("settings",)), is_open=True),
        FieldGroup(METHODS[method].title, _fields(config, own, ("settings",)), is_open=True, about=_about(config)),
        *(_reward_groups(values) if METHODS[method].needs_reward else []),
        *(FieldGroup(_title(name), _fields(config, [name], ("settings",))) for name in tables),
        FieldGroup("Shared by all methods", _fields(config, shared, ("settings",))),
        FieldGroup("Hardware", _fields(HardwareSpec, HARDWARE, ("hardware",))),
    ]
    return [group for group in groups if group.fields]


def _title(name: str) -> str:
    return {"lora": "LoRA", "ewc": "Elastic weight consolidation"}.get(name, name.replace("_", " ").capitalize())


def _about(config: type[BaseModel]) -> str:
    return " ".join((config.__doc__ or "").split("\n\n", maxsplit=1)[0].split())


def _reward_groups(values: Mapping[str, Any]) -> Iterator[FieldGroup]:
    for index, part in enumerate(reward_parts(values)):
        kind = str(part.get("kind"))
        if kind not in REWARDS:
            continue
        settings = resolve(REWARDS[kind].settings)
        fields = settings.model_fields.items()
        names = [name for name, field in fields if name != "kind" and field.json_schema_extra != BY_THE_SITE]
        shown_fields = _fields(settings, names, ("reward", "parts", str(index)))
        yield FieldGroup(f"Reward {index + 1}: {REWARDS[kind].title}", shown_fields, is_open=True, about=_about(settings))


def reward_parts(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A recipe's rewards as a list, also where it names only a shape."""
    reward = values.get("reward")
    reward = dict(reward) if isinstance(reward, Mapping) else {}
    parts = reward.get("parts", [{"kind": "rubric", "shape": reward.get("shape", "honesty")}])
    return [dict(part) for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []


def _fields(schema: type[BaseModel], names: Sequence[str], at: tuple[str, ...]) -> tuple[SettingField, ...]:
    return tuple(one for name in names for one in _of(schema.model_fields[name], (*at, name)))


def _of(field: FieldInfo, path: tuple[str, ...]) -> Iterator[SettingField]:
    about = field.description or ""
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    default = default.model_dump() if isinstance(default, BaseModel) else default
    optional = default is None or NoneType in get_args(field.annotation)
    if inner := _inner_model(field.annotation):
        if optional:
            yield SettingField(path, "switch", default, about or _about(inner), is_optional=True, is_switch_of_table=True)
        yield from (one for name, below in inner.model_fields.items() for one in _of(below, (*path, name)))
        return
    kind, choices = _kind(field.annotation)
    yield SettingField(path, kind, None if default is PydanticUndefined else default, about, choices, is_optional=optional)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    """The table that a field may hold."""
    for one in _alternatives(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [one for one in get_args(annotation) if one is not NoneType]
    return [annotation]


def _kind(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    kinds = _alternatives(annotation)
    if len(kinds) == 1:
        only = kinds[0]
        if get_origin(only) is Literal and all(isinstance(one, str) for one in get_args(only)):
            return "choice", get_args(only)
        if only in (int, float):
            return "number", ()
        if only is bool:
            return "switch", ()
        if only is str or getattr(only, "__name__", "") == "Path":
            return "text", ()
    return ("number", ()) if set(kinds) <= {int, float} else ("toml", ())


def found(values: Any, path: Sequence[str], otherwise: Any = None) -> Any:
    """The value at a path; numbers lead into lists."""
    for part in path:
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        elif isinstance(values, list) and part.isdecimal() and int(part) < len(values):
            values = values[int(part)]
        else:
            return otherwise
    return values


def placed(values: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """The values with that of one path set, or taken out (REMOVED)."""
    result: dict[str, Any] = dict(values)
    name, *below = path
    if below and isinstance(result.get(name), list) and below[0].isdecimal():
        items = list(result[name])
        index = int(below[0])
        if index < len(items):
            items[index] = placed(items[index], below[1:], value) if below[1:] else value
        return {**result, name: items}
    if below:
        inner = result.get(name)
        if value is REMOVED and not isinstance(inner, Mapping):
            return result
        result[name] = placed(inner if isinstance(inner, Mapping) else {}, below, value)
    elif value is REMOVED:
        result.pop(name, None)
    else:
        result[name] = value
    return result
