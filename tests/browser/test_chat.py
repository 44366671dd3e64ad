"""Chat in a real browser: streamed, side by side, and an answer that goes to its scoring desk."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from annotations.models import Item
from annotations.services import project_create
from evaluation.chatting.jobs import KIND
from evaluation.serving.places import ADDRESS
from jobs.models import Job
from tests.browser.axe import serious_findings
from tests.chat_server import ChatServer
from tests.evaluation.chatting.test_chat import echo, endpoint
from tests.evaluation.chatting.test_serving_job import held, worker
from tests.training.model_folders import model_folder_at
from training.services import artifact_register

pytestmark = pytest.mark.browser


def test_two_models_answer_side_by_side_and_an_answer_is_scored(
    page: Page, sign_in: Callable[..., Any], shot: Callable[[Page, str], None]
) -> None:
    sign_in("member")
    project_create(name="Chats", actor=None)
    slow = ChatServer(lambda messages: "one two three four five six seven eight nine ten", word_s=0.15)
    with ExitStack() as stack:
        stack.enter_context(endpoint("quick", ChatServer(echo)))
        stack.enter_context(endpoint("slow", slow))
        page.goto("/chat/")
        page.select_option("#choose-model", value="quick")
        page.select_option("#choose-other", value="slow")
        page.get_by_role("button", name="Choose").click()
        assert not serious_findings(page)
        page.get_by_label("Message").fill("Who was <b>Ada</b>?")
        page.keyboard.press("Enter")
        quick, second = page.get_by_role("region", name="quick"), page.get_by_role("region", name="slow")
        expect(second.get_by_text("one two")).to_be_visible()
        assert second.get_by_text("ten").count() == 0, "it is shown while it comes"
        expect(quick.get_by_text("1 you said Who was <b>Ada</b>?")).to_be_visible()
        expect(second.get_by_text("nine ten")).to_be_visible()
        page.get_by_label("Message").fill("And Bo?")
        page.get_by_role("button", name="Send").click()
        expect(quick.get_by_text("3 you said And Bo?")).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        expect(second.get_by_text("And Bo?")).to_have_count(0)
        assert slow.hung_up.wait(5), "whoever listens no more ends the answer"
        assert not serious_findings(page)
        shot(page, "chat")
        quick.get_by_role("button", name="Score this answer").last.click()
        expect(quick.get_by_role("link", name="Score it now")).to_be_visible()
        item = Item.objects.get()
        assert len(item.prompt) == 3 and item.answer == "3 you said And Bo?" and item.metadata["chat"]["model"] == "quick"
        quick.get_by_role("link", name="Score it now").click()
        expect(page.get_by_text("3 you said And Bo?")).to_be_visible()


def test_a_message_that_cannot_be_sent_stays_and_says_why(page: Page, sign_in: Callable[..., Any]) -> None:
    sign_in("member")
    with endpoint("down", ChatServer(echo, refuse=lambda request: (401, "no such key", {}))):
        page.goto("/chat/?model=down")
        page.get_by_label("Message").fill("Hello")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert").filter(has_text="no such key")).to_be_visible()
        expect(page.get_by_label("Message")).to_have_value("Hello")
        expect(page.get_by_text("you said")).to_have_count(0)


@pytest.mark.full
def test_a_model_of_the_site_is_served_from_the_page_which_says_how_far_it_is(
    page: Page, sign_in: Callable[..., Any], shot: Callable[[Page, str], None], tmp_path: Path
) -> None:
    sign_in("member")
    for name in ("tiny", "twin"):
        artifact_register(name=name, folder=model_folder_at(tmp_path / name), actor=None)
    page.goto("/models/")
    page.locator("#main").get_by_role("link", name="Chat").click()
    page.select_option("#choose-model", value="tiny")
    page.select_option("#choose-other", value="twin")
    page.get_by_role("button", name="Choose").click()
    page.get_by_role("button", name="Serve tiny and twin").click()
    expect(page.get_by_text("No worker takes cpu jobs now")).to_be_visible()
    assert not serious_findings(page)
    shot(page, "chat-unserved")
    by = worker(["cpu"])
    page.get_by_role("button", name="Serve tiny and twin").click()
    expect(page.get_by_text("Queued").first).to_be_visible()
    job = held(Job.objects.get(kind=KIND), by, tmp_path)
    Job.objects.filter(pk=job.pk).update(progress_note="loading twin")
    expect(page.get_by_text("loading twin").first).to_be_visible()
    shot(page, "chat-starting")
    told = {"address": "http://127.0.0.1:9/v1", "host": socket.gethostname(), "models": {"tiny": "a", "twin": "b"}}
    (tmp_path / ADDRESS).write_text(json.dumps(told))
    expect(page.get_by_text("ready")).to_have_count(2)
    assert not serious_findings(page)
    shot(page, "chat-ready")
    page.get_by_role("button", name="Stop serving tiny").click()
    expect(page.get_by_text("is stopping")).to_be_visible()
