"""A teacher that compares a prompt's answers: orders as raters give them, cut off and carried on; against a real server."""

from __future__ import annotations

import io
import json
import re
import time
from itertools import combinations

import orjson
import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.chat import client as chat_client
from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from annotations import services, teaching_pairs
from annotations.models import Item, Project, Ranking, Rater, RubricVersion, Score, TeacherCall, TeacherRun
from annotations.selectors import rater_progress
from annotations.services.comparing import candidates
from annotations.services.raters import person_rater
from annotations.services.revocations import revoke
from annotations.services.teachers import TeacherRefused, ranks_by_wins, teacher_run_queue, teacher_save
from annotations.teacher_quality import quality_of
from annotations.teaching import TeacherGone, TeacherUnreadable, carry_out
from tests.annotations.conftest import tuple_of
from tests.annotations.teachers.test_judge import answer_in
from tests.chat_server import ChatServer, serving

pytestmark = pytest.mark.django_db
WORDS = ("Rome, surely.", "Oslo, I think.", "I do not know that.")


def by_length(messages) -> str:
    """The longer answer is better."""
    one, other = (len(answer_in(messages, f"answer {side}")) for side in "AB")
    return json.dumps({"better": "tie" if one == other else "A" if one > other else "B", "critique": "Longer."})


@pytest.fixture(autouse=True)
def home(tmp_path, settings):
    settings.RLWHF_HOME = tmp_path


@pytest.fixture
def project(tmp_path) -> Project:
    """Three prompts with three answers each, one with a single answer, and one whose two answers are the same words."""
    made = services.project_create(name="Cities", actor=None)
    services.project_update(project=made, actor=None, mode="compare", raters_per_item=2, candidates_shown=4)
    lines = [tuple_of(n, answer=text, metadata={"source_ai": f"m{len(text)}"}) for n in range(3) for text in WORDS]
    lines += [tuple_of(7, answer="Alone.")]
    lines += [tuple_of(8, answer=text, metadata={"source_ai": name}) for text, name in (("Same.", "a"), (" Same. ", "b"))]
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    services.item_import(project=made, path=path, actor=None)
    return Project.objects.get()


@pytest.fixture
def server():
    return ChatServer(by_length)


@pytest.fixture
def endpoint(server):
    with serving(server) as url:
        host_allow(host="127.0.0.1", is_private=True, actor=None)
        yield endpoint_save(name="local", base_url=url, model="judge-7b", key="sk-x", actor=None, is_new=True)


def run_of(project, endpoint, *, most=None, **how) -> TeacherRun:
    version = teacher_save(name="fair", endpoint=endpoint, actor=None, prompt="honesty-pairwise-1", **how)
    return teacher_run_queue(teacher=version.teacher, project=project, actor=None, most=most)


def orders() -> list[list[str]]:
    """Of each live ranking the answers from best to worst."""
    told = []
    for row in Ranking.objects.filter(withdrawn_at=None).order_by("item"):
        answers = Item.objects.in_bulk(row.shown)
        told.append([answers[item].answer for _, item in sorted(zip(row.ranks, row.shown, strict=True))])
    return told


def test_every_pair_is_asked_in_both_orders_and_each_prompt_gets_one_order(project, endpoint, server):
    told = []
    run = carry_out(run_of(project, endpoint), tell=lambda done, total: told.append((done, total)))
    assert (run.scored, run.malformed, run.ended_early, told[-1]) == (3, 0, "", (3, 3))
    assert len(server.requests) == 3 * 3 * 2
    assert orders() == [sorted(WORDS, key=len, reverse=True)] * 3
    assert [(one.rater.name, one.scored) for one in rater_progress(project=project)] == [("fair@1", 3)]
    rows = Ranking.objects.select_related("rater")
    assert {one.rater.name for one in rows} == {"fair@1"} and not Score.objects.filter(rater__kind="teacher").exists()
    heads = [Item.objects.filter(answer__in=WORDS, prompt_hash=one.item.prompt_hash).order_by("pk")[0].pk for one in rows]
    assert [one.item_id for one in rows] == heads
    assert rows[0].critique.splitlines()[0] == "1 and 2: Longer." and rows[0].seconds > 0
    calls = TeacherCall.objects.all()
    assert calls.count() == 9 and all(one.questions == 2 and one.consistent and one.better and one.other_id for one in calls)
    # Nobody's work is done by it: people are still asked for all of theirs.
    assert set(Item.objects.values_list("people_scores", flat=True)) == {0}
    assert Item.objects.filter(is_open=True).count() == 3


def test_a_run_of_which_some_pairs_of_every_prompt_can_be_read_does_not_fail_as_unreadable(project, endpoint, server):
    """No prompt gets an order, and yet the teacher says what can be read: no other prompt text is called for."""

    def half(messages) -> str:
        return "Hm." if any(WORDS[2] in one["content"] for one in messages) else by_length(messages)

    server.say = half
    run = carry_out(run_of(project, endpoint))
    assert (run.scored, run.malformed, Ranking.objects.count()) == (0, 3, 0)
    server.say = lambda messages: "Hm."
    with pytest.raises(TeacherUnreadable, match="None of 9 replies could be read"):
        carry_out(teacher_run_queue(teacher=run.version.teacher, project=project, actor=None))


def test_its_orders_are_held_against_peoples_on_its_page_and_over_http(project, endpoint, server, person, signed_in):
    """Ann and Ben put the longest answer first in two prompts of three; Cy's orders, which are revoked, say the opposite."""
    run = carry_out(run_of(project, endpoint))
    about = {"rubric_version": project.rubric_version, "given_at": timezone.now()}
    raters = [person_rater(user=person(name)) for name in ("ann", "ben", "cy")]
    for number, mine in enumerate(Ranking.objects.order_by("item")):
        for rater in raters:
            turned = number == 2 or rater is raters[2]
            ranks = [4 - rank for rank in mine.ranks] if turned else mine.ranks
            Ranking.objects.create(item=mine.item, rater=rater, shown=mine.shown, ranks=ranks, **about)
    revoke(target=raters[2], reason="Upside down.", actor=None)
    TeacherCall.objects.filter(pk=TeacherCall.objects.first().pk).update(consistent=False, better="tie")
    told = quality_of(run.version, project)["rankings"]
    assert (told["prompts"], told["agreement"]["n"], told["tau"]["n"]) == (3, 9, 3)
    assert told["agreement"]["value"] == pytest.approx(2 / 3) and told["people"]["value"] == 1
    assert told["tau"]["value"] == pytest.approx(1 / 3)
    assert (told["consistent"]["value"], told["consistent"]["n"]) == (pytest.approx(8 / 9), 9)
    run.quality = json.loads(orjson.dumps(quality_of(run.version, project), option=orjson.OPT_SERIALIZE_NUMPY))
    run.save(update_fields=["quality"])
    member = signed_in("member")
    page = member.get(reverse("annotations:teacher-detail", args=["fair"])).content.decode()
    assert "Agrees which of two is better" in page and "0.667" in page and "Weighted κ" not in page
    assert member.get(f"/api/teachers/fair/quality/{project.slug}").json()["rankings"]["agreement"]["n"] == 9


def test_of_more_answers_than_are_shown_it_orders_those_that_people_have_told_apart(project, endpoint, person):
    """Each prompt has three answers, of which two are shown: Ann has ordered two of each; Ben's orders are ties."""
    services.project_update(project=project, actor=None, candidates_shown=2)
    ann, ben = (person_rater(user=person(name)) for name in ("ann", "ben"))
    about = {"rubric_version": project.rubric_version, "given_at": timezone.now()}
    for head in Item.objects.filter(answer=WORDS[0]).order_by("pk"):
        one, two, three = Item.objects.filter(prompt_hash=head.prompt_hash).order_by("pk").values_list("pk", flat=True)
        left_out = (one, two, three)[head.pk % 3]
        shown = [pk for pk in (one, two, three) if pk != left_out]
        Ranking.objects.create(item=head, rater=ann, shown=shown, ranks=[1, 2], **about)
        Ranking.objects.create(item=head, rater=ben, shown=[left_out, shown[0]], ranks=[1, 1], **about)
    run = carry_out(run_of(project, endpoint))
    told = quality_of(run.version, project)["rankings"]
    assert (told["prompts"], told["agreement"]["n"], told["tau"]["n"]) == (3, 3, 3)


def test_answers_are_taken_for_the_pairs_that_people_told_apart():
    assert teaching_pairs.most_ordered([], 4) == []
    assert teaching_pairs.most_ordered([{1: 1, 2: 1}], 4) == [], "a tie tells nothing"
    orders = [{7: 1, 8: 2}, {8: 1, 9: 2}, {9: 2, 8: 1}, {3: 1, 4: 2}]
    assert teaching_pairs.most_ordered(orders, 4) == [8, 9, 7]
    assert teaching_pairs.most_ordered(orders, 2) == [8, 9]


@pytest.mark.full
def test_where_only_the_place_decides_all_are_tied(project, endpoint, server):
    server.say = lambda messages: json.dumps({"better": "A"})
    run = carry_out(run_of(project, endpoint))
    assert run.scored == 3 and [one.ranks for one in Ranking.objects.all()] == [[1, 1, 1]] * 3
    assert set(TeacherCall.objects.values_list("better", "consistent")) == {("tie", False)}


def test_an_order_follows_wins_and_a_circle_is_a_tie():
    def call(item: int, other: int, better: str) -> TeacherCall:
        return TeacherCall(item_id=item, other_id=other, better=better)

    assert ranks_by_wins([5, 3, 9], [call(5, 3, "second"), call(9, 5, "first"), call(3, 9, "tie")]) == [2, 1, 1]
    assert ranks_by_wins([1, 2, 3], [call(1, 2, "first"), call(2, 3, "first"), call(1, 3, "second")]) == [1, 1, 1]


@pytest.mark.full
def test_what_was_ordered_is_not_asked_for_again_and_a_new_rubric_replaces_it(project, endpoint, server):
    carry_out(run_of(project, endpoint, most=1))
    assert Ranking.objects.count() == 1 and len(server.requests) == 6
    carry_out(run_of(project, endpoint))
    assert len(server.requests) == 18
    carry_out(run_of(project, endpoint))
    assert len(server.requests) == 18
    old = project.rubric_version
    project.rubric_version = RubricVersion.objects.create(
        name=old.name, version=old.version + 1, title="New", content_hash="1" * 64, data=old.data
    )
    project.save(update_fields=["rubric_version"])
    carry_out(run_of(project, endpoint))
    assert Ranking.objects.count() == 6 and Ranking.objects.filter(withdrawn_at=None).count() == 3
    assert set(Ranking.objects.filter(withdrawn_at=None).values_list("replaces__rubric_version", flat=True)) == {old.pk}


def test_a_run_that_was_cut_off_asks_for_no_pair_twice(project, endpoint, server, monkeypatch):
    monkeypatch.setattr(chat_client, "FIRST_WAIT_S", 0.001)
    run = run_of(project, endpoint)

    def refuse(request):
        """Of the first prompt all is said, of the second one pair."""
        told = str(request["messages"][1])
        if "country 0?" in told or ("country 1?" in told and "know" not in told):
            return None
        time.sleep(0.05)
        return 500, "down", {}

    server.refuse = refuse
    with pytest.raises(TeacherGone):
        carry_out(run)
    kept = TeacherCall.objects.count()
    assert 0 < kept < 9
    server.refuse = lambda request: None
    before = len(server.requests)
    again = carry_out(TeacherRun.objects.get(pk=run.pk))
    assert (again.scored, TeacherCall.objects.count()) == (3, 9)
    assert len(server.requests) - before == 2 * (9 - kept)
    pairs = [frozenset(pair) for pair in TeacherCall.objects.values_list("item", "other")]
    assert len(set(pairs)) == 9


@pytest.mark.parametrize("number", [0, 1], ids=["its head", "another"])
def test_where_an_answer_is_deleted_meanwhile_the_others_are_ordered_and_no_pair_is_asked_twice(
    project, endpoint, server, number
):
    """What was said of the answers that are left was paid for."""
    first = Item.objects.filter(answer__in=WORDS).order_by("pk")[0].prompt_hash
    answers = list(Item.objects.filter(prompt_hash=first).order_by("pk"))
    gone = answers.pop(number)

    run = run_of(project, endpoint)
    store = services.teachers.teacher_rankings_store
    with pytest.MonkeyPatch.context() as patch:

        def stored(*, run, heard):
            Item.objects.filter(pk=gone.pk).delete()
            return store(run=run, heard=heard)

        patch.setattr(teaching_pairs, "teacher_rankings_store", stored)
        assert carry_out(run).scored == 3
    assert len(server.requests) == 18 and TeacherCall.objects.count() == 7
    ranking = Ranking.objects.get(item__prompt_hash=first)
    assert ranking.item_id == answers[0].pk and sorted(ranking.shown) == [one.pk for one in answers]
    ranked = [answer for _, answer in sorted(zip(ranking.ranks, ranking.shown, strict=True))]
    assert ranked == [one.pk for one in sorted(answers, key=lambda one: -len(one.answer))]
    assert ranking.critique == "Longer.", "of a pair no places need be told"
    assert carry_out(run_of(project, endpoint)).scored == 0
    assert len(server.requests) == 18, "the next run pays for nothing again"


def test_nothing_is_spent_beyond_the_budget_and_the_pairs_that_were_paid_for_stand_in_the_log(project, endpoint, server):
    run = carry_out(run_of(project, endpoint, max_calls=9))
    assert "9 calls" in run.ended_early and len(server.requests) == 8
    assert TeacherCall.objects.count() == 4 and Ranking.objects.count() == run.scored <= 1


def test_one_reply_that_cannot_be_read_leaves_the_prompt_without_an_order_until_the_next_run(project, endpoint, server):
    server.say = lambda messages: "hm" if "country 1?" in str(messages[1]) else by_length(messages)
    run = carry_out(run_of(project, endpoint))
    assert (run.scored, run.malformed, run.ended_early) == (2, 1, "")
    server.say = by_length
    assert carry_out(run_of(project, endpoint)).scored == 1
    assert len(orders()) == 3


def test_where_nobody_can_be_asked_the_words_order_what_they_can(project, endpoint, monkeypatch):
    monkeypatch.setattr(chat_client, "FIRST_WAIT_S", 0.001)
    gone = endpoint_save(name="gone", base_url="http://127.0.0.1:9/v1", model="x", actor=None, is_new=True)
    hashed = Item.objects.filter(answer=WORDS[0]).order_by("pk")[0].prompt_hash
    Item.objects.filter(prompt_hash=hashed).update(gold_answers=["Rome"])
    run = carry_out(run_of(project, gone, uses_rules=True))
    assert (run.scored, run.cannot_tell, run.malformed) == (1, 2, 0)
    assert orders()[0][0] == WORDS[0]
    assert set(TeacherCall.objects.values_list("source", flat=True)) == {"rules"}


def test_only_projects_that_compare_have_it(project, endpoint):
    other = services.project_create(name="Scores", actor=None)
    with pytest.raises(TeacherRefused, match="does not ask for comparisons"):
        run_of(other, endpoint)


def test_datasets_take_its_orders_where_no_person_has_given_one(project, endpoint, person):
    carry_out(run_of(project, endpoint))
    version = services.dataset_build(project=project, name="by-teacher", kind="preference", settings={"fill": False}, actor=None)
    assert version.report["rankings"] == 3 and sum(version.counts.values()) == 9
    ann = person("ann")
    head = Ranking.objects.order_by("pk")[0].item
    shown = candidates(item=head, rater=services.raters.person_rater(user=ann))
    lengths = sorted(len(one.answer) for one in shown)
    ranks = [lengths.index(len(one.answer)) + 1 for one in shown]
    services.ranking_submit(
        item=head, actor=ann, submission="8b5a5f3e-5f3e-4e0e-9a39-0d2b8c1d6a11", shown=[one.pk for one in shown], ranks=ranks
    )
    again = services.dataset_build(project=project, name="by-both", kind="preference", settings={"fill": False}, actor=None)
    assert again.report["rankings"] == 3
    assert again.report["left_out"]["ranked by a teacher where people have ranked"] == 1


@pytest.mark.full
def test_of_one_version_the_latest_order_of_a_prompt_counts(project, endpoint):
    """Its head may change, and then there are two under two heads."""
    carry_out(run_of(project, endpoint))
    first = Ranking.objects.order_by("pk")[0]
    other = Item.objects.filter(prompt_hash=first.item.prompt_hash).order_by("pk")[1]
    Ranking.objects.create(
        item=other, rater=Rater.objects.get(name="fair@1"), rubric_version=first.rubric_version, shown=first.shown[:2],
        ranks=[1, 2], given_at=first.given_at,
    )  # fmt: skip
    version = services.dataset_build(project=project, name="latest", kind="preference", settings={"fill": False}, actor=None)
    assert version.report["rankings"] == 3


def test_pages_and_api_tell_pairs(signed_in, project, endpoint):
    client = signed_in("admin")
    sent = {
        "name": "fair", "endpoint": endpoint.pk, "prompt": "honesty-pairwise-1", "weight": 1, "max_tokens": 400, "temperature": 0,
    }  # fmt: skip
    page = client.post(reverse("annotations:teacher-create"), sent).url
    assert "It has compared nothing yet" in client.get(page).content.decode()
    assert client.post(f"{page}run/", {"project": project.pk}).status_code == 302
    run = TeacherRun.objects.get()
    run.quality = json.loads(orjson.dumps(quality_of(run.version, project), option=orjson.OPT_SERIALIZE_NUMPY))
    run.save(update_fields=["quality"])
    before = client.get(page).content.decode()
    assert "ordered no answers" in before and "scored" not in before.partition('id="quality"')[2].partition("</section>")[0]
    carry_out(run)
    shown = client.get(page).content.decode()
    assert "is better" in shown and re.search(r'3 <span class="muted small">orders<', shown)
    listed = io.StringIO()
    call_command("teachers", "list", stdout=listed)
    assert "3 comparisons" in listed.getvalue() and "scores" not in listed.getvalue()
    assert "3 comparisons" in client.get(reverse("annotations:teacher-list")).content.decode()
    told = client.get("/api/teachers/fair/calls").json()["items"][0]
    assert told["better"] in ("first", "second") and told["consistent"] is True and told["other"]
    head = Ranking.objects.order_by("pk")[0].item
    assert "fair@1" in signed_in("member").post(reverse("annotations:item-reveal", args=[head.pk]), follow=True).content.decode()
    assert len(list(combinations(WORDS, 2))) * 3 == TeacherCall.objects.count()


def test_a_teacher_whose_newest_version_is_revoked_says_so_and_what_can_be_done(endpoint, signed_in):
    made = teacher_save(name="strict", endpoint=endpoint, actor=None)
    listed, shown = reverse("annotations:teacher-list"), reverse("annotations:teacher-detail", args=["strict"])
    member = signed_in("member")
    assert not any("revoked" in member.get(url).content.decode() for url in (listed, shown))
    revocation = revoke(target=made.rater, reason="Its prompt was wrong.", actor=None)
    assert "revoked" in member.get(listed).content.decode()
    page = member.get(shown).content.decode()
    assert revocation.get_absolute_url() in page and "Its prompt was wrong." in page and "Change how it judges" not in page
    assert "Change how it judges" in signed_in("admin").get(shown).content.decode()
    teacher_save(name="strict", endpoint=endpoint, actor=None, prompt="brief-1")
    assert not any("revoked" in member.get(url).content.decode() for url in (listed, shown)), "its next version counts"
