"""Which model answers next in a project: its rules, what they said of whom, and who was promoted."""

from typing import Any, ClassVar

from django.conf import settings as site
from django.db import models
from django.urls import reverse

from evaluation.models.evaluations import Benchmark, Evaluation


class PromotionRules(models.Model):
    """One version of a project's rules. Never changed: a verdict stands on the rules that it was given by."""

    project = models.ForeignKey("annotations.Project", on_delete=models.CASCADE, related_name="promotion_rules")
    number = models.PositiveIntegerField()
    # `evaluation.promotion.rules.Rules`.
    rules: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    # The questions that decide here.
    benchmark = models.ForeignKey(Benchmark, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(site.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("project", "-number")
        verbose_name_plural = "promotion rules"
        constraints = (models.UniqueConstraint(fields=("project", "number"), name="promotion_rules_once"),)

    def __str__(self) -> str:
        return f"{self.project}, rules {self.number}"


class PromotionVerdict(models.Model):
    """What a project's rules say of one evaluation: of a challenger, or of the champion when it was measured again (`watch`)."""

    project = models.ForeignKey("annotations.Project", on_delete=models.CASCADE, related_name="verdicts")
    rules = models.ForeignKey(PromotionRules, on_delete=models.PROTECT, related_name="verdicts")
    evaluation = models.ForeignKey(Evaluation, on_delete=models.PROTECT, related_name="verdicts")
    # The evaluation of the model that it is held against, where there is one.
    against = models.ForeignKey(Evaluation, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # Whose place was asked for: who was champion then.
    champion = models.ForeignKey("evaluation.Promotion", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    watch = models.BooleanField(default=False)
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="verdict")
    # None: not ready, or it cannot be told.
    passed = models.BooleanField(null=True)
    # `evaluation.promotion.verdict.VerdictDocument`.
    document: "models.JSONField[dict[str, Any] | None, dict[str, Any] | None]" = models.JSONField(null=True, blank=True)
    requested_by = models.ForeignKey(site.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.evaluation.model_name} for {self.project}"

    def get_absolute_url(self) -> str:
        return reverse("evaluation:promotion-verdict", args=[self.pk])


class Promotion(models.Model):
    """A model that is or was a project's champion. Append-only: whoever comes after ends it."""

    class Kind(models.TextChoices):
        RULES = "rules", "By the rules"
        OVERRIDE = "override", "By hand"
        ROLLBACK = "rollback", "Rolled back to"

    project = models.ForeignKey("annotations.Project", on_delete=models.PROTECT, related_name="promotions")
    artifact = models.ForeignKey("training.Artifact", on_delete=models.PROTECT, related_name="promotions")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    # By which it was promoted; of a rollback, that which its successor broke.
    verdict = models.ForeignKey(PromotionVerdict, null=True, blank=True, on_delete=models.PROTECT, related_name="promotions")
    # Who was champion before; a rollback leads back to it.
    previous = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    # `evaluation.promotion.certificate.Certificate`.
    certificate: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    promoted_by = models.ForeignKey(site.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    promoted_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.TextField(blank=True)

    objects: ClassVar[models.Manager["Promotion"]] = models.Manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("project",), condition=models.Q(ended_at=None), name="promotion_one_champion"),
            models.CheckConstraint(condition=~models.Q(kind="override", reason=""), name="promotion_override_has_reason"),
        )

    def __str__(self) -> str:
        return f"{self.artifact} in {self.project}"

    def get_absolute_url(self) -> str:
        return reverse("evaluation:promotion-project", args=[self.project.slug])
