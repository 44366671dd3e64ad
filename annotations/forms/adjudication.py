"""The form of a decision."""

from typing import Any

from django import forms

from annotations.rubric import HIGHEST, LOWEST, Rubric
from annotations.services.adjudication import LONGEST_CRITIQUE, Reason


class DecisionForm(forms.Form):
    submission = forms.UUIDField()
    # The decision that the person saw, if there was one.
    instead_of = forms.IntegerField(required=False)
    overall = forms.IntegerField(required=False, min_value=LOWEST, max_value=HIGHEST)
    cannot_verify = forms.BooleanField(required=False)
    critique = forms.CharField(required=False, strip=True, max_length=LONGEST_CRITIQUE)
    reason = forms.ChoiceField(choices=Reason.choices, error_messages={"required": "Say why people differed."})
    gold = forms.ChoiceField(required=False, choices=[("", "no"), ("gold", "gold"), ("qualification", "qualification")])

    def __init__(self, data: Any, *, rubric: Rubric) -> None:
        super().__init__(data)
        self._names = rubric.dimension_ids
        for name in self._names:
            self.fields[f"dimension_{name}"] = forms.IntegerField(required=False, min_value=LOWEST, max_value=HIGHEST)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("overall") is None and not data.get("cannot_verify"):
            self.add_error("overall", "Choose an overall score, or “cannot verify”.")
        return data

    @property
    def dimensions(self) -> dict[str, int]:
        given = {name: self.cleaned_data.get(f"dimension_{name}") for name in self._names}
        return {name: value for name, value in given.items() if value is not None}
