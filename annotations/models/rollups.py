"""Counts of scores, so that pages need not read the scores themselves."""

from django.db import models

from annotations.models.projects import Project, Rater


class ScoreCount(models.Model):
    """A change in how many live scores there are of one kind; the rows of the same kind add up to how many there are.

    Each score is counted twice: once by its rater (`source_model` is null), once by the model whose answer it is of (`rater` is
    null). The database's own triggers write a row wherever scores come, change, go or are revoked (migrations 0016 and 0020), so
    nobody who writes scores waits for anybody else; the reconciler draws rows of the same kind together now and then.
    """

    # No constraints: what is written here never holds up what happens to projects and raters. After a project is gone its rows
    # add up to nothing.
    project = models.ForeignKey(Project, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    kind = models.CharField(max_length=12, choices=Rater.Kind.choices)
    rater = models.ForeignKey(
        Rater, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    source_model = models.CharField(max_length=200, null=True)  # noqa: DJ001 (null: counted by rater; "": nobody named a model)
    # The Monday of the week (UTC) in which the scores were given.
    week = models.DateField()
    # The nearest whole one, of half a step the lower; null: could not verify.
    score = models.SmallIntegerField(null=True)
    scores = models.IntegerField()
    # Of the scores as they were given, to six decimals.
    total = models.DecimalField(max_digits=20, decimal_places=6)
    # Of scores that count for nothing while a revocation is in force.
    is_revoked = models.BooleanField(default=False, db_default=False)
    # Whether it is a sum already: of one kind there is one such row, besides the changes since.
    is_folded = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = (
            models.Index(fields=("project", "week"), name="scorecount_by_week"),
            models.Index(fields=("project", "week"), name="scorecount_changes", condition=models.Q(is_folded=False)),
            # All that is read is in them, so that neither rows nor what was drawn together and left its place empty is looked at.
            models.Index(
                fields=("project", "kind", "rater", "week", "score"),
                include=("scores", "total"),
                name="scorecount_by_rater",
                condition=models.Q(rater__isnull=False, is_revoked=False),
            ),
            models.Index(
                fields=("project", "kind", "source_model", "week", "score"),
                include=("scores", "total"),
                name="scorecount_by_model",
                condition=models.Q(source_model__isnull=False, is_revoked=False),
            ),
            # Few, and on most sites none.
            models.Index(
                fields=("project", "kind", "rater"),
                include=("scores",),
                name="scorecount_revoked",
                condition=models.Q(rater__isnull=False, is_revoked=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scores:+d} of {self.score} in the week of {self.week}"
