"""Connecting, syncing and mapping by page, HTTP and shell: the same things come of each."""

from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page

from accounts.hosts import host_allow
from accounts.secrets import unseal
from accounts.services import user_create
from annotations.models import ArgillaConflict, ArgillaLink, ArgillaPerson, ArgillaSync, Item, Score
from annotations.services import item_import, project_create, score_submit
from annotations.services.argilla import argilla_connect
from annotations.services.raters import teacher_rater
from jobs.services import job_stop
from tests.browser.axe import serious_findings
from tests.browser.conftest import browser_of_module as browser  # noqa: F401
from tests.browser.conftest import console, page, shot, sign_in  # noqa: F401

CONNECTION = {"url": "http://127.0.0.1:6900/", "api_key": "secret-key", "workspace": "team", "dataset": "honesty"}


@pytest.fixture
def project(db, tmp_path):
    project = project_create(name="Capitals", actor=None)
    path = tmp_path / "items.jsonl"
    path.write_text('{"prompt": "Who?", "answer": "Me."}\n')
    item_import(project=project, path=path, actor=None)
    return project


@pytest.fixture
def as_(db):
    def log_in(role):
        client = Client()
        client.force_login(user_create(username=role, password="a long enough secret", role=role, actor=None), backend=BACKEND)
        return client

    return log_in


BACKEND = "django.contrib.auth.backends.ModelBackend"
ROOT = "/items/projects/capitals/argilla/"


def test_an_admin_connects_by_page_and_the_key_is_shown_nowhere(project, as_):
    admin = as_("admin")
    told = admin.post(ROOT, CONNECTION)
    assert told.status_code == 422
    assert b"may not call" in told.content
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    assert admin.post(ROOT, CONNECTION).status_code == 302
    link = ArgillaLink.objects.get()
    assert unseal(link.sealed_key) == "secret-key"
    for address in (ROOT, "/api/projects/capitals/argilla"):
        assert b"secret-key" not in admin.get(address).content
    assert admin.post(ROOT, CONNECTION | {"api_key": "", "dataset": "another"}).status_code == 302, "no dataset is made yet"
    link.refresh_from_db()
    assert (unseal(link.sealed_key), link.dataset) == ("secret-key", "another")
    ArgillaLink.objects.update(dataset_id=uuid4())
    assert admin.post(ROOT, CONNECTION).status_code == 422, "the dataset is made: it cannot be another"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("api_key", "two\nlines-of-a-key", "one word"),
        ("api_key", "kéy", "one word"),
        ("url", "http://127.0.0.1:6900/?next=", "no ? and no #"),
        ("url", "http://127.0.0.1:6900/a b", "no ? and no #"),
        ("webhook_address", "http://", "names a host"),
        ("webhook_address", "https://ada:secret@rlwhf.example.org", "no password"),
        ("webhook_address", f"https://rlwhf.example.org/{'x' * 300}", "At most 300"),
        ("workspace", "w" * 201, "At most 200"),
        ("dataset", " ", "Name a workspace"),
    ],
)
def test_what_cannot_be_connected_with_is_refused_in_words(project, as_, field, value, told):
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    answer = as_("admin").put("/api/projects/capitals/argilla", CONNECTION | {field: value}, content_type="application/json")
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert field != "api_key" or value not in answer.json()["detail"]
    assert not ArgillaLink.objects.exists()


def test_another_server_is_not_sent_the_key_of_the_first(project, as_):
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    admin = as_("admin")
    admin.post(ROOT, CONNECTION)
    elsewhere = CONNECTION | {"url": "http://127.0.0.1:9999"}
    told = admin.post(ROOT, elsewhere | {"api_key": ""})
    assert told.status_code == 422
    assert b"key of its own" in told.content
    assert admin.post(ROOT, elsewhere).status_code == 302


def test_the_busiest_teachers_get_a_question(project, monkeypatch):
    monkeypatch.setattr("annotations.services.argilla.MOST_TEACHERS", 2)
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    version = project.rubric_version_id
    [item] = Item.objects.all()
    for name, count in (("a", 1), ("b", 3), ("c", 2)):
        rater = teacher_rater(name=name)
        for number in range(count):
            Score.objects.create(
                item=item_copy(item, f"{name}{number}"),
                rater=rater,
                rubric_version_id=version,
                overall=1,
                given_at=timezone.now(),
            )
    assert set(argilla_connect(project=project, actor=None, **CONNECTION).teachers) == {"b", "c"}


def item_copy(item, answer):
    item.pk, item.answer, item.content_hash = None, answer, answer
    item.save()
    return item


def test_members_look_and_do_not_touch_and_annotators_do_not_look(project, as_):
    member, annotator = as_("member"), as_("annotator")
    assert member.get(ROOT).status_code == 200
    assert member.post(ROOT, CONNECTION).status_code == 403
    assert member.post(f"{ROOT}sync/", {"direction": "push"}).status_code == 403
    assert annotator.get(ROOT).status_code == 403
    assert annotator.get("/api/projects/capitals/argilla").status_code == 403


def test_a_sync_is_a_job_and_one_that_waits_is_not_asked_for_twice(project, as_):
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    admin = as_("admin")
    admin.post(ROOT, CONNECTION)
    for _ in range(2):
        assert admin.post(f"{ROOT}sync/", {"direction": "push"}).status_code == 302
    sync = ArgillaSync.objects.get()
    assert (sync.job.kind, sync.job.state, sync.actor.username) == ("annotations.argilla", "queued", "admin")
    assert b"queued" in admin.get(ROOT).content.lower()
    job_stop(job=sync.job, actor=None)
    told = admin.post("/api/projects/capitals/argilla/syncs", {"direction": "push"}, content_type="application/json")
    assert told.status_code == 202
    assert told.json()["id"] != sync.pk
    assert (
        admin.post("/api/projects/capitals/argilla/syncs", {"direction": "up"}, content_type="application/json").status_code
        == 422
    )


def test_the_api_connects_maps_and_disconnects(project, as_):
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    admin = as_("admin")
    assert admin.get("/api/projects/capitals/argilla").status_code == 404
    told = admin.put("/api/projects/capitals/argilla", CONNECTION, content_type="application/json")
    assert told.status_code == 200
    assert told.json()["status"]["dataset"] == "team/honesty"
    person = ArgillaPerson.objects.create(link=ArgillaLink.objects.get(), argilla_id=uuid4(), username="zoe")
    other = ArgillaPerson.objects.create(link=person.link, argilla_id=uuid4(), username="yan")
    where = "/api/projects/capitals/argilla/people"
    assert admin.put(f"{where}/{person.pk}?user=admin").json()["user"] == "admin"
    assert admin.put(f"{where}/{other.pk}?user=admin").status_code == 422, "one person there for one here"
    assert admin.put(f"{where}/{person.pk}").json()["user"] is None
    assert admin.get("/api/projects/capitals/argilla/conflicts").json() == []
    assert admin.delete("/api/projects/capitals/argilla").status_code == 204
    assert not ArgillaLink.objects.exists()


def test_a_key_that_a_person_types_is_not_shown(project, monkeypatch):
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    monkeypatch.delenv("ARGILLA_API_KEY", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("annotations.management.commands.argilla.getpass", lambda _: "typed-key")
    settings = {name: value for name, value in CONNECTION.items() if name != "api_key"}
    call_command("argilla", "connect", project="capitals", **settings, stdout=StringIO())
    assert unseal(ArgillaLink.objects.get().sealed_key) == "typed-key"


def test_the_shell_connects_pushes_pulls_maps_and_tells(make_place, monkeypatch, tmp_path):
    place = make_place(2)
    link, project = place.link, place.project.slug
    settings = {"project": project, "url": link.url, "workspace": link.workspace, "dataset": link.dataset}
    link.delete()

    def run(*arguments, **options):
        told = StringIO()
        call_command("argilla", *arguments, stdout=told, **options)
        return told.getvalue()

    with pytest.raises(CommandError, match="goes with no Argilla dataset"):
        run("push", project=project)
    monkeypatch.setenv("ARGILLA_API_KEY", place.argilla.api_key)
    assert "Next: rlwhf argilla push" in run("connect", **settings)
    place.link = ArgillaLink.objects.get()
    assert "2  records added" in run("push", project=project)
    [first, _] = Item.objects.order_by("pk")
    place.answer("zoe", first, overall="1")
    assert "1  responses taken" in run("pull", project=project)
    user_create(username="ann", password="a long enough secret", role="annotator", actor=None)
    there = ArgillaPerson.objects.get().username
    assert "is ann here" in run("map", there, "ann", project=project)
    assert "1  responses taken" in run("pull", project=project, mode="changes")
    assert Score.objects.get(withdrawn_at=None).rater.user.username == "ann"
    told = run("status", project=project)
    assert "records: 2" in told
    assert f"{there} is ann here" in told
    place.link.sealed_key = "nonsense"
    place.link.save()
    with pytest.raises(CommandError, match="cannot be read"):
        run("pull", project=project)
    assert "cannot be read" in ArgillaSync.objects.first().problem
    assert "forgotten" in run("disconnect", project=project)


def test_the_worker_carries_a_sync_out_and_says_why_one_failed(place, items, tmp_path):
    from annotations.services.argilla import argilla_sync_queue

    place.answer("zoe", items[0], overall="1")
    sync = argilla_sync_queue(link=place.link, direction="pull", actor=None)
    call_command("argilla", "carry-out", str(sync.pk), folder=tmp_path)
    assert '"responses_taken": 1' in (tmp_path / "result.json").read_text()
    place.argilla.delete(place.dataset)
    sync = argilla_sync_queue(link=place.link, direction="pull", mode="changes", actor=None)
    with pytest.raises(SystemExit):
        call_command("argilla", "carry-out", str(sync.pk), folder=tmp_path)
    assert "no longer on the server" in (tmp_path / "failure.json").read_text()
    assert Score.objects.filter(withdrawn_at=None).count() == 1, "what was taken stays"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.full
def test_the_page_reads_well_and_maps_people(make_place, page: Page, sign_in, shot):  # noqa: F811
    sign_in("admin")
    place = make_place(6, raters_per_item=2)
    address = f"/items/projects/{place.project.slug}/argilla/"
    ArgillaSync.objects.create(
        link=place.link, direction="push", problem="The Argilla server does not answer: connection refused."
    )
    place.push()
    ann = user_create(username="ann", password="a long enough secret", role="annotator", actor=None)
    items = list(Item.objects.order_by("pk"))
    score_submit(item=items[0], actor=ann, submission=uuid4(), overall=-2, critique="Made up.")
    for item, overall in zip(items, ("1", "2", "-1", "0"), strict=False):
        place.answer("zoe", item, overall=overall, critique="So it is.")
    place.answer("yan", items[4], status="discarded")
    place.pull()
    page.goto(address)
    name = place.annotator("zoe").get("/me")["username"]
    page.get_by_label(f"{name} is").select_option("ann")
    page.get_by_role("button", name=f"who {name} is").click()
    page.wait_for_url(f"**{address}")
    place.pull()
    place.argilla.put(
        f"{place.dataset}/records/bulk",
        items=[{"external_id": items[5].content_hash, "fields": {"prompt": items[5].prompt, "answer": "Other."}}],
    )
    place.answer("yan", items[5], overall="1")
    for one in range(2):
        place.pull("changes" if one else "scan")
    assert ArgillaConflict.objects.count() == 1
    page.goto(address)
    assert not serious_findings(page)
    shot(page, "argilla")
    ArgillaLink.objects.update(webhook_address="https://rlwhf.example.org", webhook_id=uuid4())
    ArgillaSync.objects.create(link=place.link, direction="disconnect", problem="The Argilla server does not answer: timed out.")
    page.goto(address)
    assert not serious_findings(page)
    shot(page, "argilla-disconnecting")
    page.set_viewport_size({"width": 390, "height": 800})
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    page.goto("/account/hosts/")
    assert not serious_findings(page)
    shot(page, "hosts")
