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
    # A search service in SearXNG's form, whose findings it is shown; empty: it is shown none.
    search_url = models.CharField(max_length=500, blank=True)
    # Asked what it knows where no search can be had and nothing is kept.
    search_model = models.ForeignKey("accounts.Endpoint", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    rater = models.OneToOneField(Rater, on_delete=models.PROTECT, related_name="teacher_version")
    created_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("teacher", "-number")
        constraints = (models.UniqueConstraint(fields=("teacher", "number"), name="teacher_version_once"),)

    def __str__(self) -> str:
        return f"{self.teacher}@{self.number}"

    @property
    def compares(self) -> bool:
        """Whether it orders the answers to a prompt, and gives no scores."""
        return self.prompt.get("kind") == "pairwise"


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
    # What its calls took, those too whose items are gone since: added up as they are taken down.
    questions = models.PositiveIntegerField(default=0)
    tokens_in = models.PositiveBigIntegerField(default=0)
    tokens_out = models.PositiveBigIntegerField(default=0)
    # In the prices' currency; null where no service that was asked has one.
    cost = models.DecimalField(max_digits=16, decimal_places=8, null=True, blank=True)
    # Calls that its endpoint did not answer, and calls by where their evidence came from.
    fallbacks = models.PositiveIntegerField(default=0)
    by_search = models.PositiveIntegerField(default=0)
    by_cache = models.PositiveIntegerField(default=0)
    by_model = models.PositiveIntegerField(default=0)
    by_rules = models.PositiveIntegerField(default=0)
    # Its version's scores held against people's when it ended: `annotations.teacher_quality`.
    quality: "models.JSONField[dict[str, Any] | None, dict[str, Any] | None]" = models.JSONField(null=True, blank=True)
    # Why it ended before all were asked; empty where it did not.
    ended_early = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.version} in {self.project}"

    @property
    def only_measures(self) -> bool:
        """Whether nobody is asked anything in it: what the version has judged before is held against people anew."""
        return self.most == 0

    @property
    def evidence_counts(self) -> list[tuple[str, int]]:
        """Where the evidence of its calls came from, as far as they were shown any."""
        counts = [
            ("searched", self.by_search),
            ("kept", self.by_cache),
            ("by a model", self.by_model),
            ("by rules", self.by_rules),
        ]
        return [(name, count) for name, count in counts if count]


class TeacherEvidence(models.Model):
    """What was found about a question, as teachers are shown it: kept, so that it is not looked for again. Append-only."""

    class Source(models.TextChoices):
        SEARCH = "search", "A search"
        MODEL = "model", "What a model knows"
        RULES = "rules", "Rules over words"

    source = models.CharField(max_length=8, choices=Source.choices)
    # Who was asked, and in which form or by which prompt: `annotations.teachers.evidence`.
    provider = models.CharField(max_length=800)
    # Of provider and query: what stands under the same key was asked for in the same way.
    key = models.CharField(max_length=64)
    query = models.TextField(blank=True)
    # As the teacher is shown it, with its hash.
    text = models.TextField()
    digest = models.CharField(max_length=64)
    # Of a search: title, url and content of each.
    results: "models.JSONField[list[dict[str, str]], list[dict[str, str]]]" = models.JSONField(default=list, blank=True)
    # The run that looked for it, and what a model took for it.
    run = models.ForeignKey(TeacherRun, null=True, on_delete=models.SET_NULL, related_name="evidence")
    questions = models.PositiveSmallIntegerField(default=0)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    # In the prices' currency; null where there is none.
    cost = models.DecimalField(max_digits=14, decimal_places=8, null=True, blank=True)
    found_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "teacher evidence"
        indexes = (models.Index(fields=("key", "-id"), name="teacher_evidence_newest"),)

    def __str__(self) -> str:
        return f"{self.provider}: {self.query}"[:80]


class TeacherCall(models.Model):
    """One verdict that a teacher was asked for, with what it took. Append-only."""

    class EvidenceSource(models.TextChoices):
        SEARCH = "search", "A search"
        CACHE = "cache", "Kept from a search"
        MODEL = "model", "What a model knows"
        RULES = "rules", "Rules over words"

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
    # What it was shown, and where that came from in this call; empty where it is shown none. Why no search said it now.
    evidence = models.ForeignKey(TeacherEvidence, null=True, blank=True, on_delete=models.PROTECT, related_name="calls")
    evidence_source = models.CharField(max_length=8, blank=True, choices=EvidenceSource.choices)
    evidence_trouble = models.CharField(max_length=300, blank=True)
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
        constraints = (
            models.CheckConstraint(
                condition=models.Q(evidence=None, evidence_source="")
                | (models.Q(evidence__isnull=False) & ~models.Q(evidence_source="")),
                name="teacher_call_evidence_has_source",
            ),
        )

    def __str__(self) -> str:
        return f"{self.run} on {self.item_id}"
