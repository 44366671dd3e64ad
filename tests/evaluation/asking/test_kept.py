"""Replies are kept by model, prompt and way of asking."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluation.asking import kept as kept_module
from evaluation.asking.asker import Asker
from evaluation.asking.kept import KeptReplies, forget_oldest
from evaluation.asking.replies import How, Keep, Reply, Wanted
from training.exceptions import TrainingError
from training.stopping import StopRequest

HOW = How(max_new_tokens=8)


class Parrot:
    """Replies with the prompt, two at a time, and counts what it was asked; may fall silent."""

    def __init__(self, digest: str = "parrot", *, silent_after: int | None = None) -> None:
        self.digest, self.asked, self._silent_after = digest, [], silent_after

    def settings(self) -> Mapping[str, Any]:
        return {}

    def reply(self, wanted: Sequence[Wanted], how: How, *, keep: Keep, stop: StopRequest) -> None:
        for at in range(0, len(wanted), 2):
            batch = range(at, min(at + 2, len(wanted)))
            if self._silent_after is not None and len(self.asked) >= self._silent_after:
                raise TrainingError("silent")
            self.asked += [wanted[i] for i in batch]
            keep([(i, Reply(f"{wanted[i].prompt} {wanted[i].sample}", -0.5, 2, (1, 2))) for i in batch])


def ask(model: Parrot, folder: Path, prompts: Sequence[str], how: How = HOW, **more: Any) -> list[str]:
    return [one.text for one in Asker(model, folder, stop=StopRequest(), **more).ask([Wanted(p) for p in prompts], how)]


def test_one_more_question_costs_one_more_reply(tmp_path: Path) -> None:
    assert ask(Parrot(), tmp_path, ["a", "b", "c"]) == ["a 0", "b 0", "c 0"]
    model, told = Parrot(), []
    assert ask(model, tmp_path, ["c", "d", "a", "d"], tell=told.append) == ["c 0", "d 0", "a 0", "d 0"]
    assert [one.prompt for one in model.asked] == ["d"]
    assert sum(told) == 4
    more = Parrot()
    Asker(more, tmp_path, stop=StopRequest()).ask([Wanted("a", sample) for sample in range(3)], HOW)
    assert [one.sample for one in more.asked] == [1, 2]


def test_another_model_or_way_of_asking_is_asked_anew(tmp_path: Path) -> None:
    ask(Parrot(), tmp_path, ["a"])
    for model, how in ((Parrot("other"), HOW), (Parrot(), How(9)), (Parrot(), How(8, 1.0)), (Parrot(), How(8, 1.0, seed=1))):
        ask(model, tmp_path, ["a"], how)
        assert len(model.asked) == 1
    same = Parrot()
    ask(same, tmp_path, ["a"], How(8, 0.0, seed=7))  # nothing is drawn: the seed is nothing to it
    assert same.asked == []


def test_what_was_there_before_a_failure_is_not_asked_again(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        ask(Parrot(silent_after=4), tmp_path, list("abcdefg"))
    model = Parrot()
    assert ask(model, tmp_path, list("abcdefg")) == [f"{letter} 0" for letter in "abcdefg"]
    assert [one.prompt for one in model.asked] == ["e", "f", "g"]


def test_half_a_line_spoils_nothing(tmp_path: Path) -> None:
    kept = KeptReplies(tmp_path / "x.jsonl")
    kept.add([("a", Reply("one", -1.0, 3, (4, 5))), ("b", Reply("two"))])
    whole = kept.path.read_bytes()
    kept.path.write_bytes(whole[:-7])
    again = KeptReplies(kept.path)
    assert (again.get("a"), again.get("b")) == (Reply("one", -1.0, 3, (4, 5)), None)
    again.add([("b", Reply("two"))])
    last = KeptReplies(kept.path)
    assert (last.get("a"), last.get("b")) == (Reply("one", -1.0, 3, (4, 5)), Reply("two"))


def test_only_what_is_wanted_is_read_and_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(Parrot(), tmp_path, [str(number) for number in range(50)])
    read = []
    reading = kept_module._reply
    monkeypatch.setattr(kept_module, "_reply", lambda line: (read.append(line), reading(line))[1])
    model = Parrot()
    asker = Asker(model, tmp_path, stop=StopRequest())
    assert [one.text for one in asker.ask([Wanted("7"), Wanted("9"), Wanted("new")], HOW)] == ["7 0", "9 0", "new 0"]
    assert len(read) == 2
    assert [one.text for one in asker.ask([Wanted("new"), Wanted("11")], HOW)] == ["new 0", "11 0"]
    assert len(read) == 3 and [one.prompt for one in model.asked] == ["new"]


def test_what_was_not_used_for_longest_is_forgotten_first(tmp_path: Path) -> None:
    now = time.time()
    for number, days in enumerate((0, 3, 9, 6)):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b"x" * 100)
        os.utime(path, (now, now - days * 86_400))
    assert forget_oldest(tmp_path, most=400) == 0
    assert forget_oldest(tmp_path, most=250) == 2
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["0", "1"]
    assert forget_oldest(tmp_path, most=0) == 1  # what is in use stays
    ask(Parrot(), tmp_path, ["a"])
    [kept] = [path for path in tmp_path.iterdir() if path.stem != "0"]
    os.utime(kept, (now, now - 9 * 86_400))
    ask(Parrot(), tmp_path, ["a"])
    assert forget_oldest(tmp_path, most=0) == 0, "to read it is to use it"


def test_a_conversation_is_not_its_last_turn(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    prompts = [Wanted(talk), Wanted("c"), Wanted("c", 1), Wanted(talk[:1]), Wanted("a")]
    assert len({one.key for one in prompts}) == 5  # in plain words “a” is put as it is, and the one turn as “User: a”


def test_how_a_reply_ended_is_kept_with_it(tmp_path: Path) -> None:
    said = {
        "cut": Reply("one", -1.0, 3, (4, 5, 6), "length"),
        "filtered": Reply("", ending="filtered", reason="mind your words"),
        "drawn": Reply("two", ending="stop", drawn=True),
    }
    KeptReplies(tmp_path / "x.jsonl").add(said.items())
    kept = KeptReplies(tmp_path / "x.jsonl")
    assert {key: kept.get(key) for key in said} == said
