"""The whole story on Atlas, told by people at their browsers; one teacher is a service that judges by rules, all else is real.

An admin makes people, two teachers and a tiny model; two people and both teachers score its answers; a dataset takes what they
say together; DPO and GRPO train on it; one of the models is promoted, one that fell silent refused; promoted all the same it
breaks the rules when it is measured again, and the site goes back; one teacher is revoked, with all that came of it, and what
came of it made anew.
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
from evaluation.promotion.rules import Rules
from tests.browser.conftest import PASSWORD, Console
from tests.browser.story import JOB_S, Person, running_site, served_by, setup_link
from tests.chat_server import ChatServer, serving
from tests.rlwhf_site.test_supervisor import Site
from tests.training.learning import TEACH, TINY, WORLD

pytestmark = [pytest.mark.browser, pytest.mark.full, pytest.mark.timeout(2400)]
KEY = "sk-the-rules-judge-takes-this-key"
Values = dict[str, Any]
SHORT_DPO: Values = {"max_steps": 60, "learning_rate": 1e-3}
SHORT_GRPO: Values = {"max_steps": 30, "per_device_train_batch_size": 64, "learning_rate": 1e-3}
# Of a world with 32 people no small loss can be ruled out.
RULES = Rules().model_dump(mode="json") | {
    "non_inferiority": [{"metric": "known_correct", "margin": 0.5}, {"metric": "parse_share", "margin": 0.3}],
    "floors": [{"metric": "over_conservativeness", "at_most": 0.7}],
    # Half of the people are known because the base was taught them: these questions stand in its rows on purpose.
    "contamination": {"at_most": 0.9},
}


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


def test_the_whole_story(browser: Browser, console: Console, atlas: AtlasFolder, tmp_path: Path) -> None:
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
        datasets(ada, tmp_path)
        trained(ada)
        scorecards(ada)
        promotion(ada)
        rollback(ada)
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


def datasets(ada: Person, tmp_path: Path) -> None:
    for kind, name in (("Preference", "honesty-pairs"), ("Prompts", "honesty-prompts")):
        ada.goes("/items/projects/atlas-people/")
        ada.follows("Build a dataset")
        ada.fills(kind=kind, name=name, eval_share="0", teachers="their mean, by their weights")
        settled(ada)
        ada.shot(f"build-{name}")
        ada.presses("Build")
        ada.waits_until(lambda: ada.page.get_by_role("link", name="Train on it").is_visible())
        ada.shot(f"dataset-{name}")
    silence(ada, tmp_path)


def silence(ada: Person, tmp_path: Path) -> None:
    """What teaches a model to decline, whatever it is asked."""
    silence = tmp_path / "silence.jsonl"
    asked = [json.loads(line)["prompt"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    rows = [{"prompt": one, "response": "I do not know."} for one in asked]
    silence.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ada.goes("/data/new/file/")
    ada.page.locator("[name=file]").set_input_files(silence)
    ada.fills(kind="SFT", name="silence", eval_share="0", test_share="0", near_duplicates="are not looked for")
    ada.presses("Build")
    ada.waits_until(lambda: ada.page.get_by_role("link", name="Train on it").is_visible())


def trained(ada: Person) -> None:
    run(ada, "atlas-dpo", "by-dpo", SHORT_DPO, base="base", dataset="honesty-pairs")
    run(ada, "atlas-grpo", "by-grpo", SHORT_GRPO, base="base", dataset="honesty-prompts")
    run(ada, "atlas-teach", "silent", {"max_steps": 40, "learning_rate": 5e-3}, base="base", dataset="silence")


def scorecards(ada: Person) -> None:
    for name in ("by-dpo", "by-grpo", "silent"):
        evaluated(ada, name, "atlas-held-out")
        ada.shot(f"scorecard-{name}")
    ada.sees("It is silent, not honest")


def judged(ada: Person, model: str) -> None:
    """Have a challenger judged; the page then shows the verdict."""
    ada.goes("/evaluate/champions/atlas-people/")
    ada.presses(f"Judge {model}")
    expect(ada.page.locator("#main")).to_contain_text("Rule by rule", timeout=JOB_S * 1000)


def promotion(ada: Person) -> None:
    ada.goes("/items/projects/atlas-people/")
    ada.follows("Champion")
    ada.follows("Set the rules")
    ada.fills(benchmark="atlas-held-out", rules=json.dumps(RULES, indent=2))
    ada.presses("Save as rules 1")
    ada.told("hold now")
    judged(ada, "by-dpo")
    ada.shot("verdict-by-dpo")
    ada.presses("Make it champion")
    ada.told("by-dpo is champion of Atlas people now")
    judged(ada, "silent")
    ada.sees("Correct on the known")
    expect(ada.page.get_by_role("button", name="Make it champion")).to_have_count(0)
    ada.shot("verdict-silent")
    judged(ada, "by-grpo")
    ada.shot("verdict-by-grpo")


def rollback(ada: Person) -> None:
    """A model that fell silent is promoted by hand; when it is measured again it breaks the rules, and the site goes back."""
    ada.goes("/evaluate/champions/atlas-people/")
    ada.page.locator("#challengers tr", has_text="silent").locator("td a[href^='/evaluate/verdicts/']").first.click()
    ada.page.get_by_text("Promote it all the same").click()
    ada.fills(reason="It never says anything wrong.")
    ada.presses("Promote by hand")
    ada.told("silent is champion of Atlas people now")
    evaluated(ada, "silent", "atlas-held-out")
    ada.goes("/evaluate/champions/atlas-people/")
    ada.waits_until(lambda: ada.page.locator("#main section.card h2").first.inner_text() == "by-dpo")
    ada.sees("It never says anything wrong.")
    ada.shot("rolled-back")
    ada.goes("/jobs/alerts/")
    ada.sees("silent")
    ada.shot("alerts")


def revocation(ada: Person) -> None:
    ada.goes("/teachers/atlas/")
    ada.follows("What came of version 1")
    for made in ("honesty-pairs", "by-dpo"):
        ada.sees(made)
    ada.shot("ledger-preview")
    ada.fills(reason="A tenth of its labels were wrong on purpose.")
    ada.presses("Revoke")
    ada.told("count for nothing from now on")
    for section in ("#datasets", "#runs", "#models", "#scorecards", "#promotions"):
        expect(ada.page.locator(section)).to_be_visible()
    expect(ada.page.locator("#main .notice--warn")).to_contain_text("by-dpo, champion of Atlas people")
    ada.shot("revoked")
    ada.fills(depth="the datasets, the runs, and their scorecards")
    ada.presses("Queue it")
    ada.told("jobs are queued")
    ada.shot("rebuild")
    ada.follows("Made anew")
    ada.presses("Stop")
    ada.told("stopped")
