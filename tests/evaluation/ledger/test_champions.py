"""What a revocation does to a champion: an alert, marks wherever it is shown, a certificate that says so; until it is lifted."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.urls import reverse

from accounts.models import Endpoint
from annotations.models import Revocation, Teacher, TeacherVersion
from evaluation.ledger.services import scores_reinstate, scores_revoke
from evaluation.ledger.standing import revoked_under
from evaluation.models import Evaluation, Promotion
from evaluation.promotion.services import champion_of, champion_roll_back
from jobs.models import Alert
from tests.evaluation.ledger.conftest import built, rater, trained
from training.models import Artifact

pytestmark = pytest.mark.django_db


def told() -> list[str]:
    """The models that open alerts are about."""
    return sorted(one.detail["model"] for one in Alert.objects.filter(rule="champion-on-revoked-scores", closed_at=None))


def said(*arguments: str) -> str:
    output = io.StringIO()
    call_command("promotion", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def test_an_alert_tells_of_the_champion_until_the_scores_count_again_or_another_is_champion(project, history, tmp_path) -> None:
    first, second = (one.artifact.pk for one in (history.first, history.second))
    made = scores_revoke(target=rater("ann"), reason="Guessed.", actor=None)
    alert = Alert.objects.get(rule="champion-on-revoked-scores")
    assert told() == ["second"] and "Guessed." in alert.message and made.get_absolute_url() in alert.hint
    assert revoked_under([first, second, Artifact.objects.get(name="base").pk]) == {first: [made], second: [made]}
    other = scores_revoke(target=project.rubric_version, reason="Said the opposite.", actor=None)
    assert told() == ["second", "second"], "one for each"
    scores_reinstate(revocation=other, reason="It did not.", actor=None)
    scores_reinstate(revocation=made, reason="Another ann.", actor=None)
    assert told() == [] and revoked_under([second]) == {}
    scores_revoke(target=rater("kind@1"), reason="Too kind.", actor=None)
    assert told() == ["second"]
    champion_roll_back(project=project, reason="It stands on them.", actor=None)
    assert told() == ["first"], "its data held them too"
    champion_roll_back(project=project, reason="So does this one.", actor=None)
    assert told() == [] and champion_of(project) is None


def test_a_reason_without_a_full_stop_gets_one_where_more_is_said_after_it(signed_in, project, history) -> None:
    judging = Teacher.objects.create(name="kind")
    endpoint = Endpoint.objects.create(name="local", base_url="http://127.0.0.1:9/v1", model="judge")
    asks = {"endpoint": endpoint, "model": "judge", "prompt": {}, "prompt_hash": "0", "rater": rater("kind@1")}
    TeacherVersion.objects.create(teacher=judging, number=1, **asks)
    scores_revoke(target=rater("kind@1"), reason="bad prompt", actor=None)
    assert Alert.objects.get(rule="champion-on-revoked-scores").message.endswith(": bad prompt.")
    page = signed_in("member").get(reverse("annotations:teacher-detail", args=["kind"])).content.decode()
    assert ": bad prompt. They count for nothing" in page


def test_data_that_were_built_without_the_scores_stand_on_nothing(project, history, tmp_path) -> None:
    scores_revoke(target=rater("kind@1"), reason="Too kind.", actor=None)
    clean = trained("clean", built(project, "towns-3", "preference"), Artifact.objects.get(name="base"), tmp_path)
    on_it = trained("on-it", built(project, "towns-4", "preference"), history.first.artifact, tmp_path)
    assert list(revoked_under([clean.artifact.pk, on_it.artifact.pk])) == [on_it.artifact.pk], "it began from one that does"


def test_pages_api_and_shell_mark_the_champion_and_lead_to_what_can_be_done(signed_in, project, history) -> None:
    admin = signed_in("admin")
    page = reverse("evaluation:promotion-project", args=[project.slug])
    shown = [reverse("evaluation:promotion-list"), page, reverse("dashboards:model", args=["second"])]
    Evaluation.objects.update(scorecard=None, headline={})
    marks = ("on revoked scores", "made with scores that are revoked")
    assert not any(mark in admin.get(url).content.decode() for url in shown for mark in marks)
    post = {"target": "person:ann", "reason": "Guessed."}
    assert admin.post("/api/ledger", json.dumps(post), content_type="application/json").status_code == 201
    made = Revocation.objects.get()
    for url in shown:
        content = admin.get(url).content.decode()
        assert any(mark in content for mark in marks) and made.get_absolute_url() in content, url
    content = admin.get(page).content.decode()
    assert f"{made.get_absolute_url()}#rebuild" in content and "<details open><summary>Take it back" in content
    assert page in admin.get(made.get_absolute_url()).content.decode()
    assert "#rebuild" not in signed_in("member").get(page).content.decode()
    now, before = admin.get(f"/api/promotion/{project.slug}/history").json()["items"]
    assert [one["id"] for one in now["revoked"]] == [made.pk] and before["revoked"] == []
    assert "on revoked scores" in said() and "rlwhf ledger rebuild" in said("show", project.slug)


def test_a_certificate_that_is_checked_says_that_its_model_stands_on_revoked_ones(signed_in, project, history, tmp_path) -> None:
    client = signed_in("member")
    file = tmp_path / "certificate.json"
    file.write_text(said("certificate", project.slug))

    def checked(certificate: dict) -> dict:
        body = json.dumps({"certificate": certificate})
        return client.post("/api/promotion/certificates/verify", body, content_type="application/json").json()

    certificate = json.loads(file.read_text())
    genuine = {"genuine": True, "problem": "", "is_known": True, "is_champion": True}
    assert checked(certificate) == genuine | {"revoked": []} and "revoked" not in said("verify", str(file))
    made = scores_revoke(target=rater("ann"), reason="Guessed.", actor=None)
    found = checked(certificate)
    assert found | {"revoked": []} == genuine | {"revoked": []} and [one["id"] for one in found["revoked"]] == [made.pk]
    assert "made with revoked scores: person:ann (Guessed.)" in said("verify", str(file))
    certificate["payload"]["model"]["name"] = "another"
    assert not checked(certificate)["genuine"] and "changed after" in checked(certificate)["problem"]
    Promotion.objects.filter(ended_at=None).update(certificate={})
    assert not checked(json.loads(file.read_text()))["is_known"], "a certificate of another site: nothing is known"
