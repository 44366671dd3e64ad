from __future__ import annotations

import pytest
from statsmodels.stats.multitest import multipletests

from evaluation.comparing.comparison import Contender, compare, verdict_of
from evaluation.metrics import columns_of, compute
from evaluation.scorecards.scorecard import MetricValue, Sampling
from tests.evaluation.samples import atlas_rows

FAST = Sampling(resamples=200, permutations=999)
BASE = Contender("base", atlas_rows(silent_unknown=0.25, seed=1))
HONEST = Contender("honest", atlas_rows(silent_unknown=0.95, seed=2))
SILENT = Contender("silent", atlas_rows(silent_unknown=1.0, silent_known=0.95, seed=3))


def test_each_model_is_measured_against_the_first_on_held_out_people() -> None:
    found = compare([BASE, HONEST, SILENT], sampling=FAST)
    assert found.slice == "B"
    assert found.items == 128
    row = next(row for row in found.rows if row.name == "truthful_rate")
    assert [cell.model for cell in row.cells] == ["base", "honest", "silent"]
    held_out = [columns_of([r.answered() for r in one.rows if r.slices["fold"] == "B"]) for one in (BASE, HONEST)]
    expected = compute("truthful_rate", held_out[1]) - compute("truthful_rate", held_out[0])
    assert row.cells[0].difference is None
    assert row.cells[1].difference.value == pytest.approx(expected, abs=1e-6)
    assert row.cells[1].verdict == "better"
    silence = next(row for row in found.rows if row.name == "over_conservativeness")
    assert silence.cells[2].verdict == "worse"


def test_a_split_can_be_chosen_and_a_slice_of_the_trained_on_cannot() -> None:
    assert compare([BASE, HONEST], wanted="B · easy", sampling=FAST).items == 64
    assert compare([BASE, HONEST], wanted="A", sampling=FAST).slice == "B"


def test_models_without_a_question_in_common_are_refused() -> None:
    other = Contender("other", [row.model_copy(update={"id": f"x{row.id}"}) for row in BASE.rows])
    with pytest.raises(ValueError, match="no question in common"):
        compare([BASE, other])


@pytest.mark.parametrize(
    ("name", "low", "high", "verdict"),
    [
        ("truthful_rate", 0.1, 0.2, "better"),
        ("truthful_rate", -0.2, -0.1, "worse"),
        ("brier", -0.2, -0.1, "better"),
        ("brier", 0.1, 0.2, "worse"),
        ("brier", -0.1, 0.2, "no difference shown"),
    ],
)
def test_better_and_worse_follow_the_metric_and_need_an_interval_without_zero(
    name: str, low: float, high: float, verdict: str
) -> None:
    assert verdict_of(name, MetricValue(value=(low + high) / 2, low=low, high=high, n=9)) == verdict


def test_a_verdict_needs_a_p_value_that_was_adjusted_for_the_whole_table() -> None:
    apart = MetricValue(value=0.2, low=0.1, high=0.3, n=9, p=0.01)
    assert verdict_of("truthful_rate", apart.model_copy(update={"p_adjusted": 0.04})) == "better"
    assert verdict_of("truthful_rate", apart.model_copy(update={"p_adjusted": 0.2})) == "no difference shown"


def test_p_values_are_adjusted_over_all_metrics_and_models() -> None:
    found = compare([BASE, HONEST, SILENT], sampling=FAST)
    rows = [row for row in found.rows if row.metric.same_as is None]
    family = [cell.difference for row in rows for cell in row.cells if cell.difference and cell.difference.p is not None]
    assert len(family) > 2 * 18
    expected = multipletests([one.p for one in family], method="holm")[1]
    assert [one.p_adjusted for one in family] == pytest.approx(expected.tolist(), abs=1e-6)
    pair = compare([BASE, HONEST], sampling=FAST)
    alone, beside = (next(r for r in one.rows if r.name == "truthful_rate").cells[1].difference for one in (pair, found))
    assert alone.p == beside.p
    assert alone.p_adjusted <= beside.p_adjusted


def test_two_models_that_are_alike_are_rarely_called_different() -> None:
    """All metrics of a table together raise a false alarm in less than one table in twenty; uncorrected, in every fifth."""
    alarms = 0
    for seed in range(20):
        pair = [Contender(name, atlas_rows(people=16, silent_unknown=0.5, seed=seed * 2 + k)) for k, name in enumerate("ab")]
        rows = compare(pair, sampling=Sampling(resamples=100, permutations=999)).rows
        alarms += any(row.cells[1].is_shown for row in rows)
    assert alarms <= 4


def test_what_is_known_is_the_same_for_all_and_other_labels_are_told() -> None:
    """Two endpoints, each labelled by its own samples: over-conservativeness would be of different questions."""
    turned = [row.model_copy(update={"known": not row.known}) for row in BASE.rows]
    found = compare([BASE, Contender("same answers", turned)], sampling=FAST)
    rows = {row.name: row.cells for row in found.rows}
    for name in ("over_conservativeness", "prudence", "truthful_rate"):
        assert rows[name][1].value.value == rows[name][0].value.value, name
        assert rows[name][1].difference.value == 0
    assert found.otherwise == ["What is known: as base was labelled; same answers had other labels."]
    assert compare([BASE, HONEST], sampling=FAST).otherwise == []


def test_confidence_of_another_kind_is_shown_and_not_compared() -> None:
    stated, plain = {"confidence": "stated", "judge": "a"}, {"confidence": "probability", "judge": "a"}
    sure = [row.model_copy(update={"confidence": 0.99}) for row in HONEST.rows]
    rivals = [Contender("base", BASE.rows, plain), Contender("sure", sure, stated), Contender("honest", HONEST.rows, plain)]
    found = compare(rivals, sampling=FAST)
    assert len(found.otherwise) == 1 and "stated (sure), probability (honest)" in found.otherwise[0]
    brier = next(row for row in found.rows if row.name == "brier").cells
    assert brier[1].value.value is not None and brier[1].difference.p is None and brier[1].verdict == ""
    assert "another way" in brier[1].difference.reason
    assert brier[2].difference.p_adjusted is not None
    truthful = next(row for row in found.rows if row.name == "truthful_rate").cells
    assert truthful[1].verdict == "better", "what rests on no confidence is compared"


def test_another_judge_is_told() -> None:
    found = compare([Contender("old", BASE.rows, {}), Contender("new", BASE.rows, {"judge": "abc"})], sampling=FAST)
    assert found.otherwise == ["Version of the judge: not known (old), abc (new)."]


def test_no_value_is_no_verdict() -> None:
    assert verdict_of("brier", MetricValue(value=None, n=0, reason="no items")) == ""
    assert verdict_of("brier", None) == ""
