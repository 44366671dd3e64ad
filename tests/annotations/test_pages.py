"""The pages over HTTP: who may see what, and that everything works as plain forms."""

from io import BytesIO
from uuid import uuid4

import pytest
from django.test import AsyncRequestFactory, Client
from django.urls import resolve, reverse
from django.utils import timezone

from annotations import services
from annotations.models import DatasetVersion, Draft, Import, Item, Project, Score
from tests.annotations.conftest import tuple_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_(person):
    """A client logged in with a role: `as_("member")`."""
    people = {}

    def log_in(role, name=None):
        name = name or role
        if name not in people:
            people[name] = person(name, role)
        client = Client()
        client.force_login(people[name], backend="django.contrib.auth.backends.ModelBackend")
        client.user = people[name]
        return client

    return log_in


def url(name, *args):
    return reverse(f"annotations:{name}", args=args)


def form_of(item, **fields):
    return {"submission": str(uuid4()), "overall": "1", "critique": "So so.", **fields}


def test_pages_are_for_their_roles(project, items, as_):
    member_pages = [url("project-detail", project.slug), url("dataset-list")]
    admin_pages = [url("item-import"), url("project-create"), url("project-edit", project.slug), url("dataset-build")]
    own_pages = [url("item-list"), url("item-detail", items[0].pk), url("score-project", project.slug), url("project-list")]
    for role, open_to in (
        ("annotator", own_pages),
        ("member", own_pages + member_pages),
        ("admin", own_pages + member_pages + admin_pages),
    ):
        client = as_(role)
        for page in own_pages + member_pages + admin_pages:
            assert client.get(page).status_code == (200 if page in open_to else 403), (role, page)


def test_without_anything_every_page_says_what_to_do_next(db, as_):
    admin = as_("admin")
    for name in ("item-list", "project-list", "item-import", "dataset-list", "dataset-build", "score"):
        page = admin.get(url(name))
        assert page.status_code == 200 and b'class="empty"' in page.content, name


@pytest.mark.parametrize(
    ("role", "said", "leads_to"),
    [
        ("annotator", "Whoever leads this project has to add some first", ()),
        ("member", "An admin can import some", ("chat:chat",)),
        ("admin", "Import some", ("annotations:item-import", "chat:chat")),
    ],
)
def test_a_project_without_items_is_not_done_but_says_who_can_fill_it(project, as_, role, said, leads_to):
    client = as_(role)
    assert client.get(url("score")).url == url("score-project", project.slug)
    page = client.get(url("score-project", project.slug)).content.decode()
    assert '<div data-left="empty">' in page and '<div data-left="none" hidden>' in page
    told = page.partition('<div data-left="empty">')[2].partition('<div data-left="none"')[0]
    assert "Nothing to score yet" in told and said in told
    for name in ("annotations:item-import", "chat:chat"):
        assert (f'href="{reverse(name)}' in told) == (name in leads_to), name


def test_where_no_project_has_items_nobody_reads_that_all_have_their_scores(project, as_):
    services.project_create(name="Rivers", actor=None)
    page = as_("annotator").get(url("score")).content.decode()
    assert "No project has items to score yet" in page and "has the scores that it needs" not in page


def test_a_project_whose_items_all_have_their_scores_is_done(project, items, as_):
    ann = as_("annotator")
    for item in items:
        services.score_submit(item=item, actor=ann.user, submission=uuid4(), overall=1)
    page = ann.get(url("score-project", project.slug)).content.decode()
    assert '<div data-left="none"><h2>All done' in page and '<div data-left="empty" hidden>' in page


def test_one_can_score_with_plain_forms(project, items, as_):
    ann = as_("annotator")
    assert ann.get(url("score")).url == url("score-project", project.slug)
    first = ann.get(url("score-project", project.slug)).context["item"]
    answer = ann.post(url("score-submit", first.pk), form_of(first, dimension_calibration="-1"))
    assert answer.url == url("score-project", project.slug)
    score = Score.objects.get()
    assert (score.overall, score.critique, score.dimensions) == (1, "So so.", {"calibration": -1})
    second = ann.get(url("score-project", project.slug)).context["item"]
    assert second != first
    ann.post(url("score-skip", second.pk))
    third = ann.get(url("score-project", project.slug)).context["item"]
    ann.post(url("score-flag", third.pk), {"reason": "broken", "note": "n"})
    assert Item.objects.get(pk=third.pk).open_flags == 1
    ann.post(url("score-undo", project.slug))
    assert ann.get(url("score-project", project.slug)).context["item"] == third


def test_a_score_without_a_number_is_refused_kindly(project, items, as_):
    ann = as_("annotator")
    page = ann.post(url("score-submit", items[0].pk), {"submission": str(uuid4())}, follow=True)
    assert "Choose an overall score" in page.content.decode()
    answer = ann.post(url("score-submit", items[0].pk), form_of(items[0], overall="7"), headers={"Accept": "application/json"})
    assert answer.status_code == 422 and "Overall: " in answer.json()["error"]
    assert not Score.objects.exists()


def test_submitting_brings_the_next_item_in_the_same_answer(project, items, as_):
    ann = as_("annotator")
    first = ann.get(url("score-project", project.slug)).context["item"]
    ahead = ann.get(url("score-next", project.slug), {"besides": first.pk}).json()
    assert ahead["item"] != first.pk and "<form" in ahead["html"]
    data = form_of(first, besides=[ahead["item"]])
    answer, again = (ann.post(url("score-submit", first.pk), data, headers={"Accept": "application/json"}) for _ in range(2))
    assert answer.json()["item"] not in {first.pk, ahead["item"]}
    assert again.status_code == 200 and Score.objects.count() == 1
    assert answer.json()["progress"] == {"mine": 1, "done": 1, "items": 10}


def test_drafts_are_kept_and_shown_again(project, items, as_):
    ann = as_("annotator")
    first = ann.get(url("score-project", project.slug)).context["item"]
    assert (
        ann.post(url("score-draft", first.pk), {"critique": "half a thou", "overall": "-2", "seconds": "12.5"}).status_code == 204
    )
    assert Draft.objects.get().data["seconds"] == 12.5
    page = ann.get(url("score-project", project.slug)).content.decode()
    assert "half a thou" in page and 'value="-2" checked' in page


def test_nobody_sees_others_scores_before_their_own(project, items, as_, person):
    services.project_update(project=project, actor=None, name=project.name, guidelines="", raters_per_item=2)
    item, bob = items[0], person("bob")
    services.score_submit(item=item, actor=bob, submission=uuid4(), overall=-2, critique="bob's secret view")
    ann, mo = as_("annotator"), as_("member")
    for client in (ann, mo):
        assert "secret view" not in client.get(url("item-detail", item.pk)).content.decode()
        assert "chip--m2" not in client.get(url("item-list")).content.decode()
    services.score_submit(item=item, actor=mo.user, submission=uuid4(), overall=1)
    assert "secret view" in mo.get(url("item-detail", item.pk)).content.decode()
    assert "secret view" not in ann.get(url("item-detail", item.pk)).content.decode()


def test_nobody_sees_imported_reviews_before_their_own_score(project, as_, write):
    turns = [{"answer": "Town 1.", "critique": "a secret view", "score": -2}]
    services.item_import(project=project, path=write([tuple_of(1, turns=turns, origin="a log")]), actor=None)
    item, member, annotator = Item.objects.get(), as_("member"), as_("annotator")
    for client in (member, annotator):
        page = client.get(url("item-detail", item.pk)).content.decode()
        assert "a log" in page and "secret view" not in page
        assert "secret view" not in client.get(f"/api/items/{item.pk}").content.decode()
    services.score_submit(item=item, actor=member.user, submission=uuid4(), overall=1)
    assert "secret view" in member.get(url("item-detail", item.pk)).content.decode()
    assert "secret view" in member.get(f"/api/items/{item.pk}").content.decode()


def test_who_asks_to_see_the_scores_is_not_asked_to_score(project, items, as_, person):
    services.project_update(project=project, actor=None, name=project.name, guidelines="", raters_per_item=2)
    services.score_submit(item=items[0], actor=person("bob"), submission=uuid4(), overall=-2, critique="bob's secret view")
    mo = as_("member")
    page = mo.post(url("item-reveal", items[0].pk), follow=True).content.decode()
    assert "secret view" in page
    answer = mo.post(url("score-submit", items[0].pk), form_of(items[0]), headers={"Accept": "application/json"})
    assert answer.status_code == 422


def test_items_can_be_searched_and_filtered(project, items, as_, write):
    services.item_import(project=project, path=write([tuple_of(77, answer="A zebra.", metadata={"source_ai": "m1"})]), actor=None)
    mo = as_("member")

    def found(**query):
        return [row.item.pk for row in mo.get(url("item-list"), query).context["rows"]]

    zebra = Item.objects.get(source_model="m1").pk
    assert found(q="zebra") == [zebra] == found(source="m1")
    assert len(found()) == 11 == len(found(state="open", project=project.slug))
    assert found(state="flagged") == [] == found(q="nothing like it")
    fragment = mo.get(url("item-list"), {"q": "zebra"}, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment and "A zebra" in fragment


def test_an_upload_is_imported_and_its_refused_lines_can_be_downloaded(project, as_):
    admin = as_("admin")
    upload = BytesIO(b'{"prompt": "p", "answer": "a", "reward": 2}\nnot json\n')
    upload.name = "mine.jsonl"
    page = admin.post(url("item-import"), {"project": project.pk, "file": upload, "rater_name": "grader"}, follow=True)
    record = Import.objects.get()
    assert page.redirect_chain[-1][0] == record.get_absolute_url()
    assert "is not JSON" in page.content.decode()
    refused = b"".join(admin.get(url("import-refused", record.pk)).streaming_content).decode()
    assert refused.splitlines()[0] == "file,line,field,reason" and refused.splitlines()[1].startswith("mine.jsonl,2,")
    assert Client().get(url("import-refused", record.pk)).status_code == 302
    assert as_("annotator").get(url("import-refused", record.pk)).status_code == 403


def test_a_large_upload_becomes_a_job(project, as_, settings, monkeypatch):
    from annotations.views import imports

    monkeypatch.setattr(imports, "DIRECT_BYTES", 10)
    upload = BytesIO(b'{"prompt": "p", "answer": "a"}\n')
    upload.name = "big.jsonl"
    page = as_("admin").post(url("item-import"), {"project": project.pk, "file": upload, "rater_name": "x"}, follow=True)
    assert page.status_code == 200
    assert Import.objects.get().job.state == "queued" and not Item.objects.exists()


def test_a_project_is_made_and_changed(db, as_):
    admin = as_("admin")
    fields = {"name": "Rivers", "raters_per_item": "2", "guidelines": "# Hi", "rubric": "honesty-1"}
    admin.post(url("project-create"), fields)
    project = Project.objects.get()
    assert project.slug == "rivers" and project.raters_per_item == 2
    admin.post(url("project-edit", "rivers"), fields | {"name": "Lakes", "raters_per_item": "0"})
    project.refresh_from_db()
    assert (project.name, project.slug, project.raters_per_item) == ("Lakes", "rivers", 0)
    assert admin.post(url("project-create"), fields | {"name": "Lakes"}).status_code == 422


def test_a_project_named_like_the_form_has_a_page_of_its_own(as_):
    project = services.project_create(name="New", actor=None)
    assert project.slug != "new" and "New" in as_("member").get(project.get_absolute_url()).content.decode()


def test_a_project_that_compares_is_offered_preference_pairs(project, as_):
    admin, address = as_("admin"), f"{url('dataset-build')}?project={project.slug}"
    assert '<option value="preference" selected>' not in admin.get(address).content.decode()
    services.project_update(project=project, actor=None, mode="compare")
    assert '<option value="preference" selected>' in admin.get(address).content.decode()


def test_a_project_that_compares_and_is_asked_for_rewards_points_to_preference_pairs(project, as_, write):
    services.project_update(project=project, actor=None, mode="compare")
    services.item_import(project=project, path=write(tuple_of(1, answer=text) for text in ("Rome.", "Lima.")), actor=None)
    admin, told = as_("admin"), "gives preference pairs, so choose those"
    form = {
        "project": project.pk, "kind": "sft", "name": "towns", "gold": "wins", "min_people": "0",
        "min_reward": "1", "min_gap": "1", "eval_share": "0.1", "test_share": "0", "seed": "0",
    }  # fmt: skip
    assert told in admin.post(url("dataset-preview"), form).content.decode()
    assert told in admin.post(url("dataset-build"), form).content.decode()
    assert told not in admin.post(url("dataset-preview"), form | {"kind": "preference"}).content.decode()


def test_a_dataset_is_built_previewed_and_downloaded(project, as_, write):
    lines = [tuple_of(n, reward=2, gold_answer=f"Town {n}") for n in range(20)]
    services.item_import(project=project, path=write(lines), actor=None)
    admin = as_("admin")
    assert "Score by gold answers" in admin.get(url("project-detail", project.slug)).content.decode()
    admin.post(url("project-gold", project.slug))
    form = {
        "project": project.pk, "kind": "sft", "name": "towns", "gold": "wins", "min_people": "0",
        "min_reward": "1", "min_gap": "1",
        "eval_share": "0.1", "test_share": "0", "seed": "0",
    }  # fmt: skip
    preview = admin.post(url("dataset-preview"), form | {"name": ""}).content.decode()
    assert "18" in preview and "passed" in preview
    page = admin.post(url("dataset-build"), form, follow=True)
    version = DatasetVersion.objects.get()
    assert version.counts == {"train": 18, "eval": 2, "test": 0} and version.content_hash in page.content.decode()
    member = as_("member")
    assert b"".join(member.get(url("dataset-download", "towns", "train.jsonl")).streaming_content).count(b"\n") == 18
    assert member.get(url("dataset-download", "towns", "secret_key")).status_code == 404
    assert as_("annotator").get(url("dataset-download", "towns", "train.jsonl")).status_code == 403
    admin.post(url("dataset-build"), form | {"name": "nameless", "anonymise": "on"})
    assert DatasetVersion.objects.get(name="nameless").job is not None  # what replaces names is not loaded by the web process
    assert admin.post(url("dataset-build"), form).status_code == 422
    assert member.get(url("dataset-detail", "towns")).status_code == 200
    assert member.get(url("dataset-list")).status_code == 200


def test_a_download_comes_in_pieces_from_the_real_server_too(project, as_, write):
    """A FileResponse would be read whole into memory under ASGI."""
    rows = [{"prompt": "p", "response": "r"}]
    version = services.dataset_from_rows(name="rows", kind="sft", rows={"train": rows}, source="test", actor=None)
    path = url("dataset-download", version.name, "train.jsonl")
    request = AsyncRequestFactory().get(path)
    request.user = as_("member").user
    response = resolve(path).func(request, version.name, "train.jsonl")
    assert response.is_async and "attachment" in response["Content-Disposition"]
    response.close()


def test_markdown_is_shown_and_nothing_in_it_runs(project, as_, write):
    evil = "**bold** <script>alert(1)</script> [x](javascript:alert(1)) ![i](http://evil/x.png) [ok](https://example.org)"
    services.item_import(project=project, path=write([tuple_of(1, answer=evil)]), actor=None)
    page = as_("annotator").get(url("score-project", project.slug)).content.decode()
    assert "<strong>bold</strong>" in page and 'href="https://example.org"' in page
    assert "<script>alert" not in page and 'href="javascript' not in page and "<img" not in page


def test_odd_characters_in_a_request_are_no_error(project, items, as_):
    mo = as_("member")
    for query in ({"q": "a\x00"}, {"q": "\x00", "project": "x\x00", "source": "\x00", "state": "\x00", "page": "²"}):
        assert mo.get(url("item-list"), query).status_code == 200
    first = mo.get(url("score-project", project.slug)).context["item"]
    for odd in ("²", "٣" * 40, "\x00"):
        assert mo.get(url("score-next", project.slug), {"besides": odd}).status_code == 200
    draft = {"critique": "a\x00b", "seconds": "inf"}
    assert mo.post(url("score-draft", first.pk), draft).status_code == 204
    assert Draft.objects.get().data["critique"] == "ab"
    assert mo.post(url("score-submit", first.pk), form_of(first, shown_at="²")).status_code == 302
    assert mo.post(url("score-flag", first.pk), {"reason": "other", "note": "\x00"}).status_code == 302


def test_seeing_others_scores_ends_scoring_that_item(project, items, as_, person):
    services.project_update(project=project, actor=None, name=project.name, guidelines="", raters_per_item=2)
    services.score_submit(item=items[0], actor=person("bob"), submission=uuid4(), overall=-2, critique="bob's secret view")
    mo, held = as_("member"), {"headers": {"Accept": "application/json"}}
    mo.post(url("score-submit", items[0].pk), form_of(items[0]))
    assert "secret view" in mo.get(url("item-detail", items[0].pk)).content.decode()
    undo = mo.post(url("score-undo", project.slug), **held)
    assert undo.status_code == 422 and "stands" in undo.json()["error"]
    answer = mo.post(url("score-submit", items[0].pk), form_of(items[0], overall="-2"), **held)
    assert answer.status_code == 422 and "blind" in answer.json()["error"]
    assert Score.objects.get(rater__user=mo.user, withdrawn_at=None).overall == 1


def test_a_closed_item_that_was_looked_at_cannot_be_scored_and_one_at_hand_stays_blind(project, items, as_, person):
    bob, mo = person("bob"), as_("member")
    held = mo.get(url("score-project", project.slug)).context["item"]
    listed, opened = [item for item in items if item != held][:2]
    for item in (held, listed, opened):
        services.score_submit(item=item, actor=bob, submission=uuid4(), overall=-2, critique="bob's secret view")
    assert "secret view" not in mo.get(url("item-detail", held.pk)).content.decode()
    assert "secret view" in mo.get(f"/api/items/{opened.pk}").content.decode()
    assert {row.item.pk for row in mo.get(url("item-list")).context["rows"] if row.has_score} >= {listed.pk}
    for item, status in ((held, 200), (listed, 422), (opened, 422)):
        answer = mo.post(url("score-submit", item.pk), form_of(item), headers={"Accept": "application/json"})
        assert answer.status_code == status, item


def test_undo_says_what_it_did_where_no_item_comes_back(project, items, as_):
    ann = as_("annotator")
    ask = {"headers": {"Accept": "application/json"}}
    assert "nothing" in ann.post(url("score-undo", project.slug), **ask).json()["said"]
    for overall in ("1", "2"):
        ann.post(url("score-submit", items[0].pk), form_of(items[0], overall=overall))
    undone = ann.post(url("score-undo", project.slug), **ask).json()
    assert undone["html"] == "" and f"item {items[0].pk} is as it was" in undone["said"]
    assert ann.post(url("score-undo", project.slug), **ask).json()["item"] == items[0].pk


def test_the_data_admin_shows_and_changes_nothing(project, items, as_):
    admin = as_("admin")
    for name in ("project", "item", "score", "flag", "import", "rater", "rubricversion", "datasetversion"):
        assert admin.get(f"/admin/annotations/{name}/").status_code == 200, name
    assert admin.get(f"/admin/annotations/item/{items[0].pk}/change/").status_code == 200
    assert admin.post(f"/admin/annotations/item/{items[0].pk}/delete/", {"post": "yes"}).status_code == 403


def test_annotators_are_told_nowhere_which_model_answered(project, write, person):
    services.item_import(project=project, path=write([tuple_of(1, metadata={"source_ai": "secret-model"})]), actor=None)
    item = Item.objects.get()
    for name, role, told in (("ann", "annotator", False), ("mo", "member", True)):
        client = Client()
        client.force_login(person(name, role), backend="django.contrib.auth.backends.ModelBackend")
        for url in ("/items/", f"/items/{item.pk}/", f"/api/items/{item.pk}"):
            assert ("secret-model" in client.get(url).content.decode()) is told, (name, url)


def test_a_version_that_is_being_built_is_not_counted_as_there(project, items, as_):
    member = as_("member")
    services.dataset_queue(project=project, actor=None, name="first", kind="tuples", settings={})
    page = member.get(url("dataset-list")).content.decode()
    assert "1 version being built" in page and "1 version;" not in page
    DatasetVersion.objects.create(name="second", kind="tuples", ready_at=timezone.now())
    assert "1 version, and 1 being built" in member.get(url("dataset-list")).content.decode()
