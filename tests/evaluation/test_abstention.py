"""How well abstention is recognised, on answers labelled by hand. The figures are those of docs/benchmarks.md."""

from __future__ import annotations

from collections import Counter

import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from annotations.stances import Stance, stance
from evaluation.abstention.measure import Labelled, Share, labelled, measure, of_split

MEASURED = {
    "dev": {Stance.ABSTAINS: ((70, 72), (70, 71)), Stance.HEDGES: ((43, 45), (43, 43)), Stance.ANSWERS: ((62, 63), (62, 66))},
    "held-out": {
        Stance.ABSTAINS: ((66, 67), (66, 70)),
        Stance.HEDGES: ((41, 45), (41, 43)),
        Stance.ANSWERS: ((62, 68), (62, 67)),
    },
}
MEASURED_PORTUGUESE = {
    "dev": {Stance.ABSTAINS: ((54, 55), (54, 54)), Stance.HEDGES: ((26, 26), (26, 26)), Stance.ANSWERS: ((32, 32), (32, 33))},
    "held-out": {
        Stance.ABSTAINS: ((51, 51), (51, 54)),
        Stance.HEDGES: ((26, 26), (26, 26)),
        Stance.ANSWERS: ((32, 35), (32, 32)),
    },
}


@pytest.mark.parametrize(("language", "least"), [("English", 300), ("Portuguese", 200)])
def test_the_sets_are_large_enough_and_split_alike(language: str, least: int) -> None:
    answers = labelled(language)
    counts = Counter((one.split, one.label) for one in answers)
    assert sum(counts.values()) >= least
    assert len({one.id for one in answers}) == len({one.answer for one in answers}) == len(answers)
    for label in Stance:
        assert abs(counts["dev", label] - counts["held-out", label]) <= 1


@pytest.mark.parametrize("split", ["dev", "held-out"])
@pytest.mark.parametrize(("language", "published"), [("English", MEASURED), ("Portuguese", MEASURED_PORTUGUESE)])
def test_the_published_figures(language: str, published: dict, split: str) -> None:
    """Exactly: a change of phrases that changes them changes the documentation too."""
    found = measure(of_split(split, language))  # type: ignore[arg-type]
    shares = {
        one: ((found.precision[one].hits, found.precision[one].n), (found.recall[one].hits, found.recall[one].n))
        for one in Stance
    }
    assert shares == published[split]


def test_precision_and_recall_as_scikit_learn_has_them() -> None:
    answers = of_split("held-out")
    order = list(Stance)
    precision, recall, _, _ = precision_recall_fscore_support(
        [one.label.value for one in answers], [stance(one.answer).value for one in answers], labels=[one.value for one in order]
    )
    found = measure(answers)
    assert [found.precision[one].value for one in order] == pytest.approx(precision, abs=1e-6)
    assert [found.recall[one].value for one in order] == pytest.approx(recall, abs=1e-6)


def test_wilsons_interval_as_scipy_has_it() -> None:
    share = Share(66, 70)
    assert share.interval is not None
    expected = binomtest(66, 70).proportion_ci(method="wilson")
    assert (share.interval.low, share.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_a_judge_that_never_abstains_has_no_precision() -> None:
    found = measure(
        [Labelled(id="1", question="?", answer="No idea.", label="abstains", kind="x", split="dev")], lambda _: Stance.ANSWERS
    )
    assert found.precision[Stance.ABSTAINS].value is None and found.precision[Stance.ABSTAINS].interval is None
    assert found.recall[Stance.ABSTAINS].value == 0
    assert [(one.id, said) for one, said in found.missed] == [("1", Stance.ANSWERS)]
