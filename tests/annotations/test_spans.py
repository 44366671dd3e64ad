"""Marks in an answer."""

import pytest

from annotations.spans import MOST_SPANS, Span, spans_checked


def test_marks_come_back_in_order_and_each_once():
    first, second = {"start": 4, "end": 9, "label": "hedge"}, {"start": 0, "end": 2, "label": "claim"}
    given = [first, second, Span(start=4, end=9, label="hedge")]
    assert spans_checked(given, length=9) == [{"start": 0, "end": 2, "label": "claim"}, {"start": 4, "end": 9, "label": "hedge"}]


def test_marks_may_overlap():
    given = [{"start": 0, "end": 5, "label": "claim"}, {"start": 3, "end": 8, "label": "fabrication"}]
    assert len(spans_checked(given, length=8)) == 2


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ({"start": 0, "end": 10, "label": "claim"}, "answer has 9 characters"),
        ({"start": 3, "end": 3, "label": "claim"}, "from 3 to 3"),
        ({"start": -1, "end": 3, "label": "claim"}, "start"),
        ({"start": 0, "end": 3, "label": "lie"}, "label"),
        ({"start": 0, "end": 3, "label": "claim", "note": "x"}, "note"),
    ],
)
def test_a_mark_that_is_none_is_refused_with_its_number(mark, said):
    with pytest.raises(ValueError, match="Mark 2") as refused:
        spans_checked([{"start": 0, "end": 1, "label": "claim"}, mark], length=9)
    assert said in str(refused.value)


def test_too_many_marks_are_refused():
    given = [{"start": number, "end": number + 1, "label": "claim"} for number in range(MOST_SPANS + 1)]
    with pytest.raises(ValueError, match="more than"):
        spans_checked(given, length=1000)
