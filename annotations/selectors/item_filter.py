"""What the items page can be asked for: a filter and an order, as they stand in its address."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from annotations.models import Item, Project
from annotations.rubric import HIGHEST, LOWEST

LONGEST_TEXT = 200
Label = str | Promise

ITEM_STATES: dict[str, Label] = {
    "": gettext_lazy("All"),
    "open": gettext_lazy("Needs scores"),
    "done": gettext_lazy("Has its scores"),
    "flagged": gettext_lazy("Flagged"),
    "mine": gettext_lazy("Scored by me"),
    "assigned": gettext_lazy("Assigned to me"),
    "disputed": gettext_lazy("Disputed"),
    "gold": gettext_lazy("Gold"),
    "deleted": gettext_lazy("Deleted"),
}
ITEM_SORTS: dict[str, Label] = {
    "": gettext_lazy("Newest"),
    "oldest": gettext_lazy("Oldest"),
    "recent": gettext_lazy("Last scored by me"),
    "score-high": gettext_lazy("Score, highest first"),
    "score-low": gettext_lazy("Score, lowest first"),
    "disputed": gettext_lazy("Most disputed"),
    "confidence-high": gettext_lazy("Stated confidence, highest first"),
    "confidence-low": gettext_lazy("Stated confidence, lowest first"),
    "priority": gettext_lazy("Priority"),
}
# What a sort leaves out: items that have nothing to be sorted by.
LEFT_OUT: dict[str, Label] = {
    "recent": gettext_lazy("Only items that you have scored are in this order."),
    "score-high": gettext_lazy("Only items whose scores you may see are in this order."),
    "score-low": gettext_lazy("Only items whose scores you may see are in this order."),
    "disputed": gettext_lazy("Only items whose scores you may see, and differ, are in this order."),
    "confidence-high": gettext_lazy("Only answers that state a confidence are in this order."),
    "confidence-low": gettext_lazy("Only answers that state a confidence are in this order."),
    "priority": gettext_lazy("Only items that somebody gave a priority are in this order."),
}
# Annotators are told nothing of others' scores, nor of what leads say about items, nor which items are gold.
MEMBERS_STATES = frozenset({"disputed", "gold"})
ADMINS_STATES = frozenset({"deleted"})
MEMBERS_SORTS = frozenset({"disputed", "priority"})
MEMBERS_FIELDS = frozenset({"source", "knowledge", "tag", "skill", "to", "spread"})


def states_for(user: User | None) -> dict[str, Label]:
    hidden = (frozenset() if _is(user, "member") else MEMBERS_STATES) | (frozenset() if _is(user, "admin") else ADMINS_STATES)
    return {value: label for value, label in ITEM_STATES.items() if value not in hidden}


def sorts_for(user: User | None) -> dict[str, Label]:
    return {value: label for value, label in ITEM_SORTS.items() if _is(user, "member") or value not in MEMBERS_SORTS}


def _is(user: User | None, role: str) -> bool:
    """None is the shell, which may do everything."""
    return user is None or user.has_role(role)


@dataclass(frozen=True)
class ItemFilter:
    """What was asked for; None and "" ask for nothing."""

    project: Project | None = None
    text: str = ""
    state: str = ""
    # To whom it is assigned.
    to: User | None = None
    source: str = ""
    tag: str = ""
    skill: str = ""
    score_min: float | None = None
    score_max: float | None = None
    spread: float | None = None
    confidence_min: float | None = None
    confidence_max: float | None = None
    knowledge: str = ""
    iteration: int | None = None
    since: datetime | None = None
    sort: str = ""
    # As it was understood, for addresses; and what was not understood, and why.
    asked: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def number(self) -> int | None:
        """The item that is meant, where the text is a number."""
        found = re.fullmatch(r"#?(\d{1,18})", self.text, re.ASCII)
        return int(found[1]) if found else None

    @property
    def by_score(self) -> bool:
        """Whether what is found depends on scores."""
        scores = (self.score_min, self.score_max, self.spread)
        return any(one is not None for one in scores) or self.state == "disputed" or self.sort in {*SCORE_SORTS, "disputed"}

    @property
    def since_is_day(self) -> bool:
        """Whether the page's field for a day can hold it."""
        return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.asked.get("since", ""), re.ASCII))

    @property
    def is_plain(self) -> bool:
        """Whether it asks for everything, or for everything of a project."""
        return not set(self.asked) - {"project"} - ({"sort"} if self.sort == "oldest" else set())

    @property
    def query(self) -> str:
        return urlencode(self.asked)

    def without(self, *names: str) -> str:
        """The address's query without some of what it asks for."""
        return urlencode({name: value for name, value in self.asked.items() if name not in names})


SCORE_SORTS = ("score-high", "score-low")


def item_filter(*, values: Mapping[str, str], user: User | None) -> ItemFilter:
    """The filter in the values of an address or a command line. What cannot be understood, or is not for `user`, is left out
    and told in `refused`; what this knows nothing about is passed over.
    """
    given = {name: values[name].replace("\x00", "").strip() for name in PARSERS if values.get(name)}
    found: dict[str, Any] = {}
    asked: dict[str, str] = {}
    refused: dict[str, str] = {}
    parsers = PARSERS | {"state": _one_of(states_for(user)), "sort": _one_of(sorts_for(user))}
    for name, text in given.items():
        if not text:
            continue
        try:
            if name in MEMBERS_FIELDS and not _is(user, "member"):
                raise ValueError(_("That is for members."))
            found[FIELDS.get(name, name)] = parsers[name](text)
            asked[name] = text[:LONGEST_TEXT]
        except ValueError as error:
            refused[name] = str(error)
    return ItemFilter(**found, asked=asked, refused=refused)


def _project(text: str) -> Project:
    found = Project.objects.filter(slug=text).first() or Project.objects.filter(name=text).first()
    if found is None:
        raise ValueError(_("There is no project “%(name)s”.") % {"name": text})
    return found


def _person(text: str) -> User:
    found = User.objects.filter(username=text).first()
    if found is None:
        raise ValueError(_("There is nobody named “%(name)s”.") % {"name": text})
    return found


def _text(text: str) -> str:
    return text[:LONGEST_TEXT]


def _one_of(choices: Mapping[str, Label]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            known = ", ".join(filter(None, choices))
            raise ValueError(_("“%(text)s” is not one of %(known)s.") % {"text": text, "known": known})
        return text

    return parse


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text.replace("−", "-").replace(",", "."))
        except ValueError:
            number = float("nan")
        if not (isfinite(number) and lowest <= number <= highest):
            values = {"text": text, "lowest": lowest, "highest": highest}
            raise ValueError(_("“%(text)s” is no number from %(lowest)g to %(highest)g.") % values)
        return number

    return parse


def _share(text: str) -> float:
    """As 0.3 or 30 %."""
    if text.endswith("%"):
        return _number(0, 100)(text[:-1].strip()) / 100
    return _number(0, 1)(text)


def _round(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise ValueError(_("“%(text)s” is no round; 0 is an answer as it was imported.") % {"text": text})
    return int(text)


def _moment(text: str) -> datetime:
    """A day (2026-11-30), or how long ago: 24h, 7d."""
    ago = re.fullmatch(r"([0-9]{1,4})([hd])", text)
    if ago:
        return timezone.now() - (timedelta(hours=int(ago[1])) if ago[2] == "h" else timedelta(days=int(ago[1])))
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise ValueError(_("“%(text)s” is no day: write 2026-11-30, 7d or 24h.") % {"text": text})
    return timezone.make_aware(datetime(day.year, day.month, day.day))


def knowledge_labels() -> dict[str, Label]:
    return {value: label for value, label in Item.Knowledge.choices if value}


PARSERS: dict[str, Callable[[str], Any]] = {
    "project": _project,
    "q": _text,
    "state": _text,
    "to": _person,
    "source": _text,
    "tag": _text,
    "skill": _text,
    "score_min": _number(LOWEST, HIGHEST),
    "score_max": _number(LOWEST, HIGHEST),
    "spread": _number(0, HIGHEST - LOWEST),
    "confidence_min": _share,
    "confidence_max": _share,
    "knowledge": _one_of(knowledge_labels()),
    "iteration": _round,
    "since": _moment,
    "sort": _text,
}
FIELDS = {"q": "text"}


@dataclass(frozen=True)
class Chip:
    """One thing that is asked for, in words, and the address without it."""

    text: str
    query: str


def item_chips(*, wanted: ItemFilter) -> list[Chip]:
    told = [
        (("project",), _("Project: %s"), wanted.project),
        (("q",), _("Words: %s"), wanted.text),
        (("state",), "%s", ITEM_STATES.get(wanted.state) if wanted.state else ""),
        (("to",), _("Assigned to %s"), wanted.to),
        (("source",), _("Model: %s"), wanted.source),
        (("tag",), _("Tag: %s"), wanted.tag),
        (("skill",), _("Skill: %s"), wanted.skill),
        (("score_min", "score_max"), _("Score: %s"), _range(wanted.score_min, wanted.score_max)),
        (("spread",), _("Scores differ by %s or more"), _figure(wanted.spread)),
        (("confidence_min", "confidence_max"), _("Stated confidence: %s"), _range(wanted.confidence_min, wanted.confidence_max)),
        (("knowledge",), "%s", knowledge_labels().get(wanted.knowledge)),
        (("iteration",), _("Round: %s"), _figure(wanted.iteration)),
        (("since",), _("Imported since %s"), wanted.since and date_format(timezone.localtime(wanted.since), "DATE_FORMAT")),
    ]
    return [Chip(words % value, wanted.without(*names)) for names, words, value in told if value]


def _figure(number: float | None) -> str:
    return "" if number is None else f"{number:g}".replace("-", "−")


def _range(lowest: float | None, highest: float | None) -> str:
    if lowest is None and highest is None:
        return ""
    if highest is None:
        return _("%s or more") % _figure(lowest)
    if lowest is None:
        return _("%s or less") % _figure(highest)
    return _("%(lowest)s to %(highest)s") % {"lowest": _figure(lowest), "highest": _figure(highest)}
