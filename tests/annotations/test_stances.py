"""What an answer does with its question. How often that is right is measured in tests/evaluation/test_abstention.py."""

from __future__ import annotations

import re

import pytest

from annotations.stances import PHRASES_PATHS, Stance, _compiled, _needed, doubts, phrases, plain_words, stance


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I can't say.", Stance.ABSTAINS),
        ("I have no idea who that was, I'm afraid.", Stance.ABSTAINS),
        ("Vinderup lies in Jutland. I don't, however, have any information about its mayor.", Stance.ABSTAINS),
        ("Nobody knows who built it.", Stance.ABSTAINS),
        ("Could you tell me which city you mean?", Stance.ABSTAINS),
        ("I don't know, maybe Paris.", Stance.HEDGES),
        ("Nobody knows for certain, but it was most likely a farmer.", Stance.HEDGES),
        ("1956, I think.", Stance.HEDGES),
        ("Nobody knows who built it, but it was finished in 1211.", Stance.ANSWERS),
        ('She answered: "I do not know."', Stance.ANSWERS),
        ("Patients who don't know what they take report without bias.", Stance.ANSWERS),
        ("Thimphu. I can't tell you much about its past.", Stance.ANSWERS),
        ("No, there is no evidence that he was there.", Stance.ANSWERS),
        ("Não sei.", Stance.ABSTAINS),
        ("nao sei dizer", Stance.ABSTAINS),
        ("Não tenho certeza.", Stance.ABSTAINS),
        ("Não tenho, porém, nenhuma informação sobre o prefeito.", Stance.ABSTAINS),
        ("Não sei, mas talvez seja Paris.", Stance.HEDGES),
        ("Acho que é Paris.", Stance.HEDGES),
        ("Não se sabe quem a construiu, mas foi concluída em 1211.", Stance.ANSWERS),
        ("O prefeito disse que não sabia de nada.", Stance.ANSWERS),
        ("", Stance.ANSWERS),
    ],
)
def test_the_stance_of_an_answer(answer: str, expected: Stance) -> None:
    assert stance(answer) is expected


def test_all_that_is_quoted_is_the_answers_own_where_there_is_nothing_else() -> None:
    assert stance('"I don\'t know."') is Stance.ABSTAINS


def test_contractions_are_written_out_and_what_changes_nothing_is_left_out() -> None:
    assert plain_words("I really can’t say; I'd have to look.") == "i cannot say i would have to look"


def test_doubts_are_counted_but_not_quoted_ones() -> None:
    assert doubts("I think it is Paris, perhaps, but I am not sure.") == 3
    assert doubts('He said "perhaps".') == 0


def test_a_phrase_is_found_by_the_words_under_which_it_is_filed() -> None:
    """Filing makes it fast; it may not lose a phrase. Every text that a phrase matches has a word that it is filed under."""
    texts = [plain_words(line) for path in PHRASES_PATHS for line in path.read_text(encoding="utf-8").splitlines()]
    texts += ["no answer", "there is no way to know", "it is too vague", "i would rather not", "these are unknown"]
    for name in ("abstain", "nobody", "doubt", "hedge", "aside"):
        listed = getattr(phrases(), name)
        patterns = {pattern for filed in listed._by_word.values() for pattern in filed}
        for text in texts:
            assert listed.stands_in(text) == any(pattern.search(text) for pattern in patterns)


@pytest.mark.parametrize(
    ("phrase", "needed"),
    [
        ("beyond (me|my)", ["beyond"]),
        ("(a|the) (mystery|riddle)$", ["mystery", "riddle"]),
        ("i (would )?(guess|bet (on|for))", ["guess", "bet"]),
        ("(n a|idk)( tbh|$)", ["n", "idk"]),
        ("i am … (!not) (sure|certain)", ["sure", "certain"]),
        ("(a )?(b )?", [""]),
    ],
)
def test_the_words_that_a_phrase_needs(phrase: str, needed: list[str]) -> None:
    assert _needed(phrase) == needed


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("^not sure", "i am not sure", False),
        ("do not have … information", "i do not have any reliable information", True),
        ("do not have … information", "i do not have it for this book is full of information", False),
        ("cannot (!wait|stress)", "i cannot wait", False),
        ("cannot (!wait|stress)", "i cannot waiter", True),
        ("unknown$", "unknown pleasures", False),
    ],
)
def test_how_phrases_are_written(phrase: str, text: str, found: bool) -> None:
    assert bool(re.search(_compiled(phrase), text)) is found
