"""The form of a project: what every project needs, and the rest in groups."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField

from annotations.models import Project, RubricVersion
from annotations.rubric import DEFAULT_RUBRIC
from annotations.selectors.rubrics import rubric_choices, rubric_key
from annotations.services.projects import SETTINGS

BASICS = ("name", "raters_per_item", "mode", "rubric", "guidelines")
# A group's name, what it is about, and its fields.
GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("What people do", "Marks in the answer, revisions, comparisons.", ("asks_spans", "review_rounds", "candidates_shown")),
    (
        "Who gets what",
        "The order of items, and how many each person scores.",
        ("order", "cap_per_person", "members_only", "hold_minutes", "assignment_days"),
    ),
    (
        "Gold items and qualification",
        "Items with a known score, to see how people judge and to train newcomers.",
        ("gold_share", "qualification_items", "qualification_pass"),
    ),
    ("Disagreement", "When scores count as disputed, and who decides then.", ("disagreement_threshold", "extra_raters")),
)
LABELS = {
    "raters_per_item": "People per item",
    "mode": "People are asked to",
    "asks_spans": "Mark words in the answer",
    "review_rounds": "Rounds of revision",
    "candidates_shown": "Answers side by side",
    "order": "Order of items",
    "cap_per_person": "Most scores per person",
    "members_only": "For its members alone",
    "hold_minutes": "Minutes an item is kept for somebody",
    "assignment_days": "Days an assigned item is kept",
    "gold_share": "Share of gold items",
    "qualification_items": "Qualification items",
    "qualification_pass": "Share that must be right",
    "disagreement_threshold": "Scores are disputed from a difference of",
    "extra_raters": "More people on a disputed item",
}
HELP = {
    "raters_per_item": "How many people score each item. 0: nobody is asked; gold answers alone score.",
    "guidelines": "Shown beside every item. Markdown.",
    "asks_spans": "Claims, hedges, fabrications and evidence, as part of the feedback.",
    "review_rounds": "Where people revise: how often an answer may be revised. Each revision is scored by others.",
    "candidates_shown": "Where people compare: how many answers to one prompt at most.",
    "order": "Doubtful first: answers that say they are half sure come first, those that say nothing in the middle.",
    "cap_per_person": "Empty: as many as they like. A person’s own cap goes before this one.",
    "members_only": "Otherwise everybody with an account may score. Members are added under People.",
    "hold_minutes": "While somebody has an item open, nobody else gets it; each keystroke begins the time anew.",
    "assignment_days": "Then an item that was given to one person goes back to everybody.",
    "gold_share": "Of the items that each person gets. 0.1 is one in ten; nobody can tell which.",
    "qualification_items": "How many a newcomer scores first, with feedback after each. 0: none.",
    "qualification_pass": "0.7: seven in ten must be exactly right. Who gets fewer waits until you allow another attempt.",
    "disagreement_threshold": "The highest less the lowest score of an item. Disputed items wait under Adjudicate.",
    "extra_raters": "They are asked before the item counts as done. 0: it goes to an adjudicator at once.",
}
STEPS = {"gold_share": "0.01", "qualification_pass": "0.05", "disagreement_threshold": "0.5"}


@dataclass(frozen=True)
class Group:
    title: str
    about: str
    fields: list[BoundField]
    # Whether it is unfolded: something in it is wrong, or is not as every new project has it.
    is_open: bool


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    rubric = forms.ChoiceField(help_text="Scores name the version they were given under.")

    class Meta:
        model = Project
        fields = ("name", "raters_per_item", "mode", "guidelines", *(name for name in SETTINGS if name != "mode"))
        labels = LABELS
        help_texts = HELP
        widgets = {"guidelines": forms.Textarea(attrs={"rows": 10})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["rubric"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = rubric_choices()
        # What is not sent stays as it is; only a cap can be empty.
        for name in SETTINGS:
            sent = not self.is_bound or self.add_prefix(name) in self.data
            self.fields[name].required = (
                sent and name != "cap_per_person" and not isinstance(self.fields[name], forms.BooleanField)
            )
        for name, step in STEPS.items():
            self.fields[name].widget.attrs["step"] = step
        # Taken now: checking what was sent writes it into the instance.
        self._now = {name: getattr(self.instance, name) for name in SETTINGS}
        version: RubricVersion | None = self.instance.rubric_version if self.instance.pk else None
        self.initial["rubric"] = rubric_key(version) if version else DEFAULT_RUBRIC

    def settings(self) -> dict[str, Any]:
        """What was sent, as the services take it."""
        kept = {"cap_per_person"}
        return {name: value for name, value in self.cleaned_data.items() if name in kept or value not in (None, "")}

    def refuse(self, error: ValidationError) -> None:
        """Show what a service refused, beside its field where there is one."""
        told = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, messages in told.items():
            self.add_error(name if name in self.fields else None, messages)

    def basics(self) -> list[BoundField]:
        return [self[name] for name in BASICS]

    def groups(self) -> Iterator[Group]:
        usual = Project()
        for title, about, names in GROUPS:
            changed = any(self._now[name] != getattr(usual, name) for name in names)
            wrong = any(name in self.errors for name in names) if self.is_bound else False
            yield Group(title, about, [self[name] for name in names], is_open=changed or wrong or self._is_asked(names))

    def _is_asked(self, names: tuple[str, ...]) -> bool:
        """A project that compares or revises shows how."""
        mode = self.instance.mode
        return (mode == Project.Mode.REVIEW and "review_rounds" in names) or (
            mode == Project.Mode.COMPARE and "candidates_shown" in names
        )
