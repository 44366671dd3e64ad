"""What is scored, by whom, how; and the dataset versions that come of it."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Left
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from annotations.rubric import HIGHEST, LOWEST, Rubric, translated

# PostgreSQL refuses a search document above 1 MB; the start of a long text is enough to find it by.
SEARCHED_CHARACTERS = 50_000
_RUBRICS: dict[str, Rubric] = {}


class RubricVersion(models.Model):
    """A rubric as it was when scores were given under it. Never changed: another content is another row."""

    name = models.SlugField(max_length=60)
    version = models.PositiveIntegerField()
    title = models.CharField(max_length=120)
    content_hash = models.CharField(max_length=64, unique=True)
    data: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name", "-version")

    def __str__(self) -> str:
        return f"{self.title} {self.version}"

    @property
    def rubric(self) -> Rubric:
        """The rubric; remembered, since a row's content never changes and every scored item asks for it."""
        if self.content_hash not in _RUBRICS:
            if not self.data:  # a row of which only the hash was read
                self.refresh_from_db(fields=["data"])
            _RUBRICS[self.content_hash] = Rubric.model_validate(self.data)
        return _RUBRICS[self.content_hash]

    @property
    def shown(self) -> Rubric:
        """The rubric with its words in the language of the page."""
        return translated(self.rubric, get_language() or "")


class Project(models.Model):
    """Items that are scored by the same people, under the same rubric and guidelines."""

    class Mode(models.TextChoices):
        SCORE = "score", _("Score one answer")
        COMPARE = "compare", _("Compare answers")
        REVIEW = "review", _("Score, criticise and revise")

    class Order(models.TextChoices):
        RANDOM = "random", "Random"
        UNCERTAIN = "uncertain", "Answers of doubtful confidence first"

    name = models.CharField(max_length=80, unique=True)
    slug = models.SlugField(max_length=80, unique=True)
    guidelines = models.TextField(blank=True)
    rubric_version = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="projects")
    # 0: people are asked for nothing here; gold answers alone score.
    raters_per_item = models.PositiveSmallIntegerField(default=1, validators=[MaxValueValidator(50)])
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.SCORE)
    # Whether annotators mark claims, hedges, fabrications and evidence in the answer.
    asks_spans = models.BooleanField(default=False)
    # In review: how often an answer may be revised; the last revision is scored and no more.
    review_rounds = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(9)])
    # In compare: how many answers of a prompt are shown side by side, at most.
    candidates_shown = models.PositiveSmallIntegerField(default=2, validators=[MinValueValidator(2), MaxValueValidator(6)])
    order = models.CharField(max_length=10, choices=Order.choices, default=Order.RANDOM)
    # Scores that one person may give here at most; a membership may say otherwise.
    cap_per_person = models.PositiveIntegerField(null=True, blank=True)
    # Only people with a membership may score here.
    members_only = models.BooleanField(default=False)
    # Of the items that a person is handed, the share that is gold.
    gold_share = models.FloatField(default=0, validators=[MinValueValidator(0), MaxValueValidator(0.5)])
    # How many qualification items somebody new scores first, with feedback; and the share they must get right.
    qualification_items = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(50)])
    qualification_pass = models.FloatField(default=0.7, validators=[MinValueValidator(0), MaxValueValidator(1)])
    # Scores that lie this far apart make an item disputed.
    disagreement_threshold = models.FloatField(default=2, validators=[MinValueValidator(0.5), MaxValueValidator(4)])
    # How many more people than raters_per_item score a disputed item.
    extra_raters = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(10)])
    hold_minutes = models.PositiveSmallIntegerField(default=15, validators=[MinValueValidator(1), MaxValueValidator(1440)])
    # After so many days an item that was assigned to somebody goes back to the queue.
    assignment_days = models.PositiveSmallIntegerField(default=7, validators=[MinValueValidator(1), MaxValueValidator(365)])
    item_count = models.PositiveIntegerField(default=0, editable=False)
    # Of these, gold items: they are never done.
    gold_count = models.PositiveIntegerField(default=0, editable=False)
    # In compare: prompts with two answers or more, one item of each being the head that is handed out.
    comparison_count = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotations:project-detail", args=[self.slug])

    @property
    def task_count(self) -> int:
        """How much people are asked to deal with here."""
        if not self.raters_per_item:
            return 0
        return self.comparison_count if self.mode == self.Mode.COMPARE else max(0, self.item_count - self.gold_count)


class Rater(models.Model):
    """Whoever gives scores: a person, the gold answers, or a teacher whose scores came with an import."""

    class Kind(models.TextChoices):
        PERSON = "person", _("Person")
        GOLD = "gold", _("Gold answers")
        TEACHER = "teacher", _("Teacher")
        # A person who decides with all scores in view; their blind scores are another rater's.
        ADJUDICATOR = "adjudicator", _("Adjudicator")

    kind = models.CharField(max_length=12, choices=Kind.choices)
    name = models.CharField(max_length=150)
    user = models.OneToOneField("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="rater")
    # What this rater can judge; an item that names a skill goes to those who have it.
    skills = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("kind", "name"), name="rater_name_once"),
            models.CheckConstraint(
                condition=models.Q(kind="person", user__isnull=False) | (~models.Q(kind="person") & models.Q(user=None)),
                name="rater_person_has_user",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """What holds for one person in one project, where it is not what holds for everybody."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    rater = models.ForeignKey(Rater, on_delete=models.CASCADE, related_name="memberships")
    is_active = models.BooleanField(default=True)
    # Scores that they may give here at most; null: as the project says.
    cap = models.PositiveIntegerField(null=True, blank=True)
    qualified_at = models.DateTimeField(null=True, blank=True)
    # "" not yet, "passed" the qualification set, or "waived" by a lead.
    qualified_by = models.CharField(max_length=8, blank=True)
    # Qualification rounds taken so far, this one too; a lead may allow another.
    attempt = models.PositiveSmallIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("project", "rater"), name="membership_once"),)

    def __str__(self) -> str:
        return f"{self.rater} in {self.project}"


class ItemManager(models.Manager["Item"]):
    """Items that are not deleted. `Item.every` has them all."""

    def get_queryset(self) -> models.QuerySet["Item"]:
        return super().get_queryset().filter(deleted_at=None)


class Item(models.Model):
    """One answer to be scored, with what it answers."""

    class Knowledge(models.TextChoices):
        KNOWN = "known", _("Known to the model")
        UNKNOWN = "unknown", _("Unknown to the model")

    # No index of its own, here and for `revises`: others begin with it, and each makes every change of an item dearer.
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items", db_index=False)
    prompt: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField()
    # Whether the tuple it came from wrote its prompt as plain text, so that it is written back the same way.
    prompt_is_text = models.BooleanField(default=True)
    prompt_text = models.TextField(editable=False)
    answer = models.TextField()
    source_model = models.CharField(max_length=200, blank=True)
    stated_confidence = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1)])
    gold_answers: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list, blank=True)
    knowledge = models.CharField(max_length=8, null=True, blank=True, choices=Knowledge.choices)  # noqa: DJ001 - null: not known
    knowledge_source = models.CharField(max_length=80, blank=True)
    # Items about the same thing share an entity, so that they land in the same split.
    entity = models.CharField(max_length=200, blank=True)
    metadata: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict, blank=True)
    content_hash = models.CharField(max_length=64, editable=False)
    prompt_hash = models.CharField(max_length=64, editable=False)
    # Drawn from the content hash: the order in which items are handed out, the same for everyone.
    position = models.BigIntegerField(editable=False)
    # Live scores by people; kept by the services that add and withdraw scores.
    people_scores = models.PositiveSmallIntegerField(default=0, editable=False)
    is_open = models.BooleanField(default=True, editable=False)
    open_flags = models.PositiveSmallIntegerField(default=0, editable=False)
    # How many more scores than the project asks for: disputed items get more.
    extra_raters = models.PositiveSmallIntegerField(default=0, editable=False)
    # Of the live scores by people: their median, and how far the outermost lie apart (null below two).
    consensus = models.FloatField(null=True, editable=False)
    spread = models.FloatField(null=True, editable=False)
    adjudicated_at = models.DateTimeField(null=True, editable=False)
    # Higher is handed out first: 0 as drawn, 1 disputed, 2 and above as a lead has set it.
    priority = models.SmallIntegerField(default=0)
    skill = models.CharField(max_length=40, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    # Of a gold item: the score that is right, and why. Gold items are never open; everybody gets some of them.
    gold_score = models.FloatField(null=True, blank=True, validators=[MinValueValidator(LOWEST), MaxValueValidator(HIGHEST)])
    gold_note = models.TextField(blank=True)
    is_qualification = models.BooleanField(default=False)
    # Of a revised answer: the item that it revises, in which round, and who wrote it.
    revises = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="revisions", db_index=False)
    iteration = models.PositiveSmallIntegerField(default=0, editable=False)
    written_by = models.ForeignKey(Rater, null=True, blank=True, on_delete=models.PROTECT, related_name="written")
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    search = models.GeneratedField(
        expression=SearchVector(Left("prompt_text", SEARCHED_CHARACTERS), Left("answer", SEARCHED_CHARACTERS), config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = ItemManager()
    every: ClassVar[models.Manager["Item"]] = models.Manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("project", "content_hash"), name="item_once_in_project"),
            models.CheckConstraint(
                condition=models.Q(stated_confidence=None) | models.Q(stated_confidence__range=(0, 1)),
                name="item_confidence_is_a_share",
            ),
        )
        indexes = (
            models.Index(fields=("project", "-id"), name="item_newest"),
            models.Index(fields=("project", "prompt_hash", "content_hash"), name="item_by_prompt"),
            models.Index(fields=("project", "source_model"), name="item_by_source"),
            models.Index(fields=("project", "-priority", "position"), name="item_open", condition=models.Q(is_open=True)),
            models.Index(fields=("project", "position"), name="item_gold", condition=models.Q(gold_score__isnull=False)),
            models.Index(fields=("revises",), name="item_revisions", condition=models.Q(revises__isnull=False)),
            models.Index(fields=("project", "-id"), name="item_flagged", condition=models.Q(open_flags__gt=0)),
            models.Index(
                fields=("project", "-spread", "id"),
                name="item_disputed",
                condition=models.Q(spread__gt=0, adjudicated_at=None),
            ),
            models.Index(
                fields=("project", "-adjudicated_at"), name="item_adjudicated", condition=models.Q(adjudicated_at__isnull=False)
            ),
            GinIndex(fields=("search",), name="item_search"),
            # For the items page; docs/design/annotations.md says what each costs and saves.
            GinIndex(fields=("tags",), name="item_tags"),
            models.Index(fields=("project", "skill", "id"), name="item_skill", condition=models.Q(skill__gt="")),
            models.Index(
                fields=("project", "is_open", "consensus", "id"), name="item_score", condition=models.Q(people_scores__gt=0)
            ),
            models.Index(
                fields=("project", "stated_confidence", "id"),
                name="item_confidence",
                condition=models.Q(stated_confidence__isnull=False),
            ),
            models.Index(fields=("project", "knowledge"), name="item_knowledge", condition=models.Q(knowledge__isnull=False)),
            models.Index(fields=("project", "priority", "id"), name="item_priority", condition=models.Q(priority__gte=2)),
            models.Index(fields=("id",), name="item_deleted", condition=models.Q(deleted_at__isnull=False)),
            BrinIndex(fields=("created_at",), name="item_since"),
        )

    def __str__(self) -> str:
        return f"item {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("annotations:item-detail", args=[self.pk])

    @property
    def gold_answer(self) -> str:
        return self.gold_answers[0] if self.gold_answers else ""


class ScoreQuerySet(models.QuerySet["Score"]):
    def live(self) -> "ScoreQuerySet":
        return self.filter(withdrawn_at=None)


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
    replaces = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("item", "rater"), condition=models.Q(withdrawn_at=None), name="ranking_one_live_per_rater"
            ),
        )
        indexes = (models.Index(fields=("rater", "-given_at"), name="ranking_by_rater"),)

    def __str__(self) -> str:
        return f"{self.rater} on the answers beside {self.item_id}"


class Turn(models.Model):
    """How one person stands to one item: it is held for them, or they have dealt with it.

    A held item counts as one of the scores it needs until the hold runs out, so that people at work at the same
    time are handed different items.
    """

    class State(models.TextChoices):
        HELD = "held", "Held"
        # A lead wants them to score it; it counts as held until it goes back to the queue.
        ASSIGNED = "assigned", "Assigned"
        SCORED = "scored", "Scored"
        SKIPPED = "skipped", "Skipped"
        FLAGGED = "flagged", "Flagged"
        # Looked at the others' scores first: can no longer score blind.
        REVEALED = "revealed", "Saw the scores"
        # Wrote the answer, as a revision of another.
        WROTE = "wrote", "Wrote the answer"

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="turns")
    rater = models.ForeignKey(Rater, on_delete=models.CASCADE, related_name="turns")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=8, choices=State.choices)
    held_until = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("item", "rater"), name="turn_once"),)
        indexes = (
            models.Index(fields=("rater", "project", "-updated_at"), name="turn_latest"),
            models.Index(fields=("item",), name="turn_held", condition=models.Q(state__in=("held", "assigned"))),
            models.Index(fields=("rater", "project"), name="turn_mine_assigned", condition=models.Q(state="assigned")),
            models.Index(fields=("rater", "project", "held_until"), name="turn_mine_held", condition=models.Q(state="held")),
        )

    def __str__(self) -> str:
        return f"{self.rater} {self.state} {self.item_id}"


class Progress(models.Model):
    """One rater's running counts in one project. The project's totals are their sum, so no row is everybody's."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="progress")
    rater = models.ForeignKey(Rater, on_delete=models.CASCADE, related_name="progress")
    scored = models.IntegerField(default=0)
    skipped = models.IntegerField(default=0)
    # Items that this rater's score closed, less those that this rater's undo opened again.
    completed = models.IntegerField(default=0)
    seconds = models.FloatField(default=0)
    # Gold items among them, qualification too.
    gold = models.IntegerField(default=0)
    # Where in the order of positions this person is; items before it are looked at again at the end.
    cursor = models.BigIntegerField(default=-1)

    class Meta:
        verbose_name_plural = "progress"
        constraints = (models.UniqueConstraint(fields=("project", "rater"), name="progress_once"),)

    def __str__(self) -> str:
        return f"{self.rater} in {self.project}: {self.scored}"

    @property
    def seconds_each(self) -> float | None:
        return self.seconds / self.scored if self.scored else None


class Draft(models.Model):
    """What a person has typed about an item and not yet submitted."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="drafts")
    rater = models.ForeignKey(Rater, on_delete=models.CASCADE, related_name="drafts")
    data: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("item", "rater"), name="draft_once"),)

    def __str__(self) -> str:
        return f"draft of {self.rater} on {self.item_id}"


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


class SavedView(models.Model):
    """A filter and an order of the items page under a name."""

    owner = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    # As in the page's address: "project=…&state=…&sort=…".
    query = models.CharField(max_length=1000)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("owner", "name"), name="saved_view_once"),)

    def __str__(self) -> str:
        return self.name


class BulkAction(models.Model):
    """One change of many items at once, with what it takes to undo it."""

    action = models.CharField(max_length=20)
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="bulk_actions")
    # What was asked for: the filter or that items were named, and the new value.
    settings: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    # How many items it is about, and how many of them it has changed so far.
    chosen = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    # Why others were left as they were, with how many each.
    left_out: "models.JSONField[dict[str, int], dict[str, int]]" = models.JSONField(default=dict)
    actor = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    job = models.OneToOneField("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="bulk_action")
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    # Once asked, nothing more is done for it; the undo is through at `undone_at`.
    undo_asked_at = models.DateTimeField(null=True)
    undo_job = models.OneToOneField("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="bulk_undo")
    undone = models.PositiveIntegerField(default=0)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.action}: {self.changed} items"


class BulkBatch(models.Model):
    """Some items of a bulk action, which change together or not at all. They are chosen when the action is asked for."""

    action = models.ForeignKey(BulkAction, on_delete=models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    # Those that were chosen; from `done_at` on, those of them that it changed.
    items = ArrayField(models.BigIntegerField())
    # What they were before, as the kind of action writes it down.
    before: "models.JSONField[list[Any], list[Any]]" = models.JSONField(default=list)
    done_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("action", "number")
        constraints = (models.UniqueConstraint(fields=("action", "number"), name="bulk_batch_once"),)

    def __str__(self) -> str:
        return f"batch {self.number} of {self.action_id}"


class QualityReport(models.Model):
    """Agreement and each annotator's figures in a project, as they were when it was computed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="quality_reports")
    # The highest score id that it has seen: what came later is not in it.
    last_score = models.BigIntegerField(default=0)
    data: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    job = models.OneToOneField("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="quality_report")
    requested_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"quality of {self.project}"


class Import(models.Model):
    """One file that was read into a project, and what became of its lines."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    file_name = models.CharField(max_length=200)
    # Of the uploaded file; empty when it was read where it lay.
    stored_path = models.CharField(max_length=500, blank=True)
    rater_name = models.CharField(max_length=150, default="imported")
    report: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    refused_path = models.CharField(max_length=500, blank=True)
    job = models.OneToOneField("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="item_import")
    requested_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.file_name

    def get_absolute_url(self) -> str:
        return reverse("annotations:import-detail", args=[self.pk])


class DatasetVersionQuerySet(models.QuerySet["DatasetVersion"]):
    def ready(self) -> "DatasetVersionQuerySet":
        return self.exclude(ready_at=None)


class DatasetVersion(models.Model):
    """An immutable folder of training rows. The row is made when the build is asked for; it is ready once built."""

    class Kind(models.TextChoices):
        SFT = "sft", "SFT rows"
        PREFERENCE = "preference", "Preference pairs"
        PROMPTS = "prompts", "Prompts"

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
