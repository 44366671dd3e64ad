"""Revised answers: items of their own, which others score."""

from annotations.models import Item, Rater, Score


def revision_create(*, score: Score, item: Item, rater: Rater) -> Item | None:
    raise NotImplementedError


def revision_withdraw(*, score: Score) -> None:
    if score.revised_answer:
        raise NotImplementedError
