"""Scores and flags of an item, as far as a person may see them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from annotations.fusion import Given, TeacherRule, Teachers, fuse, taught
from annotations.models import Flag, Item, Project, Rater, Score, Turn, revoked
from annotations.teacher_versions import heard, voices
from annotations.teacher_weights import teacher_weights


@dataclass
class SeenScores:
    """The scores of an item that a person may see, and why there may be more than those."""

    mine: Score | None = None
    others: list[Score] = field(default_factory=list)
    # "" shown, "blind" until they have scored it themselves, "role" not for annotators
    hidden: str = ""
    # What its teachers say together, where there are several.
    teachers: "SeenTeachers | None" = None
    # Those of them that no longer count.
    revoked: frozenset[int] = frozenset()

    @property
    def fused(self) -> float | None:
        return _fused([score for score in (self.mine, *self.others) if score and score.pk not in self.revoked])


@dataclass(frozen=True)
class SeenTeachers:
    """Several teachers' scores of an item as one, by each rule that needs no other item."""

    scores: int
    median: float
    weighted: float
    """the median where none of them weighs anything"""
    majority: float | None
    """None of a tie"""
    consensus: float
    """1 − the mean difference of all pairs over the width of the scale"""


def scores_seen(*, item: Item, user: User) -> SeenScores:
    """Nobody sees others' scores of an item before giving their own, or saying that they will not score it."""
    live = list(Score.objects.filter(item=item, withdrawn_at=None).select_related("rater", "rubric_version"))
    mine = next((score for score in live if score.rater.user_id == user.pk), None)
    others = [score for score in live if score is not mine]
    if not user.has_role("member"):
        # Also where there are none: every gold item has one, its reference.
        return SeenScores(mine, hidden="role")
    if others and item.pk in may_still_score(items=[item], user=user):
        return SeenScores(mine, hidden="blind")
    gone = frozenset(Score.objects.filter(revoked(), item=item).values_list("pk", flat=True))
    teachers = [score for score in others if score.rater.kind == Rater.Kind.TEACHER and score.pk not in gone]
    return SeenScores(mine, others, teachers=_teachers(teachers), revoked=gone)


def _teachers(scores: Sequence[Score]) -> SeenTeachers | None:
    by_rater = ((one.rater_id, one) for one in scores)
    given = [
        Given("teacher", one.rater.name, one.overall, one.given_at)
        for one in heard(by_rater, voices())
        if one.overall is not None
    ]
    if len(given) < 2:
        return None
    weights = teacher_weights(one.rater_id for one in scores)
    rules: tuple[TeacherRule, ...] = ("median", "weighted", "majority")
    found = {rule: taught(given, Teachers(rule, weights)) for rule in rules}
    median, weighted, majority = (found[rule] for rule in rules)
    assert median and weighted and majority and median.consensus is not None  # there are scores
    by_most = majority.score if majority.rule == "majority" else None
    return SeenTeachers(len(given), median.score, weighted.score, by_most, median.consensus)


def looks_open(*, item: Item, is_member: bool, has_scored: bool) -> bool:
    """Whether an item needs scores, as far as a person is told. Gold items never do; but to annotators they look like others:
    open, until they have scored it themselves and it has as many scores as others need.
    """
    if item.gold_score is None or is_member:
        return item.is_open
    return not has_scored or item.people_scores < item.project.raters_per_item + item.extra_raters


def scored_by(*, items: Sequence[int], user: User) -> set[int]:
    """Those of these items that a person has scored."""
    return set(Score.objects.filter(item__in=items, rater__user=user, withdrawn_at=None).values_list("item_id", flat=True))


# Of an item's metadata, for whoever may still score it.
TOLD_LATER = frozenset({"turns", "chat", "chain"})


def metadata_seen(*, item: Item, user: User) -> dict[str, Any]:
    """What an item came with. Rounds of review are others' scores, a chat or a chain says who answered: for who may see it."""
    may_see = user.has_role("member") and item.pk not in may_still_score(items=[item], user=user)
    return item.metadata if may_see else {name: value for name, value in item.metadata.items() if name not in TOLD_LATER}


@dataclass(frozen=True)
class ShownRewards:
    """What a list shows of its items' scores; `revealed` are the items where that tells others' scores."""

    medians: dict[int, float | None]
    revealed: list[int] = field(default_factory=list)


def shown_rewards(*, items: list[Item], user: User) -> ShownRewards:
    """The live scores of each item fused as a dataset fuses them, for those items whose scores this person may see."""
    if not user.has_role("member"):
        mine = Score.objects.filter(item__in=items, rater__user=user, withdrawn_at=None)
        return ShownRewards(dict(mine.values_list("item_id", "overall")))
    blind = may_still_score(items=items, user=user)
    scores: dict[int, list[Score]] = {}
    columns = ("item_id", "overall", "given_at", "rater__user", "rater__kind")
    for score in Score.objects.counting().filter(item__in=items).select_related("rater").only(*columns):
        scores.setdefault(score.item_id, []).append(score)
    shown = {item: of_item for item, of_item in scores.items() if item not in blind}
    revealed = [item for item, of_item in shown.items() if any(score.rater.user_id != user.pk for score in of_item)]
    return ShownRewards({item: _fused(of_item) for item, of_item in shown.items()}, revealed)


def may_still_score(*, items: list[Item], user: User) -> set[int]:
    """The items that this person may still be asked to score, or is about to."""
    states = dict(Turn.objects.filter(item__in=items, rater__user=user).values_list("item_id", "state"))
    settled = (Turn.State.SCORED, Turn.State.REVEALED, Turn.State.WROTE)
    waiting = {item.pk for item in items if item.is_open or states.get(item.pk) == Turn.State.HELD}
    return {item for item in waiting if states.get(item) not in settled}


def _fused(scores: list[Score]) -> float | None:
    fused = fuse([Given(score.rater.kind, "", score.overall, score.given_at) for score in scores])
    return fused.reward if fused else None


def sees_others(*, seen: SeenScores, metadata: dict[str, Any], user: User) -> bool:
    """Whether that tells a person others' scores."""
    return bool(seen.others) or (user.has_role("member") and "turns" in metadata)


def score_history(*, item: Item, user: User) -> QuerySet[Score]:
    """A person's own scores of an item, withdrawn ones too, newest first."""
    return Score.objects.filter(item=item, rater__user=user).select_related("rater").order_by("-id")


def open_flags(*, item: Item | None = None, project: Project | None = None) -> QuerySet[Flag]:
    """The unresolved flags of an item, of a project, or all."""
    flags = Flag.objects.filter(resolved_at=None).select_related("rater")
    flags = flags.filter(item=item) if item else flags
    return flags.filter(item__project=project) if project else flags


def is_held(*, item: Item, user: User) -> bool:
    """Whether a person has the item in front of them."""
    return Turn.objects.filter(item=item, rater__user=user, state=Turn.State.HELD).exists()
