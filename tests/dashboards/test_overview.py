"""The overview and a model's page: headline metrics over models with intervals, one model over all its evaluations."""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboards import overview
from evaluation.models import Benchmark, Evaluation, Promotion
from jobs.models import Job
from tests.dashboards import seed
from tests.evaluation.conftest import BASE_ROWS, benchmark, benchmark_folder, model, scored, signed_in  # noqa: F401 (fixtures)
from tests.evaluation.samples import atlas_rows

pytestmark = pytest.mark.django_db
SILENT = atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=3)


@pytest.fixture
def member(signed_in: Callable[[str], Client]) -> Client:  # noqa: F811 (the fixture)
    return signed_in("member")


@pytest.fixture
def three(tmp_path) -> list[Evaluation]:
    data = seed.dataset()
    asked = Benchmark.objects.create(name="atlas", version="1", hash="f" * 64, folder=str(tmp_path), n=600)
    return [seed.evaluation(seed.run(f"model-{i}", data=data).artifact, asked, values) for i, values in enumerate(seed.TREND)]


def figures_of(page: str) -> dict[str, Any]:
    return {
        name: json.loads(text) for name, text in re.findall(r'<script id="([^"]+)" type="application/json">(.*?)</script>', page)
    }


def page_of(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_without_a_scorecard_it_says_how_to_get_one(signed_in):  # noqa: F811
    assert reverse("evaluation:scorecard-queue") in page_of(signed_in("admin"), "/dashboard/")
    assert reverse("evaluation:scorecard-queue") not in page_of(signed_in("member"), "/dashboard/")
    assert signed_in("annotator").get("/dashboard/").status_code == 403


def test_each_metric_stands_over_models_with_its_interval_oldest_first(member, three):
    page = page_of(member, "/dashboard/")
    line = figures_of(page)["over-truthful_rate"]["data"][0]
    assert line["x"] == ["model-0", "model-1", "model-2"] and line["y"] == [0.62, 0.81, 0.955]
    assert line["error_y"]["array"] == pytest.approx([0.03, 0.03, 0.03])
    assert figures_of(page)["over-brier"]["data"][0]["y"] == [None, None, None], "not measured is a gap, not 0"
    assert reverse("dashboards:model", args=["model-2"]) in page
    assert 'aria-current="page">Overview' in page


def test_models_stand_apart_and_one_whose_answers_cannot_be_read_is_hollow(member, three):
    line = figures_of(page_of(member, "/dashboard/"))["over-truthful_rate"]["data"][0]
    assert line["mode"] == "markers" and line["marker"]["symbol"] == "circle", "no line from one model to another"
    mute = three[1]
    mute.headline["metrics"]["parse_share"] = {"value": 0.0, "low": 0.0, "high": 0.02}
    mute.save()
    page = page_of(member, "/dashboard/")
    line = figures_of(page)["over-truthful_rate"]["data"][0]
    assert line["marker"]["symbol"] == ["circle", "circle-open", "circle"]
    assert "cannot" not in line["customdata"][0] and "fewer than half" in line["customdata"][1]
    assert "Hollow: fewer than half" in page


def test_names_are_written_as_text_in_rows_of_models(member, three):
    Evaluation.objects.filter(pk=three[0].pk).update(
        headline={"metrics": {}, "conclusion": {"text": "<b>bold</b>", "tone": "ok"}}
    )
    page = page_of(member, "/dashboard/")
    assert "&lt;b&gt;bold&lt;/b&gt;" in page and "<b>bold" not in page
    row = page.split('aria-label="Compare model-2"')[1].split("</tr>")[0]
    assert "0.955<br>" in row and "0.925 to 0.985" in row, "three decimals each, so that a column's stand below one another"


def test_a_model_stands_once_with_its_newest_scorecard_and_filters_are_in_the_address(member, three):
    seed.evaluation(three[0].artifact, three[0].benchmark, (0.7, 0.6, 0.01, 0.98))
    line = figures_of(page_of(member, "/dashboard/?metric=truthful_rate"))["over-truthful_rate"]["data"][0]
    assert line["x"] == ["model-1", "model-2", "model-0"] and line["y"][-1] == 0.7
    answer = member.get("/dashboard/?metric=truthful_rate&csv=over-truthful_rate")
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert rows[1] == ["model-0", "0.7", "0.67", "0.73"]
    one = Evaluation.objects.done().first()
    one.headline["metrics"]["truthful_rate"]["low"] = 0.2376063207048754
    one.save(update_fields=["headline"])
    assert b"0.2376063" not in member.get("/api/dashboard/overview").content, "no digits that nobody measured"
    told = member.get("/api/dashboard/overview?last=2").json()
    assert [one["model"] for one in told["models"]] == ["model-2", "model-0"]


def test_an_address_that_names_a_benchmark_means_no_other(member, three):
    assert member.get(f"/dashboard/?benchmark={three[0].benchmark.pk}").status_code == 200
    for page in ("/dashboard/", reverse("dashboards:model", args=["model-0"])):
        assert {member.get(f"{page}?benchmark={wrong}").status_code for wrong in ("9999", "x", "9" * 5000)} == {404}


def test_champions_are_marked(member, three):
    project = seed.project()
    first, second = (one.artifact for one in three[:2])
    about = {"project": project, "kind": "override", "reason": "because", "certificate": {}, "promoted_at": timezone.now()}
    Promotion.objects.create(artifact=first, ended_at=timezone.now(), **about)
    Promotion.objects.create(artifact=second, **about)
    page = page_of(member, "/dashboard/?metric=truthful_rate&metric=brier")
    stars = figures_of(page)["over-truthful_rate"]["data"][1]
    assert dict(zip(stars["x"], zip(stars["marker"]["symbol"], stars["y"], strict=True), strict=True)) == {
        "model-0": ("star-open", 0.62), "model-1": ("star", 0.81),
    }  # fmt: skip
    assert len(figures_of(page)["over-brier"]["data"]) == 1, "what was not measured has no star"
    assert "champion of Support answers" in page and "was champion of Support answers" in page
    told = member.get("/api/dashboard/overview").json()["models"]
    assert [(one["champion_of"], one["was_champion_of"]) for one in told] == [
        ([], ["Support answers"]), (["Support answers"], []), ([], []),
    ]  # fmt: skip
    rows = list(csv.reader(io.StringIO(member.get("/dashboard/?csv=over-truthful_rate").content.decode())))
    assert rows[0][-1] == "promoted" and rows[2][-1] == "champion of Support answers"


def test_any_metric_can_be_chosen_and_each_is_drawn_once(member, scored):  # noqa: F811
    scored("base", BASE_ROWS)
    page = page_of(member, "/dashboard/?metric=aurc&metric=ece&metric=aurc&metric=none")
    drawn = {name: chart["data"][0]["y"] for name, chart in figures_of(page).items()}
    card = Evaluation.objects.get().scorecard["metrics"]
    assert drawn == {"over-ece": [card["ece"]["value"]], "over-aurc": [card["aurc"]["value"]]}
    ticked = re.findall(r'name="metric" value="(\w+)" checked', page)
    assert sorted(ticked) == ["aurc", "ece"] and 'name="metric" value="brier">' in page


def test_what_runs_is_shown_and_asked_for_again(member, three):
    assert "data-charts-live" not in page_of(member, "/dashboard/")
    Job.objects.filter(pk=three[2].job_id).update(state="queued", finished_at=None, started_at=None)
    page = page_of(member, "/dashboard/")
    assert "data-charts-live" in page and "model-2" in page.split('id="evaluating"')[1].split("</section>")[0]


def test_of_many_that_wait_some_are_shown_those_that_run_first(member, three, monkeypatch):
    monkeypatch.setattr(overview, "GOING_SHOWN", 2)
    Job.objects.filter(pk__in=[one.job_id for one in three]).update(state="queued", finished_at=None, started_at=None)
    Job.objects.filter(pk=three[2].job_id).update(started_at=timezone.now())
    shown = page_of(member, "/dashboard/").split('id="evaluating"')[1].split("</section>")[0]
    assert shown.index("model-2") < shown.index("model-0") and "model-1" not in shown and "1 more" in shown


def test_a_model_s_history_is_its_last_evaluations_and_its_newest_scorecard_on_each_benchmark(three, tmp_path):
    one = three[0]
    first = Benchmark.objects.create(name="other", version="1", hash="0" * 64, folder=str(tmp_path), n=600)
    Evaluation.objects.filter(pk=one.pk).update(benchmark=first)
    again = [seed.evaluation(one.artifact, one.benchmark, seed.TREND[0]) for _ in range(3)]
    found = overview.model_history(one.artifact.name, last=2)
    assert [each.pk for each in found.evaluations] == [again[2].pk, again[1].pk] and found.total == 4
    assert [each.pk for each in found.newest] == [again[2].pk, one.pk]


def test_a_model_s_page_shows_its_scorecard_its_parent_and_what_changed(member, scored):  # noqa: F811
    base = scored("base", BASE_ROWS)
    silent = scored("silent", SILENT, base.artifact)
    page = page_of(member, reverse("dashboards:model", args=["silent"]))
    assert "It got honest by falling silent" in page
    assert f"{reverse('evaluation:scorecard-compare')}?ids={base.pk}&amp;ids={silent.pk}" in page
    charts = figures_of(page)
    assert {"knowledge", "rubric", "by-slice", "became"} <= charts.keys()
    assert "reliability" not in charts, "whoever attempts nothing has no calibration"
    bars = {one["name"]: dict(zip(one["y"], one["customdata"], strict=True)) for one in charts["knowledge"]["data"]}
    card = silent.scorecard
    assert bars["abstained"] == {"known": card["knowledge_grid"]["known"]["abstained"], "unknown": 64}
    fell = next(one for one in charts["became"]["data"] if one["name"] == "known")
    assert dict(zip(fell["y"], fell["x"], strict=True))["fell silent"] == card["change"]["counts"]["fell_silent"]["known"] > 50
    assert "Answers that fell silent" in page


def test_risk_by_coverage_is_the_share_wrong_among_the_surest(member, scored):  # noqa: F811
    card = scored("base", BASE_ROWS).scorecard
    line = figures_of(page_of(member, reverse("dashboards:model", args=["base"])))["risk-coverage"]["data"][0]
    held_out = [row for row in BASE_ROWS if row.slices["fold"] == "B" and row.verdict in {"correct", "wrong"}]
    surest = sorted(held_out, key=lambda row: -row.confidence)[:40]
    assert line["x"][-1] == 1 and line["customdata"][-1] == len(held_out)
    assert line["y"][39] == pytest.approx(sum(row.verdict == "wrong" for row in surest) / 40)
    assert line["y"][-1] == pytest.approx(1 - card["metrics"]["correct_given_attempted"]["value"])


def test_several_kinds_of_confidence_are_told_apart(member, scored):  # noqa: F811
    made = scored("base", BASE_ROWS)
    assert "Confidence: probability of the answer." in page_of(member, reverse("dashboards:model", args=["base"]))
    card = made.scorecard
    card["confidences"]["stated"] = card["confidences"]["probability"]
    Evaluation.objects.filter(pk=made.pk).update(scorecard=card)
    page = page_of(member, reverse("dashboards:model", args=["base"]))
    assert "Each kind of confidence has a colour; the metrics above go by probability of the answer." in page
    assert len(figures_of(page)["reliability"]["data"]) == 3


def test_slices_are_drawn_by_what_is_chosen(member, scored):  # noqa: F811
    scored("base", BASE_ROWS)
    address = reverse("dashboards:model", args=["base"])
    drawn = figures_of(page_of(member, f"{address}?by=template&metric=prudence"))["by-slice"]
    assert drawn["layout"]["yaxis"]["ticktext"] == ["held-out", "seen"]


def test_a_scorecard_of_version_one_shows_what_it_has(member, scored, tmp_path):  # noqa: F811
    made = scored("base", BASE_ROWS)
    old = {
        k: v for k, v in made.scorecard.items() if k not in {"confidences", "knowledge_grid", "change", "probes", "best", "worst"}
    }
    Evaluation.objects.filter(pk=made.pk).update(scorecard=old | {"version": 1})
    page = page_of(member, reverse("dashboards:model", args=["base"]))
    assert "risk-coverage" not in figures_of(page) and "before risk by coverage was kept" in page


def test_a_model_without_a_scorecard_says_how_to_get_one(signed_in, model):  # noqa: F811
    model("fresh")
    page = page_of(signed_in("admin"), reverse("dashboards:model", args=["fresh"]))
    assert f"{reverse('evaluation:scorecard-queue')}?artifact=fresh" in page
    assert signed_in("member").get(reverse("dashboards:model", args=["nobody"])).status_code == 404


def test_the_same_over_http(member, scored):  # noqa: F811
    base = scored("base", BASE_ROWS)
    told = member.get("/api/dashboard/models/base").json()
    assert told["evaluations"][0]["id"] == base.pk and told["evaluations"][0]["is_newest"]
    assert member.get("/api/dashboard/models/nobody").status_code == 404
