"""The counts of scores are those of a full recount, whatever comes, changes and goes, and whoever writes at the same time."""

import random
from datetime import UTC, datetime, timedelta
from statistics import median
from threading import Event, Thread
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from annotations import services
from annotations.models import Import, Item, Rater, Revocation, Score, ScoreCount
from annotations.selectors.rollups import Spread, counted_by_kind, counted_by_model, counted_by_rater, revoked_counts
from annotations.services import imports, revocations, rollups
from annotations.services.deletion import items_deleted, items_purge, items_restored
from annotations.services.revocations import revocation_lift, revoke
from annotations.services.rollups import (
    score_counts_check,
    score_counts_differing,
    score_counts_fold,
    score_counts_rebuild,
    score_counts_tend,
)
from annotations.services.scoring import score_submit
from annotations.services.undo import score_undo
from jobs.models import Alert
from tests.annotations.conftest import tuple_of

pytestmark = pytest.mark.django_db


def scored_tuple(chance: random.Random, number: int) -> dict:
    metadata = {
        "source_ai": chance.choice(["alpha", "beta", ""]),
        "update_timestamp": f"2026-03-0{chance.randint(1, 9)}T12:00:00Z",
    }
    return tuple_of(number, reward=chance.choice([-2, -1.5, -0.5, 0, 0.25, 1, 2]), metadata=metadata)


def take_one_step(chance: random.Random, people: list, write, project, number: int, but: tuple[str, ...] = ()) -> None:
    items = list(Item.objects.filter(project=project))
    steps = ["score", "score", "score", "undo", "delete", "restore", "import", "many", "bulk", "date", "fold", "name"]
    step = chance.choice([one for one in steps if one not in but])
    if step == "score" and items:
        cannot = chance.random() < 0.2
        given = {"overall": None if cannot else chance.randint(-2, 2), "cannot_verify": cannot}
        score_submit(item=chance.choice(items), actor=chance.choice(people), submission=uuid4(), **given)
    elif step == "undo":
        score_undo(project=project, actor=chance.choice(people))
    elif step == "delete" and items:
        items_deleted(items=[one.pk for one in chance.sample(items, min(3, len(items)))])
    elif step == "restore":
        items_restored(items=list(Item.every.filter(project=project).exclude(deleted_at=None).values_list("pk", flat=True))[:2])
    elif step == "import":
        lines = [scored_tuple(chance, 1000 * number + each) for each in range(12)]
        services.item_import(project=project, path=write(lines, f"{number}.jsonl"), actor=None)
    elif step == "many":
        Score.objects.live().filter(item__in=items[:5]).update(withdrawn_at=timezone.now())
    elif step == "bulk":
        rater, _ = Rater.objects.get_or_create(kind="teacher", name=f"teacher-{number}")
        about = {"rater": rater, "rubric_version": project.rubric_version, "given_at": timezone.now()}
        Score.objects.bulk_create(Score(item=item, overall=chance.uniform(-2, 2), **about) for item in items[:20])
    elif step == "date":
        Score.objects.filter(item__in=items[:3]).update(given_at=datetime(2026, 1, chance.randint(1, 28), 23, 59, tzinfo=UTC))
    elif step == "name":
        Item.objects.filter(pk__in=[one.pk for one in items[:4]]).update(source_model=chance.choice(["alpha", "gamma"]))
    elif step == "fold":
        score_counts_fold()


@pytest.mark.parametrize("seed", [1, 2])
def test_after_anything_in_any_order_the_counts_are_a_recount_s(project, items, person, write, seed):
    chance = random.Random(seed)
    people = [person(f"p{number}") for number in range(3)]
    for number in range(40):
        take_one_step(chance, people, write, project, number)
    assert Score.objects.live().count() > 20 and ScoreCount.objects.exists()
    assert score_counts_differing() == []
    record = Import.objects.filter(project=project, last_score__isnull=False).latest("pk")
    services.import_undo_carry_out(record=services.import_undo(record=record, actor=None))
    assert score_counts_differing() == []
    items_deleted(items=list(Item.objects.values_list("pk", flat=True)[:15]))
    items_purge(older_than=-timedelta(days=1), actor=None)
    assert score_counts_differing() == []
    score_counts_fold()
    assert score_counts_differing() == []
    kept = sorted(ScoreCount.objects.values_list("rater", "source_model", "week", "score", "scores", "total"), key=repr)
    score_counts_rebuild(actor=None)
    assert sorted(ScoreCount.objects.values_list("rater", "source_model", "week", "score", "scores", "total"), key=repr) == kept
    assert not ScoreCount.objects.filter(is_folded=False).exists()


def test_items_that_go_before_their_scores_and_whole_projects_leave_nothing_behind(project, items, person):
    ann = person("ann")
    for item in items[:4]:
        score_submit(item=item, actor=ann, submission=uuid4(), overall=1)
    chosen = [item.pk for item in items[:2]]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM annotations_turn WHERE item_id = ANY(%s)", [chosen])
        cursor.execute("DELETE FROM annotations_item WHERE id = ANY(%s)", [chosen])
        cursor.execute("DELETE FROM annotations_score WHERE item_id = ANY(%s)", [chosen])
    assert score_counts_differing() == []
    assert Spread.of(counted_by_kind(project=project.pk)).scores == 2


def test_what_pages_read_is_by_rater_by_model_and_by_week(project, write, person):
    write_at = {"source_ai": "alpha", "update_timestamp": "2026-03-08T23:30:00Z"}  # a Sunday
    lines = [tuple_of(number, reward=reward, metadata=write_at) for number, reward in enumerate([-1.5, 0.25, 2])]
    services.item_import(project=project, path=write(lines), actor=None)
    ann = person("ann")
    for item, overall in zip(Item.objects.order_by("pk"), [1, None, 2], strict=True):
        score_submit(item=item, actor=ann, submission=uuid4(), overall=overall, cannot_verify=overall is None)
    (row, *_) = counted_by_model(project=project.pk, kind="teacher", weekly=True)
    assert (row.by, str(row.week), row.score, row.scores, row.total) == ("alpha", "2026-03-02", -2, 1, -1.5)
    spread = Spread.of(counted_by_model(project=project.pk, kind="teacher"))
    assert spread.given == {-2: 1, -1: 0, 0: 1, 1: 0, 2: 1} and spread.mean == pytest.approx(0.25)
    by_person = Spread.of(counted_by_rater(project=project.pk))
    assert (by_person.scores, by_person.unverified, by_person.mean) == (2, 1, 1.5)
    assert Spread.of(counted_by_rater(project=project.pk + 1)).mean is None


def test_counts_that_were_spoilt_are_found_and_made_anew_by_command_and_api(project, items, person, client: Client):
    score_submit(item=items[0], actor=person("ann"), submission=uuid4(), overall=1)
    client.force_login(person("ada", "admin"), backend="django.contrib.auth.backends.ModelBackend")
    ScoreCount.objects.filter(rater__isnull=False).delete()
    assert len(score_counts_differing()) == 1
    assert client.get("/api/score-counts").json() == {"differing": 1}
    with pytest.raises(CommandError, match="--rebuild"):
        call_command("score_counts")
    assert client.post("/api/score-counts/rebuild").json() == {"rows": 2, "scores": 1}
    call_command("score_counts")
    assert client.post("/api/score-counts/fold").json() == {"sums": 0}


@pytest.mark.django_db(transaction=True)
def test_scores_given_while_it_is_rebuilt_and_folded_are_counted_once(project, items, person):
    rater = services.raters.person_rater(user=person("ann"))
    about = {"rater": rater, "rubric_version": project.rubric_version, "given_at": timezone.now(), "overall": 1}

    def write() -> None:
        for item in items:
            with transaction.atomic():
                made = Score.objects.create(item=item, **about)
            Score.objects.filter(pk=made.pk).update(overall=-1)
        connection.close()

    writer = Thread(target=write)
    writer.start()
    while writer.is_alive():
        score_counts_rebuild(actor=None)
        score_counts_fold()
    writer.join()
    assert score_counts_differing() == []
    assert Spread.of(counted_by_rater()).given[-1] == len(items)


def test_a_dated_import_leaves_many_changes_which_the_chore_draws_together_and_does_not_touch_again(project, write, monkeypatch):
    monkeypatch.setattr(imports, "BATCH_LINES", 20)
    weeks = [f"2026-{1 + number % 12:02}-{1 + number % 3 * 7:02}T12:00:00Z" for number in range(300)]
    lines = [
        tuple_of(number, reward=number % 5 - 2, metadata={"source_ai": "alpha", "update_timestamp": week})
        for number, week in enumerate(weeks)
    ]
    services.item_import(project=project, path=write(lines), actor=None)
    assert ScoreCount.objects.count() == 2 * 300, "each batch holds a score of a kind once: two rows a score"
    assert score_counts_tend() == 0, "too few to matter"
    monkeypatch.setattr(rollups, "CHANGES_LEFT", 500)
    kinds = 12 * 5
    assert score_counts_tend() == 2 * kinds == ScoreCount.objects.count()
    assert score_counts_differing() == []
    was = set(ScoreCount.objects.exclude(week="2025-12-29").values_list("pk", flat=True))
    Score.objects.filter(given_at__lt=datetime(2026, 1, 5, tzinfo=UTC)).update(given_at=datetime(2026, 1, 5, tzinfo=UTC))
    Item.objects.filter(scores__given_at__lt=datetime(2026, 1, 10, tzinfo=UTC)).update(source_model="beta")
    assert score_counts_fold() > 0 and score_counts_fold() == 0
    kept = set(ScoreCount.objects.values_list("pk", flat=True))
    assert len(was & kept) >= 110, "weeks in which nothing changed stay as they are"
    assert ScoreCount.objects.filter(is_folded=False).count() == 0 == len(score_counts_differing())


@pytest.mark.parametrize(("given", "whole"), [(-1.5, -2), (-0.5, -1), (0.5, 0), (1.5, 1), (-1.4, -1), (0.6, 1), (-2, -2), (2, 2)])
def test_a_score_counts_as_the_nearest_whole_one_and_half_a_step_as_the_lower(project, write, given, whole):
    services.item_import(project=project, path=write([tuple_of(1, reward=given)]), actor=None)
    assert Spread.of(counted_by_kind(project=project.pk)).given[whole] == 1
    assert score_counts_differing() == []


def test_counts_that_differ_raise_one_alert_that_is_over_when_they_are_right_again(project, items, person):
    score_submit(item=items[0], actor=person("ann"), submission=uuid4(), overall=1)
    assert score_counts_check() == 0 and not Alert.objects.exists()
    ScoreCount.objects.filter(rater__isnull=False).update(scores=2)
    assert score_counts_check() == score_counts_check() == 1
    alert = Alert.objects.get()
    assert (alert.rule, alert.closed_at) == ("counts-differ", None) and "--rebuild" in alert.hint
    score_counts_rebuild(actor=None)
    assert Alert.objects.get().closed_because == "All scores were counted anew."
    ScoreCount.objects.filter(rater__isnull=False).update(scores=2)
    assert score_counts_check() == 1
    ScoreCount.objects.filter(rater__isnull=False).update(scores=1)
    assert score_counts_check() == 0 and not Alert.objects.filter(closed_at=None).exists()


def while_uncommitted(first, then) -> None:
    """Do `first` in a transaction, begin `then` in another one before it is committed, and wait for both."""
    done, begun = Event(), Event()

    def other() -> None:
        begun.wait(10)
        with transaction.atomic():
            then()
        done.set()
        connection.close()

    thread = Thread(target=other)
    thread.start()
    with transaction.atomic():
        first()
        begun.set()
        assert not done.wait(0.4), "whoever comes second waits until the first has committed"
    thread.join(10)
    assert done.is_set()


@pytest.mark.django_db(transaction=True)
def test_scores_that_come_in_thousands_and_items_that_go_at_the_same_time_are_counted_right(project, write):
    lines = [tuple_of(number, gold_answer=[f"Town {number}"]) for number in range(4)]
    services.item_import(project=project, path=write(lines), actor=None)
    items = list(Item.objects.order_by("pk").values_list("pk", flat=True))
    scored = write([line | {"reward": 1} for line in lines], "scored.jsonl")
    while_uncommitted(
        lambda: services.item_import(project=project, path=scored, actor=None), lambda: items_deleted(items=items[:2])
    )
    assert score_counts_differing() == []
    while_uncommitted(lambda: services.gold_score(project=project, actor=None), lambda: items_deleted(items=items[2:3]))
    assert score_counts_differing() == []
    while_uncommitted(lambda: items_restored(items=items), lambda: services.gold_score(project=project, actor=None))
    assert score_counts_differing() == []
    assert Spread.of(counted_by_kind(project=project.pk)).scores == Score.objects.live().count() == 8


def revoke_or_lift(chance: random.Random, project, people: list) -> None:
    """A person's scores, those under the project's rubric, or back again."""
    standing = list(Revocation.objects.in_force())
    if standing and chance.random() < 0.5:
        revocation_lift(revocation=chance.choice(standing), reason="Another one.", actor=None)
        return
    targets = [*(services.raters.person_rater(user=one) for one in people), project.rubric_version]
    targets += list(Rater.objects.filter(kind="teacher")[:2])
    free = [one for one in targets if one not in [each.target for each in standing]]
    if free:
        revoke(target=chance.choice(free), reason="Guessed.", actor=None)


def own_figures(project) -> dict[int, tuple]:
    """Of each item the median and the spread of people's scores that count, reckoned from these alone."""
    scores: dict[int, list[float]] = {}
    for item, overall in (
        Score.objects.counting().filter(rater__kind="person", overall__isnull=False).values_list("item", "overall")
    ):
        scores.setdefault(item, []).append(overall)
    items = Item.objects.filter(project=project).values_list("pk", flat=True)
    return {
        pk: (median(given), max(given) - min(given) if len(given) > 1 else None) if (given := scores.get(pk)) else (None, None)
        for pk in items
    }


@pytest.mark.parametrize("seed", [3, 4])
def test_revoked_scores_are_counted_apart_whatever_happens_and_items_figures_follow(project, items, person, write, seed):
    chance = random.Random(seed)
    people = [person(f"p{number}") for number in range(3)]
    for number in range(40):
        if chance.random() < 0.35:
            revoke_or_lift(chance, project, people)
        else:
            take_one_step(chance, people, write, project, number, but=("many", "bulk", "import"))
    assert score_counts_differing() == []
    for one in list(Revocation.objects.in_force()):
        revocation_lift(revocation=one, reason="All back.", actor=None)
    assert score_counts_differing() == []
    assert Spread.of(counted_by_rater()).scores + Spread.of(counted_by_rater()).unverified == scores_by_people()
    assert revoked_counts() == []
    assert dict_of(project) == own_figures(project)


def scores_by_people() -> int:
    return Score.objects.live().filter(rater__kind="person", item__deleted_at=None).count()


def test_what_two_revocations_cover_counts_once_and_comes_back_with_the_last_of_them(project, items, person):
    ann, ben = person("ann"), person("ben")
    for item in items[:3]:
        score_submit(item=item, actor=ann, submission=uuid4(), overall=2)
    score_submit(item=items[0], actor=ben, submission=uuid4(), overall=0)
    rater = services.raters.person_rater(user=ann)
    first = revoke(target=rater, reason="Guessed.", actor=None)
    assert Spread.of(counted_by_rater(project=project.pk)).mean == 0 == Spread.of(counted_by_model(project=project.pk)).mean
    assert [(one.rater, one.scores) for one in revoked_counts(project=project.pk)] == [(rater.pk, 3)]
    assert own_figures(project) == dict_of(project) and Item.objects.get(pk=items[1].pk).consensus is None
    second = revoke(target=project.rubric_version, reason="Said the opposite.", actor=None)
    score_submit(item=items[1], actor=ben, submission=uuid4(), overall=-2)
    assert counted_by_rater(project=project.pk) == [] and sum(one.scores for one in revoked_counts()) == 5
    revocation_lift(revocation=first, reason="Another ann.", actor=None)
    assert sum(one.scores for one in revoked_counts()) == 5, "the rubric is revoked still"
    revocation_lift(revocation=second, reason="It did not.", actor=None)
    assert Spread.of(counted_by_rater(project=project.pk)).scores == 5 and revoked_counts() == []
    assert Item.objects.get(pk=items[0].pk).spread == 2 and own_figures(project) == dict_of(project)
    assert score_counts_differing() == []


def dict_of(project) -> dict[int, tuple]:
    rows = Item.objects.filter(project=project).values_list("pk", "consensus", "spread")
    return {pk: (middle, spread) for pk, middle, spread in rows}


def test_items_figures_of_many_scores_follow_by_the_reconciler(project, items, person, monkeypatch):
    ann = person("ann")
    for item in items[:3]:
        score_submit(item=item, actor=ann, submission=uuid4(), overall=2)
    monkeypatch.setattr(revocations, "AT_ONCE", 2)
    made = revoke(target=services.raters.person_rater(user=ann), reason="Guessed.", actor=None)
    assert made.settled_at is None and Item.objects.filter(consensus=2).count() == 3
    assert (revocations.revocations_settle(), revocations.revocations_settle()) == (1, 0)
    assert not Item.objects.exclude(consensus=None).exists()
    assert score_counts_differing() == []


@pytest.mark.django_db(transaction=True)
def test_scores_that_are_written_while_somebody_is_revoked_are_counted_on_the_right_side(project, items, person):
    rater = services.raters.person_rater(user=person("ann"))
    about = {"rater": rater, "rubric_version": project.rubric_version, "given_at": timezone.now(), "overall": 1}
    while_uncommitted(
        lambda: Score.objects.create(item=items[0], **about), lambda: revoke(target=rater, reason="Guessed.", actor=None)
    )
    assert score_counts_differing() == [] and [one.scores for one in revoked_counts()] == [1]
    standing = Revocation.objects.get()
    while_uncommitted(
        lambda: revocation_lift(revocation=standing, reason="Did not.", actor=None),
        lambda: Score.objects.create(item=items[1], **about),
    )
    assert score_counts_differing() == [] == revoked_counts()
    while_uncommitted(
        lambda: revoke(target=rater, reason="Did.", actor=None), lambda: items_deleted(items=[one.pk for one in items[:2]])
    )
    assert score_counts_differing() == []
