"""What models are asked, and what their answers amounted to."""

from typing import Any

from django.conf import settings as site
from django.db import models
from django.urls import reverse

from evaluation.models.decoding import QuickDecoder


class Benchmark(models.Model):
    """A fixed set of questions on disk; its hash is that of its questions, so equal hashes can be compared."""

    name = models.SlugField(max_length=120)
    version = models.CharField(max_length=40)
    hash = models.CharField(max_length=64, unique=True)
    folder = models.CharField(max_length=500)
    n = models.PositiveIntegerField()
    title = models.CharField(max_length=200, blank=True)
    # What its questions are, counted when it was registered: `known`, `unknown`, `judges`, and `slices` by dimension.
    facts: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict, blank=True)
    # Of a benchmark that was made of a project's scored items.
    project = models.ForeignKey(
        "annotations.Project", null=True, blank=True, on_delete=models.SET_NULL, related_name="benchmarks"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        # The title tells apart what has one name and version: two worlds of Atlas, say.
        about = f" · {self.title}" if self.title and self.title.casefold() != self.name.casefold() else ""
        return f"{self.name} {self.version}{about} ({self.hash[:8]})"

    def get_absolute_url(self) -> str:
        return reverse("evaluation:benchmark-detail", args=[self.pk])


class EvaluationQuerySet(models.QuerySet["Evaluation"]):
    def done(self) -> "EvaluationQuerySet":
        return self.filter(scorecard__isnull=False)

    def light(self) -> "EvaluationQuerySet":
        """Without the scorecards themselves: lists need the headline only."""
        found = self.select_related("artifact", "endpoint", "base", "benchmark", "job", "requested_by")
        return found.defer("scorecard", "endpoint__sealed_key")


class Evaluation(models.Model):
    """One model asked one benchmark: one of the site's own, or one that a service runs. Its state is its job's; its scorecard is
    there once that has succeeded.
    """

    artifact = models.ForeignKey("training.Artifact", null=True, blank=True, on_delete=models.PROTECT, related_name="evaluations")
    endpoint = models.ForeignKey("accounts.Endpoint", null=True, blank=True, on_delete=models.PROTECT, related_name="evaluations")
    benchmark = models.ForeignKey(Benchmark, on_delete=models.PROTECT, related_name="evaluations")
    base = models.ForeignKey("training.Artifact", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    settings: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="evaluation")
    scorecard: "models.JSONField[dict[str, Any] | None, dict[str, Any] | None]" = models.JSONField(
        null=True, blank=True, decoder=QuickDecoder
    )
    # What lists show of the scorecard, so that they need not read it: main slice, conclusion, metrics.
    headline: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict, decoder=QuickDecoder)
    created_at = models.DateTimeField(auto_now_add=True)
    requested_by = models.ForeignKey(site.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(artifact=None, endpoint__isnull=False) | models.Q(artifact__isnull=False, endpoint=None),
                name="evaluation_of_one_model",
            ),
        )

    def __str__(self) -> str:
        return f"{self.model_name} on {self.benchmark.name}"

    def get_absolute_url(self) -> str:
        return reverse("evaluation:scorecard-detail", args=[self.pk])

    @property
    def model_name(self) -> str:
        """Of the model that was asked, wherever it runs."""
        asked = self.artifact or self.endpoint
        assert asked is not None  # the database holds to one of the two
        return asked.name
