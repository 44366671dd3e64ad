"""The rubric editor's forms: one for the head, a row for each step of the scale, dimension, example and verdict."""

from typing import Any

from django import forms
from django.forms.utils import ErrorDict
from django.http import QueryDict
from django.utils.text import slugify

from annotations.rubric import HIGHEST, LOWEST, SCORES, Rubric
from annotations.services.rubrics import RubricProblem
from annotations.verdicts import Verdict

CHOICES = [(score, f"{score:+d}".replace("-", "−") if score else "0") for score in SCORES]
VERDICTS = [verdict for verdict in Verdict if verdict is not Verdict.UNPARSABLE]
MOST_ROWS = 60
ADDABLE = ("dimensions", "examples")


class HeadForm(forms.Form):
    title = forms.CharField(max_length=120)
    summary = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), help_text="The one question that a score answers.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for verdict in VERDICTS:
            self.fields[f"verdict_{verdict.value}"] = forms.TypedChoiceField(
                choices=CHOICES, coerce=int, label=verdict.value.replace("_", " ").capitalize()
            )


class StepForm(forms.Form):
    score = forms.IntegerField(widget=forms.HiddenInput, min_value=LOWEST, max_value=HIGHEST)
    label = forms.CharField(max_length=80)
    scenario = forms.CharField(max_length=400, widget=forms.Textarea(attrs={"rows": 2}))


class DimensionForm(forms.Form):
    id = forms.CharField(max_length=60, required=False, label="Name in data")
    label = forms.CharField(max_length=80)
    question = forms.CharField(max_length=300)


class ExampleForm(forms.Form):
    prompt = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    answer = forms.CharField(max_length=4000, widget=forms.Textarea(attrs={"rows": 2}))
    score = forms.TypedChoiceField(choices=CHOICES, coerce=int)
    why = forms.CharField(max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))


def _rows(form: type[forms.Form], **options: Any) -> Any:
    return forms.formset_factory(form, extra=0, max_num=MOST_ROWS, absolute_max=MOST_ROWS, **options)


class RowSet(forms.BaseFormSet):  # type: ignore[type-arg]
    """Rows that can be put in another order and removed."""

    def add_fields(self, form: forms.Form, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["ORDER"].label = "Place"
        form.fields["DELETE"].label = "Remove"


StepRows = _rows(StepForm)
DimensionRows = _rows(DimensionForm, formset=RowSet, can_delete=True, can_order=True)
ExampleRows = _rows(ExampleForm, formset=RowSet, can_delete=True, can_order=True)


class RubricForms:
    """All the forms of the page, filled from a rubric or from what was sent."""

    def __init__(self, *, rubric: Rubric, data: QueryDict | None = None) -> None:
        dump = rubric.model_dump(mode="json")
        verdicts = {f"verdict_{name}": score for name, score in dump["verdicts"].items()}
        data = _with_row(data) if data is not None else None
        self.name = rubric.name
        self.head = HeadForm(data, initial={"title": rubric.title, "summary": rubric.summary, **verdicts})
        self.scale = StepRows(data, prefix="scale", initial=dump["scale"])
        self.dimensions = DimensionRows(data, prefix="dimensions", initial=dump["dimensions"])
        self.examples = ExampleRows(data, prefix="examples", initial=dump["examples"])
        # What is wrong with the whole, beside no field.
        self.problems: list[str] = []

    def unjudged(self) -> None:
        """Show what was sent without saying what is wrong with it: somebody is not done yet."""
        for form in (self.head, *self.scale, *self.dimensions, *self.examples):
            form._errors = ErrorDict()

    def is_valid(self) -> bool:
        return all([one.is_valid() for one in (self.head, self.scale, self.dimensions, self.examples)])  # noqa: C419 - all are checked

    def rubric_data(self) -> dict[str, Any]:
        """What was sent, as a rubric is written; without its version."""
        head = self.head.cleaned_data
        return {
            "name": self.name,
            "title": head["title"],
            "summary": head["summary"],
            "scale": [form.cleaned_data for form in self.scale],
            "dimensions": [_dimension(form.cleaned_data) for form in _kept(self.dimensions)],
            "examples": [_example(form.cleaned_data) for form in _kept(self.examples)],
            "verdicts": {verdict.value: head[f"verdict_{verdict.value}"] for verdict in VERDICTS},
        }

    def refuse(self, problems: list[RubricProblem]) -> None:
        """Put what is wrong beside its field."""
        for problem in problems:
            form, field = self._place(problem.place)
            if form is None:
                self.problems.append(str(problem))
            else:
                form.add_error(field if field in form.fields else None, problem.reason)

    def _place(self, place: tuple[str | int, ...]) -> tuple[forms.Form | None, str | None]:
        first, rest = (place[0] if place else ""), place[1:]
        rows = {"scale": list(self.scale), "dimensions": _kept(self.dimensions), "examples": _kept(self.examples)}
        if first in rows and rest and isinstance(rest[0], int) and rest[0] < len(rows[str(first)]):
            return rows[str(first)][rest[0]], str(rest[1]) if len(rest) > 1 else None
        if first == "verdicts" and rest:
            return self.head, f"verdict_{rest[0]}"
        return (self.head, str(first)) if first in self.head.fields else (None, None)


def _with_row(data: QueryDict) -> QueryDict:
    """Where a button asked for another row: what was sent, and an empty one at the end."""
    wanted = data.get("add", "")
    if wanted not in ADDABLE:
        return data
    more = data.copy()
    number = more.get(f"{wanted}-TOTAL_FORMS", "0")
    count = min(int(number) if number.isdecimal() and len(number) < 4 else 0, MOST_ROWS - 1)
    more[f"{wanted}-TOTAL_FORMS"] = str(count + 1)
    more[f"{wanted}-{count}-ORDER"] = str(count + 1)
    return more


def _kept(rows: Any) -> list[forms.Form]:
    """Rows that are not ticked for removal, in the order that their numbers ask for."""
    standing = [(place, form) for place, form in enumerate(rows, 1) if form.has_changed() or form.initial]
    wanted = [(_rank(place, form), form) for place, form in standing if not form.cleaned_data.get("DELETE")]
    return [form for _, form in sorted(wanted, key=lambda one: one[0])]


def _rank(place: int, form: forms.Form) -> tuple[int, int, int]:
    """Where a row goes. Of two rows with one number, the one that was moved up goes before the one that stands there, and the
    one that was moved down after it.
    """
    number = form.cleaned_data.get("ORDER") or place
    return number, (number > place) - (number < place), place


def _dimension(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": data["id"] or slugify(data["label"]).replace("-", "_"),
        "label": data["label"],
        "question": data["question"],
    }


def _example(data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("prompt", "answer", "score", "why")}
