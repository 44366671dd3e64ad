"""The rounds of review that an answer is one of."""

from dataclasses import dataclass
from itertools import pairwise

from accounts.models import User
from annotations.models import Item, Score, Turn
from annotations.selectors.scores import may_still_score


@dataclass(frozen=True)
class Round:
    """An answer before it was revised, and what was said about it by whoever revised it, who stays unnamed."""

    item: Item
    critique: str = ""
    # The critique is not for this person yet: they may still be asked to score that answer.
    is_withheld: bool = False
    # Whose critique it is: others' words, once shown, count as having seen what others think.
    is_mine: bool = False


def rounds_before(*, item: Item, user: User) -> list[Round]:
    """What came before an answer, the first answer first. Never any scores."""
    chain = [item, *ancestors(item)]
    pairs = [(earlier, later) for later, earlier in pairwise(chain)][::-1]
    open_to_them = may_still_score(items=[earlier for earlier, _ in pairs], user=user)
    told = {(score.item_id, score.rater_id): score for score in _scores([earlier for earlier, _ in pairs])}
    found = []
    for earlier, later in pairs:
        score = told.get((earlier.pk, later.written_by_id or 0))
        mine = score is not None and score.rater.user_id == user.pk
        withheld = bool(score and score.critique) and earlier.pk in open_to_them and not mine
        found.append(Round(earlier, score.critique if score and not withheld else "", withheld, mine))
    return found


@dataclass(frozen=True)
class Chain:
    """The rounds around an answer: what it revises, the first answer first, and what revises it."""

    before: list[Item]
    after: list[Item]


def chain_of(*, item: Item) -> Chain | None:
    """None for an answer that was never revised and is no revision."""
    chain = Chain(ancestors(item)[::-1], revisions_of(item))
    return chain if chain.before or chain.after else None


def ancestors(item: Item) -> list[Item]:
    """The answers that this one revises, the nearest first."""
    found: list[Item] = []
    next_up = item.revises_id
    while next_up is not None:
        found.append(Item.every.get(pk=next_up))
        next_up = found[-1].revises_id
    return found


def revisions_of(item: Item) -> list[Item]:
    """The answers that revise this one."""
    return list(Item.objects.filter(revises=item).order_by("pk"))


def may_see_rounds(*, item: Item, user: User) -> bool:
    """Whoever was handed the item, and members."""
    return user.has_role("member") or Turn.objects.filter(item=item, rater__user=user).exists()


def _scores(items: list[Item]) -> list[Score]:
    return list(Score.objects.filter(item__in=items, withdrawn_at=None).select_related("rater"))
