"""The launch page answers whatever is typed into it."""

import re

import pytest
from django.urls import reverse

from tests.often import often
from training.drafts import recipe_draft
from training.models import Run
from training.services import run_queue

pytestmark = pytest.mark.django_db

NASTY = [
    "",
    "\n\n",
    "settings = 3",
    "method = 3",
    "method = 'nothing'",
    "title = 'x'\nmethod = 'dpo'\nsettings = []",
    "title = 'x'\nmethod = 'dpo'\nmodel = 'x'",
    "title = 'x'\nmethod = 'dpo'\nmodel = { path = 3 }",
    "title = 'x'\nmethod = 'dpo'\nmodel = { path = 'artifact:none-such' }",
    "title = 'x'\nmethod = 'grpo'\nmodel = { path = 'a' }\nreward = 'honesty'",
    "title = 'x'\nmethod = 'grpo'\nmodel = { path = 'a' }\nreward = { parts = 3 }",
    "title = 'x'\nmethod = 'grpo'\nmodel = { path = 'a' }\nreward = { parts = [3, { kind = 'rubric', shape = 4 }] }",
    "title = 'x'\nmethod = 'grpo'\nmodel = { path = 'a' }\nreward = { parts = [{ kind = 'no' }] }",
    "title = 'x'\nmethod = 'grpo'\nmodel = { path = 'a' }\nreward = { shape = '/etc/passwd' }",
    "title = 'x'\nmethod = 'gkd'\nmodel = { path = 'a' }",
    "title = 'x'\nmethod = 'sft'\nhardware = 'cpu'",
    "title = 'x'\nmethod = 'sft'\nmodel = { path = 'a' }\nhardware = { profile = 'toaster' }",
    "title = 'x'\nmethod = 'sft'\nmodel = { path = 'a' }\nsettings = { lora = true }",
    "title = 'x'\nmethod = 'sft'\nmodel = { path = 'a' }\nsettings = { learning_rate = nan }",
    "title = 'x'\nmethod = 'sft'\nmodel = { path = 'a' }\nsettings = { max_steps = 1979-05-27 }",
    "title = 'x'\nmethod = 'sft'\nmodel = { path = '\\u0000' }",
    "'settings.learning_rate' = 3\n\"a b\".c = 1",
    "a = [" * 300,
    "a = " + "[" * 3000 + "]" * 3000,
    "method = ['dpo']",
    "title = 'x'\nmethod = 'grpo'\nmodel = { path = 'a' }\nreward = { parts = [{ kind = ['rubric'] }] }",
    "title = 'x'\nmethod = 'grpo'\nmodel = { path = 'artifact:\\u0000' }",
    "\ud7ff = 1",
]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("is_before", often([True, False], [False]))
def test_nothing_that_is_typed_breaks_it(signed_in, sft_dataset, text, is_before):
    client = signed_in("admin")
    sent = {"recipe": "sft-cpu", "recipe_was": "sft-cpu", "name": "x", "dataset": sft_dataset.pk, "form_of": "sft"}
    sent |= {
        "text": text,
        "before": text if is_before else recipe_draft("sft-cpu").text,
        "settings.max_steps": "x",
        "settings.lora": "on",
    }
    for name in ("run-preview", "run-rows", "run-launch", "sweep-launch", "run-bundle"):
        for headers in ({}, {"HX-Request": "true"}):
            if name == "run-rows" and "method = 'sft'\nmodel = { path = 'a' }\n" not in text:
                continue  # a child process each
            answer = client.post(reverse(f"training:{name}"), sent | {"axes": "seed = [1]"}, headers=headers)
            assert answer.status_code in (200, 422), name
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "asked",
    [
        "?from=nothing",
        "?recipe=no",
        "?base=999",
        "?base=none-such",
        "?dataset=x",
        "?dataset=99999",
        "?base=²",
        "?dataset=²",
        "?from=%00",
    ],
)
def test_an_address_that_names_nothing_shows_the_page(signed_in, asked):
    assert signed_in("admin").get(reverse("training:run-launch") + asked).status_code == 200


def test_another_recipe_or_method_brings_its_own_fields(signed_in, sft_dataset):
    client = signed_in("admin")
    sent = {"recipe": "dpo-cpu", "recipe_was": "sft-cpu", "name": "x", "form_of": "sft", "text": "x", "before": "y"}
    page = client.post(reverse("training:run-preview"), sent, headers={"HX-Request": "true"}).content.decode()
    assert 'name="settings.beta"' in page and "hx-swap-oob" in page and "Direct preference optimisation" in page
    before = recipe_draft("sft-cpu").text
    text = before.replace('method = "sft"', 'method = "orpo"')
    sent = {"recipe": "sft-cpu", "recipe_was": "sft-cpu", "name": "x", "form_of": "sft", "text": text, "before": before}
    page = client.post(reverse("training:run-preview"), sent | {"settings.max_steps": "9"}).content.decode()
    assert 'name="settings.beta"' in page and "max_steps = 9" in page


def test_members_see_runs_side_by_side_and_do_not_launch(signed_in, sft_dataset):
    client = signed_in("member")
    for name in ("run-preview", "run-rows", "sweep-launch", "run-launch", "run-bundle"):
        assert client.post(reverse(f"training:{name}"), {}).status_code == 403
    for name in ("runs/check", "runs/rows", "runs/bundle", "runs/estimate", "sweeps", "runs/x/clone"):
        assert client.post(f"/api/{name}", {}, content_type="application/json").status_code == 403
    assert client.get("/train/nothing/compare/").status_code == 404
    assert client.get("/train/sweeps/9/").status_code == 404


def test_a_copy_is_offered_the_next_free_name(signed_in, sft_dataset):
    client = signed_in("admin")
    for name, offered in (("first", "first-2"), ("first-2", "first-3")):
        run_queue(name=name, recipe="atlas-teach", dataset=sft_dataset, actor=None)
        page = client.get(reverse("training:run-launch"), {"from": name})
        assert page.context["form"]["name"].value() == offered


def test_what_is_trained_on_brings_a_recipe_that_reads_it_and_none_for_atlas_alone(signed_in, sft_dataset):
    client = signed_in("admin")

    def chosen(query: str) -> str:
        page = client.get(reverse("training:run-launch") + query).content.decode()
        (recipe,) = re.findall(r'<input type="hidden" name="recipe_was" value="([^"]+)"', page)
        return recipe

    assert chosen("") == chosen(f"?dataset={sft_dataset.pk}") == chosen(f"?dataset={sft_dataset.name}") == "sft-cpu"
    type(sft_dataset).objects.update(kind="preference")
    assert chosen(f"?dataset={sft_dataset.pk}") == "dpo-cpu"
    assert chosen(f"?dataset={sft_dataset.pk}&recipe=atlas-dpo") == "atlas-dpo"
