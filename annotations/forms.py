"""The forms of the annotation pages."""

from typing import Any

from django import forms

from annotations.models import DatasetVersion, Project
from annotations.rubric import HIGHEST, LOWEST, Rubric, load_rubric, rubric_names
from annotations.services.datasets import NAME


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    rubric = forms.ChoiceField(help_text="Scores name the version they were given under.")

    class Meta:
        model = Project
        fields = ("name", "raters_per_item", "guidelines")
        help_texts = {
            "raters_per_item": "How many people score each item. 0: nobody is asked; gold answers alone score.",
            "guidelines": "Shown beside every item. Markdown.",
        }
        widgets = {"guidelines": forms.Textarea(attrs={"rows": 10})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["rubric"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, f"{load_rubric(name).title} {load_rubric(name).version}") for name in rubric_names()]
        if self.instance.pk:
            version = self.instance.rubric_version
            self.initial["rubric"] = f"{version.name}-{version.version}"


class ImportForm(forms.Form):
    project = forms.ModelChoiceField(Project.objects.all(), empty_label=None)
    file = forms.FileField(
        label="File",
        help_text="RLWHF tuples as JSON lines (.jsonl), one object a line. Wrong lines are refused and listed.",
        widget=forms.FileInput(attrs={"accept": ".jsonl,.json,.ndjson,application/x-ndjson"}),
    )
    rater_name = forms.CharField(
        label="Who gave the scores in it",
        initial="imported",
        max_length=150,
        help_text="Rewards in the file count as this teacher’s.",
    )


class ScoreForm(forms.Form):
    """A submitted score; the rubric says which dimensions there are."""

    submission = forms.UUIDField()
    overall = forms.IntegerField(required=False, min_value=LOWEST, max_value=HIGHEST)
    critique = forms.CharField(required=False, strip=True, max_length=20_000)
    cannot_verify = forms.BooleanField(required=False)
    seconds = forms.FloatField(required=False, min_value=0)

    def __init__(self, data: Any, *, rubric: Rubric) -> None:
        super().__init__(data)
        self._rubric = rubric
        for name in rubric.dimension_ids:
            self.fields[f"dimension_{name}"] = forms.IntegerField(required=False, min_value=LOWEST, max_value=HIGHEST)

    @property
    def dimensions(self) -> dict[str, int]:
        given = {name: self.cleaned_data.get(f"dimension_{name}") for name in self._rubric.dimension_ids}
        return {name: value for name, value in given.items() if value is not None}


class DatasetForm(forms.Form):
    project = forms.ModelChoiceField(Project.objects.all(), empty_label=None)
    kind = forms.ChoiceField(choices=DatasetVersion.Kind.choices, label="Rows for")
    name = forms.RegexField(NAME, max_length=100, help_text="Small letters, digits and dashes.")
    gold = forms.ChoiceField(
        choices=[("wins", "wins over people"), ("weighted", "is averaged in"), ("ignored", "is left out")],
        label="A gold score",
        help_text="Otherwise the median of the people’s scores counts; without people, the teachers’.",
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
            "gate": {"force": data["force"]},
            "split": {key: data[key] for key in ("eval_share", "test_share", "seed")},
        }
