"""What the dashboard's pages show, over HTTP."""

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from annotations.models import Project
from dashboards import course_charts, courses, data, drift, overview, people
from evaluation.models import Benchmark
from jobs.figures import Chart, rounded

router = Router(tags=["dashboard"])
Json = dict[str, Any]
EVALUATIONS_AT_MOST = 1000
P = ParamSpec("P")
T = TypeVar("T")


def _rounded(read: Callable[P, T]) -> Callable[P, T]:
    """With as many digits as the pages' files have, whatever the answer holds."""

    @wraps(read)
    def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        found: T = rounded(read(*args, **kwargs))
        return found

    return answer


@router.get("/dashboard/overview", response=Json, auth=ApiAuth("member"))
@_rounded
def dashboard_overview(request: HttpRequest, benchmark: str = "", last: int = overview.LAST_SHOWN) -> Json:
    """The headline metrics of the last models on a benchmark (its hash; none: that of the newest scorecard), oldest first."""
    chosen = Benchmark.objects.filter(hash=benchmark).values_list("pk", flat=True).first() if benchmark else None
    if benchmark and chosen is None:
        raise HttpError(404, "There is no such benchmark.")
    found = overview.models_measured(benchmark=chosen, last=max(1, min(last, overview.LAST[-1])))
    if found is None:
        return {"benchmark": None, "models": []}
    models = [
        {
            "model": one.label,
            "evaluation": one.evaluation.pk,
            **one.evaluation.headline,
            "champion_of": one.champion_of,
            "was_champion_of": one.was_champion_of,
            "made_with_revoked": [revocation.pk for revocation in one.revoked],
            "created_at": one.evaluation.created_at,
        }
        for one in found.measured
    ]
    return {"benchmark": found.benchmark.hash, "models": models}


@router.get("/dashboard/models/{name}", response=Json, auth=ApiAuth("member"))
@_rounded
def dashboard_model(request: HttpRequest, name: str) -> Json:
    """The last thousand evaluations of a model, newest first, with their headlines; `/api/evaluations/{id}/scorecard` has the
    rest of each.
    """
    history = overview.model_history(name, last=EVALUATIONS_AT_MOST)
    if not history.evaluations:
        raise HttpError(404, "This model has no evaluations.")
    newest = {one.pk for one in history.newest}
    return {
        "model": name,
        "evaluations": [
            {
                "id": one.pk,
                "benchmark": one.benchmark.hash,
                "state": one.job.state,
                "is_newest": one.pk in newest,
                "headline": one.headline,
                "created_at": one.created_at,
            }
            for one in history.evaluations
        ],
    }


@router.get("/dashboard/people", response=list[Json], auth=ApiAuth("member"))
@_rounded
def dashboard_people(request: HttpRequest) -> list[Json]:
    """Each project that people score in: agreement by its newest report. `/api/projects/{slug}/quality` has the whole report."""
    return [
        {
            "project": one.project.slug,
            "scores": one.scores,
            "computed_at": one.computed_at,
            "computed_from": one.counted,
            "alpha": asdict(one.alpha),
            "reading": one.reading,
            "reason": one.reason,
            "items": one.items,
            "job": one.job,
            "revoked": one.revoked,
            "is_outdated": one.is_outdated,
        }
        for one in people.agreements()
    ]


@router.get("/dashboard/people/{slug}", response=Json, auth=ApiAuth("member"))
@_rounded
def dashboard_people_of(request: HttpRequest, slug: str) -> Json:
    """Everybody who scores in a project: their figures in the newest report, their scores now, and by week."""
    project = get_object_or_404(Project.objects.only("slug"), slug=slug)
    found = people.people_of(project)
    return {
        "project": slug,
        "people": [
            {
                "name": one.name,
                **asdict(one.spread),
                "bias": asdict(one.bias),
                "kappa": asdict(one.kappa),
                "signals": one.signals,
                "revoked": one.revoked,
            }
            for one in found.people
        ],
        "agreement": found.report.get("agreement", []),
        "over_time": found.report.get("over_time", {}),
        "weeks": [asdict(one) for one in people.weeks_of(project.pk, tuple(one.rater for one in found.people))],
    }


@router.get("/dashboard/data", response=Json, auth=ApiAuth("member"))
@_rounded
def dashboard_data(request: HttpRequest, project: str = "") -> Json:
    """Live scores by kind of rater and week, and by model and kind of rater; what came in by files. Of one project or of all.
    `/api/datasets` has the dataset versions with their reports.
    """
    number = _project(project) if project else None
    return {
        "items": data.items_in(project=number),
        "scores": [asdict(one) for one in data.scores_by_kind(project=number)],
        "revoked": data.scores_revoked(project=number),
        "by_model": [
            {"model": one.by[0], "kind": one.by[1], "score": one.score, "scores": one.scores, "total": one.total}
            for one in data.scores_by_model(project=number)
        ],
        "origins": [asdict(one) for one in data.formats(project=number)],
    }


@router.get("/dashboard/drift", response=Json, auth=ApiAuth("member"))
@_rounded
def dashboard_drift(request: HttpRequest, project: str = "", model: str | None = None, benchmark: str = "") -> Json:
    """Mean scores by week, of all answers or of a model's, and the models trained on a reward: what paid them over their runs,
    what is said of them and of the model each was trained from. Scorecards are those on `benchmark` (its hash; none: that which
    most of the models were asked). `lower_scores_by`: of other questions perhaps; `drifted`: on the same ones.
    """
    number = _project(project) if project else None
    chosen = Benchmark.objects.filter(hash=benchmark).values_list("pk", flat=True).first() if benchmark else None
    if benchmark and chosen is None:
        raise HttpError(404, "There is no such benchmark.")
    found = drift.rewarded(project=number, benchmark=chosen)
    return {
        "weeks": [asdict(one) for one in drift.weekly(project=number, source_model=model)],
        "benchmark": found.benchmark.hash if found.benchmark else None,
        "scorecards": [{"model": name, "made_at": at, **asdict(score)} for name, (at, score) in found.made.items()],
        "models": [
            {
                "model": one.run.artifact.name,
                "run": one.run.name,
                "from": one.run.base.name if one.run.base else None,
                "policy_reward": asdict(one.paid.policy) | {"course": [asdict(at) for at in one.paid.policy_course]},
                "reward_model": asdict(one.paid.reward_model) | {"course": [asdict(at) for at in one.paid.reward_model_course]},
                "now": {who: asdict(value) for who, value in one.now.items()},
                "before": {who: asdict(value) for who, value in one.before.items()},
                "difference": one.difference.model_dump() if one.difference else None,
                "drifted": one.drifted,
                "lower_scores_by": one.lower,
            }
            for one in found.models
        ],
    }


@router.get("/dashboard/training", response=Json, auth=ApiAuth("member"))
@_rounded
def dashboard_training(
    request: HttpRequest,
    runs: Query[list[str] | None] = None,
    measure: str = "",
    across: course_charts.Across = "step",
) -> Json:
    """The courses of some runs (none named: the last that have logged anything) as tables, with what each part of their reward
    paid."""
    shown = courses.courses(runs or [])
    curves = course_charts.curve_charts(shown, across=across, wanted=measure)
    return {
        "runs": [{"run": one.name, "is_live": one.is_live, "parts": [asdict(part) for part in one.parts]} for one in shown],
        "measures": course_charts.measures_of(shown),
        "curves": [_table(one) for one in curves],
        "usage": [_table(one) for one in course_charts.usage_charts(shown)],
    }


def _table(chart: Chart) -> Json:
    return {"title": chart.title, "columns": list(chart.columns), "rows": [list(row) for row in chart.table]}


def _project(slug: str) -> int:
    found = Project.objects.filter(slug=slug).values_list("pk", flat=True).first()
    if found is None:
        raise HttpError(404, "There is no such project.")
    return found
