"""What an annotator is told about their own scores: gently, about nobody else, and only where it says something."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from annotations.models import Item, Project, QualityReport, Turn
from annotations.quality_compute import quality_run
from annotations.selectors import own_figures
from annotations.services import score_submit
from annotations.services.adjudication import adjudicate


def browser(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def scored(project, items, person):
    """Ann gives one more than Ben and Cleo on each of ten items."""
    Project.objects.filter(pk=project.pk).update(raters_per_item=3)
    ann, ben, cleo = person("ann"), person("ben"), person("cleo")
    for number, item in enumerate(items):
        low = -2 + number % 4
        for somebody, value in ((ann, low + 1), (ben, low), (cleo, low)):
            score_submit(item=item, actor=somebody, submission=uuid4(), overall=value)
    return ann


@pytest.fixture
def report(scored, project):
    return quality_run(project=project, actor=None)


def test_without_a_report_there_is_nothing_to_tell(scored):
    assert own_figures(user=scored) == []


def test_somebody_is_told_how_their_scores_lie_to_the_others(scored, project, report):
    (told,) = own_figures(user=scored)
    assert (told.project, told.within_one, told.compared, told.leaning) == (project, 1.0, 10, "higher")
    assert told.bias == pytest.approx(1.0)
    assert told.gold_exact is None
    page = browser(scored).get(reverse("annotations:mine")).content.decode()
    assert "a little more than they do (+1)" in page
    assert "ben" not in page and "cleo" not in page


def test_a_handful_of_items_says_nothing(scored, project, report):
    data = report.data
    for row in data["annotators"]:
        row["within_one"]["n"] = row["bias"]["n"] = 9
    QualityReport.objects.filter(pk=report.pk).update(data=data)
    assert own_figures(user=scored) == []


def test_a_decision_is_shown_to_whoever_scored_the_item_and_their_score_then_stands(scored, items, person):
    lead = person("lea", "member")
    adjudicate(
        item=Item.objects.get(pk=items[0].pk), actor=lead, submission=uuid4(), overall=-1, critique="Look it up.", reason="fact"
    )
    page = browser(scored).get(reverse("annotations:mine")).content.decode()
    assert "Look it up." in page
    assert Turn.objects.get(item=items[0], rater__user=scored).state == Turn.State.REVEALED
