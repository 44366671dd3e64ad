"""The forms of promotion."""

from typing import Any

import orjson
from django import forms

from evaluation.models import Benchmark
from evaluation.promotion.rules import Rules


class RulesForm(forms.Form):
    """A project's rules as JSON, with the benchmark that decides."""

    benchmark = forms.ModelChoiceField(
        Benchmark.objects.all(), empty_label=None, help_text="Champion and challengers are measured by these questions."
    )
    rules = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "mono"}),
        help_text="What a challenger must show; docs/promotion.md says what each part means.",
    )

    def clean_rules(self) -> dict[str, Any]:
        try:
            found = orjson.loads(self.cleaned_data["rules"])
        except orjson.JSONDecodeError as error:
            raise forms.ValidationError(f"Line {error.lineno}, column {error.colno}: {error.msg}") from error
        if not isinstance(found, dict):
            raise forms.ValidationError("The rules are an object: { … }")
        return found


class ReasonForm(forms.Form):
    """Why somebody decides by hand."""

    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It stands in the history, and in the certificate.",
        error_messages={"required": "Say why."},
    )


def rules_text(rules: Rules) -> str:
    """As they stand in the form."""
    return orjson.dumps(rules.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode()
