"""What raters said of items."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotations.models.items import Item
from annotations.models.projects import Rater
from annotations.models.revocations import revoked
from annotations.models.rubrics import RubricVersion
from annotations.rubric import HIGHEST, LOWEST


class ScoreQuerySet(models.QuerySet["Score"]):
    def live(self) -> "ScoreQuerySet":
        return self.filter(withdrawn_at=None)

    def counting(self) -> "ScoreQuerySet":
        """Those that are live and not revoked: what builds, consensus and quality go by."""
        return self.live().exclude(revoked())


class Score(models.Model):
    """One rater's judgement of one item. Append-only: a change is a new score, and the old one is withdrawn."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="scores")
    rater = models.ForeignKey(Rater, on_delete=models.PROTECT, related_name="scores")
    rubric_version = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="+")
    # Null is "not scored" (the rater could not verify), which is never 0.
    overall = models.FloatField(null=True)
    dimensions: "models.JSONField[dict[str, float], dict[str, float]]" = models.JSONField(default=dict)
    critique = models.TextField(blank=True)
    # Marks in the answer: {"start", "end", "label"}, in code points, as `annotations.spans` checks them.
    spans: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(default=list)
    # What the rater would have answered; it becomes an item of its own.
    revised_answer = models.TextField(blank=True)
    cannot_verify = models.BooleanField(default=False)
    seconds = models.FloatField(null=True)
    # Made by whoever submits, so that a retry is recognised.
    submission = models.UUIDField(null=True, unique=True)
    metadata: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    given_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    # Of an imported one: by which import, and the line or row of its file.
    source_import = models.ForeignKey(
        "annotations.Import", null=True, blank=True, on_delete=models.SET_NULL, related_name="scores", db_index=False
    )
    source_line = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    replaces = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Score"]] = ScoreQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("item", "rater"), condition=models.Q(withdrawn_at=None), name="score_one_live_per_rater"
            ),
            models.CheckConstraint(
                condition=models.Q(overall=None, cannot_verify=True)
                | models.Q(overall__range=(LOWEST, HIGHEST), cannot_verify=False),
                name="score_or_cannot_verify",
            ),
        )
        indexes = (models.Index(fields=("rater", "-given_at"), name="score_by_rater"),)

    def __str__(self) -> str:
        return f"{self.rater} on {self.item_id}: {'cannot verify' if self.overall is None else self.overall:}"


class Ranking(models.Model):
    """One rater's order of several answers to one prompt. Append-only, as scores are."""

    # The item of the prompt under which the comparison is handed out.
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="rankings")
    rater = models.ForeignKey(Rater, on_delete=models.PROTECT, related_name="rankings")
    rubric_version = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="+")
    # The items in the order in which they were shown, and the rank of each: 1 is best, equal ranks are a tie.
    shown = ArrayField(models.BigIntegerField())
    ranks = ArrayField(models.PositiveSmallIntegerField())
    all_bad = models.BooleanField(default=False)
    critique = models.TextField(blank=True)
    seconds = models.FloatField(null=True)
    submission = models.UUIDField(null=True, unique=True)
    given_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    # Of an imported one: by which import, and the line or row of its file.
    source_import = models.ForeignKey(
        "annotations.Import", null=True, blank=True, on_delete=models.SET_NULL, related_name="rankings", db_index=False
    )
    source_line = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    replaces = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            # A file may hold several orders of a prompt's answers by one teacher, of different answers each.
            models.UniqueConstraint(
                fields=("item", "rater"),
                condition=models.Q(withdrawn_at=None, source_import=None),
                name="ranking_one_live_per_rater",
            ),
        )
        indexes = (models.Index(fields=("rater", "-given_at"), name="ranking_by_rater"),)

    def __str__(self) -> str:
        return f"{self.rater} on the answers beside {self.item_id}"


class Flag(models.Model):
    """Somebody says that an item should not be used as it is. Flagged items stay out of datasets."""

    class Reason(models.TextChoices):
        BROKEN = "broken", _("Broken or unreadable")
        UNCLEAR = "unclear", _("Prompt makes no sense")
        SENSITIVE = "sensitive", _("Private or harmful content")
        DUPLICATE = "duplicate", _("Seen before")
        OTHER = "other", _("Something else")

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="flags")
    rater = models.ForeignKey(Rater, on_delete=models.PROTECT, related_name="flags")
    reason = models.CharField(max_length=12, choices=Reason.choices)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.get_reason_display()} (item {self.item_id})"
