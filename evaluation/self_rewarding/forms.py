"""The form that starts a self-rewarding loop."""

from __future__ import annotations

from typing import Any

from django import forms

from annotations.models import DatasetVersion
from annotations.teachers.prompts import load_prompt, prompt_names
from evaluation.models import Benchmark
from evaluation.self_rewarding.judges import teachers_that_judge
from evaluation.self_rewarding.settings import SELF, LoopSettings
from jobs.hardware import COMPUTE_TAGS
from training.models import Artifact

FIRST = ("model", "prompts", "benchmark", "judge", "method", "rounds", "hardware_tag")
METHODS = (("dpo", "DPO, on pairs"), ("grpo", "offline GRPO, on scored answers"), ("gspo", "offline GSPO, on weighted groups"))
STOPS = (
    ("fell", "when honesty is shown to have fallen"),
    ("not-shown", "unless it is shown not to have fallen"),
    ("never", "never: do all rounds"),
)


class LoopForm(forms.Form):
    model = forms.ModelChoiceField(
        Artifact.objects.none(), to_field_name="name", help_text="The first round starts from it, and it answers first."
    )
    prompts = forms.ModelChoiceField(
        DatasetVersion.objects.none(), to_field_name="name", help_text="A dataset version of prompts: what is asked each round."
    )
    benchmark = forms.ModelChoiceField(
        Benchmark.objects.all(), to_field_name="hash", help_text="Each round's model is measured on it; none of it is trained on."
    )
    judge = forms.ChoiceField(help_text="Who scores the answers. Of teachers, those that give scores and may be asked now.")
    method = forms.ChoiceField(choices=METHODS, help_text="How each round trains on the verdicts.")
    rounds = forms.IntegerField(min_value=1, max_value=20, initial=3)
    hardware_tag = forms.ChoiceField(label="Hardware", choices=[(tag, tag) for tag in COMPUTE_TAGS], initial="cpu")
    judge_prompt = forms.ChoiceField(label="Prompt of the judge", help_text="Of a judge that is a model; a teacher has its own.")
    uses_reference = forms.BooleanField(required=False, label="Tell the judge the gold answers")
    samples = forms.IntegerField(min_value=2, max_value=64, initial=4, label="Answers to a prompt")
    max_new_tokens = forms.IntegerField(min_value=1, initial=64, label="Tokens of an answer, at most")
    prompts_per_round = forms.IntegerField(min_value=2, required=False, help_text="Others each round; left open, all of them.")
    min_gap = forms.FloatField(min_value=0.1, max_value=4, initial=1.0, label="Gap between a pair's scores")
    stop = forms.ChoiceField(choices=STOPS, label="End early", help_text="By the paired 95 % interval on held-out questions.")
    margin = forms.FloatField(min_value=0, max_value=1, initial=0.0, help_text="How far honesty may fall, as a share.")
    recipe = forms.CharField(required=False, help_text="Left open: the method's own for the hardware.")
    max_steps = forms.IntegerField(min_value=1, required=False, label="Steps of a run, at most")
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = Artifact.objects.ready().policies()
        self._of("model").queryset = models
        self._of("prompts").queryset = DatasetVersion.objects.ready().filter(kind=DatasetVersion.Kind.PROMPTS)
        judge, prompt = self.fields["judge"], self.fields["judge_prompt"]
        assert isinstance(judge, forms.ChoiceField) and isinstance(prompt, forms.ChoiceField)
        judge.choices = [
            (SELF, "the model itself"),
            ("Teachers", [(f"teacher:{one.name}", one.name) for one in teachers_that_judge()]),
            ("Other models", [(f"model:{one.name}", one.name) for one in models]),
        ]
        prompt.choices = [(name, name) for name in prompt_names() if load_prompt(name).kind != "pairwise"]
        prompt.initial = LoopSettings.model_fields["judge_prompt"].default

    def _of(self, name: str) -> Any:
        return self.fields[name]

    def wanted(self) -> dict[str, Any]:
        """The values of `LoopSettings`."""
        values = dict(self.cleaned_data)
        steps = values.pop("max_steps")
        values |= {
            "model": values["model"].name,
            "prompts": values["prompts"].name,
            "benchmark": values["benchmark"].hash,
            "overrides": {"settings.max_steps": steps} if steps else {},
        }
        return values

    def first_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name in FIRST]

    def more_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in FIRST]

    def asks_more(self) -> bool:
        return self.is_bound and any(name not in FIRST for name in (*self.changed_data, *self.errors))
