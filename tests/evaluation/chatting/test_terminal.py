"""Chat in the terminal: what is typed, what is shown, and that nothing is left running."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import psutil
import pytest
from django.core.management import CommandError, call_command

from annotations.models import Item
from annotations.services import project_create
from evaluation.chatting.asking import talker_of
from evaluation.chatting.conversation import ChatRefused, Wording
from evaluation.chatting.here import _ready, served_here
from evaluation.chatting.terminal import Terminal
from evaluation.model_hash import model_hash
from evaluation.serving.places import ADDRESS
from jobs.child import PROGRESS
from tests.chat_server import ChatServer
from tests.evaluation.chatting.test_chat import echo, endpoint
from training.models import Artifact
from training.placing import NamedModel

pytestmark = pytest.mark.django_db


def typed(*lines: str) -> Callable[[str], str]:
    """Somebody who types these lines, and then Ctrl-D."""
    left = iter(lines)

    def read(prompt: str) -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        return line

    return read


def session(names: list[str], *lines: str, wording: Wording | None = None) -> str:
    shown = StringIO()
    talkers = [talker_of(name, actor=None) for name in names]
    Terminal(talkers, wording=wording or Wording(), actor=None, read=typed(*lines), write=shown.write).run()
    return shown.getvalue()


@pytest.fixture
def big() -> Iterator[None]:
    with endpoint("big", ChatServer(echo)):
        yield


def test_several_turns_a_system_prompt_and_a_reply_that_is_scored(big: None) -> None:
    project_create(name="Chats", actor=None)
    lines = ["/score chats", "Hello", "And?", "/score nowhere", "/score chats", "/system Be brief", "Hello", "/new", "", "/what"]
    shown = session(["big"], *lines, "/quit", "never")
    assert "1 you said Hello \n" in shown and "3 you said And? \n" in shown and "Be brief: 2 you said Hello" in shown
    item = Item.objects.get()
    assert (item.answer, len(item.prompt), item.source_model) == ("3 you said And?", 3, "big")
    assert f"The answer is now item {item.pk} of Chats; it is scored at /score/in/chats/" in shown
    assert "Nothing has been answered yet." in shown and "There is no project “nowhere”. Projects: chats." in shown
    assert "/score PROJECT" in shown and "never" not in shown


def test_two_answer_one_after_the_other(big: None) -> None:
    with endpoint("shy", ChatServer(lambda messages: "I do not know.")):
        project_create(name="Chats", actor=None)
        shown = session(["big", "shy"], "Hello", "/score chats", "/score chats shy")
    assert "[big] 1 you said Hello" in shown and "[shy] I do not know." in shown
    assert "Whose answer? /score PROJECT big, or shy." in shown
    assert Item.objects.get().answer == "I do not know."


def test_an_interrupt_ends_the_answer_and_leaves_the_conversation_as_it_was() -> None:
    shown = StringIO()
    interrupts = iter([True])

    def write(text: str) -> None:
        shown.write(text)
        if text == "word " and next(interrupts, False):
            raise KeyboardInterrupt

    slow = ChatServer(lambda messages: f"{len(messages)} word word" if len(messages) > 1 else "word " * 1000, word_s=0.002)
    with endpoint("slow", slow):
        Terminal([talker_of("slow", actor=None)], wording=Wording(), actor=None, read=typed("Hello"), write=write).run()
        assert slow.hung_up.wait(5)
    assert "the conversation is as it was before" in shown.getvalue()


def test_the_command_says_what_it_cannot_do(big: None, tiny: Artifact) -> None:
    def refusal(*arguments: str) -> str:
        with pytest.raises(CommandError) as refused:
            call_command("chat", *arguments)
        return str(refused.value)

    assert "no model named “nobody”" in refusal("nobody")
    assert "One model, or two" in refusal("big", "tiny", "nobody")
    assert "--temperature" in refusal("big", "--temperature", "3")
    out = StringIO()
    call_command("serving", stdout=out)
    call_command("serving", "stop", "tiny", stdout=out)
    assert "No model is served." in out.getvalue() and "“tiny” is not served." in out.getvalue()
    with pytest.raises(CommandError, match="No worker takes cpu jobs now"):
        call_command("serving", "start", "tiny")


def test_what_a_child_says_of_its_loading_is_told_once_each_until_it_can_be_asked(tmp_path: Path) -> None:
    steps = """
import json, os, sys, time
def put(name, value):
    with open(name + ".part", "w") as file:
        json.dump(value, file)
    os.replace(name + ".part", name)
for note in ("", "loading one", "loading one", "loading two"):
    put(sys.argv[1], {"note": note})
    time.sleep(0.4)
put(sys.argv[2], {"address": "http://127.0.0.1:1/v1"})
sys.stdin.read()
"""
    told: list[str] = []
    command = [sys.executable, "-c", steps, PROGRESS, ADDRESS]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE) as child:
        assert _ready(child, tmp_path, told.append) == {"address": "http://127.0.0.1:1/v1"}
        assert told == ["loading one", "loading two"]


@pytest.mark.full
def test_a_model_of_this_machine_answers_and_ends_with_the_session(taught: Path, tmp_path: Path) -> None:
    shown, told = StringIO(), []
    with served_here([NamedModel("tiny", taught)], tag="cpu", tell=told.append) as talkers:
        assert talkers[0].model_hash == model_hash(str(taught)) and talkers[0].key not in repr(talkers)
        read = typed("Where was Ada born?", "Where was Bo born?")
        Terminal(talkers, wording=Wording(), actor=None, read=read, write=shown.write).run()
        children = [one for one in psutil.Process().children() if "evaluation.serving.job" in " ".join(one.cmdline())]
        assert len(children) == 1 and talkers[0].key not in " ".join(children[0].cmdline())
    assert "In London." in shown.getvalue()
    assert told[:1] in ([], ["loading tiny"])  # nothing, where it was loaded between two looks
    assert not children[0].is_running()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ChatRefused, match="config"), served_here([NamedModel("empty", empty)], tag="cpu", tell=told.append):
        pass
