"""One's own scores: listed with their history, changed where blindness allows it."""

import json
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.services import token_create
from annotations import selectors, services
from annotations.models import Item, Project, Score, Turn

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(person):
    return person("ann", "member")


@pytest.fixture
def client(ann):
    client = Client()
    client.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
    return client


def give(item, user, overall=1, **fields):
    return services.score_submit(item=item, actor=user, submission=uuid4(), overall=overall, **fields)


def url(name, *args):
    return reverse(f"annotations:{name}", args=args)


def test_own_scores_are_listed_newest_first_with_their_history_and_by_project(project, items, ann, person, client):
    give(items[0], ann, 1, critique="First thought.")
    give(items[1], ann, -1)
    give(items[0], ann, 2, critique="Second thought.")
    give(items[2], person("ben"), 0, critique="Somebody else's.")
    assert [row["pk"] for row in selectors.mine_list(user=ann)] == [
        Score.objects.get(overall=2).pk,
        Score.objects.get(overall=-1).pk,
    ]
    page = client.get(url("mine")).content.decode()
    assert page.index("Second thought.") < page.index("First thought.") and "1 earlier version" in page
    assert "Somebody else" not in page and page.count("Change</a>") == 2
    other = services.project_create(name="Other", actor=None)
    assert "Second thought." not in client.get(url("mine"), {"project": other.slug}).content.decode()
    assert "Second thought." in client.get(url("mine"), {"project": project.slug}).content.decode()


def test_the_list_is_paged_and_empty_at_first(project, items, ann, client):
    assert "Nothing yet" in client.get(url("mine")).content.decode()
    for item in items:
        give(item, ann)
    Score.objects.update(given_at=timezone.now())
    for page, expected in (("1", 10), ("junk", 10)):
        assert client.get(url("mine"), {"page": page}).content.decode().count("Change</a>") == expected


def test_a_score_is_changed_at_the_desk_by_a_plain_form(project, items, ann, client):
    give(items[0], ann, 1, critique="First thought.", dimensions={"calibration": -1})
    page = client.get(url("score-change", items[0].pk))
    html = page.content.decode()
    assert "First thought." in html and 'name="overall" value="1" checked' in html
    assert 'name="dimension_calibration" value="-1" checked' in html and 'name="back"' in html
    assert "data-action" not in html
    given = {"submission": str(uuid4()), "overall": "-2", "critique": "Second thought.", "back": "1"}
    assert client.post(url("score-submit", items[0].pk), given).url == url("mine")
    assert list(Score.objects.order_by("pk").values_list("overall", "critique", "withdrawn_at"))[1] == (
        -2,
        "Second thought.",
        None,
    )
    assert Score.objects.get(overall=-2).replaces.critique == "First thought."
    assert "is changed" in client.get(url("mine")).content.decode()
    # Nothing else was handed out on the way.
    assert not Turn.objects.filter(state="held").exists()


def test_what_cannot_be_changed_says_why(project, items, ann, person, client):
    Project.objects.update(raters_per_item=2)
    give(items[0], ann)
    give(items[0], person("ben"))
    client.get(items[0].get_absolute_url())  # shows ben's score
    assert "Change</a>" not in client.get(url("mine")).content.decode()
    told = client.get(url("score-change", items[0].pk), follow=True).content.decode()
    assert "You have seen the others" in told
    told = client.get(url("score-change", items[1].pk), follow=True).content.decode()
    assert "nothing to change" in told
    give(items[2], ann)
    Item.objects.filter(pk=items[2].pk).update(deleted_at=timezone.now())
    assert "has been deleted" in client.get(url("score-change", items[2].pk), follow=True).content.decode()
    assert client.get(url("score-change", 10**9)).status_code == 404
    # The service says it too, should it happen between the page and the submission.
    given = {"submission": str(uuid4()), "overall": "-2", "back": "1"}
    answer = client.post(url("score-submit", items[0].pk), given)
    assert answer.url == url("score-change", items[0].pk)
    assert client.post(url("score-submit", items[0].pk), given, headers={"Accept": "application/json"}).status_code == 422


def test_progress_is_of_today_this_week_and_each_project(project, items, ann, person):
    now = timezone.now().replace(hour=12)
    monday = now - timedelta(days=now.weekday())
    times = [now, now, monday - timedelta(days=3), monday - timedelta(days=40)]
    for item, seconds, at in zip(items, (10.0, 20.0, 90.0, 30.0), times, strict=False):
        Score.objects.filter(pk=give(item, ann, seconds=seconds).pk).update(given_at=at)
    give(items[5], person("ben"), seconds=1.0)
    together, one = selectors.own_progress(user=ann, now=now)
    assert (together.today, together.week, together.total, together.median_seconds) == (2, 2, 4, 25.0)
    assert one.project == project and (one.today, one.week, one.total, one.median_seconds) == (2, 2, 4, 25.0)


def test_the_api_lists_own_scores_and_progress(project, items, ann, person):
    give(items[0], ann, 1, critique="First.", spans=[{"start": 0, "end": 4, "label": "claim"}])
    give(items[0], ann, 2, critique="Second.")
    give(items[1], person("ben"))
    _token, secret = token_create(user=ann, name="t", actor=ann)
    call = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    listed = Client().get("/api/me/scores", **call).json()
    assert listed["count"] == 1
    row = listed["items"][0]
    assert (row["item"], row["project"], row["kind"], row["overall"], row["critique"]) == (
        items[0].pk,
        project.slug,
        "score",
        2,
        "Second.",
    )
    assert [one["critique"] for one in row["earlier"]] == ["First."] and row["may_change"]
    assert row["earlier"][0]["spans"] == [{"start": 0, "end": 4, "label": "claim"}]
    assert Client().get("/api/me/scores?project=nothing", **call).status_code == 404
    progress = Client().get("/api/me/progress", **call).json()
    assert [(one["project"], one["total"]) for one in progress] == [(None, 1), (project.slug, 1)]


def test_the_api_takes_marks_with_a_score(project, items, ann):
    _token, secret = token_create(user=ann, name="t", actor=ann)
    body = {"submission": str(uuid4()), "overall": 1, "spans": [{"start": 0, "end": 4, "label": "hedge"}]}
    answer = Client().post(
        f"/api/items/{items[0].pk}/scores",
        json.dumps(body),
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {secret}",
    )
    assert answer.status_code == 201 and answer.json()["spans"] == body["spans"] == Score.objects.get().spans


def test_the_command_lists_gives_and_changes(project, items, ann):
    out = StringIO()
    call_command("scores", "give", "ann", str(items[0].pk), "1", "--critique", "First.", stdout=out)
    call_command("scores", "give", "ann", str(items[0].pk), "cannot-verify", stdout=out)
    call_command("scores", "list", "ann", "--project", project.slug, stdout=out)
    call_command("scores", "progress", "ann", stdout=out)
    assert Score.objects.get(withdrawn_at=None).cannot_verify and Score.objects.count() == 2
    assert f"item {items[0].pk}" in out.getvalue() and "1 earlier" in out.getvalue() and "Capitals" in out.getvalue()
    with pytest.raises(CommandError, match="from -2 to 2"):
        call_command("scores", "give", "ann", str(items[0].pk), "7", stdout=out)
    with pytest.raises(CommandError, match="nobody"):
        call_command("scores", "list", "zoe", stdout=out)
