"""Chains of specialists: their steps, their runs, and what each step said."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from annotations.models.items import Item
from annotations.models.projects import Project


class Chain(models.Model):
    """A named line of models. What its steps are is its newest version."""

    name = models.SlugField(max_length=80, unique=True)
    is_active = models.BooleanField(default=True)
    # Of one run, at most; null: no limit.
    max_calls = models.PositiveIntegerField(null=True, blank=True)
    max_cost = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotations:chain-detail", args=[self.name])


class ChainVersion(models.Model):
    """One line of steps. Never changed: items say which of them they came from."""

    chain = models.ForeignKey(Chain, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    # Of all that makes its steps what they are.
    content_hash = models.CharField(max_length=64)
    created_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("chain", "-number")
        constraints = (models.UniqueConstraint(fields=("chain", "number"), name="chain_version_once"),)

    def __str__(self) -> str:
        return f"{self.chain}@{self.number}"


class ChainStep(models.Model):
    """One specialist: who is asked, and what."""

    class Role(models.TextChoices):
        ANSWER = "answer", "Answer"
        REVIEW = "review", "Review"
        REVISE = "revise", "Revision"
        EXTEND = "extend", "Extension"

    version = models.ForeignKey(ChainVersion, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=8, choices=Role.choices)
    endpoint = models.ForeignKey("accounts.Endpoint", on_delete=models.PROTECT, related_name="chain_steps")
    # As the endpoint called it when this version was made.
    model = models.CharField(max_length=200)
    # `annotations.chains.prompts.ChainPrompt`, and its hash.
    prompt: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    prompt_hash = models.CharField(max_length=64)
    max_tokens = models.PositiveIntegerField(default=800)
    temperature = models.FloatField(default=0.0, validators=[MinValueValidator(0), MaxValueValidator(2)])

    class Meta:
        ordering = ("version", "position")
        constraints = (models.UniqueConstraint(fields=("version", "position"), name="chain_step_once"),)

    def __str__(self) -> str:
        return f"{self.version}, step {self.position}"


class ChainRun(models.Model):
    """One version of a chain over a project's items. Its state is its job's."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="chain_runs")
    version = models.ForeignKey(ChainVersion, on_delete=models.PROTECT, related_name="runs")
    # At most so many items to start from; null: all that it has not gone through.
    most = models.PositiveIntegerField(null=True, blank=True)
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="chain_run")
    requested_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    # Why it ended before all were done; empty where it did not.
    ended_early = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.version} in {self.project}"


class ChainResult(models.Model):
    """What one step said of one item, with what it took: the log of calls, and where the items that came of it are from.
    Append-only.
    """

    run = models.ForeignKey(ChainRun, on_delete=models.CASCADE, related_name="results")
    step = models.ForeignKey(ChainStep, on_delete=models.PROTECT, related_name="results")
    # The item that the chain began with, and the one that this step worked on: that of the step before, or the first.
    source = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="chain_results")
    parent = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+")
    # What came of it; null where nothing did. `is_new`: it was not there before.
    item = models.ForeignKey(Item, null=True, blank=True, on_delete=models.CASCADE, related_name="chain_origins")
    is_new = models.BooleanField(default=False)
    # Word for word.
    reply = models.TextField(blank=True)
    # Why it amounts to nothing; empty where it does.
    reason = models.CharField(max_length=500, blank=True)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    # In the prices' currency; null where the service has none.
    cost = models.DecimalField(max_digits=14, decimal_places=8, null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("step", "source"), condition=models.Q(reason=""), name="chain_result_once"),
            models.CheckConstraint(
                condition=models.Q(reason="", item__isnull=False) | (~models.Q(reason="") & models.Q(item=None)),
                name="chain_result_item_or_reason",
            ),
        )

    def __str__(self) -> str:
        return f"{self.step} on {self.source_id}"
