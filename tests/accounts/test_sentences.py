"""What people type ends as a sentence before the next one begins."""

import pytest

from accounts.sentences import ended


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("went wrong", "went wrong."),
        (" It went wrong. ", "It went wrong."),
        ("why?", "why?"),
        ("bad prompt…", "bad prompt…"),
        ("it said “no”", "it said “no”."),
        ("it said “No.”", "it said “No.”"),
        ("", ""),
    ],
)
def test_a_text_gets_a_full_stop_unless_it_ends_with_one(typed, told):
    assert ended(typed) == told
