"""Dataset versions."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse

from annotations.models.projects import Project


class DatasetVersionQuerySet(models.QuerySet["DatasetVersion"]):
    def ready(self) -> "DatasetVersionQuerySet":
        return self.exclude(ready_at=None)


class DatasetVersion(models.Model):
    """An immutable folder of training rows. The row is made when the build is asked for; it is ready once built."""

    class Kind(models.TextChoices):
        SFT = "sft", "SFT rows"
        PREFERENCE = "preference", "Preference pairs"
        PROMPTS = "prompts", "Prompts"
        UNPAIRED = "unpaired", "Unpaired rows"
        SCORED = "scored", "Scored rows"
        WEIGHTED = "weighted", "Weighted groups"
        PROCESS = "process", "Steps with labels"
        TUPLES = "tuples", "RLWHF tuples"

    name = models.SlugField(max_length=120, unique=True)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.PROTECT, related_name="datasets")
    settings: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    # Where rows came from that are not a project's: such as "atlas".
    source = models.CharField(max_length=200, blank=True)
    folder = models.CharField(max_length=500, blank=True)
    content_hash = models.CharField(max_length=64, blank=True)
    counts: "models.JSONField[dict[str, int], dict[str, int]]" = models.JSONField(default=dict)
    # The gate's: pass, warn, forced or refused; empty while not built.
    verdict = models.CharField(max_length=8, blank=True)
    report: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    parents = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="children")
    job = models.OneToOneField("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="dataset_version")
    requested_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)

    objects = DatasetVersionQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "dataset version"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotations:dataset-detail", args=[self.name])

    @property
    def is_ready(self) -> bool:
        return self.ready_at is not None


class DatasetUse(models.Model):
    """One item in one row of a dataset version, and the scores that its reward or place in the row comes from."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="uses", db_index=False)
    split = models.CharField(max_length=5)
    # The line of the split's file, from 1.
    row = models.PositiveIntegerField()
    # What the item is in the row: "answer", "chosen", "rejected", "prompt", or "response 3" of a group.
    part = models.CharField(max_length=16)
    item = models.ForeignKey("annotations.Item", on_delete=models.PROTECT, related_name="uses")
    # Scores, or rankings, by number.
    scores = ArrayField(models.BigIntegerField(), default=list)
    rankings = ArrayField(models.BigIntegerField(), default=list)

    class Meta:
        ordering = ("version", "split", "row", "id")
        indexes = (models.Index(fields=("version", "split", "row"), name="use_by_row"),)

    def __str__(self) -> str:
        return f"item {self.item_id} in {self.version_id} {self.split} {self.row}"


class DatasetContributor(models.Model):
    """How much of a dataset version comes from one rater under one rubric version; counted when it is built."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="contributors")
    rater = models.ForeignKey("annotations.Rater", on_delete=models.PROTECT, related_name="contributions")
    rubric_version = models.ForeignKey("annotations.RubricVersion", on_delete=models.PROTECT, related_name="contributions")
    scores = models.PositiveIntegerField(default=0)
    rankings = models.PositiveIntegerField(default=0)
    items = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("version", "-rows")
        constraints = (models.UniqueConstraint(fields=("version", "rater", "rubric_version"), name="contributor_once"),)

    def __str__(self) -> str:
        return f"{self.rater_id} in {self.version_id}: {self.rows} rows"


class DatasetShare(models.Model):
    """How many of a dataset version's rows hold anything of one rater, or under one rubric version: each row once, which the
    contributions' rows are not when they are added up. Counted when it is built.
    """

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="shares")
    rater = models.ForeignKey("annotations.Rater", on_delete=models.PROTECT, related_name="shares", null=True, blank=True)
    rubric_version = models.ForeignKey(
        "annotations.RubricVersion", on_delete=models.PROTECT, related_name="shares", null=True, blank=True
    )
    rows = models.PositiveIntegerField()

    class Meta:
        ordering = ("version", "-rows")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(rater=None, rubric_version__isnull=False) | models.Q(rater__isnull=False, rubric_version=None),
                name="share_of_one_thing",
            ),
            models.UniqueConstraint(fields=("version", "rater", "rubric_version"), name="share_once", nulls_distinct=False),
        )

    def __str__(self) -> str:
        of = f"rater {self.rater_id}" if self.rater_id else f"rubric version {self.rubric_version_id}"
        return f"{of} in {self.version_id}: {self.rows} rows"
