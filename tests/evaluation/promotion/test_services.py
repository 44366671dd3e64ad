"""Who becomes champion, who does not, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from annotations.models import Project
from annotations.services import project_create
from evaluation.models import Benchmark, Evaluation, Promotion, PromotionRules
from evaluation.promotion.certificate import Certificate, verify
from evaluation.promotion.selectors import document_of
from evaluation.promotion.services import (
    PromotionRefused,
    champion_of,
    champion_roll_back,
    evaluation_watched,
    promote,
    promote_by_hand,
    rules_set,
    verdict_queue,
)
from jobs.models import Alert
from tests.evaluation.conftest import BASE_ROWS
from tests.evaluation.promotion.conftest import WIDE, carried_out
from tests.evaluation.samples import atlas_rows
from training.models import Artifact

pytestmark = pytest.mark.django_db

Three = dict[str, Evaluation]


@pytest.fixture
def judged(project: Project, rules: PromotionRules, three: Three, tmp_path: Path) -> Callable[..., object]:
    def _judged(name: str) -> object:
        verdict = verdict_queue(project=project, artifact=three[name].artifact, actor=None)
        return carried_out(verdict, tmp_path / f"verdict-{verdict.pk}")

    return _judged


def test_the_honest_model_takes_the_place_of_the_first_champion_and_the_silent_one_is_refused(project, judged) -> None:
    first = promote(verdict=judged("honest"), actor=None)
    assert (first.artifact.name, first.kind, first.previous) == ("honest", "rules", None)
    refused = judged("silent")
    assert refused.passed is False
    document = document_of(refused)
    assert (document.champion, document.against) == ("honest", "champion")
    broken = {one.rule for one in document.outcomes if one.state == "broken"}
    assert {"non_inferiority.known_correct", "floor.over_conservativeness", "improvement"} <= broken
    with pytest.raises(PromotionRefused, match="breaks"):
        promote(verdict=refused, actor=None)
    assert champion_of(project).artifact.name == "honest"


def test_questions_that_the_base_was_taught_refuse_no_model_of_it_and_one_that_a_model_adds_does(
    project, judged, three, trained, signed_in
) -> None:
    """As with Atlas' demo, whose base is taught half of the people it is asked about."""
    asked = [json.dumps({"prompt": row.prompt, "response": "Paris."}) for row in BASE_ROWS if row.slices["fold"] == "B"]
    trained(Artifact.objects.get(name="base"), "\n".join(asked[:10]))
    added = judged("honest")
    overlap = document_of(added).overlap
    assert added.passed is True
    assert (overlap.exact, overlap.before, overlap.reference) == (10, 10, "base")
    assert "In what base was trained on" in signed_in("member").get(added.get_absolute_url()).content.decode()
    promote(verdict=added, actor=None)
    mine = three["plain"].artifact.run.dataset
    (Path(mine.folder) / "train.jsonl").write_text(asked[10])
    overlap = document_of(judged("plain")).overlap
    assert (overlap.exact, overlap.before, overlap.reference) == (11, 10, "honest")
    assert [one.before for one in overlap.matches[:2]] == [False, True]


def test_a_certificate_names_the_hashes_of_all_that_led_to_it_and_is_signed(project, judged, three) -> None:
    made = promote(verdict=judged("honest"), actor=None)
    certificate = Certificate.model_validate(made.certificate)
    verify(certificate)
    told = certificate.payload
    assert told["model"] == {"name": "honest", "hash": "honest"}
    assert told["benchmark"]["hash"] == three["honest"].benchmark.hash
    assert [one["name"] for one in told["data"]] == ["rows-of-honest"]
    assert told["data_unknown_of"] == ["base"]
    assert told["verdict"]["passed"] is True
    assert len(told["scorecard"]) == 64
    assert told["rules"]["improvement"]["metrics"] == ["truthfulness", "honesty_score"]


def test_what_has_changed_since_a_verdict_makes_it_promote_nobody(project, judged, benchmark: Benchmark) -> None:
    plain, honest = judged("plain"), judged("honest")
    promote_by_hand(project=project, artifact=plain.evaluation.artifact, reason="It is the best there is.", actor=None)
    with pytest.raises(PromotionRefused, match="Somebody else became champion"):
        promote(verdict=honest, actor=None)
    again = judged("honest")
    rules_set(project=project, rules=WIDE, benchmark=benchmark, actor=None)
    with pytest.raises(PromotionRefused, match="rules were changed"):
        promote(verdict=again, actor=None)
    promote(verdict=judged("honest"), actor=None)
    assert Promotion.objects.filter(project=project, ended_at=None).count() == 1


def test_a_promotion_by_hand_needs_a_reason_which_its_certificate_says(project, three) -> None:
    silent = three["silent"].artifact
    with pytest.raises(PromotionRefused, match="Say why"):
        promote_by_hand(project=project, artifact=silent, reason="  ", actor=None)
    made = promote_by_hand(project=project, artifact=silent, reason="For a demonstration.", actor=None)
    assert made.certificate["payload"]["reason"] == "For a demonstration."
    assert made.certificate["payload"]["verdict"] is None
    assert AuditEntry.objects.filter(action="evaluation.champion_promoted").count() == 1
    with pytest.raises(PromotionRefused, match="champion already"):
        promote_by_hand(project=project, artifact=silent, reason="Again.", actor=None)


def test_back_to_the_champion_before_and_from_there_to_the_one_before_that(project, three) -> None:
    for name in ("plain", "honest", "silent"):
        promote_by_hand(project=project, artifact=three[name].artifact, reason="Next.", actor=None)
    assert champion_roll_back(project=project, reason="It says nothing.", actor=None).artifact.name == "honest"
    assert champion_roll_back(project=project, reason="Nor does it.", actor=None).artifact.name == "plain"
    assert champion_roll_back(project=project, reason="Enough.", actor=None) is None
    assert champion_of(project) is None
    with pytest.raises(PromotionRefused, match="no champion"):
        champion_roll_back(project=project, reason="x", actor=None)
    assert Promotion.objects.filter(project=project).count() == 5
    assert Alert.objects.filter(rule="champion-rolled-back", closed_at=None).count() == 3
    promote_by_hand(project=project, artifact=three["honest"].artifact, reason="Now.", actor=None)
    assert not Alert.objects.filter(rule="champion-rolled-back", closed_at=None).exists()


def test_the_reason_of_a_way_back_ends_before_the_next_sentence_of_its_alert(project, three) -> None:
    for name in ("plain", "honest"):
        promote_by_hand(project=project, artifact=three[name].artifact, reason="Next.", actor=None)
    champion_roll_back(project=project, reason="went wrong", actor=None)
    assert ": went wrong. So “plain” is champion again." in Alert.objects.get(rule="champion-rolled-back").message


def test_a_champion_that_breaks_a_rule_when_it_is_measured_again_gives_way_by_itself(
    project, judged, three, scored, tmp_path, benchmark
) -> None:
    promote_by_hand(project=project, artifact=three["plain"].artifact, reason="First.", actor=None)
    promote(verdict=judged("honest"), actor=None)
    # The same model, measured once more, has fallen silent.
    later = scored("later", atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=4), Artifact.objects.get(name="base"))
    Evaluation.objects.filter(pk=later.pk).update(artifact=three["honest"].artifact)
    later.refresh_from_db()
    (watch,) = evaluation_watched(evaluation=later)
    assert watch.watch
    seen = carried_out(watch, tmp_path / "watch")
    assert seen.passed is False
    assert champion_of(project).artifact.name == "plain"
    alert = Alert.objects.get(rule="champion-rolled-back")
    assert "“honest” is no longer champion of Atlas people" in alert.message
    with pytest.raises(PromotionRefused, match="measured again"):
        promote(verdict=seen, actor=None)


def test_a_champion_that_stays_as_it_is_stays_champion(project, judged, three, scored, tmp_path) -> None:
    promote(verdict=judged("honest"), actor=None)
    later = scored("later", atlas_rows(silent_unknown=0.95, right=0.98, seed=3), Artifact.objects.get(name="base"))
    Evaluation.objects.filter(pk=later.pk).update(artifact=three["honest"].artifact)
    later.refresh_from_db()
    (watch,) = evaluation_watched(evaluation=later)
    assert carried_out(watch, tmp_path / "watch").passed is not False
    assert champion_of(project).artifact.name == "honest"
    assert evaluation_watched(evaluation=three["silent"]) == []


def test_what_cannot_be_judged_says_what_is_missing(project, three, model, benchmark) -> None:
    with pytest.raises(PromotionRefused, match="no rules"):
        verdict_queue(project=project, artifact=three["honest"].artifact, actor=None)
    rules_set(project=project, rules={}, benchmark=benchmark, actor=None)
    with pytest.raises(PromotionRefused, match="no scorecard"):
        verdict_queue(project=project, artifact=model("unmeasured"), actor=None)
    promote_by_hand(project=project, artifact=Artifact.objects.get(name="unmeasured"), reason="x", actor=None)
    with pytest.raises(PromotionRefused, match=r"champion “unmeasured” has no scorecard"):
        verdict_queue(project=project, artifact=three["honest"].artifact, actor=None)
    with pytest.raises(PromotionRefused, match="is no metric"):
        rules_set(project=project, rules={"floors": [{"metric": "x", "at_least": 1}]}, benchmark=benchmark, actor=None)


def test_rules_that_name_one_thing_twice_are_refused(project, benchmark) -> None:
    floor = {"metric": "correct", "at_least": 0.1}
    with pytest.raises(PromotionRefused, match="stands there twice"):
        rules_set(project=project, rules={"floors": [floor, floor]}, benchmark=benchmark, actor=None)


def test_each_project_has_its_own_champion(project, three) -> None:
    other = project_create(name="Others", guidelines="", actor=None)
    promote_by_hand(project=project, artifact=three["plain"].artifact, reason="x", actor=None)
    promote_by_hand(project=other, artifact=three["honest"].artifact, reason="x", actor=None)
    assert (champion_of(project).artifact.name, champion_of(other).artifact.name) == ("plain", "honest")


def test_of_what_is_taken_back_twice_only_the_one_that_was_meant_goes(signed_in, project, three) -> None:
    for name in ("plain", "honest", "silent"):
        promote_by_hand(project=project, artifact=three[name].artifact, reason="Next.", actor=None)
    client, seen = signed_in("admin"), champion_of(project)
    page, back = seen.get_absolute_url(), reverse("evaluation:promotion-roll-back", args=[project.slug])
    assert f'name="champion" value="{seen.pk}"' in client.get(page).content.decode()
    client.post(back, {"reason": "It says nothing.", "champion": seen.pk})
    client.post(back, {"reason": "It says nothing.", "champion": seen.pk})
    assert champion_of(project).artifact.name == "honest"
    assert "is champion by now" in client.get(page).content.decode()


def later_of(model: Artifact, scored, name: str, **answers: float) -> Evaluation:
    """The model measured once more."""
    made = scored(name, atlas_rows(**answers), Artifact.objects.get(name="base"))
    Evaluation.objects.filter(pk=made.pk).update(artifact=model)
    made.refresh_from_db()
    return made


def test_a_watch_of_an_earlier_term_does_not_end_a_later_one(project, judged, three, scored, tmp_path) -> None:
    honest = promote(verdict=judged("honest"), actor=None)
    later = later_of(honest.artifact, scored, "later", silent_unknown=1.0, silent_known=0.97, seed=4)
    (watch,) = evaluation_watched(evaluation=later)
    champion_roll_back(project=project, reason="It fell silent.", actor=None)
    promote_by_hand(project=project, artifact=honest.artifact, reason="We know, and want it.", actor=None)
    assert carried_out(watch, tmp_path / "watch").passed is False
    assert champion_of(project).artifact == honest.artifact


def test_each_new_scorecard_of_the_champion_is_watched_whichever_ends_first(project, judged, scored) -> None:
    honest = promote(verdict=judged("honest"), actor=None)
    first = later_of(honest.artifact, scored, "first", silent_unknown=0.95, right=0.98, seed=3)
    second = later_of(honest.artifact, scored, "second", silent_unknown=0.95, right=0.98, seed=3)
    watches = [one for ended in (second, first) for one in evaluation_watched(evaluation=ended)]
    assert [one.evaluation for one in watches] == [second, first]


def test_who_was_measured_again_is_judged_again_before_it_is_promoted(project, judged, three, scored) -> None:
    verdict = judged("honest")
    later_of(three["honest"].artifact, scored, "later", silent_unknown=0.2, right=0.9, seed=5)
    with pytest.raises(PromotionRefused, match="measured again since"):
        promote(verdict=verdict, actor=None)
    assert champion_of(project) is None


def test_a_champion_that_is_asked_otherwise_is_not_taken_back_for_it(project, judged, scored, tmp_path) -> None:
    honest = promote(verdict=judged("honest"), actor=None)
    later = later_of(honest.artifact, scored, "brief", silent_unknown=1.0, silent_known=0.97, seed=4)
    later.scorecard["settings"]["max_new_tokens"] = 1
    later.save(update_fields=["scorecard"])
    (watch,) = evaluation_watched(evaluation=later)
    assert carried_out(watch, tmp_path / "watch").passed is None
    assert champion_of(project).artifact == honest.artifact
