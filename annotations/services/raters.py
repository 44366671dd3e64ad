"""Who gives scores. A rater's row is made when it is first needed."""

from accounts.models import User
from annotations.models import Rater

GOLD_NAME = "gold answers"


def person_rater(*, user: User) -> Rater:
    try:
        return user.rater  # remembered by the user's object, so one request asks once
    except Rater.DoesNotExist:
        # By id: an object with the user in it would be remembered as theirs before it is stored.
        return Rater.objects.get_or_create(user_id=user.pk, defaults={"kind": Rater.Kind.PERSON, "name": user.username})[0]


def gold_rater() -> Rater:
    return Rater.objects.get_or_create(kind=Rater.Kind.GOLD, name=GOLD_NAME)[0]


def teacher_rater(*, name: str) -> Rater:
    return Rater.objects.get_or_create(kind=Rater.Kind.TEACHER, name=name[:150])[0]


def adjudicator_rater(*, name: str) -> Rater:
    """Whoever decides with all scores in view: by a person's user name; their blind scores are another rater's."""
    return Rater.objects.get_or_create(kind=Rater.Kind.ADJUDICATOR, name=name[:150])[0]
