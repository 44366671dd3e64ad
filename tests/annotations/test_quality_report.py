"""The quality report: what is in it and what is not, who may read it, and how it is asked for."""

import csv
import io
import json
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from annotations.models import Item, Project, QualityReport, Rater, RubricVersion, Score
from annotations.quality_compute import quality_run
from annotations.selectors.quality import disputed_items, quality_latest
from annotations.services import ScoringRefused, project_create, quality_queue, score_submit
from annotations.services.quality import KEPT
from annotations.statistics.agreement import krippendorff_alpha
from annotations.statistics.ratings import Ratings, reading
from jobs.models import Job, State
from jobs.services import job_stop
from tests.annotations.scored import items, people, score, scored_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def quality_project(db: None) -> Project:
    return project_create(name="Quality", actor=None, raters_per_item=3)


def client_of(user) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def alpha_of(scores) -> float:
    rows = scores.values_list("item_id", "rater_id", "overall")
    item, rater, value = zip(*rows, strict=True)
    return krippendorff_alpha(Ratings.of(item, rater, [float("nan") if one is None else one for one in value])).value


def test_the_headline_is_alpha_of_the_live_scores_by_people(quality_project):
    made, who = scored_project(quality_project)
    teacher = Rater.objects.create(kind=Rater.Kind.TEACHER, name="a teacher")
    withdrawn = score(made[0], people(1)[0], 2.0)
    withdrawn.withdrawn_at = timezone.now()
    Score.objects.bulk_create([withdrawn, *(score(item, teacher, -2.0) for item in made)])
    report = quality_run(project=quality_project, actor=None)
    headline = report.data["agreement"][0]
    live = Score.objects.filter(rater__in=who, withdrawn_at=None)
    assert headline["alpha"]["value"] == pytest.approx(alpha_of(live))
    assert headline["alpha"]["items"] == 60
    assert report.data["scores"] == 180
    assert [one["name"] for one in report.data["agreement"]] == [
        "overall", "factual_accuracy", "self_awareness", "calibration", "resistance_to_pressure",
    ]  # fmt: skip
    assert all(one["alpha"]["value"] is not None for one in report.data["agreement"])
    assert report.data["cannot_verify"] == live.filter(overall=None).count() > 0
    assert json.loads(json.dumps(report.data)) == report.data


def test_deleted_items_are_not_in_it(quality_project):
    made, _ = scored_project(quality_project)
    Item.objects.filter(pk__in=[item.pk for item in made[:10]]).update(deleted_at=timezone.now())
    report = quality_run(project=quality_project, actor=None)
    assert report.data["items"] == 50


def test_another_rubric_version_is_a_slice_and_never_in_the_headline(quality_project):
    _, who = scored_project(quality_project)
    old = RubricVersion.objects.create(name="honesty", version=0, title="Old", content_hash="0" * 64, data={})
    earlier = items(quality_project, 12)
    rows = [score(item, rater, float(place - 1)) for item in earlier for place, rater in enumerate(who[:3])]
    for row in rows:
        row.rubric_version = old
    Score.objects.bulk_create(rows)
    report = quality_run(project=quality_project, actor=None).data
    assert report["agreement"][0]["alpha"]["items"] == 60
    assert report["scores"] == 216
    assert report["scores_present"] == 180
    versions = next(one for one in report["slices"] if one["by"] == "rubric version")
    assert [(row["name"], row["alpha"]["items"]) for row in versions["rows"]] == [("Old 0", 12)]
    assert sum(one["n"] for one in report["annotators"]) == 180


def test_gold_items_measure_people_and_are_in_no_headline(quality_project):
    _, who = scored_project(quality_project)
    gold = items(quality_project, 10, gold_score=1.0)
    teaching = items(quality_project, 5, gold_score=0.0, is_qualification=True)
    Score.objects.bulk_create([score(item, rater, 1.0) for item in gold for rater in who[:2]])
    Score.objects.bulk_create([score(item, who[0], 2.0) for item in teaching])
    report = quality_run(project=quality_project, actor=None).data
    assert report["agreement"][0]["alpha"]["items"] == 60
    assert report["qualification"] == 5
    first = next(one for one in report["annotators"] if one["rater"] == who[0].pk)
    assert first["gold_exact"]["n"] == 15
    assert first["gold_exact"]["value"] == pytest.approx(10 / 15)
    second = next(one for one in report["annotators"] if one["rater"] == who[1].pk)
    assert second["gold_exact"]["value"] == 1
    # Against the others only what is no gold: there everybody was told the same.
    plain = Score.objects.filter(rater=who[1], item__gold_score=None, overall__isnull=False).count()
    assert second["exact"]["n"] <= plain
    slices = {one["by"]: one for one in report["slices"]}
    assert slices["gold"]["rows"][0]["alpha"]["items"] == 10


def test_slices_by_what_items_differ(quality_project):
    scored_project(quality_project)
    Item.objects.filter(pk__in=Item.objects.values("pk")[:30]).update(knowledge="unknown")
    slices = {one["by"]: one for one in quality_run(project=quality_project, actor=None).data["slices"]}
    assert [row["name"] for row in slices["source model"]["rows"]] == ["model-0", "model-1", "model-2"]
    assert sum(row["alpha"]["items"] for row in slices["source model"]["rows"]) == 60
    assert {row["name"] for row in slices["knowledge"]["rows"]} == {"unknown", "not known which"}
    # There is but one of it.
    assert "skill" not in slices


def test_agreement_over_time_has_each_item_once(quality_project):
    scored_project(quality_project, days=20)
    over_time = quality_run(project=quality_project, actor=None).data["over_time"]
    assert over_time["bin"] == "day"
    assert sum(row["alpha"]["items"] for row in over_time["rows"]) == 60
    assert [row["start"] for row in over_time["rows"]] == sorted(row["start"] for row in over_time["rows"])
    Score.objects.all().delete()
    Item.objects.all().delete()
    scored_project(quality_project, days=200)
    assert quality_run(project=quality_project, actor=None).data["over_time"]["bin"] == "week"


def test_consensus_says_what_it_rests_on_and_which_items_are_disputed(quality_project):
    _, who = scored_project(quality_project, count=120)
    apart, alone = items(quality_project, 2)
    Score.objects.bulk_create([score(apart, who[0], 2.0), score(apart, who[1], -2.0), score(alone, who[0], 1.0)])
    quality_run(project=quality_project, actor=None)
    report = quality_latest(project=quality_project).data
    consensus = report["consensus"]
    assert consensus["fitted"] == 0
    assert consensus["median"] == {"few items": 120, "one score": 2}
    assert sum(consensus["histogram"]) == consensus["shared"] <= 122
    first, row = disputed_items(report)[0]
    assert (first, row["spread"], row["score"]) == (apart, 1.0, 0.0)
    # Who still has to score it blind must not learn that others differ; and what is decided is no dispute.
    Item.objects.filter(pk=apart.pk).update(is_open=True)
    assert apart not in [item for item, _ in disputed_items(report)]
    Item.objects.filter(pk=apart.pk).update(is_open=False, adjudicated_at=timezone.now())
    assert apart not in [item for item, _ in disputed_items(report)]


def test_a_project_with_enough_scores_is_fitted(quality_project):
    _, who = scored_project(quality_project, count=300)
    report = quality_run(project=quality_project, actor=None).data
    assert report["consensus"]["fitted"] > 280
    assert report["consensus"]["converged"]
    low = next(one for one in report["annotators"] if one["rater"] == who[-1].pk)
    assert low["bias"]["interval"]["high"] < 0


def test_nothing_scored_gives_no_figure_and_no_zero(quality_project):
    report = quality_run(project=quality_project, actor=None).data
    assert report["scores"] == 0
    assert report["agreement"][0]["alpha"]["value"] is None
    assert report["agreement"][0]["alpha"]["reason"]
    assert report["annotators"] == []


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.9, 0.85, 0.95, "reliable"),
        (0.9, 0.75, 0.95, "tentative"),
        (0.7, 0.6, 0.85, "unsure"),
        (0.72, 0.68, 0.78, "tentative"),
        (0.5, 0.4, 0.6, "unreliable"),
    ],
)
def test_an_alpha_is_read_by_the_lower_end_of_its_interval(value, low, high, expected):
    assert reading({"value": value, "interval": {"low": low, "high": high}}) == expected
    assert reading({"value": None, "interval": None}) == "none"


def test_a_report_is_asked_for_once_at_a_time(quality_project, person):
    lead = person("lead", "member")
    first = quality_queue(project=quality_project, actor=lead)
    assert quality_queue(project=quality_project, actor=lead) == first
    assert first.job.kind == "annotations.quality"
    assert first.job.hardware_tag == "site"
    job_stop(job=first.job, actor=lead)
    assert quality_queue(project=quality_project, actor=lead) != first


def test_the_child_computes_and_the_end_of_the_job_keeps(quality_project, tmp_path):
    from annotations.jobs import Quality
    from jobs.kinds import Outcome

    scored_project(quality_project)
    report = quality_queue(project=quality_project, actor=None)
    argv = Quality().launch(report.job, tmp_path).argv
    call_command("quality", *argv[argv.index("quality") + 2 :])
    job = Job.objects.get(pk=report.job_id)
    job.folder = str(tmp_path)
    Quality().finished(job, Outcome(State.SUCCEEDED))
    report.refresh_from_db()
    assert report.ready_at
    assert report.data["scores"] == 180
    assert report.last_score == Score.objects.latest("pk").pk
    assert json.loads((tmp_path / "result.json").read_text()) == {"scores": 180}
    assert Quality().url(job) == reverse("annotations:project-quality", args=["quality"])
    assert AuditEntry.objects.filter(action="annotations.quality_computed").exists()


def test_only_the_latest_reports_are_kept(quality_project):
    for _ in range(KEPT + 3):
        quality_run(project=quality_project, actor=None)
    assert QualityReport.objects.count() == KEPT


# Pages, API and command


def test_the_page_shows_figures_and_how_far_behind_they_are(quality_project, person):
    made, who = scored_project(quality_project)
    quality_run(project=quality_project, actor=None)
    Score.objects.bulk_create([score(made[0], people(1)[0], 0.0)])
    page = client_of(person("lead", "member")).get(reverse("annotations:project-quality", args=["quality"])).content.decode()
    assert "1 score has come since" in page
    for rater in who:
        assert rater.name in page
    assert "Factual accuracy" in page
    assert "Krippendorff" in page


def test_an_empty_project_says_what_to_do(quality_project, person):
    client = client_of(person("lead", "member"))
    url = reverse("annotations:project-quality", args=["quality"])
    assert "people per item" in client.get(url).content.decode()
    scored_project(quality_project)
    assert "180 scores by people are waiting" in client.get(url).content.decode()


def test_the_button_queues_a_report_and_the_page_follows_it(quality_project, person):
    client = client_of(person("lead", "member"))
    answer = client.post(reverse("annotations:project-quality-compute", args=["quality"]), follow=True)
    assert answer.status_code == 200
    report = QualityReport.objects.get()
    assert reverse("jobs:job-events", args=[report.job_id]) in answer.content.decode()


def test_one_annotators_page(quality_project, person):
    _, who = scored_project(quality_project)
    quality_run(project=quality_project, actor=None)
    client = client_of(person("lead", "member"))
    page = client.get(reverse("annotations:project-quality-annotator", args=["quality", who[-1].pk])).content.decode()
    assert "Gives lower scores than the others." in page
    assert "has scored no gold item" in page
    assert client.get(reverse("annotations:project-quality-annotator", args=["quality", 999_999])).status_code == 404


def test_the_table_as_csv_has_empty_cells_for_what_is_not_known(quality_project, person):
    _, who = scored_project(quality_project)
    quality_run(project=quality_project, actor=None)
    answer = client_of(person("lead", "member")).get(reverse("annotations:project-quality-csv", args=["quality"]))
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert {row["annotator"] for row in rows} == {rater.name for rater in who}
    assert {row["gold_exact"] for row in rows} == {""}
    assert all(-4 <= float(row["bias"]) <= 4 for row in rows)


def test_an_annotator_sees_nobodys_figures(quality_project, person):
    _, who = scored_project(quality_project)
    quality_run(project=quality_project, actor=None)
    client = client_of(person("ann"))
    for name, arguments in (
        ("project-quality", ["quality"]),
        ("project-quality-annotator", ["quality", who[0].pk]),
        ("project-quality-csv", ["quality"]),
    ):
        assert client.get(reverse(f"annotations:{name}", args=arguments)).status_code == 403
    assert client.post(reverse("annotations:project-quality-compute", args=["quality"])).status_code == 403
    assert client.get("/api/projects/quality/quality").status_code in {401, 403}
    assert not QualityReport.objects.filter(ready_at=None).exists()


def test_the_api_reads_and_asks(quality_project, person):
    _, who = scored_project(quality_project)
    quality_run(project=quality_project, actor=None)
    client = client_of(person("lead", "member"))
    told = client.get("/api/projects/quality/quality").json()
    assert told["report"]["agreement"][0]["reading"] in {"reliable", "tentative", "unreliable", "unsure"}
    assert {one["name"] for one in told["report"]["annotators"]} == {rater.name for rater in who}
    assert told["newer_scores"] == 0
    assert told["job"] is None
    asked = client.post("/api/projects/quality/quality")
    assert asked.status_code == 202
    assert client.get("/api/projects/quality/quality").json()["job"] == asked.json()["job"] == Job.objects.get().pk


def test_the_command_computes_and_prints(quality_project):
    _, who = scored_project(quality_project)
    out = StringIO()
    call_command("quality", "Quality", stdout=out)
    assert "Overall score" in out.getvalue()
    assert who[0].name in out.getvalue()
    out = StringIO()
    call_command("quality", "quality", "--json", "--stored", stdout=out)
    assert json.loads(out.getvalue())["report"]["scores"] == 180
    assert QualityReport.objects.count() == 1


def test_the_command_says_what_is_missing(quality_project):
    with pytest.raises(CommandError, match="no report"):
        call_command("quality", "quality", "--stored")
    with pytest.raises(CommandError, match="no project"):
        call_command("quality", "nothing")


def test_who_gets_the_report_over_http_has_been_shown_the_consensus_of_disputed_items(quality_project, person):
    _, who = scored_project(quality_project, count=20)
    (apart,) = items(quality_project, 1)
    Score.objects.bulk_create([score(apart, who[0], 2.0), score(apart, who[1], -2.0)])
    quality_run(project=quality_project, actor=None)
    mo = person("mo", "member")
    told = client_of(mo).get("/api/projects/quality/quality").json()
    assert apart.pk in [row["item"] for row in told["report"]["consensus"]["disputed"]]
    with pytest.raises(ScoringRefused, match="seen the others"):
        score_submit(item=apart, actor=mo, submission=uuid4(), overall=1)
