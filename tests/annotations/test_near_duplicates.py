"""Texts that are nearly the same."""

import random

import pytest

from annotations.near_duplicates import NearDuplicates
from annotations.shingles import shingles

WORDS = [f"word{number}" for number in range(2000)]


def text(chance: random.Random, words: int = 60) -> list[str]:
    return chance.choices(WORDS, k=words)


def test_a_text_with_one_word_changed_is_near_and_one_of_other_words_is_not() -> None:
    chance = random.Random(1)
    known = NearDuplicates(0.8)
    for _ in range(200):
        words = text(chance)
        assert not known.is_near(" ".join(words))
        words[chance.randrange(58)] = "another"
        assert known.is_near(" ".join(words))


def test_case_and_punctuation_make_no_difference() -> None:
    known = NearDuplicates(0.95)
    assert not known.is_near("The capital of France is Paris, said the guide.")
    assert known.is_near("the capital of France is  PARIS said the guide")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_what_lies_well_below_the_threshold_is_not_near(share: float) -> None:
    """Of 60 words a run of so many is shared: the true Jaccard similarity is reckoned here, from the runs of three themselves."""
    chance, near = random.Random(2), 0
    for _ in range(100):
        one = text(chance)
        shared = int(60 * share)
        other = one[:shared] + text(chance, 60 - shared)
        first, second = set(shingles(" ".join(one))), set(shingles(" ".join(other)))
        assert len(first & second) / len(first | second) < 0.65
        known = NearDuplicates(0.8)
        known.is_near(" ".join(one))
        near += known.is_near(" ".join(other))
    assert near == 0


def test_a_text_of_no_words_is_like_another_of_none_and_like_nothing_else() -> None:
    known = NearDuplicates(0.8)
    assert not known.is_near("")
    assert known.is_near("  …")
    assert not known.is_near("yes")


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_of_those_a_little_above_the_threshold_most_are_found(threshold: float) -> None:
    chance, found = random.Random(3), 0
    for _ in range(100):
        one = text(chance, 200)
        # Of two texts of n runs that share s, the similarity is s / (2 n - s).
        shared = round(200 * 2 * (threshold + 0.06) / (1 + threshold + 0.06))
        known = NearDuplicates(threshold)
        known.is_near(" ".join(one))
        found += known.is_near(" ".join(one[:shared] + text(chance, 200 - shared)))
    assert found > 80
