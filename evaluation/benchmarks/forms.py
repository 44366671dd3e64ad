"""The forms that make benchmarks."""

from django import forms

from annotations.models import Project
from annotations.sources.reading import AUTO
from evaluation.benchmarks.formats import FORMATS


class FileForm(forms.Form):
    """A published benchmark's file."""

    prefix = "file"

    file = forms.FileField(
        label="File",
        error_messages={"required": "Choose a file."},
        help_text="JSON lines, JSON, CSV, Parquet or Arrow, gzipped or not; up to 64 MB. Wrong records are refused and counted.",
        widget=forms.FileInput(attrs={"accept": ".jsonl,.json,.ndjson,.csv,.tsv,.parquet,.arrow,.gz"}),
    )
    source_format = forms.ChoiceField(
        label="Format",
        required=False,
        choices=[(AUTO, "Recognised by its content"), *((one.name, one.title) for one in FORMATS.values())],
    )
    name = forms.CharField(required=False, max_length=100, help_text="Otherwise the format’s.")
    version = forms.CharField(required=False, max_length=40, help_text="Otherwise the next number of that name.")


class ProjectForm(forms.Form):
    """A project's scored items."""

    prefix = "project"

    project = forms.ModelChoiceField(Project.objects.all(), empty_label=None)
    min_scores = forms.IntegerField(
        label="People who must have scored an answer",
        min_value=1,
        max_value=100,
        initial=1,
        help_text="Answers with fewer scores are left out.",
    )
    name = forms.CharField(required=False, max_length=100, help_text="Otherwise the project’s.")


class AtlasForm(forms.Form):
    """The closed world."""

    prefix = "atlas"

    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0, help_text="Another seed is another world.")
