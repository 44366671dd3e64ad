"""Reads a project's scores into arrays and computes its quality report. For child processes and the shell."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db.models import QuerySet

from accounts.models import User
from annotations.models import Project, QualityReport, Rater, RubricVersion, Score
from annotations.services.quality import Computed, quality_publish
from annotations.statistics.report import Scores, Tell, build_report

CHUNK = 10_000
SLICES = ("source model", "knowledge", "skill")
NOT_NAMED = {"source model": "no model named", "knowledge": "not known which", "skill": "no skill named"}
COLUMNS = (
    "pk", "item_id", "rater_id", "rubric_version_id", "overall", "dimensions", "given_at", "seconds",
    "item__gold_score", "item__is_qualification", "item__source_model", "item__knowledge", "item__skill",
)  # fmt: skip
NAN = float("nan")


def quality_run(*, project: Project, actor: User | None, tell: Tell | None = None) -> QualityReport:
    """Compute a report at once and keep it."""
    report = QualityReport(project=project, requested_by=actor)
    return quality_publish(report=report, computed=quality_compute(project=project, tell=tell))


def quality_compute(*, project: Project, tell: Tell | None = None) -> Computed:
    """A report on the project's scores by people that count now. Takes some 400 MB for each million of scores."""
    rows = _Rows()
    total = _scores(project).count() if tell else 0
    for read, row in enumerate(_scores(project).values_list(*COLUMNS).iterator(CHUNK)):
        rows.add(row)
        if tell and read % CHUNK == 0:
            tell("scores read", read, total)
    rubrics = {one.pk: str(one) for one in RubricVersion.objects.filter(pk__in={project.rubric_version_id, *rows.rubrics})}
    scores = rows.scores(project.rubric_version.rubric.dimension_ids)
    data = build_report(scores, rubric=project.rubric_version_id, rubrics=rubrics, tell=tell)
    return Computed(rows.last, data)


def _scores(project: Project) -> "QuerySet[Score]":
    return Score.objects.counting().filter(item__project=project, item__deleted_at=None, rater__kind=Rater.Kind.PERSON).order_by()


@dataclass
class _Rows:
    """Scores as they come, in columns of plain numbers; texts that repeat are kept once."""

    last: int = 0
    whole: dict[str, "array[int]"] = field(
        default_factory=lambda: {name: array("q") for name in ("item", "rater", "rubric", "qualification", *SLICES)}
    )
    parts: dict[str, "array[float]"] = field(
        default_factory=lambda: {name: array("d") for name in ("overall", "given_at", "seconds", "gold")}
    )
    dimensions: dict[str, "array[float]"] = field(default_factory=dict)
    names: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in SLICES})
    rubrics: set[int] = field(default_factory=set)

    def add(self, row: tuple[Any, ...]) -> None:
        pk, item, rater, rubric, overall, dimensions, given_at, seconds, gold, qualification, source, knowledge, skill = row
        self.last = max(self.last, pk)
        self.rubrics.add(rubric)
        self._dimensions(dimensions, len(self.whole["item"]))
        for name, number in zip(("item", "rater", "rubric", "qualification"), (item, rater, rubric, qualification), strict=True):
            self.whole[name].append(number)
        for name, value in zip(self.parts, (overall, given_at.timestamp(), seconds, gold), strict=True):
            self.parts[name].append(NAN if value is None else value)
        for name, text in zip(SLICES, (source, knowledge, skill), strict=True):
            known = self.names[name]
            self.whole[name].append(known.setdefault(text or NOT_NAMED[name], len(known)))

    def _dimensions(self, given: dict[str, float], so_far: int) -> None:
        for name in given.keys() - self.dimensions.keys():
            self.dimensions[name] = array("d", [NAN]) * so_far
        for name, column in self.dimensions.items():
            value = given.get(name)
            column.append(NAN if value is None else value)

    def scores(self, dimensions: Sequence[str]) -> Scores:
        """The columns as arrays, with the dimensions that are asked for."""
        whole = {
            name: np.frombuffer(column, np.int64) if column else np.zeros(0, np.int64) for name, column in self.whole.items()
        }
        parts = {name: np.frombuffer(column, np.float64) if column else np.zeros(0) for name, column in self.parts.items()}
        return Scores(
            item=whole["item"],
            rater=whole["rater"],
            rubric=whole["rubric"],
            qualification=whole["qualification"].astype(np.bool_),
            dimensions={
                name: np.frombuffer(self.dimensions[name], np.float64) if self.dimensions.get(name) else parts["overall"] * NAN
                for name in dimensions
            },
            slices={name: whole[name] for name in SLICES},
            names={name: list(known) for name, known in self.names.items()},
            **parts,
        )
