"""The launch page as it stands: what its address or its form asks for, and what is wrong with that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import HttpRequest

from annotations.models import DatasetVersion
from training import selectors
from training.alignment import next_name
from training.drafts import ELSEWHERE, Draft, Fault, faults_in, merged, recipe_draft, values_draft, with_profile
from training.exceptions import BadSpec
from training.forms import RunForm, SweepForm
from training.launching import Asked, asked_for, recipe_behind, run_values
from training.machines import place_of
from training.models import Artifact, Run
from training.recipes import recipe_paths
from training.recipes.text import BadText, read
from training.services import RunRefused, run_check, run_spec
from training.setting_fields import found
from training.trainers import METHODS

# What services call by another name than the form.
FIELDS = {"base": "model.pick", "model": "model.pick", "model.path": "model.pick", "hardware_tag": "hardware.profile"}


@dataclass
class State:
    """The page as it stands: what was asked for, and what is wrong with it."""

    form: RunForm
    sweep: SweepForm
    draft: Draft
    recipe: str
    faults: list[Fault] = field(default_factory=list)
    # Whether the fields must be drawn anew because the text, the recipe or the number of fields has changed.
    redraws: bool = False
    # Whether the text must be, because the form has changed it.
    text_moved: bool = False

    @property
    def method(self) -> str | None:
        return self.draft.method

    @property
    def name(self) -> str:
        return str(self.form["name"].value() or "").strip()

    @property
    def dataset(self) -> DatasetVersion | None:
        number = number_in(str(self.form["dataset"].value() or ""))
        return DatasetVersion.objects.ready().filter(pk=number).first() if number is not None else None

    @property
    def is_filled_in(self) -> bool:
        return self.form.is_valid() if self.form.is_bound else bool(self.name and self.dataset)

    @property
    def seed(self) -> int:
        return number_in(str(self.form["seed"].value() or "")) or 0

    @property
    def priority(self) -> int:
        text = str(self.form["priority"].value() or "")
        size = number_in(text.removeprefix("-")) or 0
        return -size if text.startswith("-") else size


def wanted(request: HttpRequest) -> State:
    """The page as its address asks for it."""
    asked = request.GET
    original = Run.objects.select_related("base", "dataset").filter(name=_name(asked.get("from", ""))).first()
    dataset = _dataset(asked.get("dataset", ""))
    initial: dict[str, Any] = {"name": asked.get("name", ""), "seed": 0, "priority": 0}
    if original is not None:
        recipe = recipe_behind(original)
        draft = values_draft(run_values(original), recipe=recipe)
        initial |= {
            "name": next_name(original.name, Artifact.objects.all()),
            "dataset": original.dataset_id,
            "seed": original.spec.get("seed", 0),
        }
    else:
        recipe = asked["recipe"] if asked.get("recipe") in recipe_paths() else _usual_recipe(dataset)
        draft = recipe_draft(recipe)
    initial |= {"dataset": dataset.pk} if dataset else {}
    if (base := _base(asked.get("base", ""))) is not None:
        draft = values_draft({**draft.values, "model": {"path": f"artifact:{base.name}"}}, recipe=recipe)
    form = RunForm(initial=initial | {"recipe": recipe}, method=draft.method)
    return State(form, SweepForm(), draft, recipe)


def _base(asked: str) -> Artifact | None:
    """A model by its name or number."""
    found = Artifact.objects.ready().filter(name=_name(asked)).first()
    number = number_in(asked)
    return found or (Artifact.objects.ready().filter(pk=number).first() if number is not None else None)


def _dataset(asked: str) -> DatasetVersion | None:
    """A dataset version by its name or number."""
    number, ready = number_in(asked), DatasetVersion.objects.ready()
    return ready.filter(pk=number).first() if number is not None else ready.filter(name=_name(asked)).first()


def _usual_recipe(dataset: DatasetVersion | None) -> str:
    """The first that reads such rows, of those that are not for Atlas alone; what answers goes before what rates answers."""
    general = [one for one in selectors.recipe_list() if recipe_paths()[one.name].parent.name != "atlas"]
    fit = [one for one in general if dataset is None or METHODS[one.recipe.method].dataset_kind == dataset.kind]
    return min(fit or general, key=lambda one: METHODS[one.recipe.method].produces != "policy").name


def _name(text: str) -> str:
    """As the database can be asked for it."""
    return text.replace("\x00", "")


def number_in(text: str) -> int | None:
    """A number that the database can be asked for."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def as_posted(posted: Mapping[str, str]) -> State:
    """The page as it was sent: the text and the form brought together."""
    recipe = posted["recipe"] if posted.get("recipe") in recipe_paths() else next(iter(recipe_paths()))
    original = recipe_draft(recipe)
    if posted.get("recipe_was", recipe) != recipe:
        draft, redraws = _with_profile(_carried_over(original, posted), original, "", posted), True
    else:
        before = _readable(posted.get("before", "")) or original.text
        merged_draft = merged(before=before, text=posted.get("text") or before, posted=posted)
        draft = _with_profile(merged_draft, original, preset_in(read(before)), posted)
        redraws = draft is not merged_draft or _redraws(before, draft, posted)
    form = RunForm(posted, method=draft.method)
    text_moved = not _same(draft.text, posted.get("text", ""))
    return State(form, SweepForm(posted), draft, recipe, redraws=redraws, text_moved=text_moved)


def preset_in(values: Mapping[str, Any]) -> str:
    """The profile that is laid over a recipe, if any is."""
    said = found(values, ["hardware", "preset"])
    return said if isinstance(said, str) else ""


def _with_profile(draft: Draft, original: Draft, before: str, posted: Mapping[str, str]) -> Draft:
    """The draft with another profile over it where one was chosen, in the form or in the text."""
    if draft.faults or draft.method is None:
        return draft
    chosen = posted.get("hardware.preset", before)
    name = chosen if chosen != before else preset_in(draft.values)
    if name == before:
        return draft
    try:
        return with_profile(draft, original.values, before=before or None, name=name or None, place=place_of)
    except BadSpec as error:
        return replace(draft, faults=[Fault("hardware.preset", f"{error.reason} {error.hint}".strip())])


def _readable(text: str) -> str:
    """The text that the form's fields agree with, if it is one of this page's."""
    try:
        read(text)
    except BadText:
        return ""
    return text


def _carried_over(original: Draft, posted: Mapping[str, str]) -> Draft:
    """Another recipe, with the model that was already chosen where it has none of its own."""
    pick = posted.get("model.pick", "")
    if "model" in original.values or not pick or pick == ELSEWHERE:
        return original
    return values_draft({**original.values, "model": {"path": f"artifact:{pick}"}}, recipe=posted["recipe"])


def _redraws(before: str, draft: Draft, posted: Mapping[str, str]) -> bool:
    if not draft.is_readable:
        return False
    was_text = _same(posted.get("text", ""), before) is False
    parts = any(name.endswith(".gone") for name in posted) or bool(posted.get("add_reward"))
    return was_text or parts


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def checked(state: State) -> Asked | None:
    """How to ask for the run, where nothing is wrong with the recipe; what is wrong is noted."""
    state.faults += faults_in(state.draft)
    if state.faults:
        return None
    try:
        asked = asked_for(recipe=state.recipe, values=state.draft.values, seed=state.seed)
        if state.is_filled_in and state.dataset is not None:
            run_check(name=state.name, dataset=state.dataset, **asked.arguments())
        elif asked.base is not None or found(state.draft.values, ["model"]):
            run_spec(name="run", **asked.what())
    except RunRefused as refused:
        refuse(state, refused)
        return None
    return asked


def checked_for_elsewhere(state: State) -> Asked | None:
    """How to ask for a run that is carried out elsewhere, which may be one that no worker here could; faults are noted."""
    state.faults += faults_in(state.draft)
    if state.faults:
        return None
    try:
        return asked_for(recipe=state.recipe, values=state.draft.values, seed=state.seed)
    except RunRefused as refused:
        refuse(state, refused)
        return None


def refuse(state: State, refused: RunRefused) -> None:
    """Note a refusal at the field it names."""
    if refused.field in state.form.fields:
        if state.form.is_bound:
            state.form.add_error(refused.field, str(refused))
        return
    state.faults.append(Fault(FIELDS.get(refused.field, refused.field), str(refused)))
