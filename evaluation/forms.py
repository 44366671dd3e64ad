"""The form that starts an evaluation: whom to ask what, and a field for each of the settings that there are."""

from typing import Any

from annotated_types import Ge, Le
from django import forms
from pydantic.fields import FieldInfo

from accounts.models import Endpoint
from accounts.selectors import endpoint_list
from accounts.setting_kinds import kind_of
from annotations.models import Project
from evaluation.atlas_judge import JudgeSettings
from evaluation.loop import DemoLoopSettings
from evaluation.models import Benchmark
from evaluation.scorecards.to_items import WHICH
from evaluation.specs import CHOICES, EvaluateSettings
from jobs.hardware import COMPUTE_TAGS
from training.models import Artifact
from training.specs import HardwareSpec

FIRST = ("artifact", "endpoint", "benchmark", "base", "hardware_tag", "max_new_tokens")
EMPTY = {"harness": "this site", "task_limit": "all"}
"""What it says to choose nothing, where a setting may be left out."""


def setting_field(name: str, setting: FieldInfo) -> forms.Field:
    """A field for one setting; what is left open takes the default."""
    kind = kind_of(setting.annotation)
    default = setting.get_default(call_default_factory=True)
    common: dict[str, Any] = {"label": setting.title, "help_text": setting.description or "", "required": False}
    if kind.type is bool:
        return forms.BooleanField(**common)
    common["initial"] = default
    names = CHOICES.get("confidence" if name == "elicit" else name, {})
    choices = [(value, names.get(value, value)) for value in kind.choices]
    if kind.is_list and choices:
        return forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, **common)
    if choices:
        return forms.ChoiceField(choices=[("", EMPTY[name]), *choices] if kind.is_optional else choices, **common)
    if kind.type is None or kind.type is str:
        return WordsField(**common | {"initial": " ".join(default)})
    bounds = {"min_value": _bound(setting, Ge, "ge"), "max_value": _bound(setting, Le, "le")}
    return (forms.IntegerField if kind.type is int else forms.FloatField)(**bounds, **common)


def _bound(setting: FieldInfo, kind: type, name: str) -> Any:
    return next((getattr(one, name) for one in setting.metadata if isinstance(one, kind)), None)


class WordsField(forms.CharField):
    """Several words, with spaces or commas between them."""

    def clean(self, value: Any) -> list[str]:
        return str(super().clean(value)).replace(",", " ").split()


class EvaluationForm(forms.Form):
    artifact = forms.ModelChoiceField(
        Artifact.objects.none(), label="Model", required=False, to_field_name="name", empty_label="an endpoint's"
    )
    endpoint = forms.ModelChoiceField(
        Endpoint.objects.none(),
        label="Or an endpoint",
        required=False,
        to_field_name="name",
        empty_label="none",
        help_text="A service that runs the model. It is called by the site's own worker and needs no hardware here.",
    )
    benchmark = forms.ModelChoiceField(Benchmark.objects.all(), label="Benchmark")
    base = forms.ModelChoiceField(
        Artifact.objects.none(),
        label="Compare with",
        required=False,
        to_field_name="name",
        empty_label="the model it was trained from",
        help_text="The baseline. It answers the same questions, once: its answers are kept.",
    )
    hardware_tag = forms.ChoiceField(
        label="Hardware", required=False, choices=[(tag, tag) for tag in COMPUTE_TAGS], initial="cpu"
    )
    precision = forms.ChoiceField(
        label="Precision",
        required=False,
        choices=[("", HardwareSpec.model_fields["precision"].default), ("bfloat16", "bfloat16"), ("float16", "float16")],
        help_text="That a model of this site computes in.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, setting in EvaluateSettings.model_fields.items():
            if name != "hardware":
                self.fields[name] = setting_field(name, setting)
        self.fields["precision"] = self.fields.pop("precision")  # with what few need to choose
        for name in ("artifact", "base"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = Artifact.objects.ready().policies()
        endpoint = self.fields["endpoint"]
        assert isinstance(endpoint, forms.ModelChoiceField)
        endpoint.queryset = endpoint_list()

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if not self.errors and bool(self.cleaned_data["artifact"]) == bool(self.cleaned_data["endpoint"]):
            self.add_error("artifact", "Choose one to ask: a model, or an endpoint.")
        return data

    def wanted(self) -> dict[str, Any]:
        """What the service that queues it takes; what is left open takes the default."""
        values = dict(self.cleaned_data)
        asked = {name: values.pop(name) for name in ("artifact", "endpoint", "benchmark", "base")}
        tag, precision = values.pop("hardware_tag") or "cpu", values.pop("precision")
        settings = {name: value for name, value in values.items() if value not in (None, "", [], False)}
        if confidence := settings.get("confidence"):
            settings["elicit"] = sorted({*settings.get("elicit", ()), confidence})
        if precision:
            settings["hardware"] = {"precision": precision}
        return {**asked, "hardware_tag": tag, "settings": settings}

    def first_fields(self) -> list[forms.BoundField]:
        """Whom to ask what: all that most evaluations need."""
        return [self[name] for name in self.fields if name in FIRST]

    def more_fields(self) -> list[forms.BoundField]:
        """What can be asked besides."""
        return [self[name] for name in self.fields if name not in FIRST]

    def asks_more(self) -> bool:
        """Whether something besides is chosen, or wrong."""
        return self.is_bound and any(name not in FIRST for name in (*self.changed_data, *self.errors))


class LoopForm(forms.Form):
    method = forms.ChoiceField(
        choices=[("grpo", "GRPO"), ("dpo", "DPO")], initial="grpo", required=False, help_text="How the scores train the model."
    )
    seed = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, initial=0, required=False, help_text="Another seed is another world, with other people."
    )

    def wanted(self) -> DemoLoopSettings:
        """The settings that the filled-in form stands for; what it leaves open takes the default."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return DemoLoopSettings.model_validate(given)


class JudgeForm(forms.Form):
    """Which judge for Atlas is wanted; the settings say what each is."""

    name = forms.SlugField(max_length=80, initial=JudgeSettings.model_fields["name"].default)
    error_rate = forms.FloatField(min_value=0, max_value=1, initial=0.0, label="Labels wrong on purpose", required=False)
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0, required=False)
    hardware_tag = forms.ChoiceField(
        label="Hardware", required=False, choices=[(tag, tag) for tag in COMPUTE_TAGS], initial="cpu"
    )
    max_steps = forms.IntegerField(min_value=1, required=False, label="Steps")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, setting in JudgeSettings.model_fields.items():
            self.fields[name].help_text = setting.description or ""

    def wanted(self) -> JudgeSettings:
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return JudgeSettings.model_validate(given)


class AnswersForm(forms.Form):
    """Which of a scorecard's answers are to be scored, and where."""

    project = forms.ModelChoiceField(Project.objects.none(), to_field_name="slug", empty_label=None)
    which = forms.ChoiceField(choices=list(WHICH.items()), initial="all")
    project.widget.attrs["class"] = which.widget.attrs["class"] = "select--inline"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Project.objects.exclude(mode=Project.Mode.COMPARE)
