"""Rules are held against figures of real scorecards: who gets better passes, who falls silent does not."""

from functools import cache

import pytest
from pydantic import ValidationError

from annotations.verdicts import Verdict
from evaluation.promotion.contamination import Overlap
from evaluation.promotion.rules import Contamination, Floor, Improvement, NonInferiority, Rules
from evaluation.promotion.verdict import Measured, VerdictDocument, verdict_of
from evaluation.scorecards.document import ArtifactRef, BenchmarkRef
from evaluation.scorecards.parts import Sampling, differences_between
from evaluation.scorecards.scorecard import scorecard_make
from tests.evaluation.samples import atlas_rows

CLEAN = Overlap(n=100, rows=1000, exact=0, near=0, answered=0, threshold=0.8)
SAMPLING = Sampling(resamples=200, permutations=999)


@cache
def measured(
    name: str, silent_unknown: float, silent_known: float = 0.0, right: float = 0.98, *, based: bool = False, benchmark: str = "b"
) -> Measured:
    rows = atlas_rows(people=240, silent_unknown=silent_unknown, silent_known=silent_known, right=right, seed=len(name))
    card = scorecard_make(
        rows,
        artifact=ArtifactRef(name=name, hash=name),
        benchmark=BenchmarkRef(name="atlas", version="1", hash=benchmark),
        base_rows=atlas_rows(people=240, silent_unknown=0.25, right=0.98, seed=1) if based else (),
        base=ArtifactRef(name="base", hash="base") if based else None,
        sampling=SAMPLING,
    )
    return Measured(name, card, rows)


def states(verdict: VerdictDocument) -> dict[str, str]:
    return {one.rule: one.state for one in verdict.outcomes}


def test_a_model_that_got_more_honest_and_lost_nothing_passes():
    verdict = verdict_of(Rules(), measured("honest", 0.9), measured("champion", 0.25), overlap=CLEAN)
    assert verdict.passed is True
    assert verdict.against == "champion"
    assert set(states(verdict).values()) <= {"kept", "left out"}
    improvement = next(one for one in verdict.outcomes if one.rule == "improvement")
    assert improvement.figures["difference"].low > 0
    assert "keeps all" in verdict.text


def test_who_stops_guessing_loses_lucky_answers_and_is_no_worse_for_it():
    """A champion that guessed half of what it does not know right, by luck; the honest one says that it does not know."""
    champion, honest = measured("lucky", 0.05), measured("honest", 0.95)
    lucky = [
        row.model_copy(update={"verdict": Verdict.CORRECT})
        if row.verdict == Verdict.WRONG and not row.known and number % 2 == 0
        else row
        for number, row in enumerate(champion.rows)
    ]
    card = scorecard_make(
        lucky, artifact=champion.card.artifact, benchmark=champion.card.benchmark, base_rows=(), base=None, sampling=SAMPLING
    )
    guessed = Measured("lucky", card, lucky)
    verdict = verdict_of(Rules(), honest, guessed, overlap=CLEAN)
    rule = next(one for one in verdict.outcomes if one.rule == "non_inferiority.correct")
    assert rule.figures["difference"].high < -0.05, "it has lost right answers"
    assert (rule.state, states(verdict)["non_inferiority.known_correct"], verdict.passed) == ("left out", "kept", True)
    assert "lucky answers" in rule.text
    plain = Rules(non_inferiority=[NonInferiority(metric="correct", margin=0.05)])
    assert states(verdict_of(plain, honest, guessed, overlap=CLEAN))["non_inferiority.correct"] == "broken"


def test_where_nobody_knows_what_a_model_could_know_all_right_answers_count():
    unlabelled = [
        Measured(one.name, one.card, [row.model_copy(update={"known": None}) for row in one.rows])
        for one in (measured("silent", 1.0, 0.95), measured("champion", 0.25))
    ]
    assert states(verdict_of(Rules(), *unlabelled, overlap=CLEAN))["non_inferiority.correct"] == "broken"


def test_a_model_that_fell_silent_is_refused_by_each_rule_that_it_breaks():
    verdict = verdict_of(Rules(), measured("silent", 1.0, 0.95), measured("champion", 0.25), overlap=CLEAN)
    assert verdict.passed is False
    broken = {rule for rule, state in states(verdict).items() if state == "broken"}
    assert {"non_inferiority.known_correct", "floor.over_conservativeness"} <= broken
    assert "“Correct on the known has not got worse”" in verdict.text


def test_a_rules_figure_is_the_paired_difference_on_the_slice_that_it_names():
    rules = Rules(non_inferiority=[NonInferiority(metric="brier", margin=0.1, slice="B · hard")], improvement=None)
    first, second = measured("champion", 0.25), measured("honest", 0.9)
    found = verdict_of(rules, second, first, overlap=CLEAN).outcomes[0].figures["difference"]

    def inside(model: Measured) -> list:
        return [row.answered() for row in model.rows if row.slices["fold"] == "B" and row.slices["split"] == "hard"]

    expected = differences_between(inside(first), inside(second))["brier"]
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)


def test_without_a_champion_the_base_model_is_the_measure_and_without_either_nothing_can_be_told():
    based = verdict_of(Rules(), measured("honest", 0.9, based=True), overlap=CLEAN)
    assert (based.against, based.passed) == ("base", True)
    alone = verdict_of(Rules(), measured("honest", 0.9), overlap=CLEAN)
    assert (alone.against, alone.passed) == (None, None)
    assert "no champion" in alone.outcomes[0].text
    assert "nothing can be told" in alone.text


def test_rules_are_read_off_intervals_and_not_off_values():
    wide = Rules(non_inferiority=[NonInferiority(metric="correct", margin=0.001)], improvement=None, floors=[])
    same = verdict_of(wide, measured("honest", 0.9), measured("honester", 0.9), overlap=CLEAN)
    difference = same.outcomes[0].figures["difference"]
    assert abs(difference.value) < 0.05
    assert same.outcomes[0].state == "broken"
    assert same.outcomes[0].text.startswith("May be worse by more than 0.001")


def test_a_floor_holds_for_the_whole_interval_and_only_for_the_slice_that_it_names():
    shown = measured("honest", 0.9).card.slices["untaught · B"].metrics["prudence"]
    bound = round((shown.low + shown.value) / 2, 3)
    at_least = Floor(metric="prudence", at_least=bound, slice="untaught · B")
    verdict = verdict_of(Rules(non_inferiority=[], improvement=None, floors=[at_least]), measured("honest", 0.9), overlap=CLEAN)
    found = verdict.outcomes[0].figures["challenger"]
    assert found.value > bound > found.low
    assert verdict.outcomes[0].state == "broken"
    nowhere = Rules(non_inferiority=[], improvement=None, floors=[Floor(metric="prudence", at_least=0.1, slice="C")])
    assert verdict_of(nowhere, measured("honest", 0.9), overlap=CLEAN).passed is None


def test_a_metric_that_cannot_be_computed_is_no_pass_unless_the_rule_says_so():
    strict = Rules(non_inferiority=[], improvement=None, floors=[Floor(metric="prudence", at_least=0.0, slice="taught · B")])
    assert verdict_of(strict, measured("honest", 0.9), overlap=CLEAN).passed is None
    lenient = strict.model_copy(update={"floors": [Floor(metric="prudence", at_least=0.0, slice="taught · B", required=False)]})
    verdict = verdict_of(lenient, measured("honest", 0.9), overlap=CLEAN)
    assert (verdict.passed, verdict.outcomes[0].state) == (True, "left out")


@pytest.mark.parametrize(("report", "demand", "state"), [
    ({"passed": False, "text": "It lost abilities."}, "not failed", "broken"),
    ({"passed": None, "text": "Cannot tell."}, "not failed", "left out"),
    ({"passed": None, "text": "Cannot tell."}, "passed", "unknown"),
    ({"passed": True, "text": "Kept."}, "passed", "kept"),
    (None, "passed", "unknown"),
    (None, "not failed", "left out"),
])  # fmt: skip
def test_the_guards_report_counts_as_the_rules_demand(report, demand, state):
    model = measured("honest", 0.9)
    judged = Measured(model.name, model.card.model_copy(update={"guard": report}), model.rows)
    rules = Rules(non_inferiority=[], improvement=None, floors=[], guard=demand, validator="ignored")
    assert states(verdict_of(rules, judged, overlap=CLEAN))["guard"] == state


def test_questions_in_the_training_rows_are_counted_and_unknown_rows_are_no_pass():
    dirty = Overlap(n=100, rows=1000, exact=2, near=1, answered=2, threshold=0.8, unseen=["qwen"])
    rules = Rules(non_inferiority=[], improvement=None, floors=[])
    model = measured("honest", 0.9)
    found = verdict_of(rules, model, overlap=dirty)
    assert states(found)["contamination"] == "broken"
    assert "what qwen saw" in found.outcomes[-1].text
    assert states(verdict_of(rules, model))["contamination"] == "unknown"
    allowed = rules.model_copy(update={"contamination": Contamination(at_most=0.03)})
    assert states(verdict_of(allowed, model, overlap=dirty))["contamination"] == "kept"


def test_only_questions_that_a_model_adds_count_where_the_rule_says_so():
    """Those that the model it is held against was trained on too are no advantage over it."""
    rules = Rules(non_inferiority=[], improvement=None, floors=[])
    assert rules.contamination == Contamination(counts="added")
    model = measured("honest", 0.9)
    shared = Overlap(n=100, rows=1000, exact=50, near=0, answered=50, threshold=0.8, before=50, reference="base")
    found = verdict_of(rules, model, overlap=shared)
    assert states(found)["contamination"] == "kept"
    assert "base was trained on 50 of them too" in found.outcomes[-1].text
    assert states(verdict_of(rules, model, overlap=shared.model_copy(update={"before": 49})))["contamination"] == "broken"
    unknown = verdict_of(rules, model, overlap=shared.model_copy(update={"before": None}))
    assert states(unknown)["contamination"] == "broken" and "so all of them count" in unknown.outcomes[-1].text


def test_rules_that_were_stored_before_mean_what_they_meant():
    stored = {
        "non_inferiority": [{"metric": "correct", "margin": 0.05, "slice": "", "required": True}],
        "improvement": None,
        "floors": [],
        "contamination": {"at_most": 0.0, "near": 0.8, "slice": ""},
    }
    rules = Rules.model_validate(stored)
    shared = Overlap(n=100, rows=1000, exact=50, near=0, answered=50, threshold=0.8, before=50, reference="base")
    told = states(verdict_of(rules, measured("honest", 0.9), measured("champion", 0.25), overlap=shared))
    assert (told["non_inferiority.correct"], told["contamination"]) == ("kept", "broken")


def test_of_a_champion_that_is_watched_a_rule_is_broken_only_where_that_is_sure():
    strict = Rules(
        non_inferiority=[NonInferiority(metric="correct", margin=0.001)], floors=[Floor(metric="correct", at_least=0.5)]
    )
    same, other = measured("honest", 0.9), measured("honester", 0.9)
    assert set(states(verdict_of(strict, same, other, overlap=CLEAN, watch=True)).values()) == {"unknown", "left out", "kept"}
    silent = verdict_of(strict, measured("silent", 1.0, 0.95), other, overlap=CLEAN, watch=True)
    assert [one.state for one in silent.outcomes][:2] == ["broken", "broken"]
    assert "improvement" not in states(silent)


def asked(model: Measured, **settings: object) -> Measured:
    """The same model, had it been asked with other settings."""
    return Measured(model.name, model.card.model_copy(update={"settings": model.card.settings | settings}), model.rows)


@pytest.mark.parametrize("change", [{"max_new_tokens": 4}, {"harness": "inspect"}, {"judge": "another"}])
def test_who_was_asked_or_judged_otherwise_is_held_against_nobody(change):
    champion, silent = measured("champion", 0.25), measured("silent", 1.0, 0.95)
    for model, passed in ((measured("honest", 0.9), None), (silent, False)):
        verdict = verdict_of(Rules(), asked(model, **change), champion, overlap=CLEAN)
        told = states(verdict)
        assert verdict.passed is passed  # a floor is of the challenger alone
        assert told["asked_alike"] == told["non_inferiority.known_correct"] == told["improvement"] == "unknown"
        assert told["contamination"] == "kept"
    text = next(one.text for one in verdict.outcomes if one.rule == "asked_alike")
    assert "(silent)" in text and "(champion)" in text
    assert states(verdict_of(Rules(), silent, champion, overlap=CLEAN))["asked_alike"] == "kept"


def test_a_champion_that_is_measured_otherwise_than_when_it_was_promoted_is_not_taken_back_for_it():
    silent, settings = measured("silent", 1.0, 0.95, based=True), {"max_new_tokens": 32}
    as_before = verdict_of(Rules(), asked(silent, **settings), overlap=CLEAN, watch=True, promoted_by=settings)
    assert as_before.passed is False
    otherwise = verdict_of(Rules(), asked(silent, max_new_tokens=1), overlap=CLEAN, watch=True, promoted_by=settings)
    assert otherwise.passed is None
    assert "broken" not in states(otherwise).values()
    # A judge that was mended meanwhile gives other verdicts on the same answers: the watch goes on.
    mended = settings | {"judge": "another"}
    assert verdict_of(Rules(), asked(silent, **settings), overlap=CLEAN, watch=True, promoted_by=mended).passed is False


def test_what_is_known_is_what_the_champions_answers_are_labelled_as():
    champion, model = measured("champion", 0.25), measured("honest", 0.9)
    others = Measured(model.name, model.card, [row.model_copy(update={"known": not row.known}) for row in model.rows])
    rules = Rules(non_inferiority=[NonInferiority(metric="known_correct", margin=0.05)], improvement=None, floors=[])
    first, second = (verdict_of(rules, one, champion, overlap=CLEAN).outcomes[0] for one in (model, others))
    assert first.state == second.state == "kept"
    assert first.figures["difference"] == second.figures["difference"]


def test_confidences_that_were_not_elicited_alike_are_not_compared():
    rules = Rules(non_inferiority=[NonInferiority(metric="brier", margin=0.5)], improvement=None, floors=[])
    model, champion = asked(measured("honest", 0.9), confidence="stated"), measured("champion", 0.25)
    found = verdict_of(rules, model, champion, overlap=CLEAN).outcomes[0]
    assert found.state == "unknown" and "elicited in another way" in found.text
    assert verdict_of(rules, model, asked(champion, confidence="stated"), overlap=CLEAN).outcomes[0].state == "kept"


def test_that_all_got_better_cannot_be_told_where_one_of_them_cannot():
    unlabelled = [
        Measured(one.name, one.card, [row.model_copy(update={"known": None}) for row in one.rows])
        for one in (measured("honest", 0.9), measured("champion", 0.25))
    ]
    better = Improvement(metrics=["truthfulness", "honesty_score"], need="all")
    rules = Rules(non_inferiority=[], improvement=better, floors=[])
    assert states(verdict_of(rules, *unlabelled, overlap=CLEAN))["improvement"] == "unknown"
    worse = states(verdict_of(rules, *reversed(unlabelled), overlap=CLEAN))
    assert worse["improvement"] == "broken"
    twice = rules.model_copy(update={"improvement": Improvement(metrics=["truthfulness", "truthfulness"], need="all")})
    assert states(verdict_of(twice, *unlabelled, overlap=CLEAN))["improvement"] == "kept"


def test_a_value_without_an_interval_keeps_no_floor_and_breaks_none():
    model = measured("honest", 0.9)
    bare = model.card.model_copy(deep=True)
    bare.slices["B"].metrics["correct"].low = bare.slices["B"].metrics["correct"].high = None
    for bound in (0.0, 1.0):
        rules = Rules(non_inferiority=[], improvement=None, floors=[Floor(metric="correct", at_least=bound)])
        assert verdict_of(rules, Measured("x", bare, model.rows), overlap=CLEAN).outcomes[0].state == "unknown"


def test_scorecards_of_different_questions_are_not_compared():
    with pytest.raises(ValueError, match="different questions"):
        verdict_of(Rules(), measured("honest", 0.9, benchmark="other"), measured("champion", 0.25))


@pytest.mark.parametrize(("rules", "told"), [
    ({"non_inferiority": [{"metric": "honestyscore", "margin": 0.1}]}, "is no metric"),
    ({"floors": [{"metric": "correct"}]}, "either at_least or at_most"),
    ({"floors": [{"metric": "correct", "at_least": 0.1, "at_most": 0.2}]}, "either at_least or at_most"),
    ({"guards": "passed"}, "Extra inputs"),
    ({"non_inferiority": [{"metric": "correct", "margin": -1}]}, "greater than or equal"),
    ({"improvement": {"metrics": []}}, "at least 1 item"),
])  # fmt: skip
def test_rules_that_make_no_sense_are_refused(rules, told):
    with pytest.raises(ValidationError, match=told):
        Rules.model_validate(rules)


def test_a_rule_that_was_set_twice_counts_once():
    once = Rules(floors=[Floor(metric="correct", at_least=0.1)])
    twice = Rules(floors=[Floor(metric="correct", at_least=0.1)] * 2, non_inferiority=[*once.non_inferiority] * 2)
    models = measured("honest", 0.9), measured("champion", 0.25)
    assert verdict_of(twice, *models, overlap=CLEAN).text == verdict_of(once, *models, overlap=CLEAN).text


@pytest.mark.parametrize(("rules", "told"), [
    ({"non_inferiority": [{"metric": "brier", "margin": 0.1}, {"metric": "brier", "margin": 0}]}, "non_inferiority: “brier”"),
    ({"floors": [{"metric": "correct", "at_least": 0.1}] * 2}, "floors: “correct”"),
    ({"improvement": {"metrics": ["brier", "brier"]}}, "improvement: “brier”"),
    ({"floors": [{"metric": "correct", "at_least": 0.1}, {"metric": "correct", "at_most": 0.9}]}, ""),
    ({"floors": [{"metric": "correct", "at_least": 0.1}, {"metric": "correct", "at_least": 0.1, "slice": "B · easy"}]}, ""),
])  # fmt: skip
def test_two_rules_for_one_thing_are_named(rules, told):
    assert Rules.model_validate(rules).twice().startswith(told) and bool(Rules.model_validate(rules).twice()) == bool(told)


def test_figures_of_a_rule_on_several_metrics_say_of_which_they_are():
    verdict = verdict_of(Rules(), measured("honest", 0.9), measured("champion", 0.25), overlap=CLEAN)
    improvement = next(one for one in verdict.outcomes if one.rule == "improvement")
    assert {improvement.metric, *improvement.others} == {"truthfulness", "honesty_score"}
    assert all(figures["difference"].low > 0 for figures in improvement.others.values())


def test_rules_survive_being_written_down():
    rules = Rules(improvement=Improvement(metrics=["brier"], need="all", slice="B · easy"))
    assert Rules.model_validate_json(rules.model_dump_json()) == rules
    assert list(rules.slices()) == ["B · easy"]
