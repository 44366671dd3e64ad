"""Looking at a file, importing it and taking it back, in a browser."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from annotations import services
from annotations.models import Import, Item
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAIRS = [
    {
        "prompt": f"What is the capital of country {n}? Say how sure you are, and where that knowledge comes from.",
        "chosen": f"Town {n}, I think; I have not seen a recent list.",
        "rejected": f"Certainly Village {n}. Everybody knows that.",
    }
    for n in range(3)
]
LOG = {"call": {"messages": [{"role": "user", "content": "Capital of Peru?"}]}, "reply": {"text": "Lima."}, "grade": 4}


def test_a_file_of_pairs_is_looked_at_imported_and_taken_back(page: Page, sign_in, shot, tmp_path) -> None:
    services.project_create(name="Capitals", actor=None)
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in [*PAIRS, {"prompt": "half a pair", "chosen": "x"}]))
    sign_in("admin")
    page.goto("/items/import/")
    shot(page, "import")
    assert not serious_findings(page)
    page.set_input_files("input[type=file]", str(path))
    page.get_by_role("button", name="Look at it first").click()
    expect(page.get_by_role("region", name="Preview")).to_contain_text("read as Preference pairs")
    shot(page, "import-preview")
    assert not serious_findings(page)
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(re.compile(r"/items/imports/\d+/"))
    expect(page.locator("main")).to_contain_text("rejected")
    shot(page, "import-report")
    assert not serious_findings(page)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("main")).to_contain_text("6 items deleted")
    shot(page, "import-undone")
    assert not Item.objects.exists() and Import.objects.get().undone_at


@pytest.mark.full
def test_a_log_is_mapped_with_the_paths_of_its_first_record(page: Page, sign_in, shot, tmp_path) -> None:
    services.project_create(name="Capitals", actor=None)
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(LOG) + "\n")
    sign_in("admin")
    page.goto("/items/import/")
    page.set_input_files("input[type=file]", str(path))
    page.get_by_label("Format").select_option("mapping")
    page.get_by_role("button", name="Look at it first").click()
    page.get_by_label("prompt").fill("call.messages")
    page.get_by_label("answer", exact=False).first.fill("reply.text")
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("region", name="Preview")).to_contain_text("Capital of Peru?")
    shot(page, "import-mapping")
    assert not serious_findings(page)
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(re.compile(r"/items/imports/\d+/"))
    assert Item.objects.get().answer == "Lima."
