"""What the launch page shows: the fields of a recipe, what a run by it would be, and its rows."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from annotations.models import Teacher
from jobs.hardware import COMPUTE_TAGS
from jobs.selectors import tags_served
from training import selectors
from training.backends import BACKENDS, TITLES
from training.drafts import Fault, implied, model_choice, recipe_draft, spec_of
from training.exceptions import BadSpec
from training.fitting import told
from training.hardware.profiles import Profile, batch_of, differences, lay, load_profile, profiles
from training.launching import ROWS_SHOWN, Asked, in_words, rows_preview
from training.machines import place_of
from training.models import Artifact
from training.recipes.text import REMOVED
from training.rewards import REWARDS
from training.rewards.algebra import WORDS
from training.rewards.shapes import Segment, shape_names
from training.services import RunRefused, run_estimate, run_spec
from training.setting_fields import FieldGroup, SettingField, found, groups_of
from training.templatetags.training import anchor
from training.trainers import METHODS
from training.views.launch_state import State, number_in, preset_in

# Of a reward's settings those with known values: the ids of the lists to choose from.
LISTS = {"shape": "shapes", "path": "reward-models", "teacher": "teachers"}
ROLES = {
    "model": ("Start from", "The model that is trained."),
    "reference": ("Reference", "What the model is held to."),
    "teacher": ("Teacher", "Whom the model learns from."),
}


def context_of(state: State) -> dict[str, Any]:
    values, method = state.draft.values, state.method
    by_field: dict[str, list[Fault]] = {}
    for fault in state.faults:
        by_field.setdefault(fault.field, []).append(fault)
    groups = [_group(group, values, by_field) for group in groups_of(method, values)] if method else []
    shown_fields = {one["name"] for group in groups for one in group["fields"]} | {
        "hardware.profile",
        "hardware.preset",
        "backend",
    }
    return {
        "state": state,
        "form": state.form,
        "sweep_form": state.sweep,
        "draft": state.draft,
        "method": METHODS[method] if method else None,
        "groups": groups,
        "roles": _roles(state, by_field),
        "tags": _tags(str(found(values, ["hardware", "profile"], "cpu"))),
        "profiles": _profiles(preset_in(values)),
        "profile_faults": by_field.get("hardware.preset", []),
        "tag_faults": by_field.get("hardware.profile", []),
        "backends": [(name, TITLES[name], name == found(values, ["backend"], "trl")) for name in BACKENDS],
        "backend_faults": by_field.get("backend", []),
        "formats": [(name, name == found(values, ["prompt_format"], "auto")) for name in ("auto", "chat", "plain")],
        "aggregations": _aggregations(values) if method and METHODS[method].needs_reward else [],
        "reward_kinds": REWARDS.items() if method and METHODS[method].needs_reward else [],
        "shapes": shape_names(),
        "reward_models": Artifact.objects.ready().filter(purpose=Artifact.Purpose.REWARD_MODEL),
        "teachers": Teacher.objects.filter(is_active=True),
        "faults": state.faults,
        "anchors": shown_fields,
        "text_faults": [fault for fault in state.faults if fault.line or fault.field not in shown_fields],
        "form_errors": [(one.label, error) for one in state.form for error in one.errors] if state.form.is_bound else [],
        "summary": _summary(values),
    }


def _group(group: FieldGroup, values: Mapping[str, Any], faults: Mapping[str, list[Fault]]) -> dict[str, Any]:
    fields = [_field(one, values, faults.get(one.dotted, [])) for one in group.fields]
    number = group.fields[0].path[2] if group.fields[0].path[:2] == ("reward", "parts") else ""
    changed = sum(one["is_set"] for one in fields)
    said = faults.get(_table(group, number), [])
    has_faults = bool(said) or any(one["faults"] for one in fields)
    return {
        "title": group.title,
        "about": group.about,
        "fields": fields,
        "set": changed,
        "is_open": group.is_open or has_faults,
        "part": number,
        "faults": said,
    }


def _table(group: FieldGroup, part: str) -> str:
    """Where faults stand that are no single field's: at the reward, or at the method's own settings."""
    if part:
        return f"reward.parts.{part}"
    return "settings" if group.about else ""


def _field(one: SettingField, values: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    text = one.text_of(values)
    return {
        "name": one.dotted,
        "id": f"set-{anchor(one.dotted)}",
        "label": _label(one),
        "kind": one.kind,
        "choices": one.choices,
        "is_optional": one.is_optional,
        "text": text,
        "default": one.text_of({}),
        "about": one.about.replace("`", ""),
        "is_set": found(values, one.path, REMOVED) is not REMOVED,
        "list": LISTS.get(one.path[-1], "") if one.path[0] == "reward" else "",
        "faults": faults,
    }


def _label(one: SettingField) -> str:
    return ".".join(one.path[1:]) if one.path[0] == "settings" else one.path[-1]


def _roles(state: State, faults: Mapping[str, list[Fault]]) -> list[dict[str, Any]]:
    method = METHODS[state.method] if state.method else None
    wanted = ["model"]
    if method and method.has_reference:
        wanted.append("reference")
    if method and method.needs_teacher:
        wanted.append("teacher")
    known = list(Artifact.objects.ready().select_related("base"))
    result = []
    for role in wanted:
        choice = model_choice(role, state.draft.values)
        fits = [one for one in known if role == "model" or one.purpose == Artifact.Purpose.POLICY]
        label, about = ROLES[role]
        said = [*faults.get(role, []), *faults.get(f"{role}.pick", []), *faults.get(f"{role}.path", [])]
        result.append({"choice": choice, "label": label, "about": about, "known": fits, "faults": said})
    return result


def _tags(chosen: str) -> list[dict[str, Any]]:
    served = tags_served()
    ordered = sorted(COMPUTE_TAGS, key=lambda tag: (tag not in served, COMPUTE_TAGS.index(tag)))
    if chosen not in ordered:
        ordered.append(chosen)
    return [{"tag": tag, "served": tag in served, "chosen": tag == chosen} for tag in ordered]


def _profiles(chosen: str) -> list[dict[str, Any]]:
    """The profiles to choose from, in two groups."""
    every = profiles()
    grouped: dict[str, list[Profile]] = {
        "Hardware": [one for one in every if not one.is_preset],
        "By size of model": [one for one in every if one.is_preset],
    }
    return [{"title": title, "profiles": [(one, one.name == chosen) for one in group]} for title, group in grouped.items()]


def _aggregations(values: Mapping[str, Any]) -> list[tuple[str, bool]]:
    chosen = found(values, ["reward", "aggregation"], "sum_then_normalize")
    return [(name, name == chosen) for name in ("sum_then_normalize", "normalize_then_sum")]


def _summary(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the batch settings come to."""
    try:
        spec = spec_of(values)
    except (ValidationError, BadSpec):
        return {}
    steps, epochs = spec.settings.max_steps, spec.settings.num_train_epochs
    batch = batch_of(spec.model_dump(mode="json")).rows
    return {"batch": batch, "steps": steps if steps > 0 else None, "epochs": epochs}


def amounts_to(state: State, asked: Asked | None) -> dict[str, Any]:
    """The panel beside the form: commands, thresholds, the specification, the runs of a sweep."""
    context: dict[str, Any] = {"implied": _implied(state), "laid": _laid(state)}
    if asked is None or state.draft.faults:
        return context
    name, dataset = state.name or "NAME", state.dataset.name if state.dataset else "DATASET"
    named: dict[str, Any] = {"name": name, "dataset": dataset, "priority": state.priority}
    context["command"] = selectors.run_command(**named, **asked.arguments())
    context["api"] = selectors.run_request(**named, **asked.arguments())
    try:
        spec = run_spec(
            name=state.name or "run",
            recipe=asked.recipe,
            base=asked.base,
            overrides={"hardware.profile": asked.hardware_tag} | asked.overrides,
            profile=asked.profile,
        )
        context["spec"] = spec.model_dump_json(indent=2)
        context["memory"] = told(run_estimate(spec=spec, dataset=state.dataset, base=asked.base))
    except RunRefused as refused:
        context["not_yet"] = str(refused)
    if state.sweep.is_valid() and (swept := state.sweep.cleaned_data.get("points")):
        context["points"] = [in_words(point) for point in swept]
    return context


def _laid(state: State) -> dict[str, Any] | None:
    """The profile over the recipe: what it changes, and what there is to know about it."""
    name, recipe = preset_in(state.draft.values) if state.draft.is_readable else "", recipe_draft(state.recipe).values
    try:
        profile = load_profile(name) if name else None
        laid = lay(recipe, profile, place_of(profile.tag)) if profile else None
    except BadSpec:  # said where the fault stands
        return None
    if profile is None or laid is None:
        return None
    changed = [{"field": field, "before": before, "after": after} for field, before, after in differences(recipe, laid.values)]
    return {"profile": profile, "changes": changed, "notes": laid.notes}


def _implied(state: State) -> list[dict[str, Any]]:
    return [
        {"title": one.title, "rows": one.rows, "bars": [threshold_bar(segment) for segment in one.segments]}
        for one in implied(state.draft.values)
    ]


def threshold_bar(segment: Segment) -> dict[str, Any]:
    """A stretch of confidences as `_thresholds.html` draws it."""
    low, high = round(100 * segment.low, 1), round(100 * segment.high, 1)
    if low <= 0:
        where = "at any confidence" if high >= 100 else f"below {high:g} %"
    else:
        where = f"above {low:g} %" if high >= 100 else f"from {low:g} % to {high:g} %"
    return {
        "behaviour": segment.behaviour,
        "words": WORDS[segment.behaviour],
        "range": where,
        "x": f"{100 * segment.low:.2f}",
        "width": f"{100 * (segment.high - segment.low):.2f}",
    }


def rows_of(posted: Mapping[str, str], state: State, asked: Asked | None) -> dict[str, Any]:
    split = "eval" if posted.get("split") == "eval" else "train"
    first = number_in(posted.get("row_number", "")) or 1
    move = posted.get("move", "")
    first = max(1, first + {"on": ROWS_SHOWN, "back": -ROWS_SHOWN}.get(move, 0))
    if move == "cut":
        first = number_in(posted.get("first_cut", "")) or first
    shown = {"split": split, "first": first}
    if state.dataset is None:
        return shown | {"refused": "Choose a dataset first."}
    if asked is None:
        return shown | {"refused": "Something is wrong with the recipe; the panel above says what."}
    try:
        spec = run_spec(name="run", **asked.what())
        return shown | rows_preview(spec=spec, dataset=state.dataset, base=asked.base, split=split, first=first)
    except RunRefused as refused:
        return shown | {"refused": str(refused)}
