"""The forms of teachers."""

from typing import Any

from django import forms
from django.core.validators import validate_slug

from accounts.models import Endpoint
from annotations.models import Project
from annotations.teachers.prompts import load_prompt, prompt_names


def _prompts() -> list[tuple[str, str]]:
    return [(name, load_prompt(name).title or name) for name in prompt_names()]


class TeacherForm(forms.Form):
    """A teacher, new or changed."""

    name = forms.CharField(max_length=80, validators=[validate_slug], help_text="Small letters, digits and dashes.")
    endpoint = forms.ModelChoiceField(Endpoint.objects.all(), empty_label=None, help_text="Who answers.")
    prompt = forms.ChoiceField(choices=_prompts, help_text="What it is asked.")
    uses_reference = forms.BooleanField(required=False, label="Tell it the gold answer, where there is one")
    weight = forms.FloatField(
        initial=1.0, min_value=0, max_value=100, help_text="Beside other teachers’ in a weighted consensus."
    )
    max_tokens = forms.IntegerField(initial=400, min_value=1, max_value=32_000, label="Longest reply, in tokens")
    temperature = forms.FloatField(initial=0.0, min_value=0, max_value=2)
    fallback = forms.ModelChoiceField(
        Endpoint.objects.all(), required=False, empty_label="nobody", help_text="Is asked where the endpoint cannot be had."
    )
    uses_rules = forms.BooleanField(
        required=False,
        label="Then judge by the words alone",
        help_text="Where nobody can be asked: by gold answers, and by “I do not know”. The source stands with each score.",
    )
    search_url = forms.CharField(
        required=False,
        max_length=500,
        label="Search service",
        help_text="In SearXNG’s form, such as http://127.0.0.1:8888. What it finds is shown to the teacher, whose prompt must "
        "have a place for evidence. Questions are sent there as they are.",
    )
    search_model = forms.ModelChoiceField(
        Endpoint.objects.all(),
        required=False,
        empty_label="nobody",
        label="Where no search can be had, ask",
        help_text="What it knows is evidence then, after what was found before; at last the answer’s own words.",
    )
    max_calls = forms.IntegerField(required=False, min_value=1, label="Calls in one run, at most")
    max_cost = forms.DecimalField(required=False, min_value=0, max_digits=12, decimal_places=4, label="Cost of one run, at most")
    note = forms.CharField(required=False, max_length=200)


class TeacherRunForm(forms.Form):
    """Which items a teacher scores."""

    project = forms.ModelChoiceField(Project.objects.all(), empty_label=None)
    most = forms.IntegerField(
        required=False, min_value=0, label="Items or comparisons, at most", help_text="Empty: all that it has not judged."
    )


def initial_of(teacher: Any, version: Any) -> dict[str, Any]:
    """The form of a teacher that is there."""
    same = ("endpoint", "uses_reference", "max_tokens", "temperature", "fallback", "uses_rules", "search_url", "search_model")
    prompt = f"{version.prompt['name']}-{version.prompt['version']}"
    return {name: getattr(version, name) for name in same} | {
        "name": teacher.name, "weight": teacher.weight, "max_calls": teacher.max_calls, "max_cost": teacher.max_cost,
        "note": teacher.note, "prompt": prompt,
    }  # fmt: skip
