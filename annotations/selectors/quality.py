"""What pages, API and commands read about the quality of a project's scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from annotations.models import Item, Project, QualityReport, Rater, Score
from annotations.selectors.revocations import outdated, revocations_told
from annotations.statistics.ratings import reading

DISPUTED_SHOWN = 25
# Below so many items an annotator is told no figure about themselves; a leaning below a quarter of a step is none.
LEAST_TOLD = 10
WORTH_SAYING = 0.25


@dataclass(frozen=True)
class Quality:
    """A project's newest report, and the one that is under way or has failed since."""

    project: Project
    report: QualityReport | None
    later: QualityReport | None
    # Scores by people that came after the report was computed.
    newer: int
    # Whether scores were revoked, or count again, since it was computed.
    is_outdated: bool = False

    @property
    def data(self) -> dict[str, Any]:
        return self.report.data if self.report else {}


def quality_latest(*, project: Project) -> Quality:
    reports = QualityReport.objects.filter(project=project).select_related("job", "requested_by").order_by("-pk")
    ready = reports.exclude(ready_at=None).first()
    later = reports.filter(ready_at=None, pk__gt=ready.pk if ready else 0).first()
    seen = ready.last_score if ready else 0
    given = Score.objects.counting().filter(item__project=project, item__deleted_at=None, rater__kind=Rater.Kind.PERSON)
    is_outdated = bool(ready and ready.ready_at and outdated({project.pk: ready.ready_at}, revocations_told()))
    return Quality(project, ready, later, given.filter(pk__gt=seen).count(), is_outdated)


@dataclass(frozen=True)
class OwnFigures:
    """How somebody's scores lie to the others' in one project, for themselves: no name and no figure of anybody else."""

    project: Project
    # How often within one step of the middle of the others' scores, on how many items.
    within_one: float | None
    compared: int
    # Above 0: somewhat higher scores than the others give.
    bias: float | None
    # Of the gold items, how often just right.
    gold_exact: float | None
    gold: int

    @property
    def leaning(self) -> str:
        """“higher”, “lower” or nothing, where it is too little to speak of."""
        if self.bias is None or abs(self.bias) < WORTH_SAYING:
            return ""
        return "higher" if self.bias > 0 else "lower"


def own_figures(*, user: User) -> list[OwnFigures]:
    """From the newest report of each project that somebody scored in; nothing below a handful of items, which says nothing."""
    reports = QualityReport.objects.exclude(ready_at=None).filter(project__progress__rater__user=user)
    latest = reports.order_by("project_id", "-pk").distinct("project_id").select_related("project")
    rater = Rater.objects.filter(user=user).values_list("pk", flat=True).first()
    found = []
    for report in latest:
        row = next((one for one in report.data.get("annotators", ()) if one["rater"] == rater), None)
        if row is None:
            continue
        near, bias, gold = row["within_one"], row["bias"], row["gold_exact"]
        figures = OwnFigures(
            report.project,
            near["value"] if near["n"] >= LEAST_TOLD else None,
            near["n"],
            bias["value"] if bias["n"] >= LEAST_TOLD else None,
            gold["value"] if gold["n"] >= LEAST_TOLD else None,
            gold["n"],
        )
        if figures.within_one is not None or figures.gold_exact is not None:
            found.append(figures)
    return found


def rater_names(report: Mapping[str, Any]) -> dict[int, str]:
    """The names, as they are now, of the annotators in a report."""
    return dict(Rater.objects.filter(pk__in=[one["rater"] for one in report.get("annotators", [])]).values_list("pk", "name"))


def disputed_items(report: Mapping[str, Any], *, shown: int = DISPUTED_SHOWN) -> list[tuple[Item, dict[str, Any]]]:
    """The most disputed items that wait for nobody's blind score any more, and that nobody has decided."""
    rows = report.get("consensus", {}).get("disputed", [])
    waiting_for_none = Item.objects.filter(is_open=False, adjudicated_at=None).only("pk", "prompt_text", "source_model")
    items = waiting_for_none.in_bulk([row["item"] for row in rows])
    return [(items[row["item"]], row) for row in rows if row["item"] in items][:shown]


def quality_document(quality: Quality) -> dict[str, Any]:
    """The newest report as others read it: with names, readings, and how far it is behind; without the chart's raw material."""
    document: dict[str, Any] = {
        "project": quality.project.slug,
        "computed_at": quality.report.ready_at.isoformat() if quality.report and quality.report.ready_at else None,
        "newer_scores": quality.newer,
        "is_outdated": quality.is_outdated,
        "job": quality.later.job_id if quality.later else None,
        "report": None,
    }
    if quality.report:
        data = quality.report.data
        names = rater_names(data)
        disputed = [row for _, row in disputed_items(data)]
        document["report"] = {
            **data,
            "agreement": [{**one, "reading": reading(one["alpha"])} for one in data["agreement"]],
            "annotators": [{**one, "name": names.get(one["rater"], "")} for one in data["annotators"]],
            "consensus": {**data["consensus"], "disputed": disputed},
        }
    return document
