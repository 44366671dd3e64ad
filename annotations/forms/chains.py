"""The forms of chains."""

from typing import Any

from django import forms
from django.core.validators import validate_slug

from accounts.models import Endpoint
from annotations.chains.prompts import load_prompt, prompt_names
from annotations.models import Chain, ChainStep, ChainVersion, Project
from annotations.services.chains import MOST_STEPS, StepWanted

ROWS_OFFERED = 4
# In the order in which they are of use.
ORDER = {"answer": 0, "review": 1, "revise": 2, "extend": 3}


def _prompts() -> list[tuple[str, str]]:
    prompts = sorted(((name, load_prompt(name)) for name in prompt_names()), key=lambda one: (ORDER[one[1].role], one[0]))
    return [("", "no step"), *((name, prompt.title_or_name) for name, prompt in prompts)]


class ChainForm(forms.Form):
    """A chain, new or changed, but for its steps."""

    name = forms.CharField(max_length=80, validators=[validate_slug], help_text="Small letters, digits and dashes.")
    max_calls = forms.IntegerField(required=False, min_value=1, label="Calls in one run, at most")
    max_cost = forms.DecimalField(required=False, min_value=0, max_digits=12, decimal_places=4, label="Cost of one run, at most")
    note = forms.CharField(required=False, max_length=200)


class StepForm(forms.Form):
    """One specialist; without a prompt there is none."""

    prompt = forms.ChoiceField(choices=_prompts, required=False, label="What it does")
    endpoint = forms.ModelChoiceField(Endpoint.objects.all(), empty_label=None, required=False, label="Who is asked")
    max_tokens = forms.IntegerField(initial=800, min_value=1, max_value=32_000, label="Longest reply, in tokens")
    temperature = forms.FloatField(initial=0.0, min_value=0, max_value=2)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("prompt") and data.get("endpoint") is None:
            self.add_error("endpoint", "Say who is asked.")
        return data


def step_forms(data: Any = None, version: ChainVersion | None = None) -> "forms.BaseFormSet[StepForm]":
    """A row for each step, and for some more."""
    initial = [step_initial(one) for one in version.steps.order_by("position")] if version else []
    extra = min(MOST_STEPS - len(initial), max(1, ROWS_OFFERED - len(initial)))
    made = forms.formset_factory(StepForm, extra=extra, max_num=MOST_STEPS, absolute_max=MOST_STEPS)
    # What was sent says all: a row that was left as it is would otherwise count as empty.
    return made(data, prefix="steps", initial=initial if data is None else None)


def step_initial(step: ChainStep) -> dict[str, Any]:
    prompt = f"{step.prompt['name']}-{step.prompt['version']}"
    return {"prompt": prompt, "endpoint": step.endpoint, "max_tokens": step.max_tokens, "temperature": step.temperature}


def steps_wanted(rows: "forms.BaseFormSet[StepForm]") -> list[StepWanted]:
    """Of valid rows, those that say what is to be done."""
    return [StepWanted(**row.cleaned_data) for row in rows if row.cleaned_data.get("prompt")]


class ChainRunForm(forms.Form):
    """Which items a chain goes through."""

    project = forms.ModelChoiceField(Project.objects.all(), empty_label=None)
    most = forms.IntegerField(
        required=False, min_value=1, label="Items, at most", help_text="Empty: all that it has not gone through."
    )


def initial_of(chain: Chain) -> dict[str, Any]:
    """The form of a chain that is there."""
    return {name: getattr(chain, name) for name in ("name", "max_calls", "max_cost", "note")}
