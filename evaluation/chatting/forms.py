"""What the chat page sends."""

from typing import Any

from django import forms

from annotations.models import Project
from evaluation.chatting.conversation import Conversation, Wording, unsealed

SIDES = 2
MOST_CHARACTERS = 100_000


class MessageForm(forms.Form):
    """A message to one or two models, and how they are asked."""

    text = forms.CharField(
        label="Message", max_length=MOST_CHARACTERS, strip=False, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True})
    )
    system = forms.CharField(
        label="System prompt", required=False, max_length=20_000, strip=False, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What the models are told first. It holds from the beginning of a conversation.",
    )  # fmt: skip
    temperature = forms.FloatField(
        label="Temperature", required=False, min_value=0, max_value=2, help_text="0: the likeliest answer."
    )
    max_tokens = forms.IntegerField(
        label="Longest answer", required=False, min_value=1, max_value=32_768, help_text="In tokens; empty: as the service does."
    )

    def wording(self) -> Wording:
        data = self.cleaned_data
        return Wording(system=data["system"], temperature=data["temperature"] or 0.0, max_tokens=data["max_tokens"])


class ProjectForm(forms.Form):
    """Where answers go that are to be scored."""

    project = forms.ModelChoiceField(
        Project.objects.none(), label="Answers to score go into", to_field_name="slug", empty_label=None, required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Project.objects.all()


def conversation_in(data: Any, side: int) -> Conversation | None:
    """What was said before on that side; None at the beginning. Raises ChatRefused."""
    text = data.get(f"conversation-{side}", "")
    return unsealed(text) if text else None
