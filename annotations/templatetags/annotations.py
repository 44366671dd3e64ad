"""How scores and texts are shown."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from accounts import sentences
from annotations.desk_keys import DEFAULT_KEYS, sign
from annotations.models import Item, Ranking, Score
from annotations.ranks import rank_name
from annotations.text.conversation import Conversation
from annotations.text.conversation import conversation as conversation_of
from annotations.text.marked import marked_html, marked_words
from annotations.text.rendering import markdown_html

register = template.Library()

CHIPS = {2: "p2", 1: "p1", 0: "0", -1: "m1", -2: "m2"}


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown as safe HTML. Headings start at the third level, below the page's own."""
    return mark_safe(markdown_html(text))  # noqa: S308 - cleaned there


@register.filter
def ended(text: str) -> str:
    """What somebody typed, as a sentence that another may follow."""
    return sentences.ended(text)


@register.filter
def order(ranking: Ranking) -> list[tuple[int, int]]:
    """The items of a ranking with their ranks, the best first."""
    return sorted(zip(ranking.shown, ranking.ranks, strict=False), key=lambda pair: pair[1])


@register.simple_tag
def conversation(item: Item) -> Conversation:
    """The item's prompt: earlier messages, recent ones, the last."""
    return conversation_of(item.prompt)


@register.filter
def signed(value: float | None) -> str:
    """A score as it is written everywhere: +2, 0, −1, and with halves where there are any."""
    if value is None:
        return "–"
    text = f"{abs(value):.2f}".rstrip("0").rstrip(".")
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else "0"


@register.filter
def minus(text: str) -> str:
    """A figure with a minus sign for its hyphen."""
    return str(text).replace("-", "−")


@register.simple_tag
def chip(value: float | None, label: str = "") -> SafeString:
    """A score in its colour; "not scored" is hatched and never 0."""
    if value is None:
        return format_html('<span class="chip chip--none" title="{}">–</span>', label or _("Not scored"))
    nearest = min(CHIPS, key=lambda step: (abs(step - value), -step))
    return format_html('<span class="chip chip--{}" title="{}">{}</span>', CHIPS[nearest], label, signed(value))


@register.simple_tag(takes_context=True)
def kbd(context: dict[str, Any], action: str, which: int | str = "") -> SafeString:
    """The key that this person has for an action of the desk: `{% kbd "skip" %}`, `{% kbd "overall" 3 %}`."""
    name = f"{action}_{which}" if which else action
    key = context.get("keys", DEFAULT_KEYS).get(name, "")
    # Not part of the name of what it stands in: a screen reader's user finds the keys in their sheet.
    return format_html('<kbd data-key-of="{}" aria-hidden="true">{}</kbd>', name, sign(key)) if key else SafeString()


@register.inclusion_tag("annotations/_marks.html")
def marks(score: Score) -> dict[str, Any]:
    """The answer with the marks of a score in it, and the list of them."""
    answer = score.item.answer
    return {"answer": answer, "html": marked_html(answer, score.spans), "words": marked_words(answer, score.spans)}


@register.filter
def rank(order: dict[str, Any], item: int) -> int:
    """The rank of an item in `{"shown": […], "ranks": […]}`; 0 where it has none."""
    return int(dict(zip(order.get("shown", ()), order.get("ranks", ()), strict=False)).get(item, 0))


register.filter("rank_name", rank_name)


@register.filter
def keysign(key: str) -> str:
    """A key as it is printed on a keyboard."""
    return sign(key)


@register.filter
def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


@register.filter
def get(mapping: dict[str, Any], key: Any) -> Any:
    return mapping.get(key)
