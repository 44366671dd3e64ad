"""What can be done with a key at the scoring desk, and which key it is until a person chooses another.

The page's scripts know actions by name (`static/js/desk/`); the labels are shown in the sheet of keys.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# When an action is there to be done: always, in projects of one mode, where answers are marked, or while one marks.
Scope = Literal["desk", "score", "compare", "review", "marks", "marking"]
# Scopes that are never there together may use the same key.
_TOGETHER: dict[Scope, frozenset[Scope]] = {
    "desk": frozenset({"desk", "score", "compare", "review", "marks"}),
    "score": frozenset({"desk", "score", "review", "marks"}),
    "review": frozenset({"desk", "score", "review", "marks"}),
    # While one marks, the key that began it ends it.
    "marks": frozenset({"desk", "score", "review", "marks", "marking"}),
    "compare": frozenset({"desk", "compare"}),
    "marking": frozenset({"marks", "marking"}),
}


@dataclass(frozen=True)
class Action:
    name: str
    label: Promise
    key: str
    scope: Scope

    @property
    def title(self) -> str:
        """The label, with its number where several actions have the same."""
        number = self.name.rpartition("_")[2]
        return f"{self.label} ({number})" if self.name.startswith(("dimension_", "answer_")) else str(self.label)


# Keys are named as browsers name them (KeyboardEvent.key), letters small.
ACTIONS: tuple[Action, ...] = (
    Action("overall_1", _("overall: −2"), "1", "score"),
    Action("overall_2", _("overall: −1"), "2", "score"),
    Action("overall_3", _("overall: 0"), "3", "score"),
    Action("overall_4", _("overall: +1"), "4", "score"),
    Action("overall_5", _("overall: +2"), "5", "score"),
    Action("lower", _("one lower"), "-", "score"),
    Action("higher", _("one higher"), "+", "score"),
    Action("cannot_verify", _("cannot verify"), "v", "score"),
    *(Action(f"dimension_{number}", _("a dimension"), key, "score") for number, key in enumerate("qwerty6789", 1)),
    Action("left", _("of two answers, the left one is better"), "ArrowLeft", "compare"),
    Action("right", _("of two answers, the right one is better"), "ArrowRight", "compare"),
    *(
        Action(f"answer_{number}", _("an answer comes next; again: take that back"), str(number), "compare")
        for number in range(1, 7)
    ),
    Action("tie", _("the last one is as good as the one before; of two: both are"), "t", "compare"),
    Action("all_bad", _("all answers are bad"), "x", "compare"),
    Action("critique", _("write the critique"), "c", "desk"),
    Action("revise", _("write a better answer"), "a", "review"),
    Action("rounds", _("earlier rounds, where there are any"), "h", "review"),
    Action("submit", _("submit"), "Enter", "desk"),
    Action("skip", _("skip"), "s", "desk"),
    Action("flag", _("flag a problem with the item"), "f", "desk"),
    Action("undo", _("undo: take back the last one"), "u", "desk"),
    Action("unfold", _("all of a long text or conversation, or less again"), "l", "desk"),
    Action("gold", _("gold answer, where there is one"), "o", "desk"),
    Action("mark", _("mark words in the answer"), "m", "marks"),
    Action("mark_claim", _("while marking: a claim"), "c", "marking"),
    Action("mark_hedge", _("while marking: a hedge"), "h", "marking"),
    Action("mark_fabrication", _("while marking: a fabrication"), "f", "marking"),
    Action("mark_evidence", _("while marking: evidence"), "e", "marking"),
    Action("unmark", _("while marking: take the last mark away"), "Backspace", "marking"),
    Action("help", _("this sheet"), "?", "desk"),
)
DEFAULT_KEYS = {action.name: action.key for action in ACTIONS}
BY_NAME = {action.name: action for action in ACTIONS}
SIGNS = {"Enter": "↵", "Backspace": "⌫", "Delete": "Del", "ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓",
          " ": "␣", "-": "−"}  # fmt: skip


def sign(key: str) -> str:
    """A key as it is printed on a keyboard."""
    return SIGNS.get(key) or key.upper()


@dataclass(frozen=True)
class Row:
    """One line of the sheet of keys."""

    name: str
    label: str
    key: str


def sheet(*, scopes: Collection[Scope], dimensions: Sequence[str], keys: Mapping[str, str]) -> list[Row]:
    """The actions that are there in these scopes, dimensions by their names, with somebody's keys."""
    names = {f"dimension_{number}": label for number, label in enumerate(dimensions, 1)}
    return [
        Row(action.name, names.get(action.name, action.title), keys[action.name])
        for action in ACTIONS
        if action.scope in scopes and (action.name in names or not action.name.startswith("dimension_"))
    ]


def clash(one: Action, other: Action) -> bool:
    """Whether the two may be wanted at the same moment, so that they need different keys."""
    return one.name != other.name and other.scope in _TOGETHER[one.scope]
