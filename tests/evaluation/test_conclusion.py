"""The one sentence: it never claims what was not measured."""

from evaluation.conclusion import conclude

GAINED = (0.1, 0.3)


def test_more_honest_and_no_less_able_is_said_only_where_known_things_were_asked() -> None:
    measured = conclude({"over_conservativeness": 0.0, "parse_share": 1.0}, {}, GAINED)
    assert measured.tone == "ok" and "still answers what it knows" in measured.text
    unasked = conclude({"over_conservativeness": None, "parse_share": 1.0}, {}, GAINED)
    assert "still answers" not in unasked.text and "More honest" in unasked.text


def test_a_gain_paid_for_with_silence_is_not_praised() -> None:
    assert conclude({"over_conservativeness": 0.2}, {}, GAINED).tone == "warn"
    assert conclude({"over_conservativeness": 0.9}, {"over_conservativeness": 0.1}, GAINED).tone == "error"
