"""The forms of builds: from a project's scores, and from a file."""

from typing import Any

from django import forms

from annotations.forms.gate import NEAR
from annotations.models import DatasetVersion, Project
from annotations.services.datasets import NAME
from annotations.sources.formats import FORMATS
from annotations.sources.reading import AUTO


class DatasetForm(forms.Form):
    project = forms.ModelChoiceField(Project.objects.all(), empty_label=None)
    kind = forms.ChoiceField(choices=DatasetVersion.Kind.choices, label="Rows for")
    name = forms.RegexField(NAME, max_length=100, help_text="Small letters, digits and dashes.")
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
    teacher_deltas = forms.FloatField(
        min_value=0,
        max_value=1,
        initial=0,
        required=False,
        label="Make teachers’ scores agree with people’s preferences",
        help_text="0: not at all; 1: wherever people (or an imported file) prefer an answer it leads, by as little as it takes.",
    )
    min_people = forms.IntegerField(min_value=0, initial=0, label="People’s scores needed", help_text="0: any rater’s will do.")
    min_reward = forms.FloatField(min_value=-2, max_value=2, initial=1, label="Least reward (SFT)")
    min_gap = forms.FloatField(min_value=0, max_value=4, initial=1, label="Least gap (pairs)")
    fill = forms.BooleanField(
        required=False,
        initial=True,
        label="Fill up prompts without a pair",
        help_text="With “I do not know.” or the gold answer.",
    )
    min_agreement = forms.FloatField(
        min_value=0.5,
        max_value=1,
        initial=0.5,
        required=False,
        label="Least agreement (pairs from rankings)",
        help_text="Of the people who compared two answers, the share that must prefer the same one; more than half in any case.",
    )
    good_from = forms.FloatField(min_value=-2, max_value=2, initial=1, required=False, label="Good from a reward of (unpaired)")
    bad_to = forms.FloatField(min_value=-2, max_value=2, initial=-1, required=False, label="Bad up to a reward of (unpaired)")
    temperature = forms.FloatField(
        min_value=0.01, max_value=100, initial=1, required=False, label="Temperature (weighted groups)",
        help_text="The lower, the more a prompt’s best answer counts.",
    )  # fmt: skip
    near_duplicates = forms.ChoiceField(
        choices=[("", "as the project’s gate says"), *NEAR], required=False, label="Nearly the same rows"
    )
    anonymise = forms.BooleanField(
        required=False,
        label="Replace what names people",
        help_text="Addresses, numbers of telephones, cards and accounts.",
    )
    eval_share = forms.FloatField(min_value=0, max_value=0.9, initial=0.1, label="Eval share")
    test_share = forms.FloatField(min_value=0, max_value=0.9, initial=0, label="Test share")
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
            "split": {key: data[key] for key in ("eval_share", "test_share", "seed")},
        }

    def _gate(self) -> dict[str, Any]:
        """What this build asks otherwise than its project."""
        data = self.cleaned_data
        asked = {"force": data["force"]}
        if data["near_duplicates"]:
            asked["near_duplicates"] = data["near_duplicates"]
        return asked | ({"anonymise": True} if data["anonymise"] else {})


class FileDatasetForm(forms.Form):
    file = forms.FileField(help_text="Feedback in any format that is imported here, or training rows as JSON lines.")
    source_format = forms.ChoiceField(label="Format")
    kind = forms.ChoiceField(choices=DatasetVersion.Kind.choices, label="Rows for")
    name = forms.RegexField(NAME, max_length=100, help_text="Small letters, digits and dashes.")
    eval_share = forms.FloatField(min_value=0, max_value=0.9, initial=0.05, label="Eval share")
    test_share = forms.FloatField(min_value=0, max_value=0.9, initial=0.05, label="Test share")
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
        split = {key: data[key] for key in ("eval_share", "test_share", "seed")}
        return {
            "kind": data["kind"], "source_format": data["source_format"], "shuffle": data["shuffle"],
            "build": {"gate": gate, "split": split},
        }  # fmt: skip
