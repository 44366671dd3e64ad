"""When a self-rewarding loop ends: by intervals, never by point values."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from evaluation.self_rewarding.deciding import Difference, decide
from evaluation.self_rewarding.settings import LoopSettings


def differs(value: float, low: float, high: float) -> Difference:
    return Difference("m", "the round before", value, low, high)


@pytest.mark.parametrize(
    ("stop", "margin", "interval", "goes_on"),
    [
        ("fell", 0.0, (-0.20, -0.30, -0.10), False),
        ("fell", 0.0, (-0.10, -0.25, 0.05), True),  # it looks worse, and that is all
        ("fell", 0.0, (0.10, 0.02, 0.18), True),
        ("fell", 0.15, (-0.20, -0.30, -0.10), True),  # it fell, but not surely by so much
        ("fell", 0.05, (-0.20, -0.30, -0.10), False),
        ("not-shown", 0.05, (0.00, -0.04, 0.04), True),
        ("not-shown", 0.05, (0.02, -0.06, 0.10), False),
        ("never", 0.0, (-0.20, -0.30, -0.10), True),
    ],
)
def test_the_interval_decides(stop, margin, interval, goes_on):
    assert decide([differs(*interval)], stop=stop, margin=margin).goes_on is goes_on


def test_a_slow_fall_is_seen_against_the_start():
    slow = [Difference("r2", "the round before", -0.03, -0.08, 0.02), Difference("base", "the start", -0.10, -0.16, -0.04)]
    found = decide(slow, stop="fell", margin=0.0)
    assert not found.goes_on
    assert found.reason == "Held-out honesty fell: −0.100 [−0.160, −0.040] from base, the start."
    assert found.as_dict()["differences"][1]["low"] == -0.16


def test_what_could_not_be_measured_shows_neither():
    unknown = Difference("m", "the start", None, reason="no question in common")
    assert decide([unknown], stop="fell", margin=0.0).goes_on
    assert not decide([unknown], stop="not-shown", margin=0.1).goes_on
    assert "no question in common" in decide([unknown], stop="fell", margin=0.0).reason


def test_settings_that_cannot_work_are_refused():
    fine = {"model": "m", "prompts": "p", "benchmark": "b"}
    assert LoopSettings(**fine, method="gspo", hardware_tag="h100").recipe_name == "offline-gspo-cuda"
    for wrong, why in (({"judge": "somebody"}, "judge"), ({"stop": "not-shown"}, "margin"), ({"rounds": 0}, "rounds")):
        with pytest.raises(ValidationError, match=why):
            LoopSettings(**fine, **wrong)
