"""Promotion by page, API and shell: the same services behind each."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotations.models import DatasetVersion
from evaluation.models import Benchmark, Evaluation
from evaluation.promotion.selectors import benchmark_of, verdict_get
from evaluation.promotion.services import (
    champion_of,
    evaluation_watched,
    promote,
    promote_by_hand,
    rules_set,
    verdict_queue,
)
from evaluation.services import benchmark_register
from tests.evaluation.conftest import BASE_ROWS
from tests.evaluation.promotion.conftest import WIDE, carried_out
from tests.evaluation.samples import atlas_rows

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    output = io.StringIO()
    call_command("promotion", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def test_the_pages_lead_from_no_rules_to_a_champion_and_back(signed_in, project, three, benchmark, tmp_path) -> None:
    client = signed_in("admin")
    page = reverse("evaluation:promotion-project", args=[project.slug])
    assert "First set the rules" in client.get(page).content.decode()
    rules = reverse("evaluation:promotion-rules", args=[project.slug])
    assert "known_correct" in client.get(rules).content.decode()
    wrong = client.post(rules, {"benchmark": benchmark.pk, "rules": '{"floors": [{"metric": "x"}]}'})
    assert wrong.status_code == 422
    assert "is no metric" in wrong.content.decode()
    assert "column" in client.post(rules, {"benchmark": benchmark.pk, "rules": "{"}).content.decode()
    assert client.post(rules, {"benchmark": benchmark.pk, "rules": json.dumps(WIDE)}).status_code == 302
    shown = client.get(page).content.decode()
    assert "not judged" in shown and "Rules 1" in shown
    queued = client.post(reverse("evaluation:promotion-judge", args=[project.slug]), {"model": "honest"})
    verdict = project.verdicts.get()
    assert queued.url == verdict.get_absolute_url()
    assert "No worker takes" in client.get(queued.url).content.decode(), "what it waits for is said"
    carried_out(verdict, tmp_path / "verdict")
    shown = client.get(queued.url).content.decode()
    assert "keeps all" in shown and "Make it champion" in shown and "Not trained on the questions" in shown
    assert client.post(reverse("evaluation:promotion-promote", args=[verdict.pk])).url == page
    assert champion_of(project).artifact.name == "honest"
    certificate = client.get(reverse("evaluation:promotion-certificate", args=[champion_of(project).pk]))
    path = tmp_path / "certificate.json"
    path.write_bytes(certificate.content)
    assert "unchanged: honest, champion of atlas-people" in said("verify", str(path))
    path.write_text(path.read_text().replace('"honest"', '"silent"'))
    with pytest.raises(CommandError, match="changed after it was signed"):
        said("verify", str(path))
    client.post(reverse("evaluation:promotion-roll-back", args=[project.slug]), {"reason": ""})
    assert champion_of(project) is not None
    client.post(reverse("evaluation:promotion-roll-back", args=[project.slug]), {"reason": "A mistake."})
    assert champion_of(project) is None
    assert "A mistake." in client.get(page).content.decode()


def test_each_time_a_champion_is_measured_again_its_verdict_is_on_the_projects_page(
    signed_in, project, rules, three, scored, tmp_path
) -> None:
    page = reverse("evaluation:promotion-project", args=[project.slug])
    verdict = verdict_queue(project=project, artifact=three["honest"].artifact, actor=None)
    carried_out(verdict, tmp_path / "verdict")
    promote(verdict=verdict_get(verdict.pk), actor=None)
    client = signed_in("member")
    shown = client.get(page).content.decode()
    assert verdict.get_absolute_url() in shown and "measured again" not in shown.lower()
    later = scored("later", atlas_rows(silent_unknown=0.95, right=0.98, seed=7), three["honest"].base)
    Evaluation.objects.filter(pk=later.pk).update(artifact=three["honest"].artifact)
    later.refresh_from_db()
    (watch,) = evaluation_watched(evaluation=later)
    shown = client.get(page).content.decode()
    assert shown.count(f'href="{watch.get_absolute_url()}"') == 3, "at the champion, its scorecard, and the verdicts"
    assert "the champion, measured again" in shown
    told = client.get(f"/api/promotion/{project.slug}/verdicts").json()["items"]
    assert [(one["id"], one["watch"]) for one in told] == [(watch.pk, True), (verdict.pk, False)]
    assert "document" not in told[0]


def test_a_verdict_says_how_many_questions_it_shows_and_members_may_have_all_of_them(
    signed_in, project, rules, three, tmp_path
) -> None:
    asked = [row.prompt for row in BASE_ROWS if row.slices["fold"] == "B"][:25]
    data = three["honest"].artifact.run.dataset
    (Path(data.folder) / "train.jsonl").write_text("\n".join(json.dumps({"prompt": one}) for one in asked))
    verdict = carried_out(verdict_queue(project=project, artifact=three["honest"].artifact, actor=None), tmp_path / "verdict")
    client, address = signed_in("member"), reverse("evaluation:promotion-questions", args=[verdict.pk])
    page = client.get(verdict.get_absolute_url()).content.decode()
    assert '<span class="num">20</span> of <span class="num">25</span> shown' in page and address in page
    lines = b"".join(client.get(address).streaming_content).splitlines()
    assert {json.loads(line)["prompt"] for line in lines} == set(asked)
    told = client.get(f"/api/promotion/verdicts/{verdict.pk}/questions").json()
    assert (told["count"], len(said("questions", project.slug, "honest").splitlines())) == (25, 25)
    assert signed_in("annotator").get(address).status_code == 403
    (tmp_path / "verdict" / "questions.jsonl").unlink()
    client = signed_in("member")
    assert "not on disk" in client.get(verdict.get_absolute_url()).content.decode()
    assert client.get(address).status_code == 404


def test_a_rule_on_several_metrics_shows_the_figures_of_each_by_name(signed_in, project, three, benchmark, tmp_path) -> None:
    both = WIDE | {"improvement": {"metrics": ["truthfulness", "honesty_score"]}}
    rules_set(project=project, rules=both, benchmark=benchmark, actor=None)
    verdict = carried_out(verdict_queue(project=project, artifact=three["honest"].artifact, actor=None), tmp_path / "verdict")
    page = signed_in("member").get(verdict.get_absolute_url()).content.decode()
    for title in ("Truthfulness", "Honesty score"):
        assert f'<span class="muted small">{title}</span>' in page
    assert "Hunt for games" not in page and ">Validator<" in page


def test_rules_begin_with_what_the_projects_models_were_measured_on_and_two_worlds_of_one_name_are_told_apart(
    signed_in, project, three, benchmark, benchmark_folder, tmp_path
) -> None:
    Benchmark.objects.filter(pk=benchmark.pk).update(title="Atlas, closed world 0")
    other = tmp_path / "another"
    shutil.copytree(benchmark_folder, other)
    lines = (other / "benchmark.jsonl").read_text().splitlines(keepends=True)
    (other / "benchmark.jsonl").write_text("".join(lines[1:]))
    (other / "manifest.json").write_text(json.dumps({"name": "atlas", "version": "1", "title": "Atlas, closed world 1"}))
    newer = benchmark_register(folder=other, actor=None)
    assert benchmark_of(project) is None, "no model of it was measured"
    data = three["honest"].artifact.run.dataset
    DatasetVersion.objects.filter(pk=data.pk).update(project=project)
    client, address = signed_in("admin"), reverse("evaluation:promotion-rules", args=[project.slug])
    page = client.get(address).content.decode()
    assert f'<option value="{benchmark.pk}" selected>atlas 1 · Atlas, closed world 0 ({benchmark.hash[:8]})</option>' in page
    assert f'<option value="{newer.pk}">atlas 1 · Atlas, closed world 1 ({newer.hash[:8]})</option>' in page
    assert "Atlas, closed world 1" in client.get(reverse("evaluation:scorecard-queue")).content.decode()
    Evaluation.objects.filter(pk=three["plain"].pk).update(benchmark=newer)
    promote_by_hand(project=project, artifact=three["plain"].artifact, reason="Now.", actor=None)
    assert benchmark_of(project) == newer, "what its champion was measured on"


def test_where_no_rules_are_set_an_admin_reads_to_set_them_and_a_member_who_can(signed_in, project) -> None:
    address = reverse("evaluation:promotion-project", args=[project.slug])
    assert "First set the rules" in signed_in("admin").get(address).content.decode()
    told = signed_in("member").get(address).content.decode()
    assert "An admin sets them" in told and "First set the rules" not in told


def test_members_look_and_change_nothing(signed_in, project, rules, three, tmp_path) -> None:
    verdict = verdict_queue(project=project, artifact=three["honest"].artifact, actor=None)
    carried_out(verdict, tmp_path / "verdict")
    client = signed_in("member")
    for name, args in (("promotion-list", []), ("promotion-project", [project.slug]), ("promotion-verdict", [verdict.pk])):
        shown = client.get(reverse(f"evaluation:{name}", args=args))
        assert shown.status_code == 200
        assert "Make it champion" not in shown.content.decode()
    for name, args in (
        ("promotion-judge", [project.slug]),
        ("promotion-promote", [verdict.pk]),
        ("promotion-roll-back", [project.slug]),
    ):
        assert client.post(reverse(f"evaluation:{name}", args=args), {"reason": "x"}).status_code == 403
    assert client.get(reverse("evaluation:promotion-rules", args=[project.slug])).status_code == 403
    assert signed_in("annotator").get(reverse("evaluation:promotion-list")).status_code == 403


def test_the_same_over_http(signed_in, project, three, benchmark, tmp_path) -> None:
    client, at = signed_in("admin"), f"/api/promotion/{project.slug}"

    def call(method: str, path: str, body: dict | None = None):
        return getattr(client, method)(path, json.dumps(body or {}), content_type="application/json")

    assert client.get(f"{at}/rules").status_code == 404
    assert call("put", f"{at}/rules", {"benchmark": benchmark.hash, "rules": {"guard": "maybe"}}).status_code == 422
    assert call("put", f"{at}/rules", {"benchmark": benchmark.hash, "rules": WIDE}).json()["number"] == 1
    made = call("post", f"{at}/verdicts", {"model": "honest"})
    assert (made.status_code, made.json()["state"], made.json()["passed"]) == (201, "queued", None)
    assert call("post", f"/api/promotion/verdicts/{made.json()['id']}/promote").status_code == 409
    carried_out(project.verdicts.get(), tmp_path / "verdict")
    told = client.get(f"/api/promotion/verdicts/{made.json()['id']}").json()
    assert (told["passed"], told["document"]["against"]) == (True, "base")
    assert call("post", f"/api/promotion/verdicts/{told['id']}/promote").json()["model"] == "honest"
    unreasoned = call("post", f"{at}/champion", {"model": "plain"}), call("post", f"{at}/rollback", {"reason": " "})
    assert [one.status_code for one in unreasoned] == [422, 422], "as for the ledger"
    (row,) = client.get("/api/promotion").json()["items"]
    assert (row["project"], row["champion"], row["rules"], row["benchmark"]) == (project.slug, "honest", 1, benchmark.hash)
    assert call("post", f"{at}/champion", {"model": "plain", "reason": "To see."}).json()["kind"] == "override"
    assert call("post", f"{at}/rollback", {"reason": "Seen."}).json()["model"] == "honest"
    assert [one["model"] for one in client.get(f"{at}/history").json()["items"]] == ["honest", "plain", "honest"]
    assert client.get("/api/promotion/key").json()["public_key"] == said("key").strip()
    client = signed_in("member")
    assert call("post", f"{at}/rollback", {"reason": "x"}).status_code == 403


def test_the_same_at_the_shell(project, three, benchmark, tmp_path: Path) -> None:
    assert "no rules" in said("list")
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(WIDE))
    assert "Rules 1" in said("rules", project.slug, "--set", str(path), "--benchmark", benchmark.name)
    assert json.loads(said("rules", project.slug))["floors"][0]["at_most"] == 0.5
    with pytest.raises(CommandError, match="not judged yet"):
        said("promote", project.slug, "honest")
    assert said("verdicts", project.slug) == ""
    verdict = verdict_queue(project=project, artifact=three["honest"].artifact, actor=None)
    assert re.search(rf"^ *{verdict.pk} .* honest +queued +rules 1", said("verdicts", project.slug))
    carried_out(verdict, tmp_path / "verdict")
    assert re.search(r" honest +passed +rules 1", said("verdicts", project.slug))
    assert said("verdicts", project.slug, "--most", "0") == ""
    assert "honest is champion" in said("promote", project.slug, "honest")
    with pytest.raises(CommandError, match="Say why"):
        said("promote", project.slug, "silent", "--anyway")
    assert "silent is champion" in said("promote", project.slug, "silent", "--anyway", "--reason", "To see.")
    assert "honest is champion again" in said("rollback", project.slug, "--reason", "Seen.")
    shown = said("show", project.slug)
    assert "champion: honest" in shown and "challenger: silent" in shown
    assert json.loads(said("certificate", project.slug))["payload"]["kind"] == "rollback"


def test_a_page_shows_a_champion_that_was_promoted_by_hand_and_why(signed_in, project, rules, three) -> None:
    promote_by_hand(project=project, artifact=three["silent"].artifact, reason="It was a wish.", actor=None)
    shown = signed_in("member").get(reverse("evaluation:promotion-project", args=[project.slug])).content.decode()
    assert "By hand" in shown and "It was a wish." in shown
