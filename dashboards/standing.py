"""Where a project stands in the loop, and what there is to do next. Pure: numbers in, words and URL names out."""

from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

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
    # The newest first.
    champions: tuple[str, ...] = ()
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
    # Whether the note names what only those may know of who may open the page.
    names: bool = False


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
    building, under_way = _("%(count)s building"), _("%(count)s under way")
    return [
        _step(_("Items"), "annotations:item-list", at.items, ngettext("item", "items", at.items), _projects(at.projects)),
        _step(_("Score"), "annotations:score", at.scores, ngettext("score", "scores", at.scores), _scoring(at)),
        _step(
            _("Data"),
            "annotations:dataset-list",
            at.datasets,
            ngettext("dataset version", "dataset versions", at.datasets),
            _live(building, at.live_datasets) or at.newest_dataset,
            busy=bool(at.live_datasets),
            names=not at.live_datasets,
        ),
        _step(
            _("Train"),
            "training:run-list",
            at.runs,
            ngettext("finished run", "finished runs", at.runs),
            _live(under_way, at.live_runs),
            busy=bool(at.live_runs),
        ),
        _step(
            _("Evaluate"),
            "evaluation:scorecard-list",
            at.scorecards,
            ngettext("scorecard", "scorecards", at.scorecards),
            _live(under_way, at.live_evaluations),
            busy=bool(at.live_evaluations),
        ),
        _step(_("Models"), "training:artifact-list", at.models, ngettext("model", "models", at.models), _models(at), names=True),
    ]


def _step(label: str, page: str, count: int, unit: str, note: str, *, busy: bool = False, names: bool = False) -> Step:
    progress: Progress = "busy" if busy else "done" if count else "todo"
    return Step(label, page, count, unit, note, progress, names)


def _models(at: Standing) -> str:
    """The loop goes on with the champion; where there is none yet, the newest is all that can be named."""
    if at.champions:
        told = ngettext("champion: %(models)s", "champions: %(models)s", len(at.champions))
        return told % {"models": ", ".join(at.champions)}
    return _("newest: %(model)s") % {"model": at.newest_model} if at.newest_model else ""


def _live(doing: str, count: int) -> str:
    return doing % {"count": count} if count else ""


def _projects(count: int) -> str:
    return ngettext("in %(count)s project", "in %(count)s projects", count) % {"count": count} if count else ""


def _scoring(at: Standing) -> str:
    if at.open_items:
        return ngettext("%(count)s item open", "%(count)s items open", at.open_items) % {"count": f"{at.open_items:,}"}
    return _("nothing open") if at.items else ""


def run_the_loop() -> Action:
    """For somebody who has nothing yet."""
    return Action(
        _("Run the demo loop"),
        _(
            "Watch the whole loop once, on a small closed world made for it: a model is taught, its answers are scored, "
            "the scores become a dataset, the dataset trains the model, and a scorecard shows whether it got more honest. "
            "It takes a few minutes on two cores."
        ),
        "evaluation:loop-start",
        post=True,
    )


def next_actions(at: Standing) -> list[Action]:
    """What there is to do, the most useful first. Whoever may not do the first does the next one they may."""
    return [*_about_the_loop(at), *_onward(at), *_standing_work(at)]


def _about_the_loop(at: Standing) -> list[Action]:
    if at.loop and at.loop.is_live:
        why = _("%(done)s of %(steps)s steps are done.") % {"done": at.loop.steps_done, "steps": at.loop.steps}
        return [Action(_("Watch %(name)s") % {"name": at.loop.name}, why, "jobs:pipeline-detail", (at.loop.id,))]
    if at.loop and at.loop.state == "failed":
        why = _("A step of the demo loop failed; its page says why, and what would mend it.")
        return [Action(_("See what stopped %(name)s") % {"name": at.loop.name}, why, "jobs:pipeline-detail", (at.loop.id,))]
    return [] if at.items or at.models else [run_the_loop()]


def _onward(at: Standing) -> list[Action]:
    """The first gap in the loop."""
    if at.items and not at.scores:
        return _score(at)
    if at.scores and not at.datasets and not at.live_datasets:
        why = _("There are scores, and no dataset version that could train a model yet.")
        return [Action(_("Build a dataset"), why, "annotations:dataset-build", step=_("Data"))]
    if at.datasets and not at.runs and not at.live_runs:
        why = _("%(dataset)s passed the gate and has trained nothing yet.") % {"dataset": at.newest_dataset}
        query = f"?dataset={at.newest_dataset}"
        return [Action(_("Start a training run"), why, "training:run-launch", query=query, step=_("Train"))]
    if at.unmeasured_model and not at.live_evaluations:
        why = _("This model has no scorecard: nobody knows yet how honest it is.")
        label, query = _("Measure %(model)s") % {"model": at.unmeasured_model}, f"?artifact={at.unmeasured_model}"
        return [Action(label, why, "evaluation:scorecard-queue", query=query, step=_("Evaluate"))]
    return []


def _standing_work(at: Standing) -> list[Action]:
    actions = []
    if at.newest_scorecard is not None:
        why = _("The newest scorecard says how honest the model is, on questions that training never saw.")
        page, args = "evaluation:scorecard-detail", (at.newest_scorecard,)
        actions.append(Action(_("Read the newest scorecard"), why, page, args, step=_("Evaluate")))
    actions += _score(at)
    if not at.items:
        why = _("Items are answers with the prompts they answer; a JSONL file of them starts the loop.")
        actions.append(Action(_("Import items"), why, "annotations:item-import", step=_("Items")))
    return actions


def _score(at: Standing) -> list[Action]:
    if not at.open_items:
        return []
    wait = ngettext("%(count)s item waits for a score.", "%(count)s items wait for a score.", at.open_items)
    return [Action(_("Score the next item"), wait % {"count": f"{at.open_items:,}"}, "annotations:score", step=_("Score"))]
