"""Rankings of several answers to one prompt."""

from annotations.models import Ranking, Rater
from annotations.services.turns import LockedItem


def ranking_withdraw(item: LockedItem, rater: Rater) -> Ranking | None:
    raise NotImplementedError
