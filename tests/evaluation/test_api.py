from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from evaluation.models import Benchmark, Evaluation
from tests.evaluation.conftest import BASE_ROWS
from training.models import Artifact

pytestmark = pytest.mark.django_db
SignIn = Callable[[str], Client]


def test_benchmarks_are_registered_and_listed(signed_in: SignIn, benchmark_folder: Path) -> None:
    client = signed_in("admin")
    made = client.post("/api/benchmarks", {"folder": str(benchmark_folder)}, content_type="application/json")
    assert made.status_code == 201, made.content
    assert client.get("/api/benchmarks").json()["items"][0]["hash"] == made.json()["hash"]
    assert client.post("/api/benchmarks", {"folder": "/nowhere"}, content_type="application/json").status_code == 422


def test_an_evaluation_is_queued_and_read(signed_in: SignIn, benchmark: Benchmark, model: Callable[..., Artifact]) -> None:
    model("m")
    client = signed_in("admin")
    wanted = {"model": "m", "benchmark": benchmark.hash}
    made = client.post("/api/evaluations", wanted, content_type="application/json")
    assert made.status_code == 201, made.content
    assert made.json()["state"] == "queued"
    pk = made.json()["id"]
    assert client.get(f"/api/evaluations/{pk}").json()["model"] == "m"
    assert client.get(f"/api/evaluations/{pk}/scorecard").status_code == 404
    refused = client.post("/api/evaluations", wanted | {"hardware_tag": "abacus"}, content_type="application/json")
    assert refused.status_code == 422
    for wrong, told in (({"model": "x"}, "There is no such artifact."), ({"benchmark": "f" * 64}, "There is no such benchmark.")):
        missing = client.post("/api/evaluations", wanted | wrong, content_type="application/json")
        assert missing.status_code == 404 and missing.json()["detail"] == told


def test_scorecards_are_read_and_compared(signed_in: SignIn, scored: Callable[..., Evaluation]) -> None:
    pair = [scored("base", BASE_ROWS), scored("twin", BASE_ROWS)]
    client = signed_in("member")
    assert client.get(f"/api/evaluations/{pair[0].pk}/scorecard").json()["n"] == len(BASE_ROWS)
    compared = client.get(f"/api/evaluations/compare?ids={pair[0].pk},{pair[1].pk}").json()
    rate = next(row for row in compared if row["metric"] == "truthful_rate" and row["model"] == "twin")
    assert rate["difference"]["value"] == 0
    assert client.get("/api/evaluations/compare?ids=1").status_code == 422
    other = client.get(f"/api/evaluations/compare?ids={pair[0].pk},{pair[1].pk}&slice=nope")
    assert other.status_code == 422 and compared[0]["slice"] in other.json()["detail"], "which slices there are is said"
    assert client.get(f"/api/evaluations/compare?ids=1,{'9' * 5000}").status_code == 422
    assert len(client.get("/api/evaluations").json()["items"]) == 2


def test_roles(signed_in: SignIn, scored: Callable[..., Evaluation], benchmark: Benchmark) -> None:
    evaluation = scored("base", BASE_ROWS)
    paths = [
        "/api/benchmarks",
        "/api/evaluations",
        f"/api/evaluations/{evaluation.pk}",
        f"/api/evaluations/{evaluation.pk}/scorecard",
        f"/api/evaluations/compare?ids={evaluation.pk}",
    ]
    assert {Client().get(path).status_code for path in paths} == {401}
    assert {signed_in("annotator").get(path).status_code for path in paths} == {403}
    wanted = {"model": "base", "benchmark": benchmark.hash}
    assert signed_in("member").post("/api/evaluations", wanted, content_type="application/json").status_code == 403
