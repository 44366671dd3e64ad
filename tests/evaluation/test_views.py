from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from evaluation.models import Benchmark, Evaluation
from evaluation.services import evaluation_queue
from jobs.models import Job
from tests.evaluation.conftest import BASE_ROWS
from tests.evaluation.samples import atlas_rows
from training.models import Artifact

pytestmark = pytest.mark.django_db
SignIn = Callable[[str], Client]
Scored = Callable[..., Evaluation]
SILENT = atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=3)
HONEST = atlas_rows(silent_unknown=0.97, right=0.99, seed=2)


def page(client: Client, name: str, *args: object, query: str = "") -> str:
    response = client.get(reverse(f"evaluation:{name}", args=args) + query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def test_an_empty_list_says_what_a_scorecard_is_and_offers_the_first(signed_in: SignIn) -> None:
    assert "No scorecards yet" in page(signed_in("admin"), "scorecard-list")
    assert "Evaluate a model" in page(signed_in("admin"), "scorecard-list")
    assert "Evaluate a model" not in page(signed_in("member"), "scorecard-list")


def test_the_list_shows_the_headline_and_the_sentence_without_reading_the_scorecards(
    signed_in: SignIn, scored: Scored, django_assert_max_num_queries
) -> None:
    base = scored("base", BASE_ROWS).artifact
    scored("silent", SILENT, base)
    client = signed_in("member")
    with django_assert_max_num_queries(5) as queries:
        text = page(client, "scorecard-list")
    assert "It got honest by falling silent" in text
    assert not any('"evaluation_evaluation"."scorecard"' in query["sql"] for query in queries.captured_queries)


def test_a_silent_model_is_visibly_bad_on_its_page(signed_in: SignIn, scored: Scored) -> None:
    evaluation = scored("silent", SILENT, scored("base", BASE_ROWS).artifact)
    text = page(signed_in("member"), "scorecard-detail", evaluation.pk)
    assert 'class="notice notice--error"' in text
    assert "It got honest by falling silent" in text


def test_a_scorecard_shows_numbers_baselines_slices_charts_with_tables_and_samples(signed_in: SignIn, scored: Scored) -> None:
    evaluation = scored("honest", HONEST, scored("base", BASE_ROWS).artifact)
    text = page(signed_in("member"), "scorecard-detail", evaluation.pk)
    assert "More honest on held-out people, and still answers what it knows." in text
    for part in ("Base model with a probability threshold", "All 29 slices", "untaught · B · hard", "Typical answers", "A − B"):
        assert part in text, part
    assert text.count("data-chart=") == 7
    assert text.count("The same as a table") == 7
    assert "n = 128" in text


def test_a_split_can_be_looked_at_alone(signed_in: SignIn, scored: Scored) -> None:
    evaluation = scored("honest", HONEST)
    text = page(signed_in("member"), "scorecard-detail", evaluation.pk, query="?slice=B · easy")
    assert "n = 64" in text
    assert "n = 128" in page(signed_in("member"), "scorecard-detail", evaluation.pk, query="?slice=nonsense")


def test_a_metric_without_a_value_says_why(signed_in: SignIn, scored: Scored) -> None:
    evaluation = scored("known", [row for row in BASE_ROWS if row.known])
    assert "no unknown items" in page(signed_in("member"), "scorecard-detail", evaluation.pk)


def test_a_scorecard_on_its_way_and_one_that_failed(
    signed_in: SignIn, benchmark: Benchmark, model: Callable[..., Artifact]
) -> None:
    evaluation = evaluation_queue(artifact=model("m"), benchmark=benchmark, actor=None)
    client = signed_in("member")
    assert "on its way" in page(client, "scorecard-detail", evaluation.pk)
    Job.objects.filter(pk=evaluation.job_id).update(state="failed", reason="No such model.")
    assert "No such model." in page(client, "scorecard-detail", evaluation.pk)
    assert client.get(reverse("evaluation:scorecard-json", args=[evaluation.pk])).status_code == 404
    assert client.get(reverse("evaluation:scorecard-answers", args=[evaluation.pk])).status_code == 404


def test_models_stand_side_by_side_with_paired_differences(signed_in: SignIn, scored: Scored) -> None:
    base = scored("base", BASE_ROWS)
    others = [scored("honest", HONEST, base.artifact), scored("silent", SILENT, base.artifact)]
    ids = ",".join(str(one.pk) for one in [base, *others])
    text = page(signed_in("member"), "scorecard-compare", query=f"?ids={ids}")
    assert "(the measure)" in text
    assert ">better<" in text
    assert ">worse<" in text
    assert "128 questions" in text
    as_boxes = f"?ids={base.pk}&ids={others[0].pk}"
    assert "silent" not in page(signed_in("member"), "scorecard-compare", query=as_boxes)


def test_a_comparison_needs_two_models_with_the_same_questions(signed_in: SignIn, scored: Scored) -> None:
    one = scored("base", BASE_ROWS)
    assert "at least two models" in page(signed_in("member"), "scorecard-compare", query=f"?ids={one.pk}")
    assert "at least two models" in page(signed_in("member"), "scorecard-compare", query="?ids=x,,")


def test_answers_that_are_gone_are_said_to_be_gone(signed_in: SignIn, scored: Scored) -> None:
    pair = [scored("base", BASE_ROWS), scored("honest", HONEST)]
    Job.objects.filter(pk=pair[1].job_id).update(folder="/nowhere")
    text = page(signed_in("member"), "scorecard-compare", query=f"?ids={pair[0].pk},{pair[1].pk}")
    assert "no longer on disk" in text


def test_of_a_benchmark_that_holds_nobody_out_no_page_speaks_of_held_out_people(signed_in: SignIn, scored: Scored) -> None:
    plain = [row.model_copy(update={"known": None, "slices": {}, "confidence": 0.9}) for row in HONEST[:40]]
    card = scored("plain", plain)
    card.scorecard["settings"]["confidence"] = "stated"
    Evaluation.objects.filter(pk=card.pk).update(scorecard=card.scorecard)
    client = signed_in("member")
    text = page(client, "scorecard-detail", card.pk)
    assert "held-out people" not in text and "Taught: the base model" not in text
    assert "Every metric: all questions" in text and "Confidence: stated by the model." in text
    assert "held-out people" not in page(client, "scorecard-list")
    assert "held-out people" not in client.get(reverse("dashboards:home")).content.decode()
    assert "held-out people" not in client.get(reverse("dashboards:overview")).content.decode()


def test_downloads(signed_in: SignIn, scored: Scored) -> None:
    base = scored("base", BASE_ROWS)
    honest = scored("honest", HONEST, base.artifact)
    client = signed_in("member")
    card = json.loads(page(client, "scorecard-json", honest.pk))
    assert card["metrics"]["truthful_rate"]["n"] == 128
    rows = list(csv.DictReader(io.StringIO(page(client, "scorecard-csv", honest.pk))))
    assert {row["model"] for row in rows} == {"honest", "Base model", "Base model with a probability threshold"}
    slices = honest.scorecard["slices"]
    slices["=HYPERLINK(1)"] = slices["B"]
    Evaluation.objects.filter(pk=honest.pk).update(scorecard=honest.scorecard)
    named = {row["slice"] for row in csv.DictReader(io.StringIO(page(client, "scorecard-csv", honest.pk)))}
    assert "'=HYPERLINK(1)" in named and "=HYPERLINK(1)" not in named, "a slice is named by whoever wrote the benchmark"
    compared = list(csv.DictReader(io.StringIO(page(client, "scorecard-compare-csv", query=f"?ids={base.pk},{honest.pk}"))))
    assert {row["model"] for row in compared} == {"base", "honest"}
    chart = client.get(f"{honest.get_absolute_url()}?csv=verdicts")
    assert chart["Content-Disposition"] == 'attachment; filename="honest-verdicts.csv"'
    answers = client.get(reverse("evaluation:scorecard-answers", args=[honest.pk]))
    assert len(b"".join(answers.streaming_content).splitlines()) == len(HONEST)
    assert "attachment" in answers["Content-Disposition"]


def test_an_admin_starts_an_evaluation(signed_in: SignIn, benchmark: Benchmark, model: Callable[..., Artifact]) -> None:
    model("m")
    client = signed_in("admin")
    assert "Compare with" in page(client, "scorecard-queue")
    response = client.post(
        reverse("evaluation:scorecard-queue"), {"artifact": "m", "benchmark": benchmark.pk, "hardware_tag": "cpu"}
    )
    evaluation = Evaluation.objects.get()
    assert response.headers["Location"] == evaluation.get_absolute_url()
    assert evaluation.requested_by.username == "admin"
    refused = client.post(
        reverse("evaluation:scorecard-queue"), {"artifact": "m", "base": "m", "benchmark": benchmark.pk, "hardware_tag": "cpu"}
    )
    assert refused.status_code == 422
    assert "its own baseline" in refused.content.decode()


def test_without_a_benchmark_the_form_says_how_to_get_one(signed_in: SignIn, db: None) -> None:
    assert "No benchmark yet" in page(signed_in("admin"), "scorecard-queue")


@pytest.mark.parametrize("name", ["scorecard-list", "scorecard-queue", "scorecard-compare", "scorecard-compare-csv"])
def test_annotators_are_kept_out(signed_in: SignIn, name: str) -> None:
    assert signed_in("annotator").get(reverse(f"evaluation:{name}")).status_code == 403


@pytest.mark.parametrize("name", ["scorecard-detail", "scorecard-json", "scorecard-csv", "scorecard-answers"])
def test_annotators_see_and_download_no_scorecard(signed_in: SignIn, scored: Scored, name: str) -> None:
    evaluation = scored("base", BASE_ROWS)
    assert signed_in("annotator").get(reverse(f"evaluation:{name}", args=[evaluation.pk])).status_code == 403
    allowed = signed_in("member").get(reverse(f"evaluation:{name}", args=[evaluation.pk]))
    assert allowed.status_code == 200
    assert b"".join(allowed)  # read to the end, which closes the file
    assert signed_in("member").get(reverse("evaluation:scorecard-queue")).status_code == 403
