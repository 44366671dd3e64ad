"""The job row: the truth about what runs in the background. Messages in the queue carry only its id and are hints."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    QUEUED = "queued", _("Queued")
    STARTING = "starting", _("Starting")
    RUNNING = "running", _("Running")
    STOPPING = "stopping", _("Stopping")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    STOPPED = "stopped", _("Stopped")


ENDED = (State.SUCCEEDED, State.FAILED, State.STOPPED)
HELD = (State.STARTING, State.RUNNING, State.STOPPING)


class Worker(models.Model):
    """A process that takes jobs of some hardware tags. It is alive while `seen_at` is recent."""

    name = models.CharField(max_length=120, unique=True)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    tags: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)
    hardware: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True)
    # Since when it takes no job any more, though it lives; and whether it was to hand back the one it had.
    drained_at = models.DateTimeField(null=True)
    hands_back = models.BooleanField(default=False)

    class Meta:
        ordering = ("-seen_at",)

    def __str__(self) -> str:
        return self.name


class PausedQueue(models.Model):
    """A hardware tag whose jobs no worker takes for now; what runs goes on. No row: the queue moves."""

    tag = models.CharField(max_length=32, primary_key=True)
    reason = models.CharField(max_length=200, blank=True)
    paused_at = models.DateTimeField(auto_now_add=True)
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("tag",)

    def __str__(self) -> str:
        return self.tag


class Pipeline(models.Model):
    """Jobs that were queued together as the steps of one thing. Its state is that of its jobs."""

    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=64, db_index=True)
    payload: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.name


class Job(models.Model):
    """One unit of background work, done by one child process at a time."""

    kind = models.CharField(max_length=64)
    title = models.CharField(max_length=200)
    hardware_tag = models.CharField(max_length=32)
    priority = models.SmallIntegerField(default=0)
    payload: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    pipeline = models.ForeignKey(Pipeline, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs")
    after = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="dependents")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    # Who holds the job: only the holder of the newest token may change the row or publish the folder.
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    worker = models.ForeignKey(Worker, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs")
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    cancel_requested = models.BooleanField(default=False)
    # Whether the next attempt throws away what the earlier ones left in the folder, checkpoints included.
    start_over = models.BooleanField(default=False)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    # When a message was last sent for it; null while it waits for other jobs.
    enqueued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    folder = models.CharField(max_length=500, blank=True)
    progress_done = models.FloatField(null=True)
    progress_total = models.FloatField(null=True)
    progress_note = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    hint = models.TextField(blank=True)
    result: "models.JSONField[dict[str, Any] | None, dict[str, Any] | None]" = models.JSONField(null=True)
    exit_code = models.IntegerField(null=True)
    # What a person should know though the job went on: `[{"time": seconds since 1970, "text": …}]`, oldest first.
    notices: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(default=list)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="job_state_known"),
            models.CheckConstraint(
                condition=models.Q(state__in=HELD, lease_token__isnull=False) | ~models.Q(state__in=HELD),
                name="job_held_by_somebody",
            ),
        )
        indexes = (
            models.Index(fields=("hardware_tag", "-priority", "id"), name="job_claimable", condition=models.Q(state="queued")),
            models.Index(fields=("lease_until",), name="job_held", condition=models.Q(state__in=HELD)),
            models.Index(fields=("kind", "-id"), name="job_by_kind"),
            models.Index(fields=("state", "-id"), name="job_by_state"),
        )

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("jobs:job-detail", args=[self.pk])

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def percent(self) -> float | None:
        """How much is done, from 0 to 100; None where nobody knows."""
        if not self.progress_total or self.progress_done is None:
            return None
        return round(min(max(100 * self.progress_done / self.progress_total, 0), 100), 1)

    @property
    def duration(self) -> timedelta | None:
        """From the first start to the end, or until now; None where a clock that was set back makes nonsense of it."""
        if self.started_at is None:
            return None
        lasted = (self.finished_at or timezone.now()) - self.started_at
        return lasted if lasted >= timedelta() else None


class Alert(models.Model):
    """Something that a person should look at: one row from when it is noticed until it is over."""

    class Level(models.TextChoices):
        WARNING = "warning", _("Warning")
        ERROR = "error", _("Error")

    # A key of `jobs.alerting.rules.RULES`.
    rule = models.CharField(max_length=32)
    level = models.CharField(max_length=8, choices=Level.choices)
    # What it is about, such as “job 12” or “worker w1”: a rule has one open alert about it, however many notice.
    subject = models.CharField(max_length=160)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    worker = models.ForeignKey(Worker, null=True, blank=True, on_delete=models.SET_NULL, related_name="alerts")
    message = models.TextField()
    hint = models.TextField(blank=True)
    detail: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=200, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("rule", "subject"), condition=models.Q(closed_at=None), name="alert_open_once"),
            models.CheckConstraint(condition=models.Q(level__in=("warning", "error")), name="alert_level_known"),
        )

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


class AlertHook(models.Model):
    """Another server that is told of alerts, by messages signed with a secret that only it and this site know."""

    url = models.CharField(max_length=500, unique=True)
    sealed_secret = models.TextField(editable=False)
    # Rules that it is told of; empty: all.
    rules: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.url


class Chore(models.Model):
    """When something that `settings.CHORES` names was last begun; null: never."""

    name = models.CharField(max_length=200, unique=True)
    begun_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class AlertDelivery(models.Model):
    """One message to one server, written in the transaction that it tells of and sent after it, again until it arrives."""

    hook = models.ForeignKey(AlertHook, on_delete=models.CASCADE, related_name="deliveries")
    # Null: a message to try the connection with.
    alert = models.ForeignKey(Alert, null=True, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=16)
    # The same at each attempt, so that the receiver can tell a repetition.
    message_id = models.CharField(max_length=40, unique=True)
    # The body as it is signed and sent, but for the site's address, which a worker on another host does not know.
    body = models.TextField()
    attempts = models.PositiveSmallIntegerField(default=0)
    # When to send it, for the first time or again; null: it has arrived, or was given up.
    due_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("due_at",), name="delivery_due", condition=models.Q(due_at__isnull=False)),)

    def __str__(self) -> str:
        return f"{self.event} to {self.hook}"


class Usage(models.Model):
    """What one attempt of a job used, as far as it could be measured; kept up to date while it runs."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="usages")
    worker = models.ForeignKey(Worker, null=True, on_delete=models.SET_NULL, related_name="+")
    hardware_tag = models.CharField(max_length=32)
    attempt = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    seconds = models.FloatField(default=0)
    cpu_seconds = models.FloatField(null=True)
    energy_joules = models.FloatField(null=True)
    peak_memory_bytes = models.BigIntegerField(null=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"attempt {self.attempt} of {self.job_id}"


class Price(models.Model):
    """What an hour on hardware of a tag costs, from some time on, and what a kilowatt-hour of electricity costs there."""

    hardware_tag = models.CharField(max_length=32)
    # Null: since ever.
    valid_from = models.DateTimeField(null=True, blank=True)
    # Null: not charged by the hour, or for electricity.
    per_hour = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    per_kwh = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    # As ISO 4217 has it, such as EUR.
    currency = models.CharField(max_length=3)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("hardware_tag", models.F("valid_from").desc(nulls_last=True))
        constraints = (
            models.UniqueConstraint(fields=("hardware_tag", "valid_from"), nulls_distinct=False, name="price_once"),
            models.CheckConstraint(
                condition=models.Q(per_hour__isnull=False) | models.Q(per_kwh__isnull=False), name="price_says_something"
            ),
        )

    def __str__(self) -> str:
        return f"{self.hardware_tag} ({self.currency})"


class SiteHome(models.Model):
    """The state folder that pages read and that paths in rows name: one row, where folders travel by a storage."""

    path = models.CharField(max_length=500)
    # Also kept in a file of that folder, so that a machine can tell whether its own state folder is that one.
    key = models.CharField(max_length=64)
    told_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.path


class StoredFolder(models.Model):
    """A folder, or a file, that the storage has, or that some worker asks the site for."""

    class Origin(models.TextChoices):
        SITE = "site", _("The site")
        WORKER = "worker", _("A worker")

    # As rows name it: where it lies, or will lie, on the site's machine.
    path = models.CharField(max_length=500, unique=True)
    # The hash of its manifest, which stands for all that is in it; empty: it was only asked for.
    manifest = models.CharField(max_length=64, blank=True)
    origin = models.CharField(max_length=6, choices=Origin.choices, default=Origin.SITE)
    # What a job left at its end; else what another attempt may go on from.
    is_final = models.BooleanField(default=False)
    files = models.PositiveIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    stored_at = models.DateTimeField(null=True)
    # When the site had all of it on its own disk.
    fetched_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    # When whoever sends or fetches it on the site was last at it, and how many bytes are done.
    busy_at = models.DateTimeField(null=True)
    busy_bytes = models.BigIntegerField(default=0)
    problem = models.TextField(blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("asked_at",),
                name="folder_asked",
                condition=models.Q(answered_at=None) | models.Q(asked_at__gt=models.F("answered_at")),
            ),
            models.Index(
                fields=("id",), name="folder_to_fetch", condition=models.Q(fetched_at=None, is_final=True, origin="worker")
            ),
        )

    def __str__(self) -> str:
        return self.path


class StreamPiece(models.Model):
    """A part of a file that a job on another machine writes, on its way to the site; gone once it is written there."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="stream_pieces")
    # The job's folder and the file in it, as rows name them.
    folder = models.CharField(max_length=500)
    name = models.CharField(max_length=300)
    # Where the piece belongs in the file; 0 begins the file anew.
    start = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.name} of {self.job_id}, from {self.start}"


class StorageUse(models.Model):
    """Somebody sends to the storage just now: nothing may be removed from it meanwhile."""

    seen_at = models.DateTimeField()
    who = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.who
