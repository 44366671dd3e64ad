"""The forms of builds: from a project's scores, and from a file."""

from typing import Any

from django import forms

from annotations.forms.gate import NEAR
from annotations.models import DatasetVersion, Project
from annotations.services.datasets import NAME
from annotations.sources.formats import FORMATS
from annotations.sources.reading import AUTO


def _between(low: float, high: float, initial: float, label: str, help_text: str = "") -> forms.FloatField:
    """A number that may be left out: the build then goes by its own."""
    return forms.FloatField(
        min_value=low, max_value=high, initial=initial, required=False, label=label, help_text=help_text
    )  # fmt: skip


def _share(initial: float, label: str) -> forms.FloatField:
    return forms.FloatField(min_value=0, max_value=0.9, initial=initial, label=label)


class VersionForm(forms.Form):
    """What every new version is asked, whatever its rows come from."""

    kind = forms.ChoiceField(choices=DatasetVersion.Kind.choices, label="Rows for")
    name = forms.RegexField(NAME, max_length=100, help_text="Small letters, digits and dashes.")

    def split(self) -> dict[str, Any]:
        """As SplitSettings takes it."""
        return {key: self.cleaned_data[key] for key in ("eval_share", "test_share", "seed")}


class DatasetForm(VersionForm):
    field_order = ("project", "kind", "name")

    project = forms.ModelChoiceField(Project.objects.all(), empty_label=None)
    gold = forms.ChoiceField(
        choices=[("wins", "wins over people"), ("weighted", "is averaged in"), ("ignored", "is left out")],
        label="A gold answer’s score",
        help_text="Otherwise people’s scores count; without people, the teachers’. A lead’s decision stands above all.",
    )
    consensus = forms.ChoiceField(
        choices=[("median", "their median"), ("dawid-skene", "Dawid–Skene’s model")],
        required=False,
        label="Of several people’s scores",
        help_text="The model weighs each person by how they score; items with too little to go by get the median.",
    )
    teachers = forms.ChoiceField(
        choices=[
            ("median", "their median"),
            ("weighted", "their mean, by their weights"),
            ("majority", "the score that most of them gave"),
            ("dawid-skene", "Dawid–Skene’s model"),
        ],
        required=False,
        label="Of several teachers’ scores, where no person scored",
        help_text="Weights stand with each teacher. Of a tie, and where the model has too little to go by, the median counts.",
    )
    teacher_deltas = _between(
        0, 1, 0, "Make teachers’ scores agree with people’s preferences",
        "0: not at all; 1: wherever people (or an imported file) prefer an answer it leads, by as little as it takes.",
    )  # fmt: skip
    min_people = forms.IntegerField(min_value=0, initial=0, label="People’s scores needed", help_text="0: any rater’s will do.")
    min_reward = forms.FloatField(min_value=-2, max_value=2, initial=1, label="Least reward (SFT)")
    min_gap = forms.FloatField(min_value=0, max_value=4, initial=1, label="Least gap (pairs)")
    fill = forms.BooleanField(
        required=False,
        initial=True,
        label="Fill up prompts without a pair",
        help_text="With “I do not know.” or the gold answer.",
    )
    min_agreement = _between(
        0.5, 1, 0.5, "Least agreement (pairs from rankings)",
        "Of the people who compared two answers, the share that must prefer the same one; more than half in any case.",
    )  # fmt: skip
    good_from = _between(-2, 2, 1, "Good from a reward of (unpaired)")
    bad_to = _between(-2, 2, -1, "Bad up to a reward of (unpaired)")
    temperature = _between(
        0.01, 100, 1, "Temperature (weighted groups)", "The lower, the more a prompt’s best answer counts."
    )  # fmt: skip
    near_duplicates = forms.ChoiceField(
        choices=[("", "as the project’s gate says"), *NEAR], required=False, label="Nearly the same rows"
    )
    anonymise = forms.BooleanField(
        required=False,
        label="Replace what names people",
        help_text="Addresses, numbers of telephones, cards and accounts.",
    )
    eval_share = _share(0.1, "Eval share")
    test_share = _share(0, "Test share")
    seed = forms.IntegerField(initial=0)
    force = forms.BooleanField(
        required=False, label="Build even if the gate refuses", help_text="The report card will say that it was forced."
    )

    def settings(self) -> dict[str, Any]:
        """The values as BuildSettings takes them."""
        data = self.cleaned_data
        return {
            **{key: data[key] for key in ("gold", "min_people", "min_reward", "min_gap", "fill")},
            **{key: data[key] or "median" for key in ("consensus", "teachers")},
            "teacher_deltas": data["teacher_deltas"] or 0.0,
            "min_agreement": data["min_agreement"] or 0.5,
            **{key: data[key] for key in ("good_from", "bad_to", "temperature") if data[key] is not None},
            "gate": self._gate(),
            "split": self.split(),
        }

    def _gate(self) -> dict[str, Any]:
        """What this build asks otherwise than its project."""
        data = self.cleaned_data
        asked = {"force": data["force"]}
        if data["near_duplicates"]:
            asked["near_duplicates"] = data["near_duplicates"]
        return asked | ({"anonymise": True} if data["anonymise"] else {})


class FileDatasetForm(VersionForm):
    field_order = ("file", "source_format", "kind", "name")

    file = forms.FileField(help_text="Feedback in any format that is imported here, or training rows as JSON lines.")
    source_format = forms.ChoiceField(label="Format")
    eval_share = _share(0.05, "Eval share")
    test_share = _share(0.05, "Test share")
    seed = forms.IntegerField(initial=0)
    shuffle = forms.BooleanField(required=False, label="Rows in an order that the seed draws", help_text="Else as in the file.")
    near_duplicates = forms.ChoiceField(
        choices=[("ignore", "are not looked for"), ("report", "are counted"), ("drop", "are dropped")],
        label="Nearly the same rows",
    )
    anonymise = forms.BooleanField(required=False, label="Replace what names people")
    force = forms.BooleanField(required=False, label="Build even if the gate refuses", help_text="The report card will say so.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["source_format"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(AUTO, "Recognise it"), *((one.name, one.title) for one in FORMATS.values())]

    def settings(self) -> dict[str, Any]:
        """The values as PipelineSettings takes them."""
        data = self.cleaned_data
        gate = {key: data[key] for key in ("near_duplicates", "anonymise", "force")}
        return {
            "kind": data["kind"], "source_format": data["source_format"], "shuffle": data["shuffle"],
            "build": {"gate": gate, "split": self.split()},
        }  # fmt: skip
