"""Whose scores no longer count, and since when."""

from django.db import models
from django.urls import reverse

from annotations.models.projects import Rater
from annotations.models.rubrics import RubricVersion


class RevocationQuerySet(models.QuerySet["Revocation"]):
    def in_force(self) -> "RevocationQuerySet":
        return self.filter(lifted_at=None)


class Revocation(models.Model):
    """A rater, or a rubric version, whose scores and rankings count for nothing while it is in force. Append-only: it is lifted
    once, and whoever revokes again writes another. No score is deleted by it.
    """

    class Kind(models.TextChoices):
        RATER = "rater", "Rater"
        RUBRIC_VERSION = "rubric_version", "Rubric version"

    kind = models.CharField(max_length=14, choices=Kind.choices)
    # A person, the gold answers, one version of a teacher, somebody's decisions as an adjudicator.
    rater = models.ForeignKey(Rater, null=True, blank=True, on_delete=models.PROTECT, related_name="revocations")
    rubric_version = models.ForeignKey(RubricVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="revocations")
    reason = models.TextField()
    revoked_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    revoked_at = models.DateTimeField(auto_now_add=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    lift_reason = models.TextField(blank=True)
    # When the items' own figures had followed it, or its lifting: `revocations_settle`.
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = RevocationQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind="rater", rater__isnull=False, rubric_version=None)
                | models.Q(kind="rubric_version", rater=None, rubric_version__isnull=False),
                name="revocation_of_one_thing",
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="revocation_has_reason"),
            models.CheckConstraint(
                condition=models.Q(lifted_at=None, lift_reason="")
                | (models.Q(lifted_at__isnull=False) & ~models.Q(lift_reason="")),
                name="revocation_lift_has_reason",
            ),
            models.UniqueConstraint(
                fields=("rater",), condition=models.Q(lifted_at=None, kind="rater"), name="revocation_once_a_rater"
            ),
            models.UniqueConstraint(
                fields=("rubric_version",),
                condition=models.Q(lifted_at=None, kind="rubric_version"),
                name="revocation_once_a_rubric",
            ),
        )

    def __str__(self) -> str:
        return str(self.target)

    def get_absolute_url(self) -> str:
        return reverse("evaluation:ledger-detail", args=[self.pk])

    @property
    def target(self) -> Rater | RubricVersion:
        found = self.rater or self.rubric_version
        assert found is not None  # the database holds to one of the two
        return found

    @property
    def is_in_force(self) -> bool:
        return self.lifted_at is None


def revoked() -> models.Q:
    """Of scores, or rankings: those that count for nothing now."""
    standing = Revocation.objects.in_force()
    raters = standing.filter(rater__isnull=False).values("rater")
    rubrics = standing.filter(rubric_version__isnull=False).values("rubric_version")
    return models.Q(rater__in=raters) | models.Q(rubric_version__in=rubrics)
