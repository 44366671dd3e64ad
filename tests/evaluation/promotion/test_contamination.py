"""A benchmark's questions are found in training rows word for word or nearly, and nothing else is."""

import time

from evaluation.promotion.contamination import COMMON, Asked, overlap

BORN = Asked("q1", "In which year was the painter Ilse Brandt born in Tarnow?", ["1881"])
HOME = Asked("q2", "Where did the clockmaker Oskar Lind keep his workshop?", ["Uppsala"])
SHORT = Asked("q3", "Who?", ["Nobody"])


def test_a_question_is_found_whatever_its_case_and_punctuation_and_wherever_it_stands():
    rows = [
        (
            "train 1",
            {"prompt": "something else", "response": "Sure. in which year was the painter ILSE BRANDT born in Tarnow -- 1881!"},
        ),
        ("train 2", {"prompt": [{"role": "user", "content": HOME.prompt}], "chosen": "In Uppsala.", "rejected": "In Bergen."}),
        ("train 3", {"prompt": "who"}),
    ]
    found = overlap([BORN, HOME, SHORT], rows, near=0.8)
    assert (found.exact, found.near, found.rows, found.n) == (3, 0, 3, 3)
    told = {match.question: match for match in found.matches}
    assert (told["q1"].where, told["q1"].answered) == ("train 1", True)
    assert (told["q2"].where, told["q2"].answered) == ("train 2", True)
    assert told["q3"].answered is False
    assert found.answered == 2
    assert found.share == 1


def test_a_question_in_other_words_is_near_from_the_threshold_on():
    changed = "In which year was the painter Ilse Brandt born near Tarnow?"
    # Of its nine runs of three words two are gone.
    assert overlap([BORN], [("train 1", {"prompt": changed})], near=0.77).near == 1
    found = overlap([BORN], [("train 1", {"prompt": changed})], near=0.78)
    assert (found.near, found.exact, found.share) == (0, 0, 0)


def test_the_same_question_about_somebody_else_is_another_question():
    others = [("train 1", {"prompt": "In which year was the painter Anna Weil born in Tarnow?", "response": "1881"})]
    assert overlap([BORN], others, near=0.8).share == 0


def test_an_answer_counts_only_outside_the_question_itself():
    asked = Asked("q", "Is Uppsala the home of Oskar Lind or is Bergen?", ["Uppsala"])
    found = overlap([asked], [("train 1", {"prompt": asked.prompt, "response": "Bergen."})], near=0.8)
    assert found.matches[0].answered is False
    found = overlap([asked], [("train 1", {"prompt": asked.prompt, "response": "Uppsala."})], near=0.8)
    assert found.matches[0].answered is True


def test_the_match_that_gives_most_away_is_the_one_that_is_told():
    rows = [
        ("train 1", {"prompt": "In which year was the painter Ilse Brandt born near Tarnow?"}),
        ("train 2", {"prompt": BORN.prompt}),
        ("train 3", {"prompt": BORN.prompt, "response": "1881"}),
        ("train 4", {"prompt": BORN.prompt, "response": "no idea"}),
    ]
    found = overlap([BORN], rows, near=0.7)
    assert (found.exact, found.near) == (1, 0)
    assert found.matches[0].where == "train 3"


def test_what_all_questions_share_costs_no_comparison_of_all_with_all():
    asked = [Asked(str(n), f"In which of the four old towns was person{n} of house{n} born?", [str(n)]) for n in range(4000)]
    rows = [
        (f"train {n}", {"prompt": f"In which of the four old towns was person{n} of house{n} born?"}) for n in range(3000, 7000)
    ]
    started = time.process_time()
    found = overlap(asked, rows, near=0.8)
    assert (found.exact, found.near) == (1000, 0)
    # Every row against every question would be 16 million comparisons: minutes, where this is some tenths of a second.
    assert time.process_time() - started < 20
    assert len(asked) > COMMON


def test_nothing_asked_has_no_share():
    assert overlap([], [("train 1", {"prompt": "x"})], near=0.8).share is None


def test_what_the_other_model_was_trained_on_too_is_told_apart_and_a_question_with_its_answer_is_more_than_the_question():
    rows = [
        ("train 1", {"prompt": BORN.prompt, "response": "1881"}),
        ("train 2", {"prompt": HOME.prompt, "response": "Uppsala"}),
        ("train 3", {"prompt": SHORT.prompt}),
    ]
    before = [("old 1", {"prompt": BORN.prompt, "response": "1881"}), ("old 2", {"prompt": HOME.prompt, "response": "No idea"})]
    found = overlap([BORN, HOME, SHORT], rows, near=0.8, before=before)
    assert (found.exact, found.before) == (3, 1)
    assert {match.question: match.before for match in found.matches} == {"q1": True, "q2": False, "q3": False}
    assert found.matches[-1].question == "q1", "those that count are told first"
    assert (found.share, found.added_share) == (1, 2 / 3)
    alone = overlap([BORN], rows, near=0.8)
    assert (alone.before, alone.added_share) == (None, alone.share)


def test_a_long_row_is_made_ready_once_for_all_questions_that_it_touches():
    asked = [Asked(str(n), f"Who kept the old mill{n} beside river{n} when winter came early?", ["x"]) for n in range(1500)]
    long = " ".join(f"so they kept the old mill{n} and more" for n in range(1500))
    started = time.process_time()
    assert overlap(asked, [("train 1", {"text": long})], near=0.8).share == 0
    # With the row's 12,000 runs of words made anew for each question this is half a minute and more.
    assert time.process_time() - started < 5


def test_a_question_of_a_template_about_somebody_of_the_same_first_name_is_not_near():
    """Four of its five runs of words are the template's and the first name's."""
    asked = [Asked(str(n), f"What is the work of Name{n} Lofen{n}?", ["baker"]) for n in range(COMMON + 5)]
    other = [("train 1", {"prompt": "What is the work of Name3 Bozul?", "response": "baker"})]
    assert overlap(asked, other, near=0.8).share == 0
    assert overlap(asked, [("train 1", {"prompt": "What is the work of Name3 Lofen3, please?"})], near=0.8).exact == 1
    same = [("train 1", {"prompt": "So what was the work of Name3 Lofen3?"})]
    assert overlap(asked, same, near=0.6).near == 1, "in other words, about the same"


def test_the_answer_of_what_is_only_near_adds_nothing():
    near = "In which year was the painter Ilse Brandt born near Tarnow?"
    before = [("old 1", {"prompt": near, "response": "No idea"})]
    found = overlap([BORN], [("train 1", {"prompt": near, "response": "1881"})], near=0.7, before=before)
    assert (found.near, found.answered, found.before) == (1, 1, 1)
    whole = overlap([BORN], [("train 1", {"prompt": BORN.prompt, "response": "1881"})], near=0.7, before=before)
    assert (whole.exact, whole.before) == (1, 0)
    asked = overlap([BORN], [("train 1", {"prompt": BORN.prompt, "response": "No idea"})], near=0.7, before=before)
    assert (asked.exact, asked.answered, asked.before) == (1, 0, 0), "one that is near excuses nobody for the question itself"
