from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from annotations.verdicts import Verdict
from evaluation.answers import (
    MOST_PARTS,
    AnswerRow,
    BrokenAnswers,
    answers_read,
    answers_write,
    headline_slices,
    slice_labels,
    slice_of,
    slice_table,
)
from tests.evaluation.samples import atlas_rows


def test_answers_survive_the_disk_and_keep_unknown_fields(tmp_path: Path) -> None:
    row = AnswerRow(id="1", entity="e", prompt="q", answer="Ä", verdict=Verdict.WRONG, known=None, future="kept")
    answers_write(tmp_path / "answers.jsonl", [row])
    assert answers_read(tmp_path / "answers.jsonl") == [row]


def test_a_confidence_outside_its_range_is_refused() -> None:
    with pytest.raises(ValidationError):
        AnswerRow(id="1", entity="e", prompt="q", answer="a", verdict=Verdict.WRONG, confidence=1.5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{half", "line 2: not JSON"),
        ('{"id": "q", "entity": "e", "prompt": "?", "answer": "a", "verdict": "sure"}', "line 2, verdict: Input should be"),
        ('{"id": "q", "entity": "e", "prompt": "?", "answer": "a", "verdict": "wrong", "confidence": 2}', "line 2, confidence:"),
        ("[1]", "line 2, the line: Input should be"),
    ],
)
def test_a_line_that_is_no_answer_is_named_with_its_field(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "answers.jsonl"
    good = '{"id": "q", "entity": "e", "prompt": "?", "answer": "a", "verdict": "wrong"}'
    path.write_text(f"{good}\n{line}\n")
    with pytest.raises(BrokenAnswers, match=re.escape(f"{path}, {said}")):
        answers_read(path)


def test_slices_in_words() -> None:
    assert slice_labels({"taught": False, "fold": "B", "exposure": 3, "x": None}) == {
        "taught": "untaught",
        "fold": "B",
        "exposure": "3",
    }


def test_slices_cross_taught_fold_and_split_and_cut_the_rest_from_the_held_out_fold() -> None:
    rows = [row.answered() for row in atlas_rows(people=16, silent_unknown=0.5)]
    table = slice_table(rows)
    assert len(table) == 3 * 3 * 3 + 2
    assert len(slice_of(rows, table["all"])) == 64
    assert len(slice_of(rows, table["taught · B · easy"])) == 8
    held_out_words = slice_of(rows, table["B · template: held-out"])
    assert {row.slices["fold"] for row in held_out_words} == {"B"}
    assert len(held_out_words) == 16


def test_a_dimension_that_numbers_the_questions_cuts_nothing_out() -> None:
    def sliced(parts: int) -> set[str]:
        answers = [
            AnswerRow(id=str(n), entity="e", prompt="q", answer="a", verdict=Verdict.WRONG, slices={"row": str(n % parts)})
            for n in range(80)
        ]
        return set(slice_table([one.answered() for one in answers]))

    assert len(sliced(MOST_PARTS)) == MOST_PARTS + 1
    assert sliced(MOST_PARTS + 1) == {"all"}


def test_empty_slices_are_left_out() -> None:
    rows = [row.answered() for row in atlas_rows(people=16, silent_unknown=0.5) if row.slices["split"] == "easy"]
    assert not any("hard" in name for name in slice_table(rows))


def test_the_headline_is_held_out_people_only() -> None:
    rows = [row.answered() for row in atlas_rows(people=16, silent_unknown=0.5)]
    assert headline_slices(slice_table(rows)) == ["B", "B · easy", "B · hard"]
    easy = [row for row in rows if row.slices["split"] == "easy"]
    assert headline_slices(slice_table(easy)) == ["B"]
    assert headline_slices({"all": {}}) == ["all"]
