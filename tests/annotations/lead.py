"""What the tests of a lead's services and pages share."""

from uuid import uuid4

from annotations import services
from annotations.models import Item, Progress, Project


def score(item, user, overall=1, **more):
    return services.score_submit(item=item, actor=user, submission=uuid4(), overall=overall, **more)


def fresh(row):
    return type(row)._base_manager.get(pk=row.pk)


def done(project):
    return sum(Progress.objects.filter(project=project).values_list("completed", flat=True))


def counts_hold(project):
    """The running counts say what a count says."""
    project = Project.objects.get(pk=project.pk)
    ordinary = Item.objects.filter(project=project, gold_score=None)
    assert project.gold_count == Item.objects.filter(project=project, gold_score__isnull=False).count()
    assert done(project) == (ordinary.filter(is_open=False).count() if project.raters_per_item else 0)
    for row in Progress.objects.filter(project=project, rater__kind="person"):
        live = row.rater.scores.filter(withdrawn_at=None, item__project=project)
        assert row.scored == live.count()
        assert row.gold == live.filter(item__gold_score__isnull=False).count()
