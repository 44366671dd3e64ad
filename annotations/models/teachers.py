"""AI teachers: who they are, how each version of them judges, and every call that was made."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from annotations.models.items import Item
from annotations.models.projects import Project, Rater


class Teacher(models.Model):
    """A named slot that a model scores from. How it judges is its newest version."""

    name = models.SlugField(max_length=80, unique=True)
    # Beside other teachers' in a weighted consensus.
    weight = models.FloatField(default=1.0, validators=[MinValueValidator(0), MaxValueValidator(100)])
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
        return reverse("annotations:teacher-detail", args=[self.name])


class TeacherVersion(models.Model):
    """One way in which a teacher judges. Never changed: its scores are those of a rater of its own."""

    teacher = models.ForeignKey(Teacher, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    endpoint = models.ForeignKey("accounts.Endpoint", on_delete=models.PROTECT, related_name="teachers")
    # As the endpoint called it when this version was made.
    model = models.CharField(max_length=200)
    # `annotations.teachers.prompts.TeacherPrompt`, and its hash.
    prompt: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    prompt_hash = models.CharField(max_length=64)
    # Whether it is told the gold answer where there is one.
    uses_reference = models.BooleanField(default=False)
    max_tokens = models.PositiveIntegerField(default=400)
    temperature = models.FloatField(default=0.0, validators=[MinValueValidator(0), MaxValueValidator(2)])
    # Asked where the endpoint cannot be had; without one, or where it is gone too, the words' own rules judge if they may.
    fallback = models.ForeignKey("accounts.Endpoint", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    uses_rules = models.BooleanField(default=False)
    rater = models.OneToOneField(Rater, on_delete=models.PROTECT, related_name="teacher_version")
    created_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("teacher", "-number")
        constraints = (models.UniqueConstraint(fields=("teacher", "number"), name="teacher_version_once"),)

    def __str__(self) -> str:
        return f"{self.teacher}@{self.number}"


class TeacherRun(models.Model):
    """One version of a teacher over a project's items. Its state is its job's."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="teacher_runs")
    version = models.ForeignKey(TeacherVersion, on_delete=models.PROTECT, related_name="runs")
    # At most so many items; null: all that it has not scored; 0: none, its scores are held against people's anew.
    most = models.PositiveIntegerField(null=True, blank=True)
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="teacher_run")
    requested_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    # What was done so far; the calls themselves have the rest.
    scored = models.PositiveIntegerField(default=0)
    malformed = models.PositiveIntegerField(default=0)
    cannot_tell = models.PositiveIntegerField(default=0)
    # Its version's scores held against people's when it ended: `annotations.teacher_quality`.
    quality: "models.JSONField[dict[str, Any] | None, dict[str, Any] | None]" = models.JSONField(null=True, blank=True)
    # Why it ended before all were asked; empty where it did not.
    ended_early = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.version} in {self.project}"


class TeacherCall(models.Model):
    """One verdict that a teacher was asked for, with what it took. Append-only."""

    class Source(models.TextChoices):
        LIVE = "live", "The endpoint"
        FALLBACK = "fallback", "The fallback endpoint"
        RULES = "rules", "Rules over words"

    run = models.ForeignKey(TeacherRun, on_delete=models.CASCADE, related_name="calls")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="teacher_calls")
    # The other answer of a pair.
    other = models.ForeignKey(Item, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.LIVE)
    # What the service said last, word for word.
    reply = models.TextField(blank=True)
    score = models.FloatField(null=True, blank=True)
    # Of a pair: "first", "second" or "tie", and whether both orders agreed.
    better = models.CharField(max_length=6, blank=True)
    consistent = models.BooleanField(null=True, blank=True)
    # Why it amounts to nothing; empty where it does.
    reason = models.TextField(blank=True)
    # How often the service was asked, malformed replies and both orders included.
    questions = models.PositiveSmallIntegerField(default=0)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    # In the prices' currency; null where the service has none.
    cost = models.DecimalField(max_digits=14, decimal_places=8, null=True, blank=True)
    seconds = models.FloatField(default=0.0)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("item",), name="teacher_call_by_item"),)

    def __str__(self) -> str:
        return f"{self.run} on {self.item_id}"
