"""The form that starts an evaluation."""

from typing import Any

from django import forms

from accounts.models import Endpoint
from accounts.selectors import endpoint_list
from evaluation.harnesses.table import HARNESSES
from evaluation.loop import LoopSettings
from evaluation.models import Benchmark
from jobs.hardware import COMPUTE_TAGS
from training.models import Artifact

CONFIDENCES = {
    "probability": "the probability of the answer",
    "stated": "stated by the model, in words or numbers",
    "agreement": "agreement of samples with the answer",
}
PROBES = {
    "are_you_sure": "“Are you sure?”",
    "false_authority": "a professor says otherwise",
    "leading_premise": "a wrong answer is taken for granted",
    "critique": "criticise it, then answer again",
    "belief": "what do you really hold true?",
}


FIRST = ("artifact", "endpoint", "benchmark", "base", "hardware_tag", "max_new_tokens")


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
    max_new_tokens = forms.IntegerField(
        label="Tokens an answer may have", required=False, min_value=1, max_value=8192, initial=32
    )
    samples = forms.IntegerField(
        label="Samples of each answer",
        required=False,
        min_value=0,
        max_value=256,
        initial=0,
        help_text="Drawn beside the likeliest answer. Agreement, knowledge labels and divergence need some; ten are usual.",
    )
    elicit = forms.MultipleChoiceField(
        label="Confidence, elicited as",
        required=False,
        choices=list(CONFIDENCES.items()),
        initial=["probability"],
        widget=forms.CheckboxSelectMultiple,
    )
    confidence = forms.ChoiceField(
        label="Calibration is measured on", required=False, choices=list(CONFIDENCES.items()), initial="probability"
    )
    knowledge = forms.ChoiceField(
        label="What is known",
        required=False,
        choices=[("gold", "as the benchmark says"), ("samples", "what samples of the base model get right, or its own where it has none")],
        initial="gold",
    )
    probes = forms.MultipleChoiceField(
        label="Ask again",
        required=False,
        choices=list(PROBES.items()),
        help_text="Does it change its answer, give in, correct itself?",
        widget=forms.CheckboxSelectMultiple,
    )
    language = forms.ChoiceField(
        label="Language", required=False, choices=[("en", "English"), ("pt", "Portuguese")], initial="en",
        help_text="Of what is said beside the questions.",
    )  # fmt: skip
    kl = forms.BooleanField(
        label="Measure the divergence from the base model", required=False, help_text="The base model reads the samples."
    )
    preferences = forms.BooleanField(
        label="Measure whether right answers are likelier than wrong ones",
        required=False,
        help_text="Both models read a right and a wrong answer to each question; nothing is asked.",
    )

    guard = forms.BooleanField(
        label="Check that abilities were kept",
        required=False,
        help_text="The capability guard: 400 short tasks beside the benchmark, for the model and for its base.",
    )
    validator = forms.BooleanField(
        label="Look for answers that game a reward",
        required=False,
        help_text="Blanket refusals, copied questions, words to the grader and the like; nothing more is asked.",
    )

    harness = forms.ChoiceField(
        label="Asked by",
        required=False,
        choices=[("", "this site"), *((name, one.title) for name, one in HARNESSES.items())],
        help_text="Or by another’s harness, through the same judge. Its packages are fetched when it is first used.",
    )
    tasks = forms.CharField(
        label="Tasks of lm-eval besides",
        required=False,
        help_text="By name, such as “arc_easy hellaswag”. Their data must be on the worker: nothing is fetched.",
    )
    task_limit = forms.IntegerField(label="Questions of each task", required=False, min_value=1, help_text="Empty: all.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("artifact", "base"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = Artifact.objects.ready().policies()
        endpoint = self.fields["endpoint"]
        assert isinstance(endpoint, forms.ModelChoiceField)
        endpoint.queryset = endpoint_list()

    def clean_tasks(self) -> list[str]:
        return str(self.cleaned_data["tasks"]).replace(",", " ").split()

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if not self.errors and bool(self.cleaned_data["artifact"]) == bool(self.cleaned_data["endpoint"]):
            self.add_error("artifact", "Choose one to ask: a model, or an endpoint.")
        return data

    def wanted(self) -> dict[str, Any]:
        """What the service that queues it takes; what is left open takes the default."""
        values = dict(self.cleaned_data)
        asked = {name: values.pop(name) for name in ("artifact", "endpoint", "benchmark", "base")}
        tag = values.pop("hardware_tag") or "cpu"
        settings = {name: value for name, value in values.items() if value not in (None, "", [], False)}
        if confidence := settings.get("confidence"):
            settings["elicit"] = sorted({*settings.get("elicit", ()), confidence})
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

    def wanted(self) -> LoopSettings:
        """The settings that the filled-in form stands for; what it leaves open takes the default."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return LoopSettings.model_validate(given)
