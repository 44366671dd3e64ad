"""What the training page reads: the last runs, and the courses of those that are overlaid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from dashboards.course_charts import Course
from dashboards.recent import shared
from dashboards.telemetry import Usage, usage_of
from jobs.costs.selectors import Used, used_each
from jobs.monitoring.histories import stream_history
from training.completions import FILE as COMPLETIONS
from training.models import Run
from training.reward_parts import Part, RewardReport
from training.selectors import reward_report, run_list

# As many as there are colours that can be told apart.
OVERLAID_AT_MOST = 6
SHOWN_AT_FIRST = 4
LISTED = 25


@dataclass(frozen=True)
class Listed:
    """A run in the list: what it used, and what that cost."""

    run: Run
    usage: Usage
    used: Used

    @property
    def duration(self) -> timedelta | None:
        return self.run.job.duration


def courses(names: Sequence[str]) -> list[Course]:
    """The runs of those names in that order, or the last ones that have logged anything; at most OVERLAID_AT_MOST."""
    if names:
        found = {run.name: run for run in run_list().filter(name__in=names[:OVERLAID_AT_MOST])}
        return [_course(found[name]) for name in dict.fromkeys(names) if name in found]
    made: list[Course] = []
    for run in run_list().exclude(job__folder="")[:LISTED]:
        course = _course(run)
        if course.metrics.count:
            made.append(course)
        if len(made) == SHOWN_AT_FIRST:
            break
    return made


def _course(run: Run) -> Course:
    metrics, telemetry = (stream_history(run.job, stream).columns for stream in ("metrics", "telemetry"))
    return Course(run.name, not run.job.has_ended, metrics, telemetry, parts_of(run))


def parts_of(run: Run) -> tuple[Part, ...]:
    """The parts of a run's reward, as far as it has come; none where it has no reward, or nothing is written down yet."""
    report = reward_of(run)
    return tuple(report.parts) if report else ()


def reward_of(run: Run) -> RewardReport | None:
    """What a run's completions say of its reward, without the completions themselves; None where there is nothing to say."""
    if not run.job.folder or not run.spec.get("reward"):
        return None
    try:
        size = Path(run.job.folder, COMPLETIONS).stat().st_size
    except OSError:
        return None
    return _reward(run.name, size)


@lru_cache(maxsize=64)
def _reward(name: str, size: int) -> RewardReport:  # noqa: ARG001 - remembered by it
    return replace(reward_report(run_list().get(name=name)), samples=[])


@shared
def listed(*, method: str = "", chosen: tuple[str, ...] = ()) -> list[Listed]:
    """The last runs, of one method or of all, newest first, and those that were chosen however old they are."""
    runs = run_list().filter(method=method) if method else run_list()
    shown = list(runs[:LISTED])
    older = run_list().filter(name__in=[name for name in chosen if name not in {run.name for run in shown}])
    return [*_with_usage(shown), *_with_usage(older)]


def _with_usage(runs: Iterable[Run]) -> list[Listed]:
    runs = list(runs)
    costs = used_each([run.job for run in runs])
    return [Listed(run, usage_of(run.job.folder, ended=run.job.has_ended), costs[run.job_id]) for run in runs]


@shared
def methods() -> list[str]:
    """The methods that any run was trained by."""
    return list(Run.objects.order_by("method").values_list("method", flat=True).distinct())
