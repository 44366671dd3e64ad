"""A rubric's words in other languages."""

import pytest

from annotations.rubric import RUBRICS, load_rubric, rubric_names, translated

LANGUAGES = sorted(path.name for path in RUBRICS.iterdir() if path.is_dir())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", rubric_names())
def test_a_translation_has_every_word_and_changes_no_number(name, language):
    original = load_rubric(name)
    other = translated(original, language)
    assert other is not original
    assert [step.score for step in other.scale] == [step.score for step in original.scale]
    assert other.dimension_ids == original.dimension_ids
    assert other.verdicts == original.verdicts
    assert [example.score for example in other.examples] == [example.score for example in original.examples]
    assert all(a.label != b.label for a, b in zip(other.scale, original.scale, strict=True))


def test_a_rubric_that_nobody_has_translated_stays_as_it_is():
    original = load_rubric()
    changed = original.model_copy(update={"summary": "Another one."})
    assert translated(changed, "pt") is changed
    assert translated(original, "xx") is original
    assert translated(original, "../pt") is original


def test_a_variant_of_a_language_takes_the_languages_words():
    assert translated(load_rubric(), "pt-br").title == translated(load_rubric(), "pt").title
