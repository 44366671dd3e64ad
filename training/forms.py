"""The launch form: a recipe, what it reads, and where it runs."""

import tomllib
from typing import Any

from django import forms

from annotations.models import DatasetVersion
from jobs.hardware import COMPUTE_TAGS
from jobs.selectors import tags_served
from training.models import Artifact
from training.selectors import recipe_list
from training.services import NAME


class RunForm(forms.Form):
    recipe = forms.ChoiceField(help_text="What to do, as a file of settings; docs/train.md lists them.")
    name = forms.RegexField(NAME, help_text="Small letters, digits and dashes. The model will have this name.", max_length=100)
    dataset = forms.ModelChoiceField(DatasetVersion.objects.none(), help_text="A gated dataset version of the recipe's kind.")
    base = forms.ModelChoiceField(
        Artifact.objects.none(), required=False, empty_label="the recipe's own", help_text="The model to start from."
    )
    hardware_tag = forms.ChoiceField(help_text="Which worker takes it.", label="Hardware")
    overrides = forms.CharField(
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 4, "class": "mono", "spellcheck": "false", "placeholder": "settings.max_steps = 60"}
        ),
        help_text="Settings that differ from the recipe, one a line, as TOML.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choice("recipe").choices = [(one.name, one.recipe.title) for one in recipe_list()]
        self._model_choice("dataset").queryset = DatasetVersion.objects.ready().order_by("-id")
        self._model_choice("base").queryset = Artifact.objects.ready()
        served = tags_served()
        self._choice("hardware_tag").choices = [
            (tag, tag if tag in served else f"{tag} (no worker now)")
            for tag in sorted(COMPUTE_TAGS, key=lambda tag: (tag not in served, COMPUTE_TAGS.index(tag)))
        ]

    def _choice(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        return field

    def _model_choice(self, name: str) -> "forms.ModelChoiceField[Any]":
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        return field

    def clean_overrides(self) -> dict[str, Any]:
        try:
            return flat(tomllib.loads(self.cleaned_data["overrides"]))
        except tomllib.TOMLDecodeError as error:
            raise forms.ValidationError(
                f"Not TOML: {error}. Write one setting a line, such as settings.max_steps = 60."
            ) from error


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted names."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result
