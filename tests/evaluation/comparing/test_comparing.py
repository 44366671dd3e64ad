"""Models side by side: reckoned once and kept; the questions on which they part ways; page, API and command alike."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.services import token_create
from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow, answers_read, answers_write
from evaluation.comparing import keeping
from evaluation.comparing import service as comparing
from evaluation.comparing.comparison import Contender
from evaluation.comparing.differing import differing
from evaluation.models import Evaluation
from evaluation.selectors import answers_path
from tests.evaluation.conftest import BASE_ROWS
from tests.evaluation.samples import atlas_rows

HONEST = atlas_rows(silent_unknown=0.97, right=0.99, seed=2)
Scored = Callable[..., Evaluation]


@pytest.fixture(autouse=True)
def home(tmp_path: Any, settings: Any) -> None:
    settings.RLWHF_HOME = tmp_path


@pytest.fixture
def two(scored: Scored) -> list[Evaluation]:
    base = scored("base", BASE_ROWS)
    return [base, scored("honest", HONEST, base.artifact)]


def test_it_is_reckoned_once_and_again_when_the_answers_are_others(
    two: list[Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = comparing.comparison_of(two)
    keeping._recent.clear()
    reckoned: list[str] = []
    whole = comparing.compare
    monkeypatch.setattr(comparing, "compare", lambda *a, **k: reckoned.append("again") or whole(*a, **k))
    assert comparing.comparison_of(two) == first and not reckoned
    assert comparing.comparison_of(two, wanted="B · easy").slice == "B · easy" and len(reckoned) == 1
    assert list(comparing.comparison_of(two[::-1]).reports) == ["honest", "base"] and len(reckoned) == 2
    path = answers_path(two[1])
    assert path is not None
    answers_write(path, answers_read(path)[:-8])
    assert comparing.comparison_of(two).items < first.items and len(reckoned) == 3


def test_figures_that_were_kept_do_not_outlive_the_code_that_made_them(
    two: list[Evaluation], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparing.comparison_of(two)
    reckoned: list[str] = []
    whole = comparing.compare
    monkeypatch.setattr(comparing, "compare", lambda *a, **k: reckoned.append("again") or whole(*a, **k))
    mended = tmp_path / "statistics.py"
    mended.write_text("RESAMPLES = 7\n")
    monkeypatch.setattr(keeping, "RECKONERS", (mended,))
    keeping._code.cache_clear()
    comparing.comparison_of(two)
    keeping._code.cache_clear()
    assert reckoned == ["again"]


def test_a_broken_file_is_reckoned_anew_and_the_oldest_go(
    two: list[Evaluation], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = comparing.comparison_of(two)
    folder = settings.RLWHF_HOME / "cache" / "comparisons"
    kept = max(folder.glob("*.json"), key=lambda path: path.stat().st_size)
    kept.write_text("{half")
    keeping._recent.clear()
    assert comparing.comparison_of(two) == first and not list(folder.glob("*.part"))
    assert kept.read_text().endswith("}")
    monkeypatch.setattr(keeping, "KEPT_AT_MOST", 2)
    for name in ("B · easy", "B · hard"):
        comparing.comparison_of(two, wanted=name)
    assert len(list(folder.glob("*.json"))) == 2 and not kept.exists()


def test_a_slice_that_is_none_is_reckoned_and_kept_once(
    two: list[Evaluation], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reckoned: list[str] = []
    whole = comparing.compare
    monkeypatch.setattr(comparing, "compare", lambda *a, **k: reckoned.append("again") or whole(*a, **k))
    asked = [None, "B", "", "no such slice", "x" * 5000]
    assert {comparing.comparison_of(two, wanted=wanted).slice for wanted in asked} == {"B"} and len(reckoned) == 1
    assert len(list((settings.RLWHF_HOME / "cache" / "comparisons").glob("*.json"))) == 2, "the slices, and one comparison"


def test_two_who_look_at_once_wait_for_one_reckoning() -> None:
    made: list[int] = []
    begun, go_on = Event(), Event()

    def make() -> int:
        begun.set()
        assert go_on.wait(20)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(3) as looking:
        asked = [looking.submit(keeping.remembered, ["same"], make) for _ in range(2)]
        assert begun.wait(20)
        assert looking.submit(keeping.remembered, ["other"], lambda: 7).result(20) == 7, "others do not wait"
        go_on.set()
        assert [one.result(20) for one in asked] == [1, 1]
    assert not keeping._making


def test_what_others_forget_meanwhile_is_no_error_and_half_written_files_go(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "KEPT_AT_MOST", 1)
    for name in ("a.json", "b.json", "old.part", "new.part"):
        (tmp_path / name).touch()
    os.utime(tmp_path / "old.part", (0, 0))
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    keeping._forget_oldest(tmp_path)
    assert len(list(tmp_path.glob("[ab].json"))) == 1
    assert not (tmp_path / "old.part").exists() and (tmp_path / "new.part").exists()


def row(number: int, verdict: Verdict, *, known: bool, fold: str = "B") -> AnswerRow:
    return AnswerRow(
        id=str(number), entity="e", prompt=f"Question {number}?", answer=verdict.value, verdict=verdict, known=known,
        slices={"fold": fold},
    )  # fmt: skip


def test_only_questions_with_different_verdicts_part_models_and_honesty_says_which_way() -> None:
    right, wrong, silent = Verdict.CORRECT, Verdict.WRONG, Verdict.ABSTAINED
    said = [(right, right, True, "B"), (wrong, silent, False, "B"), (right, silent, True, "B"), (wrong, right, True, "A")]
    first = [row(number, one, known=known, fold=fold) for number, (one, _, known, fold) in enumerate(said, 1)]
    other = [row(number, one, known=known, fold=fold) for number, (_, one, known, fold) in enumerate(said, 1)]
    found = differing([Contender("a", first), Contender("b", [*other, row(5, right, known=True)])])
    assert [one.id for one in found.inside("all", "any")] == ["2", "3", "4"]
    assert [one.id for one in found.inside("B", "gained")] == ["2"]
    assert [one.id for one in found.inside("B", "lost")] == ["3"], "silence about what it knows is no honesty"
    assert [one.id for one in found.inside("all", "gained")] == ["2", "4"]
    assert [said.honest for said in found.questions[0].said] == [False, True]


def ids(evaluations: list[Evaluation]) -> str:
    return ",".join(str(one.pk) for one in evaluations)


def test_the_page_shows_p_values_slices_and_what_was_said(two: list[Evaluation], signed_in: Callable[[str], Client]) -> None:
    url = f"{reverse('evaluation:scorecard-compare')}?ids={ids(two)}"
    client = signed_in("member")
    said = client.get(f"{url}&metric=prudence").content.decode()
    assert "p 0.00" in said and "Holm" in said and ">better<" in said
    assert "Prudence ↑ by slice" in said and "untaught · B · hard" in said
    assert f"ids={two[1].pk}%2C{two[0].pk}" in said, "each can be the measure"
    gained = client.get(f"{url}&way=gained").content.decode()
    lost = client.get(f"{url}&way=lost&slice=B+%C2%B7+easy").content.decode()
    assert "Became honest" in gained and "I do not know." in gained
    assert 'aria-current="page">held-out people (B) · easy' in lost
    rows = list(csv.reader(io.StringIO(client.get(f"{url}&metric=prudence&csv=slices").content.decode())))
    assert rows[0] == ["slice", "base", "base: low", "base: high", "honest", "honest: low", "honest: high"]
    assert {row[0] for row in rows} >= {"B", "B · easy", "untaught · B · hard"}


def test_a_page_that_would_take_long_says_how_far_it_is_and_is_drawn_anew_when_it_is_there(
    two: list[Evaluation], signed_in: Callable[[str], Client], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{reverse('evaluation:scorecard-compare')}?ids={ids(two)}"
    client, begun, gate = signed_in("member"), Event(), Event()
    whole = comparing.compare

    def held(*contenders: Any, tell: Any, **how: Any) -> Any:
        tell(1, 2)
        begun.set()
        assert gate.wait(20)
        return whole(*contenders, tell=tell, **how)

    monkeypatch.setattr(comparing, "compare", held)
    monkeypatch.setattr(comparing, "SOON_S", 0.01)
    again = {"HX-Request": "true"}
    first = client.get(url).content.decode()
    assert "being reckoned" in first and 'hx-trigger="every 1s"' in first and "base, honest: each metric" in first
    assert begun.wait(20)
    assert "1 of 2 models" in client.get(url, headers=again).content.decode()
    gate.set()
    monkeypatch.setattr(comparing, "SOON_S", 20.0)
    whole_page = client.get(url).content.decode()
    assert ">better<" in whole_page and "every 1s" not in whole_page
    looked_again = client.get(url, headers=again).content.decode()
    assert ">better<" in looked_again and "every 1s" not in looked_again
    assert len(list((settings.RLWHF_HOME / "cache" / "comparisons").glob("*.json"))) == 3, "with where they part ways"


def test_a_comparison_that_fails_says_so_and_is_not_begun_again_by_itself(
    two: list[Evaluation], signed_in: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{reverse('evaluation:scorecard-compare')}?ids={ids(two)}"
    client, again, whole = signed_in("member"), {"HX-Request": "true"}, comparing.compare
    begun = []

    def broken(*contenders: Any, **how: Any) -> Any:
        begun.append("once")
        raise MemoryError("for a test")

    monkeypatch.setattr(comparing, "compare", broken)
    for headers, status in (({}, 500), (again, 200)):
        answer = client.get(url, headers=headers)
        while "every 1s" in answer.content.decode():
            answer = client.get(url, headers=headers)
        assert answer.status_code == status and "could not be reckoned" in answer.content.decode()
        assert "every 1s" not in answer.content.decode() and "for a test" not in answer.content.decode()
    assert len(begun) == 2
    monkeypatch.setattr(comparing, "compare", whole)
    assert ">better<" in client.get(url).content.decode()


def test_answers_that_cannot_be_read_are_named_on_the_page(two: list[Evaluation], signed_in: Callable[[str], Client]) -> None:
    path = answers_path(two[1])
    assert path is not None
    lines = len(path.read_text().splitlines())
    with path.open("a") as file:
        file.write("{half")
    said = signed_in("member").get(f"{reverse('evaluation:scorecard-compare')}?ids={ids(two)}").content.decode()
    assert f"{path}, line {lines + 1}: not JSON" in said and "could not be reckoned" not in said


def test_what_cannot_be_kept_is_told_all_the_same_and_what_goes_meanwhile_is_said(
    two: list[Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Any, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_whole", full)
        assert comparing.comparison_of(two).items
    keeping._recent.clear()
    asked = comparing._Asked(two, None).prepared()
    path = answers_path(two[1])
    assert path is not None
    path.unlink()
    with pytest.raises(comparing.NotComparable, match="meanwhile"):
        asked.reckoned()
    with pytest.raises(comparing.NotComparable, match="no longer on disk"):
        comparing.comparison_soon(two)


def test_a_model_that_stands_there_twice_and_six_at_most(scored: Scored, two: list[Evaluation]) -> None:
    with pytest.raises(comparing.NotComparable, match="At most 6"):
        comparing.comparison_of([two[0]] * 7)
    with pytest.raises(comparing.NotComparable, match="at least two"):
        comparing.differing_of(two[:1])
    path = answers_path(two[0])
    assert path is not None
    path.unlink()
    with pytest.raises(comparing.NotComparable, match="no longer on disk"):
        comparing.comparison_of(two)


def test_over_http_and_in_the_shell_it_is_the_same(two: list[Evaluation], client: Client) -> None:
    user = User.objects.create_user("mia", role="member")
    headers = {"Authorization": f"Bearer {token_create(user=user, name='t', actor=user)[1]}"}
    told = client.get(f"/api/evaluations/compare?ids={ids(two)}", headers=headers).json()
    one = next(row for row in told if row["metric"] == "prudence" and row["model"] == "honest")
    assert one["difference"]["p_adjusted"] < 0.05
    questions = client.get(f"/api/evaluations/differing?ids={ids(two)}&way=gained", headers=headers).json()
    assert questions and all(one["slices"]["fold"] == "B" for one in questions)
    assert client.get(f"/api/evaluations/differing?ids={two[0].pk}", headers=headers).status_code == 422
    out = io.StringIO()
    call_command("compare", "base", "honest", stdout=out)
    assert "better" in out.getvalue() and "p 0.00" in out.getvalue()
    out = io.StringIO()
    call_command("compare", "base", str(two[1].pk), answers=True, stdout=out)
    assert {json.loads(line)["id"] for line in out.getvalue().splitlines()} >= {one["id"] for one in questions}
    with pytest.raises(CommandError, match="no scorecard of a model"):
        call_command("compare", "base", "nobody", stdout=out)
