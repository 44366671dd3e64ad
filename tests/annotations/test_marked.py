"""Marks in an answer as HTML: the text as it was, and nothing of it alive."""

import re
from html import unescape

from annotations.text.marked import marked_html, marked_words


def span(start: int, end: int, label: str = "claim") -> dict:
    return {"start": start, "end": end, "label": label}


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def test_the_text_stays_as_it_is_whatever_is_marked_in_it():
    answer = "😀 <script>alert(1)</script> & \"quotes\"\n'x' "
    for spans in ([], [span(0, 1)], [span(0, len(answer))], [span(0, 5), span(3, 9, "hedge"), span(4, 5, "evidence")]):
        html = marked_html(answer, spans)
        assert text_of(html) == answer and "<script" not in html


def test_overlapping_marks_are_pieces_that_name_all_their_labels():
    html = marked_html("one two three", [span(0, 13), span(4, 7, "hedge")])
    assert re.findall(r'class="mark mark--(\w+)" title="([^"]*)" data-sign="(\w*)">([^<]*)', html) == [
        ("claim", "Claim", "C", "one "),
        ("hedge", "Claim, Hedge", "H", "two"),
        ("claim", "Claim", "", " three"),
    ]


def test_offsets_are_code_points():
    assert [one["words"] for one in marked_words("👩‍🚀 Ann", [span(4, 7)])] == ["Ann"]


def test_marks_outside_the_text_or_with_odd_labels_are_left_out():
    assert marked_html("ab", [span(1, 9), span(-1, 1), span(0, 1, '"><img')]) == "ab"
