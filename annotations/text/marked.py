"""An answer with the marks that somebody made in it, as HTML. Every character of it is escaped."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from django.utils.functional import Promise
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

SPAN_NAMES: dict[str, Promise] = {
    "claim": _("Claim"),
    "hedge": _("Hedge"),
    "fabrication": _("Fabrication"),
    "evidence": _("Evidence"),
}


def marked_html(answer: str, spans: Sequence[Mapping[str, Any]]) -> SafeString:
    """The answer as plain text with `<mark>` around what is marked. Where marks overlap, a piece looks like the
    shortest of them and its title names them all.

    A mark's initial stands at its start as an attribute, which the style sheet shows: it is no part of the text.
    """
    inside = [span for span in spans if span["label"] in SPAN_NAMES and 0 <= span["start"] < span["end"] <= len(answer)]
    edges = sorted({0, len(answer), *(span["start"] for span in inside), *(span["end"] for span in inside)})
    pieces = []
    for start, end in pairwise(edges):
        over = [span for span in inside if span["start"] <= start < span["end"]]
        words = escape(answer[start:end])
        if not over:
            pieces.append(words)
            continue
        inmost = min(over, key=lambda span: span["end"] - span["start"])
        pieces.append(
            format_html(
                '<mark class="mark mark--{}" title="{}" data-sign="{}">{}</mark>',
                inmost["label"],
                ", ".join(dict.fromkeys(str(SPAN_NAMES[span["label"]]) for span in over)),
                "".join(str(SPAN_NAMES[span["label"]])[0] for span in over if span["start"] == start),
                words,
            )
        )
    return mark_safe("".join(pieces))  # noqa: S308 - each piece is escaped above


def marked_words(answer: str, spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each mark as {"label", "name", "words"}, in the order of the text."""
    return [
        {"label": span["label"], "name": SPAN_NAMES[span["label"]], "words": answer[span["start"] : span["end"]]}
        for span in spans
        if span["label"] in SPAN_NAMES
    ]
