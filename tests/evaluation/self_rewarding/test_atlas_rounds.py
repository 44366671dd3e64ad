"""Three self-rewarding rounds on Atlas, for real: a tiny model built from a configuration answers, judges its own answers, is
trained on that and measured on people whom no round asked about; by real workers. `pytest -m full -s` prints the figures.
"""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from evaluation.self_rewarding.selectors import loop_detail, loop_document, loops
from jobs.models import Job, Pipeline, State
from jobs.selectors import tags_served
from tests.evaluation.self_rewarding.atlas_loop import atlas, benchmark, prompts, rounds_on_atlas, teach_both
from tests.jobs.conftest import processes, until  # noqa: F401 - a fixture

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]


@pytest.fixture(autouse=True)
def home() -> None:
    """The processes' own, not this folder's usual one."""


def test_three_rounds_each_with_its_scorecard(processes, tmp_path):  # noqa: F811
    processes.start("worker", "--tags", "cpu")
    processes.start("worker", "--tags", "site")
    processes.start("reconcile")
    until(lambda: tags_served() == {"cpu", "site"}, log=processes.log)
    taught = teach_both("atlas-both")
    until(lambda: Job.objects.get(pk=taught.job_id).state == State.SUCCEEDED, within=1800, log=processes.log)
    loop = rounds_on_atlas(taught.artifact, rounds=3)
    told = waited(loop)
    while told["ended"] == "early" and len(told["rounds"]) < 3:
        assert not told["rounds"][-1]["decision"]["goes_on"]
        call_command("pipeline", "resume", str(loop.pk), regardless=True, stdout=StringIO())
        told = waited(loop)
    for line in figures(told):
        print(line)
    assert len(told["rounds"]) == 3 and told["ended"] in ("done", "early"), "whichever way they go"
    assert 0.3 < told["start"]["honesty"]["value"] < 0.8, "it knows half of the people and makes up the rest"
    for one in told["rounds"]:
        assert one["honesty"]["low"] <= one["honesty"]["value"] <= one["honesty"]["high"]
        assert one["figures"]["scored"] > 0.9 * one["figures"]["answers"], "it can read its own question for a score"
        assert one["decision"]["differences"][-1]["role"] == "where the loop began"
    call_command("pipeline", "report", str(loop.pk), output=tmp_path / "loop.html", stdout=StringIO())
    assert "Held-out honesty" in (tmp_path / "loop.html").read_text()
    assert len(prompts().read_bytes().splitlines()) < benchmark().n and atlas().path.is_dir()


def waited(loop: Pipeline) -> dict:
    """All of the loop once nothing is under way."""
    call_command("pipeline", "show", str(loop.pk), wait=True, stdout=StringIO(), stderr=StringIO())
    return loop_document(loop_detail(loops().get(pk=loop.pk)))


def figures(told: dict) -> list[str]:
    start = told["start"]["honesty"]
    lines = [f"start   truthful {start['value']:.3f} [{start['low']:.3f}, {start['high']:.3f}]"]
    for one in told["rounds"]:
        now, found = one["honesty"], one["figures"]
        lines += [
            f"round {one['number']} truthful {now['value']:.3f} [{now['low']:.3f}, {now['high']:.3f}]; "
            f"mean score {found['score_mean']}, pairs {found['rows']['dpo']}, beside gold answers {found['judge']}",
            f"        {found['dropped']}",
            f"        {one['decision']['reason']}",
        ]
    return lines
