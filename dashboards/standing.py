"""Where a project stands in the loop, and what there is to do next. Pure: numbers in, words and URL names out."""

from dataclasses import dataclass
from typing import Literal

Progress = Literal["done", "busy", "todo"]


@dataclass(frozen=True)
class LoopRun:
    """The latest turn of the demo loop."""

    id: int
    name: str
    state: str
    steps_done: int
    steps: int

    @property
    def is_live(self) -> bool:
        return self.state in {"queued", "starting", "running", "stopping"}


@dataclass(frozen=True)
class Standing:
    """What there is of everything. `live_*` counts jobs that have not ended."""

    projects: int = 0
    items: int = 0
    open_items: int = 0
    scores: int = 0
    datasets: int = 0
    live_datasets: int = 0
    runs: int = 0
    live_runs: int = 0
    scorecards: int = 0
    live_evaluations: int = 0
    models: int = 0
    newest_dataset: str = ""
    newest_model: str = ""
    unmeasured_model: str = ""
    newest_scorecard: int | None = None
    loop: LoopRun | None = None


@dataclass(frozen=True)
class Step:
    """One station of the loop: what is there, and what about it."""

    label: str
    page: str
    count: int
    unit: str
    note: str
    progress: Progress


@dataclass(frozen=True)
class Action:
    """The one thing to do next: where it is done (a URL name with its arguments) and why. `post` is a button, not a link."""

    label: str
    why: str
    page: str
    args: tuple[object, ...] = ()
    query: str = ""
    post: bool = False
    # The station of the loop that it belongs to, by label.
    step: str = ""


def steps(at: Standing) -> list[Step]:
    """The loop's six stations in order."""
    return [
        _step("Items", "annotations:item-list", at.items, "item", _projects(at.projects)),
        _step("Score", "annotations:score", at.scores, "score", _scoring(at)),
        _step(
            "Data",
            "annotations:dataset-list",
            at.datasets,
            "dataset version",
            at.newest_dataset,
            live=at.live_datasets,
            doing="building",
        ),
        _step("Train", "training:run-list", at.runs, "finished run", "", live=at.live_runs, doing="under way"),
        _step(
            "Evaluate", "evaluation:scorecard-list", at.scorecards, "scorecard", "", live=at.live_evaluations, doing="under way"
        ),
        _step("Models", "training:artifact-list", at.models, "model", at.newest_model),
    ]


def _step(label: str, page: str, count: int, unit: str, note: str, *, live: int = 0, doing: str = "") -> Step:
    progress: Progress = "busy" if live else "done" if count else "todo"
    return Step(label, page, count, unit if count == 1 else f"{unit}s", f"{live} {doing}" if live else note, progress)


def _projects(count: int) -> str:
    return f"in {count} project{'' if count == 1 else 's'}" if count else ""


def _scoring(at: Standing) -> str:
    if at.open_items:
        return f"{at.open_items:,} items open"
    return "nothing open" if at.items else ""


RUN_THE_LOOP = Action(
    "Run the demo loop",
    "Watch the whole loop once, on a small closed world made for it: a model is taught, its answers are scored, the scores "
    "become a dataset, the dataset trains the model, and a scorecard shows whether it got more honest. It takes a few minutes "
    "on two cores.",
    "evaluation:loop-start",
    post=True,
)


def next_actions(at: Standing) -> list[Action]:
    """What there is to do, the most useful first. Whoever may not do the first does the next one they may."""
    return [*_about_the_loop(at), *_onward(at), *_standing_work(at)]


def _about_the_loop(at: Standing) -> list[Action]:
    if at.loop and at.loop.is_live:
        why = f"{at.loop.steps_done} of {at.loop.steps} steps are done."
        return [Action(f"Watch {at.loop.name}", why, "jobs:pipeline-detail", (at.loop.id,))]
    if at.loop and at.loop.state == "failed":
        why = "A step of the demo loop failed; its page says why, and what would mend it."
        return [Action(f"See what stopped {at.loop.name}", why, "jobs:pipeline-detail", (at.loop.id,))]
    return [] if at.items or at.models else [RUN_THE_LOOP]


def _onward(at: Standing) -> list[Action]:
    """The first gap in the loop."""
    if at.items and not at.scores:
        return _score(at)
    if at.scores and not at.datasets and not at.live_datasets:
        why = "There are scores, and no dataset version that could train a model yet."
        return [Action("Build a dataset", why, "annotations:dataset-build", step="Data")]
    if at.datasets and not at.runs and not at.live_runs:
        why, query = f"{at.newest_dataset} passed the gate and has trained nothing yet.", f"?dataset={at.newest_dataset}"
        return [Action("Start a training run", why, "training:run-launch", query=query, step="Train")]
    if at.unmeasured_model and not at.live_evaluations:
        why, query = "This model has no scorecard: nobody knows yet how honest it is.", f"?artifact={at.unmeasured_model}"
        return [Action(f"Measure {at.unmeasured_model}", why, "evaluation:scorecard-queue", query=query, step="Evaluate")]
    return []


def _standing_work(at: Standing) -> list[Action]:
    actions = []
    if at.newest_scorecard is not None:
        why = "The newest scorecard says how honest the model is, on questions that training never saw."
        page, args = "evaluation:scorecard-detail", (at.newest_scorecard,)
        actions.append(Action("Read the newest scorecard", why, page, args, step="Evaluate"))
    actions += _score(at)
    if not at.items:
        why = "Items are answers with the prompts they answer; a JSONL file of them starts the loop."
        actions.append(Action("Import items", why, "annotations:item-import", step="Items"))
    return actions


def _score(at: Standing) -> list[Action]:
    if not at.open_items:
        return []
    return [Action("Score the next item", f"{at.open_items:,} items wait for a score.", "annotations:score", step="Score")]
