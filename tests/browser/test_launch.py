"""The launch page in a browser: form and text in step, rows as the model sees them, a sweep, two runs side by side."""

import json
import re

import pytest
from django.conf import settings as site
from playwright.sync_api import Page, expect

from annotations.services import dataset_from_rows
from jobs.models import Job
from tests.browser.axe import serious_findings
from training.models import Run
from training.services import artifact_publish, run_queue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ROWS = [
    {
        "prompt": f"Where does the river of valley {n} end? Say how sure you are.",
        "chosen": f"In lake {n}, I think; I have read it once.",
        "rejected": f"Certainly in the sea of valley {n}. " + "Everybody knows that. " * (n % 7),
    }
    for n in range(1, 30)
]
TINY = {"model.scratch.hidden_size": 32, "model.scratch.intermediate_size": 64, "model.scratch.num_hidden_layers": 1}


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "RLWHF_HOME", tmp_path)
    return dataset_from_rows(
        name="rivers", kind="preference", rows={"train": ROWS[:25], "eval": ROWS[25:]}, source="x", actor=None
    )


@pytest.fixture
def prompts(tmp_path, monkeypatch, pairs):
    rows = [{"prompt": row["prompt"], "gold_answer": f"lake {n}", "knowledge": "known"} for n, row in enumerate(ROWS)]
    return dataset_from_rows(name="questions", kind="prompts", rows={"train": rows}, source="x", actor=None)


@pytest.mark.full
def test_form_and_text_are_kept_in_step_and_the_rows_are_seen(page: Page, sign_in, shot, prompts) -> None:
    sign_in("admin")
    page.goto("/train/new/?recipe=grpo-cpu&dataset=questions&name=first")
    assert not serious_findings(page)
    shot(page, "launch")
    page.reload()  # a photograph leaves style attributes behind
    page.get_by_label("max_steps", exact=True).fill("7")
    page.get_by_label("max_steps", exact=True).blur()
    expect(page.locator("#text")).to_have_value(re.compile(r"^max_steps = 7$", re.M))
    expect(page.locator("#command")).to_contain_text("--set settings.max_steps=7")
    text = page.locator("#text").input_value()
    assert text.startswith("# rlwhf train"), "what was said stays"
    page.locator("#text").fill(text.replace("learning_rate = 2e-5", "learning_rate = 3e-4  # bold"))
    page.locator("#text").blur()
    expect(page.get_by_label("learning_rate", exact=True)).to_have_value("3e-4")
    expect(page.get_by_label("max_steps", exact=True)).to_have_value("7")
    page.locator("#text").fill(page.locator("#text").input_value().replace("3e-4", "'fast'"))
    page.locator("#text").blur()
    expect(page.locator("#preview")).to_contain_text("settings.learning_rate")
    expect(page.locator("#preview")).to_contain_text("line ")
    assert not serious_findings(page)
    page.get_by_label("learning_rate", exact=True).fill("1e-4")
    page.get_by_label("learning_rate", exact=True).blur()
    expect(page.locator("#command")).to_contain_text("settings.learning_rate=1e-4")
    page.get_by_label("Add a reward").select_option("rubric")
    expect(page.locator("#text")).to_have_value(re.compile(r"\[\[reward\.parts\]\]"))
    page.get_by_label("Take this reward out").last.check()
    expect(page.get_by_label("Take this reward out")).to_have_count(1)
    page.get_by_label("learning_rate", exact=True).fill("-1")
    page.get_by_label("learning_rate", exact=True).blur()
    expect(page.locator("#preview")).to_contain_text("greater than 0")
    expect(page.locator("#fault-set-settings-learning_rate")).to_contain_text("greater than 0")
    shot(page, "launch-fault")


@pytest.mark.full
def test_rows_are_shown_with_what_the_loss_counts_and_what_is_cut(page: Page, sign_in, shot, pairs) -> None:
    sign_in("admin")
    page.goto("/train/new/?recipe=dpo-cpu&dataset=rivers&name=second")
    text = page.locator("#text").input_value()
    scratch = "[model.scratch]\nhidden_size = 32\nintermediate_size = 64\nnum_hidden_layers = 1\nvocab_size = 400"
    page.locator("#text").fill(re.sub(r"\[model\]\npath = .*", scratch, text).replace("max_length = 1024", "max_length = 24"))
    page.locator("#text").blur()
    expect(page.get_by_label("max_length", exact=True)).to_have_value("24")
    page.get_by_role("button", name="Show the rows as the model sees them").click()
    region = page.get_by_role("region", name="Rows as the model sees them")
    expect(region).to_contain_text("of the tokens count in the loss", timeout=60_000)
    page.get_by_role("button", name="The first that is cut").click()
    expect(region.locator(".tok--cut").nth(3)).to_be_visible(timeout=60_000)
    expect(page.locator(".htmx-request")).to_have_count(0, timeout=60_000)
    shot(page, "launch-rows")
    assert not serious_findings(page)


def test_it_works_without_scripts(browser, live_server, sign_in, page, pairs) -> None:
    sign_in("admin")
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies(page.context.cookies())
    plain = context.new_page()
    plain.goto("/train/new/?recipe=dpo-cpu&dataset=rivers&name=plain")
    plain.get_by_label("max_steps", exact=True).fill("3")
    text = plain.locator("#text").input_value()
    plain.locator("#text").fill(text.replace("beta = 0.1", "beta = 0.25"))
    plain.get_by_role("button", name="Check it").click()
    assert "beta=0.25" in plain.locator("#command").inner_text() and "max_steps=3" in plain.locator("#command").inner_text()
    assert plain.get_by_label("beta", exact=True).input_value() == "0.25"
    plain.get_by_role("button", name="Queue the run").click()
    plain.wait_for_url(re.compile("/train/plain/"))
    context.close()
    run = Run.objects.get()
    assert run.spec["settings"]["beta"] == 0.25 and run.spec["settings"]["max_steps"] == 3


def done(run, folder, **metrics):
    folder.mkdir(parents=True, exist_ok=True)
    steps = [{"step": n, "loss": 2 / n + metrics["eval_loss"] / 10} for n in range(1, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in steps))
    versions = {
        "revision": "a" * 40,
        "python": "3.11",
        "packages": {"trl": metrics.pop("trl", "1.16.0")},
        "hardware": {"cores": 2},
    }
    (folder / "environment.json").write_text(json.dumps(versions))
    Job.objects.filter(pk=run.job_id).update(state="succeeded", folder=str(folder), result={"metrics": metrics, "steps": 19})
    artifact_publish(run=run, folder=folder, metrics={"metrics": metrics})


@pytest.mark.full
def test_a_sweep_is_queued_and_its_runs_compared(page: Page, sign_in, shot, pairs, tmp_path) -> None:
    sign_in("admin")
    page.goto("/train/new/?recipe=dpo-cpu&dataset=rivers&name=tune")
    page.get_by_text("Sweep: many such runs").click()
    page.get_by_label("What to vary").fill("settings.learning_rate = [1e-6, 1e-5, 1e-4]\nseed = [0, 1]")
    page.get_by_label("What to vary").blur()
    expect(page.locator("#preview")).to_contain_text("The sweep: 6 runs")
    shot(page, "launch-sweep")
    assert not serious_findings(page)
    page.get_by_role("button", name="Queue the sweep").click()
    page.wait_for_url(re.compile(r"/train/sweeps/\d+/"))
    for number, run in enumerate(Run.objects.order_by("id")):
        done(run, tmp_path / run.name, eval_loss=0.7 - 0.05 * number, train_loss=0.6, trl="1.16.0" if number else "1.15.0")
    page.reload()
    expect(page.locator("main")).to_contain_text("6 of 6 runs have succeeded")
    table = page.get_by_role("table", name="The runs, best by eval_loss first")
    expect(table.locator("tbody th").first).to_have_text("tune-6")
    page.wait_for_selector(".chart .main-svg")
    shot(page, "sweep")
    assert not serious_findings(page)
    page.get_by_role("link", name="with the first").last.click()
    expect(page.locator("main")).to_contain_text("packages.trl")
    shot(page, "run-compare")
    assert not serious_findings(page)


def test_a_run_is_cloned_with_all_that_it_was(page: Page, sign_in, shot, pairs) -> None:
    overrides = {"settings.max_steps": 9, "settings.lora": None, "seed": 5}
    run_queue(name="first-1", recipe="dpo-cpu", dataset=pairs, actor=None, overrides=overrides)
    sign_in("admin")
    page.goto("/train/first-1/")
    page.get_by_role("link", name="Clone").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("first-2")
    expect(page.get_by_label("max_steps", exact=True)).to_have_value("9")
    shot(page, "launch-clone")
    page.get_by_role("button", name="Queue the run").click()
    page.wait_for_url(re.compile("/train/first-2/"))
    first, second = Run.objects.order_by("id")
    assert first.spec | {"name": ""} == second.spec | {"name": ""}


@pytest.mark.full
def test_a_hardware_profile_is_laid_over_the_recipe_and_taken_off_again(page: Page, sign_in, shot, prompts) -> None:
    sign_in("admin")
    page.goto("/train/new/?recipe=grpo-cpu&dataset=questions&name=first")
    text = page.locator("#text")
    before = text.input_value()
    page.get_by_label("max_steps", exact=True).fill("7")
    page.get_by_label("Hardware profile").select_option("70b-cuda-multi")
    expect(text).to_have_value(re.compile(r'^preset = "70b-cuda-multi"$', re.M))
    expect(page.locator("#command")).to_contain_text("--profile 70b-cuda-multi --tag cuda-multi --set settings.max_steps=7")
    expect(page.get_by_label("Hardware tag")).to_have_value("cuda-multi")
    expect(page.get_by_label("precision", exact=True)).to_have_value("bfloat16")
    expect(page.get_by_label("max_steps", exact=True)).to_have_value("7")
    page.get_by_text("changes", exact=False).filter(has_text="settings of the recipe").click()
    expect(page.get_by_role("cell", name="bfloat16").first).to_be_visible()
    page.get_by_label("max_steps", exact=True).fill("8")
    page.get_by_label("max_steps", exact=True).blur()
    expect(page.locator("#command")).to_contain_text("settings.max_steps=8")
    expect(page.get_by_role("cell", name="bfloat16").first).to_be_visible()  # what was opened stays open
    assert not serious_findings(page)
    shot(page, "launch-profile")
    page.reload()
    page.goto("/train/new/?recipe=grpo-cpu&dataset=questions&name=first")
    page.get_by_label("Hardware profile").select_option("cuda-t4")
    expect(text).to_have_value(re.compile(r'^preset = "cuda-t4"$', re.M))
    page.get_by_label("Hardware profile").select_option("")
    expect(text).to_have_value(before)


def test_the_profiles_are_listed(page: Page, sign_in, shot) -> None:
    sign_in("member")
    page.goto("/train/profiles/")
    assert not serious_findings(page)
    shot(page, "profile-list")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
