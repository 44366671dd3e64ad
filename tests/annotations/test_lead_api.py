"""A lead's operations over HTTP, and that each asks for its role."""

from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import User
from annotations import services
from annotations.models import Membership, Project, RubricVersion, Score
from annotations.services.adjudication import adjudicate
from annotations.services.gold_items import gold_set
from tests.annotations.lead import counts_hold, fresh, score

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(person):
    people = {}

    def ask(role, method, path, body=None, **more):
        if role not in people:
            client = Client()
            client.user = person(f"{role}-person", role)
            client.force_login(client.user, backend="django.contrib.auth.backends.ModelBackend")
            people[role] = client
        kind = more.pop("content_type", "application/json")
        return getattr(people[role], method)(f"/api{path}", body, content_type=kind, **more)

    return ask


@pytest.fixture
def disputed(project, items, person):
    services.project_update(project=project, actor=None, raters_per_item=2)
    score(items[0], person("ann"), 2, critique="Sure.")
    score(items[0], person("ben"), -2)
    return fresh(items[0])


OPERATIONS = [
    ("member", "get", "/projects/capitals/members"),
    ("admin", "put", "/projects/capitals/members/x"),
    ("admin", "post", "/projects/capitals/members/x/waive"),
    ("admin", "post", "/projects/capitals/members/x/again"),
    ("annotator", "get", "/projects/capitals/qualification"),
    ("member", "get", "/projects/capitals/gold-items"),
    ("member", "get", "/projects/capitals/gold-items/candidates"),
    ("member", "put", "/items/1/gold"),
    ("member", "delete", "/items/1/gold"),
    ("member", "get", "/projects/capitals/disputed"),
    ("member", "get", "/items/1/dispute"),
    ("member", "post", "/items/1/decision"),
    ("member", "delete", "/items/1/decision"),
    ("member", "post", "/items/1/send-back"),
    ("member", "get", "/projects/capitals/decisions"),
    ("member", "get", "/projects/capitals/decisions/reasons"),
    ("annotator", "get", "/projects/capitals/rubric"),
    ("member", "get", "/projects/capitals/rubric.toml"),
    ("admin", "put", "/projects/capitals/rubric"),
    ("admin", "put", "/projects/capitals/rubric.toml"),
    ("admin", "post", "/projects/capitals/rubric/use"),
    ("member", "get", "/projects/capitals/rubric/versions"),
    ("member", "get", "/rubrics/differences?before=honesty-1&after=honesty-1"),
    ("member", "get", "/projects/capitals/warnings"),
]


@pytest.mark.parametrize(("needed", "method", "path"), OPERATIONS)
def test_each_operation_asks_for_its_role(project, api, needed, method, path):
    roles = ["annotator", "member", "admin"]
    for role in roles:
        status = api(role, method, path, {} if method in {"put", "post"} else None).status_code
        assert (status in {401, 403}) == (roles.index(role) < roles.index(needed)), (role, status)


def test_settings_are_given_and_refused_in_words(project, items, api):
    made = api("admin", "post", "/projects", {"name": "Rivers", "mode": "review", "gold_share": 0.1, "rubric": "honesty-1"})
    assert made.status_code == 201 and made.json()["settings"]["mode"] == "review"
    changed = api("admin", "patch", "/projects/capitals", {"order": "uncertain", "cap_per_person": 5, "members_only": True})
    assert changed.json()["settings"]["cap_per_person"] == 5 and changed.json()["name"] == "Capitals"
    assert api("admin", "patch", "/projects/capitals", {"cap_per_person": None}).json()["settings"]["cap_per_person"] is None
    assert api("admin", "patch", "/projects/capitals", {"gold_share": None}).json()["settings"]["order"] == "uncertain"
    refused = api("admin", "patch", "/projects/capitals", {"mode": "sing"})
    assert refused.status_code == 422 and "mode" in refused.json()["detail"]
    refused = api("admin", "patch", "/projects/capitals", {"rubric": "no-9"})
    assert refused.status_code == 422 and "honesty-1" in refused.json()["detail"]
    assert api("member", "get", "/projects/capitals/warnings").json() == ["Only members may score here, and there are none."]


def test_people_are_added_paused_and_given_a_cap_and_skills(project, api, person):
    ann = person("ann")
    path = "/projects/capitals/members/ann"
    assert api("admin", "put", path, {}).json()["may_score"] is True
    told = api("admin", "put", path, {"cap": 9, "skills": ["Law"], "is_active": False}).json()
    assert (told["cap"], told["skills"], told["is_paused"]) == (9, ["law"], True)
    assert api("admin", "put", path, {"cap": None}).json()["cap"] is None
    assert api("admin", "put", path, {"skills": ["x" * 50]}).status_code == 422
    assert api("admin", "post", f"{path}/waive").json()["qualified"] == "waived"
    assert api("admin", "post", f"{path}/again").json()["attempt"] == 2
    assert api("admin", "put", "/projects/capitals/members/nobody", {}).status_code == 404
    listed = {one["username"]: one for one in api("member", "get", "/projects/capitals/members").json()}
    assert listed["ann"]["is_paused"] and Membership.objects.get().rater.user == ann


def test_gold_items_are_set_listed_and_cleared(project, items, api):
    path = f"/items/{items[0].pk}/gold"
    assert api("member", "put", path, {"score": -1, "note": "Made up.", "qualification": True}).status_code == 204
    assert api("member", "put", path, {"score": 9}).status_code == 422
    (told,) = api("member", "get", "/projects/capitals/gold-items").json()
    assert (told["item"], told["score"], told["qualification"], told["people"]) == (items[0].pk, -1, True, 0)
    assert api("member", "get", "/projects/capitals/gold-items/candidates").json() == []
    assert api("member", "delete", path).status_code == 204
    assert fresh(items[0]).gold_score is None
    counts_hold(project)


def test_disputes_are_read_without_names_decided_and_taken_back(project, disputed, api):
    (told,) = api("member", "get", "/projects/capitals/disputed").json()["items"]
    assert told == {"item": disputed.pk, "spread": 4, "consensus": 0, "people_scores": 2}
    scores = api("member", "get", f"/items/{disputed.pk}/dispute").json()["scores"]
    assert {one["letter"] for one in scores} == {"A", "B"} and all(one["rater"] is None for one in scores)
    named = api("member", "get", f"/items/{disputed.pk}/dispute?names=true").json()["scores"]
    assert {one["rater"] for one in named} == {"ann", "ben"}
    given = {"submission": str(uuid4()), "overall": 1, "reason": "fact", "critique": "Looked up."}
    first = api("member", "post", f"/items/{disputed.pk}/decision", given)
    again = api("member", "post", f"/items/{disputed.pk}/decision", given)
    assert first.status_code == 201 and first.json() == again.json() and first.json()["by"] == "member-person"
    refused = api("admin", "post", f"/items/{disputed.pk}/decision", given | {"submission": str(uuid4())})
    assert refused.status_code == 422 and "member-person has decided" in refused.json()["detail"]
    assert api("member", "get", "/projects/capitals/decisions").json()["items"][0]["reason"] == "fact"
    assert api("member", "get", "/projects/capitals/decisions/reasons").json()["fact"] == 1
    assert api("member", "delete", f"/items/{disputed.pk}/decision").status_code == 204
    assert api("member", "delete", f"/items/{disputed.pk}/decision").status_code == 422
    assert api("member", "post", f"/items/{disputed.pk}/send-back").status_code == 204
    assert fresh(disputed).is_open and api("member", "post", f"/items/{disputed.pk}/send-back").status_code == 422


def test_a_newcomer_reads_how_they_did(project, items, api):
    gold_set(item=items[0], score=1, note="It hedges.", qualification=True, actor=None)
    services.project_update(project=project, actor=None, qualification_items=1)
    before = api("annotator", "get", "/projects/capitals/qualification").json()
    assert (before["state"], before["left"], before["feedback"]) == ("under way", 1, [])
    item = api("annotator", "get", "/projects/capitals/next").json()["id"]
    api("annotator", "post", f"/items/{item}/scores", {"submission": str(uuid4()), "overall": 0})
    told = api("annotator", "get", "/projects/capitals/qualification").json()
    assert (told["state"], told["near"]) == ("failed", 1)
    assert told["feedback"] == [{"item": items[0].pk, "given": 0, "reference": 1, "note": "It hedges.", "how": "near"}]
    again = api("annotator", "post", f"/items/{item}/scores", {"submission": str(uuid4()), "overall": 1})
    assert again.status_code == 422 and Score.objects.filter(rater__kind="person").count() == 1


def test_a_rubric_is_read_changed_used_and_compared(project, api):
    told = api("annotator", "get", "/projects/capitals/rubric").json()
    assert told["key"] == "honesty-1"
    rubric = told["rubric"] | {"summary": "Shorter."}
    assert api("admin", "put", "/projects/capitals/rubric", rubric).json()["key"] == "honesty-2"
    refused = api("admin", "put", "/projects/capitals/rubric", rubric | {"scale": []})
    assert refused.status_code == 422 and "scale" in refused.json()["detail"]
    toml = api("member", "get", "/projects/capitals/rubric.toml").content.decode()
    changed = toml.replace("Shorter.", "Short.")
    assert (
        api("admin", "put", "/projects/capitals/rubric.toml", changed, content_type="application/toml").json()["key"]
        == "honesty-3"
    )
    assert api("admin", "put", "/projects/capitals/rubric.toml", "x =", content_type="application/toml").status_code == 422
    assert api("admin", "post", "/projects/capitals/rubric/use", {"rubric": "honesty-1"}).json()["key"] == "honesty-1"
    assert api("admin", "post", "/projects/capitals/rubric/use", {"rubric": "x"}).status_code == 404
    versions = api("member", "get", "/projects/capitals/rubric/versions").json()
    assert [one["key"] for one in versions] == ["honesty-3", "honesty-2", "honesty-1"] and versions[2]["projects"] == ["Capitals"]
    (one,) = api("member", "get", "/rubrics/differences?before=honesty-2&after=honesty-3").json()
    assert one == {"place": "summary", "before": "Shorter.", "after": "Short."}
    assert RubricVersion.objects.count() == 3 and Project.objects.count() == 1


def test_a_change_of_a_member_that_is_refused_in_part_is_not_made_at_all(project, api, person):
    person("ann")
    wanted = {"is_active": False, "cap": 10**9}
    assert api("admin", "put", "/projects/capitals/members/ann", wanted).status_code == 422
    assert not Membership.objects.exists()


def test_who_lists_disputed_items_or_decisions_has_been_shown_their_scores(project, items, api, disputed, person):
    assert api("member", "get", "/projects/capitals/disputed").json()["items"][0]["consensus"] == 0
    adjudicate(item=disputed, actor=person("lea", "member"), submission=uuid4(), overall=1, reason="fact")
    assert api("admin", "get", "/projects/capitals/decisions").json()["items"][0]["overall"] == 1
    for name in ("member-person", "admin-person"):
        with pytest.raises(services.ScoringRefused, match="seen the others"):
            score(disputed, User.objects.get(username=name))


@pytest.mark.parametrize("place", ["projects?", "projects/capitals/decisions?", "me/scores?", "items?sort=oldest&after=9&"])
def test_no_place_in_a_list_is_too_far_to_be_answered(project, api, place):
    assert api("member", "get", f"/{place}offset={10**30}&after={10**30}").status_code in {200, 422}


def test_half_a_character_is_refused_in_words(project, items, api):
    half = r'{"name": "\ud800"}'
    assert api("admin", "post", "/items/views", half).status_code == 422
    assert "half a character" in api("admin", "patch", "/projects/capitals", half).content.decode()
