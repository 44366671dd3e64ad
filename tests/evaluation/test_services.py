from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps

from accounts.models import AuditEntry
from evaluation.jobs import ScorecardEvaluation
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.scorecard import Scorecard
from evaluation.services import EvaluationRefused, benchmark_register, evaluate_spec, evaluation_queue
from jobs.models import Job
from tests.evaluation.conftest import BASE_ROWS
from tests.evaluation.samples import atlas_rows
from training.models import Artifact

pytestmark = pytest.mark.django_db


def test_the_same_questions_are_registered_once(benchmark: Benchmark, benchmark_folder: Path) -> None:
    assert benchmark_register(folder=benchmark_folder, actor=None) == benchmark
    assert (benchmark.name, benchmark.version, benchmark.n) == ("atlas", "1", len(BASE_ROWS))
    assert AuditEntry.objects.filter(action="evaluation.benchmark_registered").count() == 1


def test_other_questions_are_another_benchmark(benchmark: Benchmark, benchmark_folder: Path) -> None:
    with (benchmark_folder / "benchmark.jsonl").open("a") as file:
        file.write('{"id": "new", "prompt": "q"}\n')
    assert benchmark_register(folder=benchmark_folder, actor=None) != benchmark


def test_a_benchmark_that_moved_is_found_at_its_new_place(benchmark: Benchmark, benchmark_folder: Path) -> None:
    moved = benchmark_folder.rename(benchmark_folder.with_name("elsewhere"))
    again = benchmark_register(folder=moved, actor=None)
    assert again.pk == benchmark.pk
    assert again.folder == str(moved)


def test_a_folder_that_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefused, match=r"benchmark\.jsonl"):
        benchmark_register(folder=tmp_path, actor=None)


def test_a_model_is_compared_with_the_one_it_was_trained_from(benchmark: Benchmark, model: Callable[..., Artifact]) -> None:
    base = model("base")
    evaluation = evaluation_queue(artifact=model("trained", base), benchmark=benchmark, actor=None)
    assert evaluation.base == base
    assert evaluation.job.kind == "evaluation.scorecard"
    assert evaluation.job.state == "queued"
    spec = evaluate_spec(evaluation, Path(benchmark.folder))
    assert (spec.model.name, spec.base.name) == ("trained", "base")
    assert spec.benchmark == Path(benchmark.folder)
    assert spec.cache.name == "answers"
    assert AuditEntry.objects.filter(action="evaluation.scorecard_queued").count() == 1


def test_what_cannot_work_is_refused_before_it_is_queued(benchmark: Benchmark, model: Callable[..., Artifact]) -> None:
    ready, unready = model("ready"), Artifact.objects.create(name="unready")
    cases = [
        ({"artifact": unready}, "artifact"),
        ({"artifact": ready, "base": unready}, "base"),
        ({"artifact": ready, "base": ready}, "base"),
        ({"artifact": ready, "hardware_tag": "abacus"}, "hardware_tag"),
        ({"artifact": ready, "hardware_tag": "site"}, "hardware_tag"),
        ({"artifact": ready, "settings": {"max_new_tokens": 0}}, "max_new_tokens"),
        ({"artifact": ready, "settings": {"elicit": ["probability", "agreement"]}}, "samples"),
        ({"artifact": ready, "settings": {"kl": True, "samples": 4}}, "kl"),
        ({"artifact": ready, "settings": {"cache": "/elsewhere"}}, "settings"),
        ({"artifact": None}, "artifact"),
    ]
    for values, field in cases:
        with pytest.raises(EvaluationRefused) as refused:
            evaluation_queue(**{"benchmark": benchmark, "actor": None, **values})
        assert refused.value.field == field
    assert not Job.objects.exists()


def test_a_model_that_a_queued_job_will_make_may_be_asked_after_it(benchmark: Benchmark, model: Callable[..., Artifact]) -> None:
    first = evaluation_queue(artifact=model("first"), benchmark=benchmark, actor=None)
    unready = Artifact.objects.create(name="unready")
    second = evaluation_queue(artifact=unready, benchmark=benchmark, actor=None, after=[first.job])
    assert list(second.job.after.all()) == [first.job]


def test_a_stored_scorecard_is_whole_and_its_headline_is_light(scored: Callable[..., Evaluation]) -> None:
    evaluation = scored("base", BASE_ROWS)
    card = Scorecard.model_validate(evaluation.scorecard)
    assert evaluation.headline["slice"] == "B"
    assert evaluation.headline["metrics"]["truthful_rate"]["value"] == card.metrics["truthful_rate"].value
    assert evaluation.headline["metrics"].keys() == card.metrics.keys(), "whatever a list or a chart over models may ask for"
    assert evaluation.headline.keys() == {"slice", "n", "conclusion", "guard", "validator", "metrics", "differences"}
    assert evaluation.headline["metrics"]["ece"].keys() == {"value", "low", "high", "n"}
    assert evaluation.headline["differences"] == {}, "nothing to hold it against"
    assert AuditEntry.objects.get(action="evaluation.scorecard_stored").target_id == str(evaluation.pk)


def test_a_headline_has_the_paired_difference_from_the_base_model(scored: Callable[..., Evaluation]) -> None:
    base = scored("base", BASE_ROWS)
    other = scored("other", atlas_rows(silent_unknown=0.97, right=0.99, seed=2), base.artifact)
    card = Scorecard.model_validate(other.scorecard)
    told = card.baselines["base"].differences["B"]["mean_rubric_score"]
    kept = other.headline["differences"]["mean_rubric_score"]
    assert (kept["value"], kept["low"], kept["high"], kept["p_adjusted"]) == (told.value, told.low, told.high, told.p_adjusted)
    headline = other.headline
    Evaluation.objects.filter(pk=other.pk).update(headline={})
    Evaluation.objects.filter(pk=base.pk).update(scorecard=None, headline={})
    import_module("evaluation.migrations.0004_headlines").headlines_fill(apps, None)
    other.refresh_from_db()
    unasked = {"guard": None, "validator": None}  # of which an older headline says nothing
    assert other.headline | unasked == headline, "an older scorecard gets the same"


def test_the_job_writes_what_the_child_reads(benchmark: Benchmark, model: Callable[..., Artifact], tmp_path: Path) -> None:
    evaluation = evaluation_queue(artifact=model("m"), benchmark=benchmark, actor=None, settings={"max_new_tokens": 7})
    folder = tmp_path / "job"
    folder.mkdir()
    launch = ScorecardEvaluation().launch(evaluation.job, folder)
    assert launch.argv[1:3] == ["-m", "evaluation.execute"]
    assert '"max_new_tokens": 7' in (folder / "evaluate.json").read_text()
    assert ScorecardEvaluation().url(evaluation.job) == evaluation.get_absolute_url()
    assert ScorecardEvaluation().destination(evaluation.job).name == f"m-{evaluation.pk}"
