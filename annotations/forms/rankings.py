"""The form of a comparison: the answers as they were shown, and a rank for each."""

from dataclasses import dataclass

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from annotations.ranks import MOST


@dataclass(frozen=True)
class Order:
    """Items as they stood side by side, and the rank of each: 1 is best, 0 none yet."""

    shown: list[int]
    ranks: list[int]

    @property
    def is_whole(self) -> bool:
        return all(self.ranks)

    @property
    def is_begun(self) -> bool:
        return any(self.ranks)


def order_given(post: QueryDict) -> Order:
    # What a form says beyond what a project can show is not read.
    shown = [number for one in post.get("shown", "").split(",")[:MOST] if (number := _number(one, 18)) is not None]
    return Order(shown, [_number(post.get(f"rank_{one}", ""), 1) or 0 for one in shown])


def _number(text: str, digits: int) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


class RankingForm(forms.Form):
    """What a comparison says besides the order."""

    submission = forms.UUIDField()
    all_bad = forms.BooleanField(label=_("All are bad"), required=False)
    critique = forms.CharField(label=_("Critique"), required=False, strip=True, max_length=20_000)
    seconds = forms.FloatField(required=False, min_value=0)
