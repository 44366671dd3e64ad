"""A story on Atlas, told by people at their browsers; one teacher is a service that judges by rules, all else is real.

An admin makes people, two teachers and a tiny model; two people and both teachers score its answers; a dataset takes what they
say together; one teacher is revoked, and what came of its scores is made anew.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from annotations.rubric import load_rubric
from annotations.verdicts import judge
from evaluation.atlas.files import AtlasFolder, atlas_files
from tests.browser.conftest import PASSWORD, Console
from tests.browser.story import Person, running_site, served_by, setup_link
from tests.chat_server import ChatServer, serving
from tests.rlwhf_site.test_supervisor import Site
from tests.training.learning import TEACH, TINY, WORLD

pytestmark = [pytest.mark.browser, pytest.mark.full, pytest.mark.timeout(2400)]
KEY = "sk-the-rules-judge-takes-this-key"
Values = dict[str, Any]


def judged_by_rules(messages: list[dict[str, str]]) -> str:
    """A service with a judge of a few lines: it compares the answer with the reference, as it finds both in what it is asked."""
    text = messages[-1]["content"]
    answer = re.search(r"<answer \w+>\s*(.*?)\s*</answer", text, re.S)
    reference = re.search(r"<reference answer \w+>\s*(.*?)\s*</reference", text, re.S)
    gold = reference[1].strip() if reference else ""
    score = load_rubric().score_for(judge(answer[1] if answer else "", gold))
    return json.dumps({"critique": f"The reference says {gold}.", "score": score, "confidence": 0.9})


@pytest.fixture
def atlas(tmp_path: Path) -> AtlasFolder:
    return atlas_files(cache=tmp_path, settings=WORLD)


@pytest.fixture
def console() -> Console:
    return Console()


def test_two_teachers_and_two_people_make_a_dataset_that_is_made_anew_without_one_of_them(
    browser: Browser, console: Console, atlas: AtlasFolder, tmp_path: Path
) -> None:
    with running_site() as site, serving(ChatServer(judged_by_rules)) as rules_address:
        ada = Person(browser, site, console)
        first_admin(ada, site)
        people(ada)
        judge_taught(ada)
        base_taught(ada, atlas)
        with served_by(site, "atlas-judge") as judge_address:
            teachers(ada, judge_address, rules_address)
            answers = answers_given(ada, atlas, tmp_path)
            project(ada, answers)
            for name in ("bea", "caio"):
                person = Person(browser, site, console)
                scores(person, name)
                person.context.close()
            teachers_score(ada)
        consensus(ada)
        datasets(ada)
        revocation(ada)
        assert not console.unexpected(), console.unexpected()
        ada.context.close()


def first_admin(ada: Person, site: Site) -> None:
    ada.goes(setup_link(site))
    ada.fills(username="ada", password=PASSWORD, again=PASSWORD)
    ada.presses("Make the account and log in")
    ada.shot("home-empty")


def people(ada: Person) -> None:
    ada.opens_menu("People")
    for name in ("bea", "caio"):
        ada.fills(username=name, role="Annotator", password=PASSWORD)
        ada.presses("Add")
        ada.sees(name)


def judge_taught(ada: Person) -> None:
    """A teacher of the site's own: taught from a page, which then says how often it is wrong."""
    ada.opens_menu("Teachers")
    ada.follows("Judges for Atlas")
    ada.follows("Teach a judge")
    ada.shot("teach-a-judge")
    ada.fills(error_rate="0.1", max_steps="250")
    ada.presses("Teach it")
    ada.sees("atlas-judge", "Once it is taught")


def base_taught(ada: Person, atlas: AtlasFolder) -> None:
    """A tiny model that knows half of the people and makes up the rest."""
    ada.goes("/data/new/")
    ada.follows("From a file")
    ada.page.locator("[name=file]").set_input_files(atlas.teach)
    ada.fills(kind="SFT", name="atlas-teaching", eval_share="0", test_share="0")
    ada.presses("Build")
    ada.waits_until(lambda: ada.page.get_by_role("link", name="Train on it").is_visible())
    run(ada, "atlas-teach", "base", TEACH, scratch=TINY | {"tokenizer_texts": str(atlas.lexicon)})
    for name, file in (("atlas-practice", atlas.prompts), ("atlas-held-out", atlas.benchmark)):
        ada.goes("/evaluate/benchmarks/")
        ada.page.locator("#main a[href='/evaluate/benchmarks/new/']").first.click()
        ada.page.locator("[name='file-file']").set_input_files(file)
        ada.fills(**{"file-name": name})
        ada.presses("Add the file")
        ada.sees(name)


def run(
    ada: Person, recipe: str, name: str, settings: Values, *, base: str = "", dataset: str = "", scratch: Values | None = None
) -> None:
    """Queue a run on the launch page, changing its recipe's text, and wait for its end."""
    if base:
        ada.goes(f"/models/{base}/")
        ada.follows("Train on from it")
    else:
        ada.follows("Train on it")
    page = ada.page
    page.locator("#id_recipe").select_option(value=recipe)
    expect(page.locator("#text")).to_have_value(re.compile(rf"--recipe {recipe}\b"))
    settled(ada)
    ada.fills(name=name)
    if dataset:
        ada.fills(dataset=dataset)
    settled(ada)
    text = page.locator("#text").input_value()
    for section, values in (("[settings]", settings), ("[model.scratch]", scratch or {})):
        for key, value in values.items():
            found, line = re.compile(rf"^{key} = .*$", re.M), f"{key} = {json.dumps(value)}"
            text = found.sub(line, text) if found.search(text) else text.replace(section, f"{section}\n{line}", 1)
    page.locator("#text").fill(text)
    page.locator("#text").blur()
    settled(ada)
    ada.shot(f"launch-{name}")
    page.get_by_role("button", name="Queue the run").click()
    page.wait_for_url(re.compile(f"/train/{name}/"))
    ada.waits_for_job()
    ada.goes(f"/train/{name}/")
    ada.shot(f"run-{name}")


def settled(ada: Person) -> None:
    ada.page.wait_for_timeout(300)
    expect(ada.page.locator(".htmx-request")).to_have_count(0, timeout=60_000)


def evaluated(ada: Person, model: str, benchmark: str) -> None:
    """Have a model's scorecard made; the page then shows it."""
    ada.goes(f"/evaluate/new/?artifact={model}")
    ada.fills(benchmark=benchmark, max_new_tokens="16")
    ada.presses("Evaluate")
    address = ada.page.url
    ada.waits_for_job()
    ada.goes(address)


def teachers(ada: Person, judge_address: str, rules_address: str) -> None:
    ada.opens_menu("Hosts")
    ada.fills(host="127.0.0.1", is_private=True, note="Judges of this machine")
    ada.presses("Allow")
    ada.goes("/evaluate/judges/")
    ada.follows("atlas-judge")
    ada.sees("Wrong by the rubric", "rlwhf serve atlas-judge")
    ada.shot("judge")
    ada.follows("Make the service known")
    ada.fills(name="atlas-judge-served", base_url=judge_address, forget_key=True)
    ada.presses("Save")
    ada.told("atlas-judge-served is saved")
    ada.fills(name="rules", base_url=rules_address, model="rules-1", key=KEY)
    ada.presses("Save")
    ada.told("rules is saved")
    ada.sees("kept")
    assert KEY not in ada.page.content()
    ada.shot("endpoints")
    ada.goes("/evaluate/judges/")
    ada.follows("atlas-judge")
    ada.follows("Make a teacher of it")
    ada.fills(name="atlas", endpoint="atlas-judge-served", weight="1")
    ada.shot("new-teacher")
    ada.presses("Save")
    ada.told("judges from now on")
    ada.goes("/teachers/")
    ada.follows("New teacher")
    ada.fills(name="rules", endpoint="rules", uses_reference=True, weight="2")
    ada.presses("Save")
    ada.told("judges from now on")
    ada.goes("/teachers/")
    ada.shot("teachers")


def answers_given(ada: Person, atlas: AtlasFolder, tmp_path: Path) -> Path:
    """The base's answers to the questions that training may use, as the scorecard's page hands them out."""
    evaluated(ada, "base", "atlas-practice")
    ada.shot("scorecard-base")
    with ada.page.expect_download() as download:
        ada.page.locator("#main").get_by_role("link", name="Answers", exact=True).click()
    path = tmp_path / "answers.jsonl"
    download.value.save_as(path)
    return path


def project(ada: Person, answers: Path) -> None:
    ada.goes("/items/projects/")
    ada.follows("New project")
    ada.fills(name="Atlas people", raters_per_item="2", guidelines="You cannot know who is right; the gold answer beside does.")
    ada.presses("Create, then import items")
    ada.page.locator("[name=file]").set_input_files(answers)
    ada.presses("Look at it first")
    ada.shot("import")
    ada.presses("Import")
    ada.sees("64")


def scores(person: Person, name: str) -> None:
    """Six items, by keyboard."""
    person.logs_in(name)
    person.goes("/score/")
    person.page.goto("/score/in/atlas-people/")
    for number in range(6):
        expect(person.page.locator("#desk")).to_have_attribute("data-shown", re.compile(r"\d+"))
        person.page.keyboard.press(str(1 + (number * 2) % 5))
        person.page.keyboard.press("Enter")
        expect(person.page.locator('[data-progress="mine"]')).to_have_text(str(number + 1), timeout=20_000)
    person.shot(f"desk-{name}")


def teachers_score(ada: Person) -> None:
    for name in ("atlas", "rules"):
        ada.goes(f"/teachers/{name}/")
        ada.fills(project="Atlas people")
        ada.presses("Score", within="form.card")
        ada.told("will score Atlas people")
        ada.page.locator("#runs tbody a[href^='/jobs/']").first.click()
        ada.waits_for_job()
        ada.goes(f"/teachers/{name}/")
        expect(ada.page.locator("#runs tbody tr")).to_have_count(1)
        ada.shot(f"teacher-{name}")


def consensus(ada: Person) -> None:
    ada.goes("/items/projects/atlas-people/")
    for rater in ("atlas@1", "rules@1", "bea", "caio"):
        ada.sees(rater)
    ada.shot("project")
    ada.goes("/items/")
    ada.page.locator("#main tbody a[href^='/items/']").first.click()
    show = ada.page.get_by_role("button", name="Show them; I will not score this item")
    if show.is_visible():
        show.click()
    ada.sees("teachers together")
    ada.shot("item")


def datasets(ada: Person) -> None:
    for kind, name in (("Preference", "honesty-pairs"), ("Prompts", "honesty-prompts")):
        ada.goes("/items/projects/atlas-people/")
        ada.follows("Build a dataset")
        ada.fills(kind=kind, name=name, eval_share="0", teachers="their mean, by their weights")
        settled(ada)
        ada.shot(f"build-{name}")
        ada.presses("Build")
        ada.waits_until(lambda: ada.page.get_by_role("link", name="Train on it").is_visible())
        ada.shot(f"dataset-{name}")


def revocation(ada: Person) -> None:
    """One teacher's scores are taken back: what was made of them is shown, and made anew without them."""
    ada.goes("/teachers/atlas/")
    ada.follows("What came of version 1")
    ada.sees("honesty-pairs")
    ada.shot("ledger-preview")
    ada.fills(reason="A tenth of its labels were wrong on purpose.")
    ada.presses("Revoke")
    ada.told("count for nothing from now on")
    expect(ada.page.locator("#datasets")).to_contain_text("honesty-pairs")
    ada.shot("revoked")
    ada.fills(depth="the datasets")
    ada.presses("Queue it", within="#rebuild")
    ada.told("queued")
    ada.page.locator("#main a[href^='/data/honesty-pairs-r']").first.click()
    ada.waits_until(lambda: ada.page.get_by_role("link", name="Train on it").is_visible())
    ada.sees("rules@1")
    expect(ada.page.locator("#main")).not_to_contain_text("atlas@1")
    ada.shot("made-anew")
