"""Teachers score a project's items as raters like any other; against a real server, cut off and carried on."""

from __future__ import annotations

import html
import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.chat import client as chat_client
from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from accounts.models import AllowedHost, AuditEntry, Endpoint, User
from annotations.models import Item, Project, Rater, Score, TeacherCall, TeacherRun, TeacherVersion
from annotations.selectors.teachers import runs_of, teacher_list
from annotations.services import project_create, revoke
from annotations.services.raters import person_rater
from annotations.services.teachers import TeacherRefused, teacher_run_queue, teacher_save, teacher_switch
from annotations.teacher_quality import quality_of
from annotations.teacher_voices import budget_of
from annotations.teaching import TeacherGone, TeacherUnreadable, TeachingStopped, carry_out
from jobs.models import Job, State
from tests.annotations.scored import items
from tests.annotations.teachers.test_judge import answer_in
from tests.chat_server import ChatServer, serving

pytestmark = pytest.mark.django_db
KEY = "sk-teachers-own"


def by_number(messages) -> str:
    """An answer's number is its score."""
    return json.dumps({"score": int(re.search(r"-?\d+", answer_in(messages))[0]), "confidence": 0.8, "critique": "As it says."})


@pytest.fixture(autouse=True)
def home(tmp_path, settings):
    settings.RLWHF_HOME = tmp_path


@pytest.fixture
def project() -> Project:
    project = project_create(name="Numbers", actor=None)
    for number, item in enumerate(items(project, 10)):
        item.prompt_text, item.answer = f"How many are {number}?", f"{number % 5 - 2} is it, I say."
        item.save()
    return project


@pytest.fixture
def server():
    return ChatServer(by_number)


@pytest.fixture
def endpoint(server):
    with serving(server) as url:
        host_allow(host="127.0.0.1", is_private=True, actor=None)
        yield endpoint_save(name="local", base_url=url, model="judge-7b", key=KEY, actor=None, is_new=True)


def run_of(teacher: str, project: Project, endpoint: Endpoint, *, most: int | None = None, **how) -> TeacherRun:
    version = teacher_save(name=teacher, endpoint=endpoint, actor=None, **how)
    return teacher_run_queue(teacher=version.teacher, project=project, actor=None, most=most)


def test_every_item_gets_a_score_of_the_versions_own_rater_and_every_call_is_logged(project, endpoint, server):
    told = []
    run = carry_out(run_of("strict", project, endpoint), tell=lambda done, total: told.append((done, total)))
    scores = list(Score.objects.filter(rater__kind="teacher").select_related("item", "rater"))
    assert [one.overall for one in sorted(scores, key=lambda one: one.item_id)] == [n % 5 - 2 for n in range(10)]
    assert {one.rater.name for one in scores} == {"strict@1"}
    assert (scores[0].critique, scores[0].metadata["confidence"], scores[0].metadata["source"]) == ("As it says.", 0.8, "live")
    assert (run.scored, run.malformed, run.cannot_tell, run.ended_early, told[-1]) == (10, 0, 0, "", (10, 10))
    calls = TeacherCall.objects.all()
    assert calls.count() == 10 and all(one.tokens_in > 50 and one.questions == 1 and one.cost is None for one in calls)
    assert KEY not in str([(one.reply, one.reason) for one in calls])
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}


def test_what_was_scored_is_not_asked_for_again_until_the_teacher_judges_in_another_way(project, endpoint, server):
    carry_out(run_of("strict", project, endpoint, most=4))
    assert Score.objects.live().count() == 4
    carry_out(run_of("strict", project, endpoint))
    assert len(server.requests) == 10
    carry_out(run_of("strict", project, endpoint, temperature=0.5))
    assert len(server.requests) == 20
    assert set(Rater.objects.filter(kind="teacher").values_list("name", flat=True)) == {"strict@1", "strict@2"}
    assert Score.objects.live().count() == 20


def test_a_run_that_was_cut_off_goes_on_where_it_was(project, endpoint, server, monkeypatch):
    monkeypatch.setattr("annotations.teaching.BATCH", 4)
    run = run_of("strict", project, endpoint)

    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(run, tell=killed)
    assert Score.objects.live().count() == 4
    again = carry_out(TeacherRun.objects.get(pk=run.pk))
    assert (again.scored, len(server.requests), TeacherCall.objects.count()) == (10, 10, 10)


def test_a_run_that_is_asked_to_stop_takes_down_what_is_under_way(project, endpoint, server, monkeypatch):
    monkeypatch.setattr("annotations.teaching.BATCH", 4)
    run = run_of("strict", project, endpoint)
    with pytest.raises(TeachingStopped):
        carry_out(run, stop=lambda: len(server.requests) > 0)
    assert Score.objects.live().count() == len(server.requests) == TeacherCall.objects.count() == 4
    again = carry_out(TeacherRun.objects.get(pk=run.pk))
    assert (again.scored, len(server.requests), again.ended_early) == (10, 10, "")


@pytest.mark.django_db(transaction=True)
def test_two_runs_of_one_version_in_one_project_take_turns_and_ask_nothing_twice(project, endpoint, server):
    server.say = lambda messages: (time.sleep(0.05), by_number(messages))[1]
    runs = [run_of("strict", project, endpoint) for _ in range(2)]

    def carried(run: TeacherRun) -> int:
        try:
            return carry_out(run).scored
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(carried, runs)) == [0, 10]
    assert len(server.requests) == Score.objects.count() == 10


def test_a_service_that_refuses_everything_is_gone_and_says_nothing_of_the_items(project, endpoint, server):
    server.refuse = lambda request: (400, "this model reads 64 tokens at most", {})
    with pytest.raises(TeacherGone, match=r"All of 10 questions were refused: .* 64 tokens"):
        carry_out(run_of("strict", project, endpoint))
    assert not TeacherCall.objects.exists()
    server.refuse = lambda request: (400, "too long", {}) if "-2 is it" in request["messages"][1]["content"] else None
    some = carry_out(run_of("strict", project, endpoint))
    assert (some.scored, some.malformed) == (8, 2)


def test_malformed_replies_are_no_scores_and_are_asked_for_anew_by_the_next_run_only(project, endpoint, server):
    server.say = lambda messages: "hm" if "-2 is it" in messages[1]["content"] else by_number(messages)
    run = carry_out(run_of("strict", project, endpoint))
    assert (run.scored, run.malformed) == (8, 2)
    assert Score.objects.live().count() == 8
    bad = TeacherCall.objects.exclude(reason="")
    assert bad.count() == 2 and bad[0].questions == 2 and "no JSON object" in bad[0].reason
    server.say = by_number
    assert carry_out(run_of("strict", project, endpoint)).scored == 2


def test_a_run_of_which_no_reply_could_be_read_fails_and_says_what_was_said(project, endpoint, server, monkeypatch):
    """Nothing is lost: what was said stands in the log, and the next run asks anew."""
    server.say = lambda messages: "As a language model I like all of them."
    run, folder = run_of("strict", project, endpoint), Path(_folder())
    with pytest.raises(SystemExit):
        call_command("teachers", "carry-out", str(run.pk), "--folder", str(folder))
    told = json.loads((folder / "failure.json").read_text())
    assert "None of 10 replies could be read" in told["reason"] and "“As a language model I like" in told["reason"]
    assert "no JSON object" in told["reason"] and "another prompt" in told["hint"]
    assert TeacherCall.objects.exclude(reason="").count() == 10
    with pytest.raises(TeacherUnreadable):  # the same run again pays for nothing, and is no more of a success
        carry_out(TeacherRun.objects.get(pk=run.pk))
    assert len(server.requests) == 20
    monkeypatch.setattr("annotations.teaching.BATCH", 4)
    monkeypatch.setattr("annotations.teaching.UNREADABLE_ALL", 4)
    with pytest.raises(TeacherUnreadable, match="None of 4 replies"):
        carry_out(run_of("strict", project, endpoint))
    assert len(server.requests) == 28, "the rest is not paid for"
    server.say = lambda messages: "hm" if "-2 is it" in messages[1]["content"] else by_number(messages)
    (folder / "failure.json").unlink()
    some = run_of("strict", project, endpoint)
    call_command("teachers", "carry-out", str(some.pk), "--folder", str(folder))
    assert not (folder / "failure.json").exists()
    assert "2 of 10 replies could not be read" in json.loads((folder / "notices.jsonl").read_text())["text"]


def test_what_a_runs_calls_took_is_added_up_as_they_come_and_read_without_them(signed_in, project, endpoint, server):
    server.say = lambda messages: "hm" if "-2 is it" in messages[1]["content"] else by_number(messages)
    priced = {"price_in": Decimal(10), "price_out": Decimal(20)}
    dear = endpoint_save(name="dear", base_url=endpoint.base_url, model="x", actor=None, key=KEY, **priced)
    run = carry_out(run_of("strict", project, dear, max_calls=10))
    free = carry_out(run_of("frank", project, endpoint))

    def told(one: TeacherRun) -> dict:
        names = ("questions", "tokens_in", "tokens_out", "cost")
        summed = one.calls.aggregate(**{name: Sum(name) for name in names})
        return {**summed, **{f"by_{name}": 0 for name in ("search", "cache", "model", "rules")}, "fallbacks": 0}

    names = list(told(run))
    for one in (run, free):
        assert {name: getattr(one, name) for name in names} == told(one)
    assert run.questions == 10 and run.cost > 0 and free.cost is None and free.questions == 12
    with CaptureQueriesContext(connection) as queries:
        shown = list(runs_of(run.version.teacher))
        listed = {one.teacher.name: (one.scores, one.rankings) for one in teacher_list()}
    assert [one.cost for one in shown] == [run.cost] and listed["frank"] == (8, 0)
    read = " ".join(one["sql"] for one in queries)
    assert "annotations_teachercall" not in read and 'FROM "annotations_score"' not in read
    api = signed_in("member").get("/api/teachers/strict/runs").json()["items"][0]
    assert (api["questions"], api["cost"]) == (10, float(run.cost))
    # What was so before the totals were there: the migration adds up the calls.
    TeacherRun.objects.update(questions=0, tokens_in=0, tokens_out=0, cost=None, fallbacks=9)
    with connection.cursor() as cursor:
        cursor.execute(import_module("annotations.migrations.0023_teacher_run_totals").TAKEN)
    for one in (run, free):
        one.refresh_from_db()
        assert {name: getattr(one, name) for name in names} == told(one)


def test_what_was_paid_for_items_that_are_deleted_counts_against_the_budget_still(project, endpoint, server):
    run = carry_out(run_of("strict", project, endpoint, most=4, max_calls=6))
    Item.objects.filter(scores__isnull=False).delete()
    assert (run.calls.count(), budget_of(run).calls) == (0, 2)


def test_what_no_database_can_hold_ends_no_run(project, endpoint, server):
    said = iter(['{"score": 1, "critique": "a\\u0000b\\ud800"}', "a\x00b", "a\x00b"])
    server.say = lambda messages: next(said)
    run = carry_out(run_of("strict", project, endpoint, most=2))
    assert (run.scored, run.malformed) == (1, 1)
    assert Score.objects.get().critique == "ab?" and TeacherCall.objects.exclude(reason="").get().reply == "ab"


def test_not_being_able_to_tell_is_taken_down_as_people_say_it(project, endpoint, server):
    server.say = lambda messages: '{"score": null, "critique": "No source."}'
    run = carry_out(run_of("strict", project, endpoint, most=2))
    assert (run.scored, run.cannot_tell) == (0, 2)
    assert list(Score.objects.values_list("overall", "cannot_verify")) == [(None, True)] * 2


def test_nothing_is_spent_beyond_the_budget_of_a_run_and_the_next_run_goes_on(project, endpoint):
    endpoint_save(
        name="local", base_url=endpoint.base_url, model="judge-7b", price_in=Decimal(1), price_out=Decimal(1), actor=None
    )
    priced = Endpoint.objects.get()
    run = run_of("frugal", project, priced, max_calls=3)
    run.version.teacher.refresh_from_db()
    ended = carry_out(run)
    assert ended.scored == 3 and "3 calls" in ended.ended_early
    assert all(one.cost > 0 for one in ended.calls.all())
    assert carry_out(run_of("frugal", project, priced)).scored > 0


def test_a_limit_in_money_needs_prices_of_everybody_who_may_be_asked(project, endpoint):
    prices = {"price_in": Decimal(1), "price_out": Decimal(1)}
    with pytest.raises(TeacherRefused, match="“local” has no prices") as refused:
        run_of("frugal", project, endpoint, max_cost=Decimal(1))
    assert refused.value.field == "max_cost" and not TeacherRun.objects.exists()
    priced = endpoint_save(name="priced", base_url=endpoint.base_url, model="m", actor=None, is_new=True, **prices)
    with pytest.raises(TeacherRefused, match="“local” has no prices"):
        run_of("frugal", project, priced, fallback=endpoint, max_cost=Decimal(1))
    assert not TeacherVersion.objects.exists(), "it is told where the limit is set"
    free = endpoint_save(name="local", base_url=endpoint.base_url, model="m", actor=None, price_in=Decimal(0))
    assert run_of("frugal", project, priced, fallback=free, max_cost=Decimal(1)).pk
    Endpoint.objects.update(price_in=None, price_out=None)
    teacher = TeacherVersion.objects.get().teacher
    with pytest.raises(TeacherRefused, match="“priced” has no prices"):
        teacher_run_queue(teacher=teacher, project=project, actor=None)
    assert teacher_run_queue(teacher=teacher, project=project, actor=None, most=0).only_measures, "which asks nobody"


def test_where_the_endpoint_is_gone_another_one_is_asked_and_then_the_words_and_each_score_says_so(
    project, endpoint, monkeypatch
):
    monkeypatch.setattr(chat_client, "FIRST_WAIT_S", 0.001)
    gone = endpoint_save(name="gone", base_url="http://127.0.0.1:9/v1", model="x", actor=None, is_new=True)
    run = carry_out(run_of("careful", project, gone, fallback=endpoint))
    assert run.scored == 10
    assert set(Score.objects.values_list("metadata__source", flat=True)) == {"fallback"}
    silent = items(project, 1)[0]
    Item.objects.filter(pk=silent.pk).update(answer="I do not know.")
    alone = carry_out(run_of("alone", project, gone, uses_rules=True))
    assert (alone.scored, alone.cannot_tell) == (1, 10)
    assert Score.objects.live().filter(rater__name="alone@1", overall__isnull=False).get().overall == 0
    with pytest.raises(TeacherGone, match="did not answer"):
        carry_out(run_of("nobody", project, gone))


def test_what_the_words_could_not_tell_is_asked_when_the_endpoint_is_back(project, endpoint, server, monkeypatch):
    monkeypatch.setattr(chat_client, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(chat_client, "TRIES", 2)
    server.refuse = lambda request: (503, "overloaded", {})
    out = carry_out(run_of("careful", project, endpoint, uses_rules=True))
    assert (out.scored, out.cannot_tell, out.malformed, Score.objects.count()) == (0, 10, 0, 0)
    assert all(one.source == "rules" and one.reason for one in out.calls.all())
    server.refuse = lambda request: None
    assert carry_out(run_of("careful", project, endpoint, uses_rules=True)).scored == 10


def test_a_version_judges_by_the_model_that_it_was_made_with(project, endpoint, server):
    first = run_of("strict", project, endpoint, most=1)
    moved = endpoint_save(name="local", base_url=endpoint.base_url, model="judge-70b", key=KEY, actor=None)
    carry_out(TeacherRun.objects.get(pk=first.pk))
    carry_out(run_of("strict", project, moved, most=1))
    assert [one["model"] for one in server.requests] == ["judge-7b", "judge-70b"]
    assert [str(one) for one in TeacherVersion.objects.order_by("pk")] == ["strict@1", "strict@2"]


def test_a_host_that_is_allowed_no_more_is_not_called(project, endpoint, server):
    run = run_of("strict", project, endpoint)
    AllowedHost.objects.all().delete()
    with pytest.raises(TeacherGone, match="may not call"):
        carry_out(run)
    assert server.requests == []
    with pytest.raises(TeacherRefused, match="may not call"):
        teacher_save(name="other", endpoint=endpoint, actor=None)


def test_a_reference_is_told_only_to_those_who_may_have_it(project, endpoint, server):
    Item.objects.update(gold_answers=["SEALED"])
    carry_out(run_of("blind", project, endpoint, most=1))
    assert "SEALED" not in str(server.requests)
    carry_out(run_of("told", project, endpoint, most=1, uses_reference=True))
    assert "SEALED" in str(server.requests)


def test_a_teacher_is_held_against_people(project, endpoint):
    carry_out(run_of("strict", project, endpoint))
    for name in ("ada", "ben"):
        rater = Rater.objects.create(kind="person", name=name, user=User.objects.create_user(name, password="x"))
        for item in Item.objects.all():
            overall = int(re.search(r"-?\d+", item.answer)[0])
            Score.objects.create(
                item=item, rater=rater, rubric_version_id=project.rubric_version_id, overall=max(-2, overall - (name == "ada")),
                given_at=item.created_at,
            )  # fmt: skip
    found = quality_of(TeacherVersion.objects.get(), project)
    assert found["quality"]["both"] == 10
    assert found["quality"]["bias"]["value"] == pytest.approx(0.4)
    assert found["quality"]["kappa"]["value"] > 0.8
    # What a stand-in scored in its name says nothing of it.
    stood_in = Score.objects.filter(rater__kind="teacher").earliest("pk")
    Score.objects.filter(pk=stood_in.pk).update(metadata={"source": "rules"})
    again = quality_of(TeacherVersion.objects.get(), project)
    assert (found["stood_in"], again["stood_in"], again["quality"]["both"]) == (0, 1, 9)
    assert found["alternative"]["passed"] is None and "fewer than 2 people" in found["alternative"]["reason"]
    assert found["mean"]["value"] is None


@pytest.mark.parametrize(("change", "field"), [
    ({"prompt": "unheard"}, "prompt"),
    ({"prompt": {"name": "x", "version": 1, "kind": "single", "user": "no names"}}, "prompt"),
    ({"name": "New Teacher"}, "name"),
    ({"name": "new"}, "name"),
    ({"weight": -1}, "weight"),
    ({"temperature": 3}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
])  # fmt: skip
def test_a_teacher_that_cannot_work_is_refused(endpoint, change, field):
    with pytest.raises(TeacherRefused) as refused:
        teacher_save(**({"name": "x", "endpoint": endpoint, "actor": None} | change))
    assert refused.value.field == field


def test_a_version_whose_scores_are_revoked_is_not_asked_and_the_next_one_is(signed_in, project, endpoint):
    version = teacher_save(name="strict", endpoint=endpoint, actor=None)
    revoke(target=version.rater, reason="Too kind.", actor=None)
    with pytest.raises(TeacherRefused, match="strict@1 are revoked"):
        teacher_run_queue(teacher=version.teacher, project=project, actor=None)
    newer = teacher_save(name="strict", endpoint=endpoint, actor=None, temperature=1)
    assert teacher_run_queue(teacher=newer.teacher, project=project, actor=None).version == newer
    shown = signed_in("member").get(newer.teacher.get_absolute_url()).content.decode()
    assert all(reverse("evaluation:ledger-rater", args=[one.rater_id]) in shown for one in (version, newer))


def test_the_pages_lead_from_no_teacher_to_its_scores(signed_in, project, endpoint):
    client = signed_in("admin")
    assert "No teacher yet" in client.get(reverse("annotations:teacher-list")).content.decode()
    create = reverse("annotations:teacher-create")
    sent = {
        "name": "strict",
        "endpoint": endpoint.pk,
        "prompt": "honesty-single-1",
        "weight": 1,
        "max_tokens": 400,
        "temperature": 0,
    }
    assert client.post(create, sent | {"name": "new"}).status_code == 422
    page = client.post(create, sent).url
    assert "It has scored nothing yet" in client.get(page).content.decode()
    assert client.post(f"{page}run/", {"project": project.pk}).status_code == 302
    run = TeacherRun.objects.get()
    call_command("teachers", "carry-out", str(run.pk), "--folder", _folder(), stdout=io.StringIO())
    shown = client.get(page).content.decode()
    assert (
        "Beside people of Numbers" in shown
        and "Figures of version 1<" in shown
        and "fewer than 2 people" in shown
        and "Measure again" in shown
    )
    assert client.post(reverse("annotations:teacher-edit", args=["strict"]), sent | {"temperature": 1}).url == page
    assert "2 of 2" in client.get(page).content.decode()
    client.post(f"{page}switch/", {"active": "0"})
    assert "rests" in client.get(reverse("annotations:teacher-list")).content.decode()
    refused = client.post(f"{page}run/", {"project": project.pk})
    assert refused.status_code == 422 and "is resting" in refused.content.decode()
    assert TeacherRun.objects.count() == 1
    member = signed_in("member")
    assert member.get(page).status_code == 200
    assert member.post(f"{page}run/", {"project": project.pk}).status_code == 403
    assert member.get(create).status_code == 403
    assert AuditEntry.objects.filter(action__startswith="annotations.teacher").count() == 4


def test_a_refused_run_keeps_what_was_chosen(signed_in, project, endpoint):
    first, last = project_create(name="A first one", actor=None), project
    version = teacher_save(name="strict", endpoint=endpoint, actor=None)
    revoke(target=version.rater, reason="Too kind.", actor=None)
    refused = signed_in("admin").post(reverse("annotations:teacher-run", args=["strict"]), {"project": last.pk, "most": 7})
    page = refused.content.decode()
    assert refused.status_code == 422 and not TeacherRun.objects.exists()
    assert "strict@1 are revoked" in page and 'name="most" value="7"' in page
    assert f'<option value="{last.pk}" selected>' in page and f'<option value="{first.pk}">' in page


def test_a_limit_in_money_without_prices_is_told_where_it_is_set(signed_in, endpoint):
    sent = {
        "name": "frugal",
        "endpoint": endpoint.pk,
        "prompt": "honesty-single-1",
        "weight": 1,
        "max_tokens": 9,
        "temperature": 0,
    }
    refused = signed_in("admin").post(reverse("annotations:teacher-create"), sent | {"max_cost": 1})
    assert refused.status_code == 422 and "has no prices" in refused.content.decode()
    assert not TeacherVersion.objects.exists()


def test_the_page_looks_again_while_a_run_goes_and_shows_new_figures_once(signed_in, project, endpoint):
    run, client = run_of("strict", project, endpoint, most=2), signed_in("member")
    url = run.version.teacher.get_absolute_url()
    page = client.get(url).content.decode()
    poll = html.unescape(re.search(r'id="runs" hx-get="([^"]+)" hx-trigger="every 2s"', page)[1])
    live = client.get(poll, headers={"HX-Request": "true"}).content.decode()
    assert 'id="runs"' in live and 'id="calls" hx-swap-oob="true"' in live and "<html" not in live
    assert 'id="quality"' not in live, "what is the same is left alone: somebody may be reading it"
    call_command("teachers", "carry-out", str(run.pk), "--folder", _folder(), stdout=io.StringIO())
    Job.objects.update(state=State.SUCCEEDED)
    ended = client.get(poll, headers={"HX-Request": "true"}).content.decode()
    assert 'id="quality" hx-swap-oob="true"' in ended and "hx-trigger" not in ended
    assert f"measured={run.pk}" not in ended
    teacher_run_queue(teacher=run.version.teacher, project=project, actor=None)
    again = html.unescape(re.search(r'hx-get="([^"]+)"', client.get(url).content.decode())[1])
    assert f"measured={run.pk}" in again
    assert 'id="quality"' not in client.get(again, headers={"HX-Request": "true"}).content.decode()


def test_figures_say_of_which_version_they_are_and_earlier_ones_can_still_be_seen(signed_in, project, endpoint, person):
    rater = person_rater(user=person("ada"))
    for item in Item.objects.all():
        about = {"rubric_version_id": project.rubric_version_id, "given_at": item.created_at}
        Score.objects.create(item=item, rater=rater, overall=2, **about)

    def carried(**how) -> TeacherRun:
        run = run_of("strict", project, endpoint, **how)
        call_command("teachers", "carry-out", str(run.pk), "--folder", _folder(), stdout=io.StringIO())
        return run

    first, second = carried(), carried(temperature=1)
    measuring = carried(temperature=1, most=0)
    client, url = signed_in("member"), second.version.teacher.get_absolute_url()
    page = client.get(url).content.decode()
    assert "Figures of version 2, the newest" in page and f"run {measuring.pk}</a> ended" in page
    assert "nothing asked" in page, "measuring again is no run that scored nothing"
    assert page.count("no price") == 2 and "−2.000" in page and "-2.000" not in page and ">+2<" in page
    assert f"{url}?version=1&amp;project={project.slug}#quality" in page
    earlier = client.get(f"{url}?version=1").content.decode()
    assert "Figures of version 1<" in earlier and f"run {first.pk}</a> ended" in earlier
    told = [client.get(f"/api/teachers/strict/quality/{project.slug}?version={n}") for n in (1, 3)]
    assert told[0].json()["teacher"] == "strict@1" and told[1].status_code == 404
    assert [one["most"] for one in client.get("/api/teachers/strict/runs").json()["items"]] == [0, None, None]
    output = io.StringIO()
    call_command("teachers", "quality", "strict@1", project.slug, stdout=output)
    assert json.loads(output.getvalue())["teacher"] == "strict@1"
    with pytest.raises(CommandError, match="no version “strict@7”"):
        call_command("teachers", "quality", "strict@7", project.slug)


def _folder() -> str:
    folder = Path(site.RLWHF_HOME) / "folder"
    folder.mkdir(exist_ok=True)
    return str(folder)


def test_the_same_over_http_and_at_the_shell(signed_in, project, endpoint):
    client = signed_in("admin")

    def call(method: str, path: str, body: dict | None = None):
        return getattr(client, method)(f"/api/{path}", json.dumps(body or {}), content_type="application/json")

    assert call("put", "teachers/strict", {"endpoint": "local", "prompt": "nope"}).status_code == 422
    made = call("put", "teachers/strict", {"endpoint": "local", "weight": 2}).json()
    assert (made["version"], made["rater"], made["weight"]) == (1, "strict@1", 2)
    assert call("put", "teachers/strict", {"endpoint": "local", "weight": 3}).json()["version"] == 1
    started = call("post", "teachers/strict/runs", {"project": project.slug, "most": 3})
    assert (started.status_code, started.json()["state"]) == (201, "queued")
    call_command("teachers", "carry-out", str(started.json()["id"]), "--folder", _folder())
    assert client.get("/api/teachers/strict/runs").json()["items"][0]["scored"] == 3
    assert client.get("/api/teachers/strict/calls").json()["count"] == 3
    assert client.get(f"/api/teachers/strict/quality/{project.slug}").json()["quality"]["both"] == 0
    assert call("post", "teachers/strict/switch", {"active": False}).json()["is_active"] is False
    assert call("post", "teachers/strict/runs", {"project": project.slug}).status_code == 409

    def said(*arguments: str) -> str:
        output = io.StringIO()
        call_command("teachers", *arguments, stdout=output, stderr=output)
        return output.getvalue()

    said("wake", "strict")
    assert "strict@1  local (judge-7b)  3 scores" in said("list")
    assert "honesty-single-1" in said("prompts")
    assert "brief@1 judges" in said("save", "brief", "--endpoint", "local", "--prompt", "brief-1")
    assert json.loads(said("quality", "strict", project.slug))["quality"]["both"] == 0
    with pytest.raises(CommandError, match="no endpoint"):
        said("save", "x", "--endpoint", "nowhere")


def test_who_rests_is_not_asked(project, endpoint):
    run = run_of("strict", project, endpoint)
    teacher_switch(teacher=run.version.teacher, is_active=False, actor=None)
    with pytest.raises(TeacherRefused, match="resting"):
        teacher_run_queue(teacher=run.version.teacher, project=project, actor=None)
