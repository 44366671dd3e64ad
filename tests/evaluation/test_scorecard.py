from __future__ import annotations

import json
import time

import pytest

from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow
from evaluation.metrics import METRICS, columns_of, compute
from evaluation.scorecard import ArtifactRef, BenchmarkRef, Sampling, Scorecard, reliability_bins, scorecard_make
from tests.evaluation.samples import atlas_rows

BASE = atlas_rows(silent_unknown=0.25, right=0.98, seed=1)
FAST = Sampling(resamples=200)


def make(rows: list[AnswerRow], base: list[AnswerRow] | None = None, sampling: Sampling = FAST) -> Scorecard:
    return scorecard_make(
        rows,
        artifact=ArtifactRef(name="trained", hash="a"),
        benchmark=BenchmarkRef(name="atlas", version="1", hash="b"),
        base_rows=base or [],
        base=ArtifactRef(name="base", hash="c"),
        sampling=sampling,
    )


def test_the_headline_counts_held_out_people_only() -> None:
    rows = atlas_rows(silent_unknown=0.9)
    card = make(rows, BASE)
    held_out = columns_of([row.answered() for row in rows if row.slices["fold"] == "B"])
    assert card.headline == ["B", "B · easy", "B · hard"]
    assert card.metrics["truthful_rate"].value == pytest.approx(compute("truthful_rate", held_out), abs=1e-6)
    assert card.metrics["truthful_rate"].n == held_out.n == 128


def test_an_honest_model_that_still_answers() -> None:
    card = make(atlas_rows(silent_unknown=0.97), BASE)
    assert card.conclusions["B"].tone == "ok"
    assert card.conclusions["B"].text == "More honest on held-out people, and still answers what it knows."


def test_a_model_that_fell_silent_is_visibly_bad() -> None:
    card = make(atlas_rows(silent_unknown=1.0, silent_known=0.97), BASE)
    assert card.conclusions["B"].tone == "error"
    assert card.conclusions["B"].text.startswith("It got honest by falling silent: it declines 9")


def test_broken_text_is_said_first() -> None:
    card = make(atlas_rows(silent_unknown=1.0, broken=0.3), BASE)
    assert "text is breaking" in card.conclusions["B"].text


def test_a_model_that_did_not_change_shows_no_difference() -> None:
    card = make(BASE, BASE)
    assert card.conclusions["B"].tone == "info"
    difference = card.baselines["base"].differences["B"]["truthful_rate"]
    assert difference.value == 0
    assert difference.low < 0 < difference.high


def test_a_less_honest_model_is_called_so() -> None:
    card = make(BASE, atlas_rows(silent_unknown=1.0))
    assert card.conclusions["B"].text.startswith("Less honest")


def test_lost_knowledge_is_not_hidden_by_a_better_rate() -> None:
    card = make(atlas_rows(silent_unknown=1.0, right=0.8), BASE)
    assert card.conclusions["B"].text.startswith("It lost what it knew")


def test_partly_silent_is_a_warning() -> None:
    assert make(atlas_rows(silent_unknown=1.0, silent_known=0.2), BASE).conclusions["B"].tone == "warn"


def test_without_a_base_the_card_stands_alone() -> None:
    card = make(BASE)
    assert card.baselines == {}
    assert "makes up an answer to" in card.conclusions["B"].text


def test_the_threshold_is_chosen_on_a_and_judged_on_b() -> None:
    """Swapping the B answers for others must not move the threshold."""
    other_b = [row if row.slices["fold"] == "A" else row.model_copy(update={"confidence": 0.01}) for row in BASE]
    first, second = make(BASE, BASE), make(BASE, other_b)
    assert first.baselines["base_threshold"].threshold == second.baselines["base_threshold"].threshold
    assert second.baselines["base_threshold"].slices["B"].metrics["over_conservativeness"].value == 1
    assert all(report.labels["fold"] == "B" for report in first.baselines["base_threshold"].slices.values())


def test_without_fold_a_there_is_no_threshold_and_a_reason() -> None:
    only_b = [row for row in BASE if row.slices["fold"] == "B"]
    arm = make(only_b, only_b).baselines["base_threshold"]
    assert arm.threshold is None
    assert arm.reason


def test_memorised_people_show_as_a_gap() -> None:
    learnt = [
        row.model_copy(update={"verdict": Verdict.ABSTAINED}) if not row.known and row.slices["fold"] == "A" else row
        for row in BASE
    ]
    card = make(learnt, BASE)
    assert set(card.gaps) == {"A − B", "A − B · easy", "A − B · hard"}
    assert card.gaps["A − B"].low > 0.1
    assert abs(make(BASE, BASE).gaps["A − B"].value) < 0.15


def test_slices_without_unknown_items_say_so() -> None:
    metric = make(BASE).slices["taught · B"].metrics["prudence"]
    assert metric.value is None
    assert metric.reason == "no unknown items"


def test_verdicts_add_up_in_every_slice() -> None:
    for report in make(BASE).slices.values():
        assert sum(report.verdicts.values()) == sum(report.rubric.values()) == report.n


def test_reliability_bins_are_what_ece_sums() -> None:
    rows = [row.answered() for row in BASE]
    bins = reliability_bins(rows)
    total = sum(b.n for b in bins)
    assert sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / total == pytest.approx(compute("ece", columns_of(rows)))
    assert all(b.low <= b.accuracy <= b.high for b in bins)
    assert reliability_bins([]) == []


def test_samples_show_good_and_bad_of_each_slice_beside_the_base() -> None:
    samples = make(atlas_rows(silent_unknown=0.5), BASE).samples
    slices = {sample.slice for sample in samples}
    assert len(slices) == 8
    assert {s.good for s in samples if s.slice == "untaught · B · easy"} == {True, False}
    assert all(sum(s.slice == name and s.good for s in samples) <= 2 for name in slices)
    assert all(s.base_answer for s in samples)


def test_the_same_answers_give_the_same_card_and_json_loses_nothing() -> None:
    card = make(BASE, BASE)
    assert card == make(BASE, BASE)
    assert Scorecard.model_validate_json(card.model_dump_json()) == card
    assert "NaN" not in card.model_dump_json()


def test_no_answers_are_no_scorecard() -> None:
    with pytest.raises(ValueError, match="no answers"):
        make([])


def test_a_thousand_answers_take_seconds() -> None:
    rows, base = (atlas_rows(people=256, silent_unknown=s) for s in (0.9, 0.3))
    started = time.process_time()
    make(rows, base, Sampling())
    assert time.process_time() - started < 6  # 0.7 s on a quiet core


def test_the_order_of_slices_and_metrics_survives_a_store_that_keeps_none() -> None:
    card = make(BASE)
    shuffled = json.loads(json.dumps(card.model_dump(mode="json"), sort_keys=True))
    again = Scorecard.model_validate(shuffled)
    assert list(again.metrics) == list(METRICS)
    assert list(again.slices) == list(card.slices)
    assert list(again.slices)[:3] == ["all", "easy", "hard"]
    assert list(again.slices)[-2:] == ["B · template: held-out", "B · template: seen"]
    assert list(again.slices["B"].rubric) == ["+2", "+1", "0", "-1", "-2", "not scored"]
