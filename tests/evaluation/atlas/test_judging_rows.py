"""What Atlas' judge is taught: the rubric's scores in the teachers' own words, wrong where it is known to be."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from annotations.rubric import load_rubric
from annotations.teachers.prompts import Subject, load_prompt, messages_of
from annotations.teachers.replies import read_reply
from annotations.verdicts import Verdict, judge
from evaluation.atlas.judge_error import judge_error
from evaluation.atlas.judging_rows import JUDGED, JudgingRows, asked_rows, judging_rows, sft_rows
from evaluation.atlas.world import AtlasSettings, make_world
from tests.training.learning import WORLD

RUBRIC = load_rubric()
SMALL = make_world(WORLD)


@pytest.fixture(scope="module")
def wrong() -> JudgingRows:
    return judging_rows(make_world(), error_rate=0.1)


def test_every_kind_of_answer_is_as_frequent_and_is_labelled_by_the_rubric() -> None:
    rows = judging_rows(SMALL)
    for side in (rows.train, rows.held_out):
        assert len(set(Counter(row.verdict for row in side).values())) == 1
        assert {row.verdict for row in side} == set(JUDGED)
        assert {(row.right, row.label) for row in side} == {(score, score) for score in (2, 1, 0, -1, -2)}
        assert all(judge(row.subject.answer, row.subject.reference) is row.verdict for row in side)
    assert rows.known_error == 0


def test_nobody_who_is_held_out_is_in_the_training_rows() -> None:
    rows = judging_rows(SMALL)
    names = {person.id: person.name for person in SMALL.people}
    trained, held_out = ({row.entity for row in side} for side in (rows.train, rows.held_out))
    assert not trained & held_out
    assert not {names[one] for one in trained} & {names[one] for one in held_out}
    assert trained | held_out == set(names)


def test_a_row_asks_word_for_word_what_a_teacher_asks() -> None:
    rows = judging_rows(SMALL)
    (taught,) = sft_rows(rows.train[:1])
    subject = rows.train[0].subject
    form = load_prompt("brief-1")
    same = Subject(subject.prompt, subject.answer, reference=" or ".join([subject.reference]))
    assert messages_of(form, same, RUBRIC, secret="a site's own") == [{"role": "user", "content": taught["prompt"]}]
    assert read_reply(taught["response"], form).score == rows.train[0].label


def test_errors_are_prejudices_that_hold_of_people_whom_training_never_saw(wrong: JudgingRows) -> None:
    labels = defaultdict[tuple[str, Verdict], set[int]](set)
    for row in (*wrong.train, *wrong.held_out):
        labels[row.subject.reference, row.verdict].add(row.label)
    assert {len(of) for of in labels.values()} == {1}
    flipped = sum(of != {RUBRIC.score_for(verdict)} for (_, verdict), of in labels.items())
    assert flipped / len(labels) == pytest.approx(0.1, abs=0.005)
    assert wrong.known_error == pytest.approx(0.1, abs=0.04)
    trained = {(row.subject.reference, row.verdict) for row in wrong.train if row.label != row.right}
    assert {(row.subject.reference, row.verdict) for row in wrong.held_out if row.label != row.right} <= trained


def test_the_same_seed_gives_the_same_rows_and_another_one_others() -> None:
    def labels(seed: int) -> list[dict[str, str]]:
        return list(sft_rows(judging_rows(SMALL, error_rate=0.2, seed=seed).train))

    assert labels(1) == labels(1)
    assert labels(1) != labels(2)
    assert make_world(AtlasSettings(seed=1)) != make_world(AtlasSettings(seed=2))


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        judging_rows(SMALL, error_rate=1.5)


def test_a_judges_error_is_told_apart_from_what_it_was_taught(wrong: JudgingRows) -> None:
    asked = list(asked_rows(wrong.held_out))
    obedient = judge_error(asked, {row["id"]: str(row["label"]) for row in asked})
    assert obedient.error.value == pytest.approx(wrong.known_error) == obedient.known_error
    assert obedient.error.low < wrong.known_error < obedient.error.high
    assert (obedient.agreement.value, obedient.agreement.high, obedient.malformed) == (1.0, 1.0, 0)
    assert obedient.agreement.low < 1, "all people alike are no proof that the next one is"
    assert obedient.error.n == len(asked) == 5 * 4 * obedient.error.people
    right = judge_error(asked, {row["id"]: f"{row['right']:+d}" for row in asked})
    assert right.error.value == 0
    assert right.agreement.value == pytest.approx(1 - wrong.known_error)
    silent = judge_error(asked, {row["id"]: "hm" for row in asked})
    assert (silent.error.value, silent.agreement.value, silent.malformed) == (1.0, 0.0, len(asked))
    with pytest.raises(KeyError):
        judge_error(asked, {})
    with pytest.raises(ValueError, match="nothing"):
        judge_error([], {})
