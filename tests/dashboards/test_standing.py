"""Where the project stands, in words, and what is next."""

import pytest

from dashboards.standing import LoopRun, Standing, next_actions, steps

LOOP = LoopRun(id=7, name="Atlas 0 by GRPO", state="running", steps_done=2, steps=7)


def first(at: Standing) -> str:
    return next_actions(at)[0].page


@pytest.mark.parametrize(
    ("at", "page"),
    [
        (Standing(), "evaluation:loop-start"),
        (Standing(loop=LOOP), "jobs:pipeline-detail"),
        (Standing(items=5, scores=5, loop=LoopRun(7, "x", "failed", 1, 7)), "jobs:pipeline-detail"),
        (Standing(projects=1, items=5, open_items=5), "annotations:score"),
        (Standing(projects=1, items=5, open_items=2, scores=3), "annotations:dataset-build"),
        (Standing(projects=1, items=5, scores=5, datasets=1, newest_dataset="d"), "training:run-launch"),
        (
            Standing(items=5, scores=5, datasets=1, runs=1, models=1, unmeasured_model="m"),
            "evaluation:scorecard-queue",
        ),
        (
            Standing(items=5, scores=5, datasets=1, runs=1, scorecards=1, newest_scorecard=3),
            "evaluation:scorecard-detail",
        ),
    ],
)
def test_the_next_thing_is_the_first_gap_in_the_loop(at: Standing, page: str):
    assert first(at) == page


def test_what_is_under_way_is_not_asked_for_again():
    at = Standing(projects=1, items=5, scores=5, live_datasets=1)
    assert "annotations:dataset-build" not in [action.page for action in next_actions(at)]


def test_the_steps_follow_the_loop_and_say_what_is_there():
    at = Standing(projects=2, items=1240, open_items=260, scores=3100, datasets=1, newest_dataset="d1", live_runs=1)
    named = {step.label: step for step in steps(at)}
    assert list(named) == ["Items", "Score", "Data", "Train", "Evaluate", "Models"]
    assert named["Items"].note == "in 2 projects" and named["Items"].unit == "items"
    assert named["Score"].note == "260 items open"
    assert named["Data"].unit == "dataset version" and named["Data"].progress == "done"
    assert named["Train"].progress == "busy" and named["Train"].note == "1 under way"
    assert named["Models"].progress == "todo"


def test_the_loop_goes_on_with_the_champion_and_the_newest_model_is_called_so():
    def note(at: Standing) -> str:
        return {step.label: step for step in steps(at)}["Models"].note

    assert note(Standing(models=7, newest_model="m7")) == "newest: m7"
    assert note(Standing(models=7, newest_model="m7", champions=("m3",))) == "champion: m3"
    assert note(Standing(models=7, newest_model="m7", champions=("m3", "m1"))) == "champions: m3, m1"
    assert note(Standing()) == ""
