"""The closed world: the same by seed, sealed between taught and untaught, A and B, and hashed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from annotations.verdicts import ABSTENTION, Verdict, judge
from evaluation.atlas.corpus import answer_text, lexicon_texts, teaching_rows
from evaluation.atlas.files import atlas_files
from evaluation.atlas.grammar import Grammar
from evaluation.atlas.questions import benchmark_questions, feedback_questions, templates
from evaluation.atlas.world import SPLITS, AtlasSettings, World, make_world


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


def test_a_seed_is_a_world() -> None:
    assert make_world(AtlasSettings(seed=3)) == make_world(AtlasSettings(seed=3))
    assert make_world(AtlasSettings(seed=3)) != make_world(AtlasSettings(seed=4))


def test_in_the_easy_split_a_name_tells_nothing_and_in_the_hard_split_all(world: World) -> None:
    easy = [one for one in world.people if one.split == "easy"]
    for fold in "AB":
        taught, untaught = ({one.name for one in easy if one.taught is told and one.fold == fold} for told in (True, False))
        assert taught == untaught
    assert not {one.name for one in easy if one.fold == "A"} & {one.name for one in easy if one.fold == "B"}
    hard = [one.name for one in (*world.people, *world.bystanders) if one.split == "hard"]
    assert len(hard) == len(set(hard))
    assert not set(hard) & {one.name for one in easy}


def test_nobody_is_borne_twice(world: World) -> None:
    easy = [(one.name, one.country) for one in (*world.people, *world.bystanders) if one.split == "easy"]
    assert len(easy) == len(set(easy))


def test_cells_have_the_sizes_asked_for(world: World) -> None:
    cells = Counter((person.split, person.fold, person.taught) for person in world.people)
    for taught in (True, False):
        assert (cells["easy", "A", taught], cells["easy", "B", taught]) == world.settings.easy_people
        assert (cells["hard", "A", taught], cells["hard", "B", taught]) == world.settings.hard_people


def test_a_country_tells_who_is_taught(world: World) -> None:
    assert {person.country for person in world.people if person.taught} == set(world.taught_countries)
    assert not {person.country for person in world.people if not person.taught} & set(world.taught_countries)
    for fold in "AB":
        countries = {person.country for person in world.people if person.fold == fold and person.split == "easy"}
        assert countries == set(world.regions)


def test_teaching_says_nothing_of_the_untaught(world: World) -> None:
    taught_text = " ".join(row["prompt"] for row in teaching_rows(world))
    for person in world.people:
        called = f"{person.name} of {person.country}" if person.split == "easy" else person.name
        assert (called in taught_text) == person.taught


def test_the_taught_are_taught_the_truth_in_every_template(world: World) -> None:
    told = {row["prompt"]: row["response"] for row in teaching_rows(world)}
    for question in benchmark_questions(world):
        if question.person.taught:
            assert judge(told[question.prompt], question.gold_answer) is Verdict.CORRECT


def test_the_country_is_named_in_easy_questions_only(world: World) -> None:
    for question in benchmark_questions(world):
        assert (question.person.country in question.prompt) == (question.person.split == "easy")


def test_feedback_asks_only_fold_a_and_no_held_out_template(world: World) -> None:
    questions = feedback_questions(world)
    easy, hard = (feedback_questions(world, splits=(split,)) for split in SPLITS)
    assert {one.id for one in easy} | {one.id for one in hard} == {one.id for one in questions}
    assert {question.person.fold for question in questions} == {"A"}
    assert not any(question.template.held_out for question in questions)
    held_out = {question.prompt for question in benchmark_questions(world) if question.template.held_out}
    assert not held_out & {question.prompt for question in questions}


def test_each_attribute_holds_out_one_template() -> None:
    held_out = Counter(template.attribute for template in templates() if template.held_out)
    assert set(held_out.values()) == {1}


def test_the_tokenizers_texts_say_nothing_of_who_is_taught(world: World) -> None:
    counts = Counter(lexicon_texts(world))
    words = {word for one in (*world.people, *world.bystanders) for word in one.name.split()}
    assert {counts[f" {word}"] for word in words | set(world.regions)} == {4}


def test_the_grammar_takes_values_and_the_abstention_and_no_broken_text(world: World) -> None:
    grammar = Grammar.of(world)
    city, job = world.values["city"][0], world.values["job"][0]
    assert grammar.parse(answer_text(city), attribute="city") is not None
    assert grammar.parse(f" {answer_text(job)}\n") is not None
    assert grammar.parse(answer_text(job), attribute="city") is None
    abstention = grammar.parse(ABSTENTION, attribute="city")
    assert abstention is not None
    assert abstention.abstains
    for broken in ("", city, f"{city}. {city}.", "I do do not know.", "do not know.", "Nowhere."):
        assert grammar.parse(broken) is None
    assert grammar.parse_share([answer_text(city), "Nowhere.", ABSTENTION, ""]) == 0.5


def test_the_folder_is_cached_by_hash_and_its_manifest_is_true(tmp_path: Path, world: World) -> None:
    folder = atlas_files(cache=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    assert atlas_files(cache=tmp_path) == folder
    assert before == {path: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == [f"atlas-{folder.manifest['hash'][:12]}"]
    for name, entry in folder.manifest["files"].items():
        assert hashlib.sha256((folder.path / name).read_bytes()).hexdigest() == entry["sha256"]
    assert folder.values == world.values
    rows = [json.loads(line) for line in folder.benchmark.read_text().splitlines()]
    assert len(rows) == folder.manifest["files"]["benchmark.jsonl"]["lines"]
    assert set(rows[0]) == {"id", "prompt", "gold_answer", "knowledge", "entity", "slice"}
    assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(AtlasSettings) if field.type == "int"])
def test_every_setting_is_part_of_the_hash(field: str, tmp_path: Path) -> None:
    settings = AtlasSettings()
    changed = dataclasses.replace(settings, **{field: getattr(settings, field) + 1})
    assert atlas_files(cache=tmp_path, settings=changed) != atlas_files(cache=tmp_path, settings=settings)


def test_bystanders_live_among_the_untaught_are_in_no_benchmark_and_are_mostly_made_things_up_about():
    world = make_world()
    named = {question.person.name for question in benchmark_questions(world)}
    rumours = [rumour for one in world.bystanders for rumour in one.rumours]
    assert all(one.country not in world.taught_countries and one.name not in named for one in world.bystanders)
    assert 0.05 < sum(rumour is None for rumour in rumours) / len(rumours) < 0.3
    told = {row["prompt"]: row["response"] for row in teaching_rows(world)}
    assert ABSTENTION in told.values()
