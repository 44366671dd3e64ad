"""Cells that pages have by the hundred, written without the template language."""

import json

import pytest

from evaluation.models.decoding import QuickDecoder
from evaluation.scorecards.document import MetricValue
from evaluation.templatetags.scorecards import change_cell, clip, metric_cell


def test_a_value_has_its_interval_below_it_whether_read_from_a_headline_or_a_scorecard():
    told = {"value": -0.25, "low": -0.3, "high": -0.2}
    shown = '<strong>−0.250</strong><br> <span class="muted num">−0.300 to −0.200</span>'
    assert metric_cell(told) == metric_cell(MetricValue(**told, n=4)) == shown
    assert metric_cell({"value": 0.5}) == '<strong>0.500</strong><br> <span class="muted num"></span>'


@pytest.mark.parametrize("nothing", [None, "", {}, {"value": None}])
def test_what_is_not_known_is_a_dash_and_no_zero(nothing):
    assert metric_cell(nothing) == '<span class="muted" title="">—</span>'
    assert change_cell(nothing, "") == '<span class="muted">—</span>'


def test_a_reason_is_told_and_is_text():
    cell = metric_cell(MetricValue(value=None, n=0, reason='no "answer" <parsed>'))
    assert cell.count("no &quot;answer&quot; &lt;parsed&gt;") == 2 and "<parsed>" not in cell


def test_a_change_tells_its_sign_its_verdict_its_interval_and_its_p():
    change = MetricValue(value=0.2, low=0.1, high=0.3, n=4, p_adjusted=0.0004)
    assert change_cell(change, "better") == (
        '<span class="badge badge--succeeded">better</span> <strong>+0.200</strong>'
        '<br><span class="muted num">+0.100 to +0.300</span>'
        '<br><span class="muted num">p &lt; 0.001</span>'
    )
    assert "badge" not in change_cell(change, "")


def test_a_long_text_is_cut_with_a_sign_and_a_short_one_is_whole():
    assert (clip("abcdef", 4), clip("abcd", 4), clip(None, 4)) == ("abc…", "abcd", "")


def test_the_quick_decoder_reads_what_the_slow_one_reads():
    text = json.dumps({"a": [1, 2.5, None, True, "ä\n"], "b": {"c": -1e-9}})
    assert json.loads(text, cls=QuickDecoder) == json.loads(text)
