"""The forms of the ledger."""

from django import forms

DEPTHS = (
    ("datasets", "the datasets"),
    ("runs", "the datasets, and the runs on them"),
    ("scorecards", "the datasets, the runs, and their scorecards"),
)


class WhyForm(forms.Form):
    """Why scores are revoked, or count again."""

    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It stands in the ledger.",
        error_messages={"required": "Say why."},
    )


class RebuildForm(forms.Form):
    depth = forms.ChoiceField(label="Make anew", choices=DEPTHS)
