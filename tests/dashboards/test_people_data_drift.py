"""The people, data and drift pages: what they draw is what was scored; filters, empty states, CSV and the API."""

import csv
import io
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from statsmodels.stats.proportion import proportion_confint

from accounts.models import User
from annotations.models import DatasetVersion, Import, Item, Project, QualityReport, Rater, Score, ScoreCount
from annotations.quality_compute import quality_run
from annotations.selectors.rollups import Counted, Spread
from annotations.services.revocations import revocation_lift, revoke
from annotations.services.rollups import score_counts_differing
from annotations.services.scoring import score_submit
from dashboards import data_charts, selectors
from dashboards.drift import BENCHMARK, WHO, Drift, Rewarded, mean_of
from dashboards.drift_charts import drift_over_time
from dashboards.paid import Paid, Reward, paid_by
from dashboards.people_charts import middle_of
from evaluation.models import Benchmark, Evaluation
from jobs.figures import Measured
from jobs.models import Job
from tests.annotations.conftest import items, person, project, tuple_of, write  # noqa: F401 (fixtures)
from tests.dashboards import seed
from tests.dashboards.test_overview import figures_of, page_of
from tests.dashboards.test_training_page import run_at
from training.models import Artifact, Run

pytestmark = pytest.mark.django_db
PEOPLE, DATA, DRIFT = "/dashboard/people/", "/dashboard/data/", "/dashboard/drift/"


@pytest.fixture
def member(client: Client) -> Client:
    user = User.objects.create_user("mia", role="member")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def scored(project: Project, items: list[Item], person) -> Project:  # noqa: F811
    """Ten items scored by two people who differ by one step, and by a gold rater."""
    Item.objects.filter(pk__in=[one.pk for one in items[:5]]).update(source_model="alpha")
    ann, bob = person("ann"), person("bob")
    for number, item in enumerate(items):
        score_submit(item=item, actor=ann, submission=uuid4(), overall=number % 4 - 1)
        score_submit(item=item, actor=bob, submission=uuid4(), overall=min(2, number % 4))
    gold = Rater.objects.create(kind="gold", name="gold")
    about = {"rater": gold, "rubric_version": project.rubric_version, "given_at": timezone.now()}
    Score.objects.bulk_create(Score(item=item, overall=-2, **about) for item in items[:5])
    return project


def test_empty_pages_say_how_to_fill_them(member):
    for page, way in ((PEOPLE, "annotations:score"), (DATA, "annotations:item-list"), (DRIFT, "annotations:score")):
        text = page_of(member, page)
        assert 'class="empty"' in text and reverse(way) in text


def test_pages_are_for_members(client, person):  # noqa: F811
    client.force_login(person("ann"), backend="django.contrib.auth.backends.ModelBackend")
    assert {client.get(page).status_code for page in (PEOPLE, DATA, DRIFT)} == {403}


def test_people_before_and_after_agreement_is_computed(member, scored):
    before = page_of(member, PEOPLE)
    assert "has not been computed" in before and reverse("annotations:project-quality-compute", args=["capitals"]) in before
    means = figures_of(before)["mean-weeks"]["data"]
    assert {one["name"]: one["y"] for one in means} == {"ann": [pytest.approx(0.3)], "bob": [pytest.approx(1.1)]}
    assert {one["x"][0] for one in means} == {middle_of(date.fromisoformat(means[0]["text"][0])).isoformat(" ")}
    report = quality_run(project=scored, actor=None).data
    after = page_of(member, PEOPLE)
    alpha = report["agreement"][0]["alpha"]
    (dots,) = figures_of(after)["alpha"]["data"]
    assert dots["x"] == [pytest.approx(alpha["value"])] and dots["y"] == ["Capitals"]
    assert dots["error_x"]["array"] == [pytest.approx(alpha["interval"]["high"] - alpha["value"])]
    biases = {one["rater"]: one["bias"]["value"] for one in report["annotators"]}
    drawn = figures_of(after)["bias"]["data"][0]
    assert dict(zip(drawn["y"], drawn["x"], strict=True)) == {
        Rater.objects.get(pk=pk).name: pytest.approx(value) for pk, value in biases.items()
    }
    weeks = {one["name"]: one["y"] for one in figures_of(after)["bias-weeks"]["data"]}
    assert weeks == {
        Rater.objects.get(pk=one["rater"]).name: [row["bias"] for row in one["over_time"]["rows"]] for one in report["annotators"]
    }
    ann = Rater.objects.get(name="ann")
    assert f'<a href="{reverse("annotations:project-quality-annotator", args=["capitals", ann.pk])}">ann</a>' in after
    told = member.get("/api/dashboard/people").json()
    assert told[0]["alpha"]["value"] == pytest.approx(alpha["value"]) and told[0]["scores"] == 20
    assert {one["name"]: one["scores"] for one in member.get("/api/dashboard/people/capitals").json()["people"]} == {
        "ann": 10,
        "bob": 10,
    }
    assert member.get("/api/dashboard/people/nowhere").status_code == 404


def test_of_many_models_the_table_has_those_with_the_most_scores_and_the_others_together(monkeypatch):
    monkeypatch.setattr(data_charts, "MODELS_LISTED", 2)
    rows = [Counted((f"m{number}", "person"), None, number % 3, 10 - number, 1.0) for number in range(5)]
    table = data_charts.model_bars([*rows, Counted(("m0", "gold"), None, 2, 99, 198.0)], "person").table
    assert [row[0] for row in table] == ["m0", "m1", "3 others"] and [row[-2] for row in table] == [10, 9, 8 + 7 + 6]
    assert table[2][-1] == pytest.approx(3 / 21)


def test_the_people_page_reads_no_whole_report(member, scored, django_assert_max_num_queries):
    quality_run(project=scored, actor=None)
    QualityReport.objects.update(data={"annotators": []})
    with django_assert_max_num_queries(13) as asked:
        page = page_of(member, PEOPLE)
    assert figures_of(page)["alpha"]["data"][0]["x"] and figures_of(page)["bias"]["data"][0]["x"]
    assert not [one["sql"] for one in asked if "data__" in one["sql"] or '"annotations_qualityreport"."data"' in one["sql"]]


def test_whose_lines_are_drawn_is_in_the_address_and_what_runs_is_live(member, scored):
    page = page_of(member, f"{PEOPLE}?project=capitals&person=bob")
    assert [one["name"] for one in figures_of(page)["mean-weeks"]["data"]] == ["bob"]
    assert "data-charts-live" not in page
    QualityReport.objects.create(project=scored, job=seed.job("annotations.quality", "Quality", state="running"))
    assert "data-charts-live" in page_of(member, PEOPLE)


def test_what_was_read_a_moment_before_stills_no_page(member, scored, settings):
    settings.DASHBOARD_SECONDS = 60
    data, asked = seed.dataset("going"), Benchmark.objects.create(name="atlas", version="1", hash="f" * 64, folder="/", n=600)
    for page in (PEOPLE, DATA, "/dashboard/"):
        assert "data-charts-live" not in page_of(member, page)
    report = QualityReport.objects.create(project=scored, job=seed.job("annotations.quality", "Quality", state="running"))
    DatasetVersion.objects.filter(pk=data.pk).update(ready_at=None, job=seed.job("annotations.build", "Build", state="running"))
    evaluation = seed.evaluation(seed.run("asked", data=data).artifact, asked, seed.TREND[0])
    Job.objects.filter(pk=evaluation.job_id).update(state="queued", finished_at=None, started_at=None)
    for page in (PEOPLE, DATA, "/dashboard/"):
        assert "data-charts-live" in page_of(member, page), page
    ended = {"state": "succeeded", "finished_at": timezone.now(), "lease_token": None}
    Job.objects.filter(pk=report.job_id).update(**ended)
    assert "data-charts-live" in page_of(member, PEOPLE), "what is shared may be of before it ended: one look more"


def test_an_old_dataset_stays_chosen_and_what_is_not_there_is_said_to_be_missing(member, scored, monkeypatch):
    monkeypatch.setattr("dashboards.data.DATASETS_LISTED", 2)
    for name in ("old", "new-1", "new-2"):
        seed.dataset(name)
    page = page_of(member, f"{DATA}?dataset=old")
    options = page.split('name="dataset"')[1].split("</select>")[0]
    assert re.findall(r"<option( selected)?>([^<]+)", options) == [("", "new-2"), ("", "new-1"), (" selected", "old")]
    for address in (f"{DATA}?dataset=gone", f"{DATA}?project=gone", f"{PEOPLE}?project=gone"):
        assert member.get(address).status_code == 404


def test_imports_that_were_all_taken_back_are_still_listed(member, scored):
    Import.objects.update(undone_at=timezone.now())
    page = page_of(member, DATA)
    assert "Nothing that was imported still stands" in page and "taken back" in page and "origins" not in figures_of(page)


def test_data_shows_how_scores_lie_by_whom_and_of_which_model(member, scored):
    charts = figures_of(page_of(member, DATA))
    bars = {one["name"]: one["customdata"] for one in charts["spread"]["data"]}
    assert bars == {"Person": [0, 3, 6, 5, 6], "Gold answers": [5, 0, 0, 0, 0]}
    answer = member.get(f"{DATA}?kind=gold&csv=by-model")
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert rows[1] == ["alpha", "5", "0", "0", "0", "0", "0", "5", "-2.0"] and len(rows) == 2
    told = member.get("/api/dashboard/data?project=capitals").json()
    assert told["items"] == 10 and sum(one["scores"] for one in told["scores"]) == 25
    assert [one["name"] for one in told["origins"]] == ["tuples"] and told["origins"][0]["items"] == 10


def test_what_was_withdrawn_is_gone_from_the_page(member, scored):
    Score.objects.filter(rater__kind="gold").update(withdrawn_at=timezone.now())
    charts = figures_of(page_of(member, DATA))
    assert [one["name"] for one in charts["spread"]["data"]] == ["Person"]
    assert score_counts_differing() == []


def test_a_dataset_s_card_and_why_rows_were_dropped(member, scored):
    report = {"gate": {"seen": 40, "drops": {"too short": 3, "flagged": 7}}, "splits": {"train": 25, "eval": 5, "test": 0}}
    made = DatasetVersion.objects.create(
        name="first", kind="sft", project=scored, ready_at=timezone.now(), verdict="warn", report=report
    )
    made.contributors.create(
        rater=Rater.objects.get(name="ann"), rubric_version=scored.rubric_version, rows=25, items=10, scores=10
    )
    page = page_of(member, f"{DATA}?dataset=first")
    drops = figures_of(page)["drops"]["data"][0]
    assert dict(zip(drops["y"], drops["x"], strict=True)) == {"flagged (rows)": 7, "too short (rows)": 3}
    assert figures_of(page)["shares"]["data"][0]["y"] == ["ann (person)"]
    assert reverse("annotations:dataset-detail", args=["first"]) in page


def test_the_newest_version_that_was_built_is_shown_and_one_that_was_not_has_no_figures(member, scored):
    DatasetVersion.objects.create(name="built", kind="sft", project=scored, ready_at=timezone.now(), verdict="ok", report={})
    DatasetVersion.objects.create(name="going", kind="sft", project=scored, job=seed.job("annotations.dataset", "going"))
    assert reverse("annotations:dataset-detail", args=["built"]) in page_of(member, DATA)
    page = page_of(member, f"{DATA}?dataset=going")
    assert "looked at" not in page and "Nothing was dropped" not in page and "no figures" in page


def test_scorecards_of_models_that_no_reward_made_are_drawn_too(member, tmp_path):
    made = seed.run("plain", data=seed.dataset()).artifact
    asked = Benchmark.objects.create(name="atlas", version="1", hash="f" * 64, folder=str(tmp_path), n=600)
    carded(made, asked, 0.5)
    page = page_of(member, DRIFT)
    assert [line["y"] for line in figures_of(page)["drift"]["data"]] == [[0.5]]
    assert f'value="{asked.pk}" selected' in page and "No model was trained on a reward yet" in page


BEGAN = 1_790_000_000.0


@pytest.fixture
def paid(scored, tmp_path) -> Run:
    """A run of alpha from plain whose reward and reward model rise, while the scorecard on atlas falls from 0.5 to −1.5."""
    data = seed.dataset()
    base = seed.run("plain", data=data).artifact
    made = run_at(tmp_path, "alpha", data=data, parts=True, base=base)
    made.spec = {"reward": {"parts": [{"kind": "reward_model"}]}}
    made.save()
    rows = [{"step": step, "time": BEGAN + 60 * step, "reward": step / 10} for step in range(10)]
    told = [
        {"prompt": "?", "completion": "!", "step": step, "parts": {"reward_model": step + place / 10}}
        for step in range(10)
        for place in range(3)
    ]
    for name, lines in (("metrics", rows), ("completions", told)):
        (tmp_path / "alpha" / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in lines))
    asked = Benchmark.objects.create(name="atlas", version="1", hash="f" * 64, folder=str(tmp_path), n=600)
    for artifact, low in ((base, 0.5), (made.artifact, -1.5)):
        carded(artifact, asked, low)
    return made


def carded(
    artifact: Artifact, asked: Benchmark, score: float, difference: tuple[float, float, float] | None = None
) -> Evaluation:
    one = seed.evaluation(artifact, asked, seed.TREND[0])
    one.headline["metrics"]["mean_rubric_score"] = {"value": score, "low": score - 0.1, "high": score + 0.1, "n": 600}
    if difference:
        value, low, high = difference
        one.base = artifact.base
        about = {"value": value, "low": low, "high": high, "n": 600, "p_adjusted": 0.001 if low * high > 0 else 0.6}
        one.headline["differences"] = {"mean_rubric_score": about}
    one.save()
    return one


def test_drift_is_one_chart_over_time_of_what_is_said_and_what_was_paid(member, paid):
    figure = figures_of(page_of(member, f"{DRIFT}?model=alpha"))["drift"]
    lines = {one["name"]: one for one in figure["data"]}
    assert lines.keys() == {"people", "gold answers", "scorecard (gold)", "policy reward", "reward model"}
    assert {name: one["yaxis"] for name, one in lines.items() if one["yaxis"] != "y"} == {
        "policy reward": "y2", "reward model": "y2",
    }  # fmt: skip
    assert figure["layout"]["xaxis"]["anchor"] == "y2", "both panels have one axis of time"
    assert lines["gold answers"]["y"] == [-2.0]
    week = ScoreCount.objects.exclude(source_model=None).values_list("week", flat=True).first()
    assert lines["gold answers"]["x"] == [f"{week + timedelta(days=3)} 12:00:00"], "a week's scores stand in its middle"
    assert dict(zip(lines["scorecard (gold)"]["customdata"], lines["scorecard (gold)"]["y"], strict=True)) == {
        "plain": 0.5, "alpha": -1.5,
    }  # fmt: skip
    began = datetime.fromtimestamp(BEGAN, UTC)
    assert lines["policy reward"]["x"][:2] == [f"{began:%Y-%m-%d %H:%M:%S}", f"{began + timedelta(minutes=1):%Y-%m-%d %H:%M:%S}"]
    assert lines["policy reward"]["y"] == [pytest.approx(step / 10) for step in range(10)] + [None], "runs are not joined"
    assert lines["reward model"]["x"] == lines["policy reward"]["x"], "steps are told by the metrics' clock"
    assert lines["reward model"]["y"][:2] == [pytest.approx(0.1), pytest.approx(1.1)]


def test_a_model_that_was_made_but_never_measured_makes_an_empty_chart_and_no_failure():
    found = Drift(models=[], benchmark=None, benchmarks=[], made={"plain": (timezone.now(), Measured(None))}, answered=[])
    assert drift_over_time([], found).figure["data"] == []


def test_the_file_behind_the_chart_over_time_has_every_point(member, paid):
    page = page_of(member, f"{DRIFT}?model=alpha")
    told = list(csv.DictReader(io.StringIO(member.get(f"{DRIFT}?model=alpha&csv=drift").content.decode())))
    by_what = Counter(row["what"] for row in told)
    assert by_what == {"people": 1, "gold answers": 1, "scorecard (gold)": 2, "policy reward": 10, "reward model": 10}
    assert sorted(row["time (UTC)"] for row in told) == [row["time (UTC)"] for row in told]
    shown = page.split('id="figure-drift"')[1].split("</table>")[0]
    assert shown.count("<td>policy reward</td>") == 2, "the page's table has each run's first and last stretch"


def test_drift_holds_what_was_paid_against_what_is_said(member, paid):
    page = page_of(member, DRIFT)
    said_of = {one["name"]: one["y"] for one in figures_of(page)["rewards-models"]["data"]}
    assert said_of["policy reward, first fifth"] == [pytest.approx(0.05)]
    assert said_of["policy reward, last fifth"] == [pytest.approx(0.85)]
    assert said_of["reward model, last fifth"] == [pytest.approx(8.6)]
    said = {one["name"]: one["y"] for one in figures_of(page)["scores-models"]["data"]}
    assert said["gold answers"] == [-2.0] and said["scorecard (gold)"] == [-1.5]
    assert "its reward rose while its scorecard fell" in page
    told = member.get("/api/dashboard/drift").json()
    (one,) = told["models"]
    assert (one["model"], one["from"], one["drifted"], one["lower_scores_by"]) == ("alpha", "plain", True, [])
    assert one["policy_reward"]["course"][0]["mean"] == 0 and told["benchmark"] == "f" * 64


def test_a_scorecard_of_something_else_hides_no_drift(member, paid, tmp_path):
    other = Benchmark.objects.create(name="selfaware", version="1", hash="e" * 64, folder=str(tmp_path), n=600)
    carded(seed.run("stranger", data=paid.dataset).artifact, other, 0.1)
    carded(paid.artifact, other, 0.2)
    page = page_of(member, DRIFT)
    assert "its reward rose while its scorecard fell" in page, "both models were asked atlas"
    assert page.split("Scorecard (gold)<br>")[1].startswith('<span class="muted small">atlas 1')
    asked = page_of(member, f"{DRIFT}?benchmark={other.pk}")
    assert "its reward rose while its scorecard fell" not in asked and "selfaware 1</span>" in asked
    assert member.get(f"{DRIFT}?benchmark=12345").status_code == 404
    assert member.get(f"/api/dashboard/drift?benchmark={other.hash}").json()["benchmark"] == other.hash


def test_the_paired_difference_of_the_scorecard_decides(member, paid):
    asked = Benchmark.objects.get()
    carded(paid.artifact, asked, -1.5, (-2.0, -2.4, 1.6))
    assert "its reward rose while its scorecard fell" not in page_of(member, DRIFT), "paired, it may be chance"
    carded(paid.artifact, asked, 0.45, (-0.05, -0.07, -0.03))
    assert "its reward rose while its scorecard fell" in page_of(member, DRIFT), "paired, a small fall shows"


def test_an_address_means_the_same_for_ever(member, paid):
    page = page_of(member, f"{DRIFT}?model=nobody")
    assert "nobody has no scores" in page and "drift" not in figures_of(page)
    assert '<option value="nobody" selected>' in page
    assert member.get(f"{DRIFT}?project=nowhere").status_code == 404
    assert member.get(f"{DRIFT}?benchmark={'9' * 5000}").status_code == 404


def test_drift_is_said_of_the_same_questions_only_and_of_changes_beyond_chance():
    nothing = {who: Measured(None) for who in (*WHO, BENCHMARK)}
    low, near, high = Measured(-1, -1.2, -0.8), Measured(0.9, 0.7, 1.1), Measured(1, 0.8, 1.2)
    rising, falling = Reward(0.1, 0.9, is_chance=False), Reward(0.9, 0.1, is_chance=False)

    def told(policy: Reward, who: str, now: Measured, before: Measured) -> tuple[bool, list[str]]:
        one = Rewarded(None, Paid(policy, (), Reward(), ()), {**nothing, who: now}, {**nothing, who: before})  # type: ignore[arg-type]
        return one.drifted, one.lower

    assert told(rising, BENCHMARK, low, high) == (True, [])
    assert told(rising, "gold", low, high) == (False, ["gold"]), "of whatever questions each model happened to get"
    for policy, now in ((rising, near), (rising, Measured(None)), (falling, low), (Reward(), low), (Reward(0.5, 0.5001), low)):
        assert told(policy, BENCHMARK, now, high) == told(policy, "gold", now, high) == (False, [])


def test_a_mean_s_interval_is_student_s_and_a_few_scores_have_none():
    from scipy import stats

    def of(*scores: int) -> Measured:
        return mean_of(Spread.of(Counted("x", None, one, scores.count(one), float(one * scores.count(one))) for one in {*scores}))

    scores = [-2] * 3 + [0] * 4 + [1] * 13
    found = of(*scores)
    low, high = stats.t.interval(0.95, 19, loc=sum(scores) / 20, scale=stats.sem(scores))
    assert (found.value, found.low, found.high) == pytest.approx((sum(scores) / 20, low, high), abs=1e-6)
    assert of(*[2, 1] * 4) == Measured(1.5), "eight scores say too little of how far they lie apart"
    same = of(*[2] * 12)
    low, high = proportion_confint(12, 12, method="wilson")
    assert (same.low, same.high) == pytest.approx((4 * low - 2, 4 * high - 2), abs=1e-9), "all the same is no certainty"


def test_a_policy_s_reward_rises_beyond_chance_or_not(tmp_path):
    data = seed.dataset()
    noisy = run_at(tmp_path, "noisy", data=data)
    values = [0.5, 0.1, 0.9, 0.4, 0.6] * 4 + [0.5, 0.1, 0.9, 0.4, 0.61]
    rows = [{"step": step, "time": BEGAN + step, "reward": value} for step, value in enumerate(values)]
    (tmp_path / "noisy" / "metrics.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    reward = paid_by(noisy).policy
    assert reward.change == pytest.approx(0.002) and reward.is_chance and not reward.rose


def test_pages_read_neither_scores_nor_items(member, scored):
    quality_run(project=scored, actor=None)
    for page in (PEOPLE, DATA, DRIFT, "/dashboard/"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page_of(member, page)
        assert len(queries) < 25
        assert not any('FROM "annotations_score"' in one["sql"] or 'FROM "annotations_item"' in one["sql"] for one in queries)


def test_revoked_scores_are_in_no_figure_and_said_beside_them_until_they_count_again(member, scored):
    """On the people, data and home pages, over the API, and without a look at a score."""
    ann = Rater.objects.get(kind="person", name="ann")
    quality_run(project=scored, actor=None)
    assert "revoked" not in page_of(member, PEOPLE) and member.get("/api/dashboard/data").json()["revoked"] == 0
    made = revoke(target=ann, reason="Guessed.", actor=None)
    page = page_of(member, f"{PEOPLE}?project={scored.slug}")
    assert "10 revoked</a>, left out" in page and "scores were revoked, or came back, since" in page
    assert "10 live scores by people" in page and reverse("evaluation:ledger-rater", args=[ann.pk]) in page
    people = {one["name"]: one for one in member.get(f"/api/dashboard/people/{scored.slug}").json()["people"]}
    assert (people["ann"]["scores"], people["ann"]["revoked"]) == (0, 10) and people["bob"]["revoked"] == 0
    (about,) = member.get("/api/dashboard/people").json()
    assert (about["scores"], about["revoked"], about["is_outdated"]) == (10, 10, True)
    data = member.get("/api/dashboard/data").json()
    assert sum(one["scores"] for one in data["scores"] if one["by"] == "person") == 10 and data["revoked"] == 10
    with CaptureQueriesContext(connection) as asked:
        page = page_of(member, DATA)
    assert "15 live scores" in page and "10 revoked</a>, left out" in page
    assert not [one["sql"] for one in asked if '"annotations_score"' in one["sql"]]
    assert selectors.overview().standing.scores == 10
    assert (
        "Scores of this project were revoked"
        in member.get(reverse("annotations:project-quality", args=[scored.slug])).content.decode()
    )
    quality_run(project=scored, actor=None)
    assert not member.get(f"/api/projects/{scored.slug}/quality").json()["is_outdated"]
    revocation_lift(revocation=made, reason="Another ann.", actor=None)
    assert member.get(f"/api/projects/{scored.slug}/quality").json()["is_outdated"]
    assert "20 live scores by people" in page_of(member, f"{PEOPLE}?project={scored.slug}")
    assert selectors.overview().standing.scores == 20 and member.get("/api/dashboard/data").json()["revoked"] == 0
    assert score_counts_differing() == []
