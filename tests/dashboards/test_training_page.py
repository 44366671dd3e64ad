"""The training page: the curves of several runs laid over one another, what their rewards paid, what they used."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.services import token_create
from jobs.costs.services import price_set
from jobs.models import Usage
from tests.dashboards import seed
from training.models import Run

pytestmark = pytest.mark.django_db
PAGE = "/dashboard/training/"


@pytest.fixture
def member(client: Client) -> Client:
    user = User.objects.create_user("mia", role="member")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def run_at(folder: Path, name: str, *, steps: int = 5, parts: bool = False, **more: Any) -> Run:
    """A run that has logged a loss, a held-out loss at its end, and with `parts` the completions of a reward of two parts."""
    folder = folder / name
    made = seed.run(name, data=more.pop("data"), folder=folder, **more)
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [{"step": i, "time": 1000.0 + 90 * i, "loss": 2.0 / (i + 1)} for i in range(steps)]
    rows.append({"step": steps, "time": 1000.0 + 90 * steps, "eval_loss": 0.25})
    (folder / "metrics.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    if parts:
        made.spec = {"reward": {"parts": [{"kind": "rubric"}, {"kind": "length", "name": "short", "weight": 0.5}]}}
        made.save()
        told = {"prompt": "?", "completion": "!", "reward": 1.0}
        paid = [{**told, "step": i, "parts": {"rubric": i / 4, "short": -1.0}} for i in range(5)]
        (folder / "completions.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in paid))
    return made


def figures_of(page: str) -> dict[str, Any]:
    return {
        name: json.loads(text) for name, text in re.findall(r'<script id="([^"]+)" type="application/json">(.*?)</script>', page)
    }


def test_without_a_run_it_says_how_to_get_one(member):
    assert "Nothing has been trained yet" in member.get(PAGE).content.decode()


def test_two_runs_lie_over_one_another_and_held_out_values_are_dashed_in_their_run_s_colour(member, tmp_path):
    data = seed.dataset()
    run_at(tmp_path, "first", data=data)
    run_at(tmp_path, "second", data=data, steps=9)
    page = member.get(f"{PAGE}?runs=second&runs=first").content.decode()
    lines = figures_of(page)["curve-loss"]["data"]
    assert [(line["name"], line["line"]["dash"]) for line in lines] == [
        ("second", "solid"), ("second, held out", "dash"), ("first", "solid"), ("first, held out", "dash"),
    ]  # fmt: skip
    assert lines[0]["line"]["color"] == lines[1]["line"]["color"] != lines[2]["line"]["color"]
    assert lines[2]["x"] == [0, 1, 2, 3, 4] and lines[2]["y"][0] == 2
    assert reverse("training:run-compare", args=["second"]) + "?with=first" in page
    assert "data-charts-live" not in page


def test_over_minutes_and_as_csv(member, tmp_path):
    run_at(tmp_path, "first", data=seed.dataset())
    lines = figures_of(member.get(f"{PAGE}?across=minutes&measure=loss").content.decode())["curve-loss"]["data"]
    assert lines[0]["x"] == [0, 1.5, 3, 4.5, 6]
    told = member.get(f"{PAGE}?across=minutes&measure=loss&csv=curve-loss").content.decode()
    rows = list(csv.reader(io.StringIO(told)))
    assert rows[0] == ["run", "part", "minutes", "loss"] and rows[2] == ["first", "training", "1.5", "1"]
    assert rows[-1] == ["first", "held out", "7.5", "0.25"]
    assert member.get(f"{PAGE}?csv=other").status_code == 404


def test_the_file_has_every_step_and_the_page_says_that_it_shows_some(member, tmp_path):
    run_at(tmp_path, "long", data=seed.dataset(), steps=80)
    page = member.get(f"{PAGE}?measure=loss").content.decode()
    told = list(csv.reader(io.StringIO(member.get(f"{PAGE}?measure=loss&csv=curve-loss").content.decode())))
    assert len(told) == 1 + 80 + 1 and "every one" in page
    assert page.split('id="figure-curve-loss"')[1].split("</table>")[0].count("<tr>") < 30


def test_what_parts_paid_in_the_end_stands_side_by_side_and_a_run_without_a_reward_has_no_bar(member, tmp_path):
    data = seed.dataset()
    run_at(tmp_path, "paid", data=data, parts=True)
    run_at(tmp_path, "plain", data=data)
    page = member.get(PAGE).content.decode()
    bars = figures_of(page)["reward-parts"]["data"]
    assert [bar["name"] for bar in bars] == ["paid"]
    assert dict(zip(bars[0]["x"], bars[0]["y"], strict=True)) == {"rubric": 1.0, "short": -0.5}
    assert reverse("training:run-rewards", args=["paid"]) in page


def test_at_most_six_and_none_that_is_not_there(member, tmp_path):
    data = seed.dataset()
    for place in range(8):
        run_at(tmp_path, f"run-{place}", data=data)
    asked = "&".join(f"runs=run-{place}" for place in range(8))
    lines = figures_of(member.get(f"{PAGE}?runs=nobody&{asked}").content.decode())["curve-loss"]["data"]
    assert {line["name"].split(",")[0] for line in lines} == {f"run-{place}" for place in range(5)}
    assert len({line["line"]["color"] for line in lines}) == 5


def test_a_live_run_makes_the_page_follow_it_and_costs_are_known_where_there_is_a_price(member, tmp_path):
    data = seed.dataset()
    live = run_at(tmp_path, "live", data=data, state="running")
    Usage.objects.create(job=live.job, hardware_tag="cpu", attempt=1, started_at=timezone.now(), seconds=1800)
    price_set(hardware_tag="cpu", currency="eur", per_hour=Decimal("3"), actor=None)
    page = member.get(PAGE).content.decode()
    assert 'data-charts-live="5"' in page and "1.50 EUR" in page


def test_the_number_of_queries_does_not_grow_with_the_runs(member, tmp_path):
    data = seed.dataset()
    run_at(tmp_path, "a", data=data)
    with CaptureQueriesContext(
        connection,
    ) as few:
        member.get(PAGE)
    for name in "bcdef":
        run_at(tmp_path, name, data=data)
    with CaptureQueriesContext(connection) as many:
        member.get(PAGE)
    assert len(many) <= len(few)


def test_over_http_it_is_the_same(client, tmp_path):
    data = seed.dataset()
    run_at(tmp_path, "first", data=data, parts=True)
    run_at(tmp_path, "second", data=data)
    user = User.objects.create_user("mia", role="member")
    headers = {"Authorization": f"Bearer {token_create(user=user, name='t', actor=user)[1]}"}
    told = client.get("/api/dashboard/training?runs=second&runs=first&across=minutes", headers=headers).json()
    assert [one["run"] for one in told["runs"]] == ["second", "first"]
    assert {part["name"] for part in told["runs"][1]["parts"]} == {"rubric", "short"}
    (curve,) = told["curves"]
    assert curve["columns"] == ["run", "part", "minutes", "loss"] and ["first", "training", 1.5, 1] in curve["rows"]


def test_the_dashboard_is_for_members(client):
    client.force_login(User.objects.create_user("ann", role="annotator"), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(PAGE).status_code == 403
    assert PAGE not in client.get("/").content.decode()


def test_curves_name_only_runs_that_have_points_and_totals_of_a_whole_run_are_none(member, tmp_path):
    data = seed.dataset()
    run_at(tmp_path, "plain", data=data)
    rich = run_at(tmp_path, "rich", data=data)
    rows = [
        {
            "step": i,
            "time": 1000.0 + i,
            "loss": 1.0,
            "zeal": 0.1,
            "learning_rate": 0.1,
            "kl": 0.1,
            "reward": 0.5,
            "rewards/honesty": i / 5,
        }
        for i in range(5)
    ]
    rows.append({"step": 5, "time": 1005.0, "total_flos": 1e9, "train_loss": 1.0, "train_runtime": 5.0})
    Path(rich.job.folder, "metrics.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    # Its rewards carry no step: there is nothing to draw of them.
    with Path(tmp_path, "plain", "metrics.jsonl").open("ab") as log:
        log.write(orjson.dumps({"time": 1900.0, "reward": 0.5}) + b"\n")
    page = member.get(f"{PAGE}?runs=plain&runs=rich").content.decode()
    options = re.findall(r"<option[^>]*>([^<]+)</option>", page.partition('id="measure"')[2].partition("</select>")[0])
    assert options[1:] == ["loss", "reward", "rewards/honesty", "kl", "learning_rate", "zeal"]
    figures = figures_of(page)
    assert [line["name"] for line in figures["curve-reward"]["data"]] == ["rich"]
    assert not any(name.startswith(("curve-total", "curve-train_")) for name in figures)
    assert all(line["x"] for name in figures if name.startswith("curve-") for line in figures[name]["data"])
