"""From a rater or a rubric version to all that was made of its scores, whether it is revoked or not."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Prefetch, Q, QuerySet, Sum

from annotations.models import DatasetContributor, DatasetShare, DatasetVersion, Rater, Revocation, RubricVersion
from evaluation.ledger.verdicts import NOTHING, judged_by, rewarded_by, versions_of
from evaluation.models import Evaluation, Promotion
from jobs.models import Job, Pipeline
from training.models import Artifact, Run

Target = Rater | RubricVersion
REBUILD = "evaluation.rebuild"
ITS_VERDICTS = "its verdicts"
SHOWN = 100


@dataclass(frozen=True)
class TouchedDataset:
    """A dataset version with the target's scores in it; one made of such a version's rows, of which no share is known; or one of
    a self-rewarding loop that the target judged.
    """

    version: DatasetVersion
    scores: int = 0
    rankings: int = 0
    rows: int | None = None
    through: tuple[str, ...] = ()
    judged_in: str = ""

    @property
    def of_rows(self) -> int:
        return sum(self.version.counts.values())

    @property
    def share(self) -> float | None:
        return self.rows / self.of_rows if self.rows is not None and self.of_rows else None


@dataclass(frozen=True)
class TouchedRun:
    """A run on such a dataset, one whose reward the target is, or one that began from or used a model of such a run: then
    `through` names these models.
    """

    run: Run
    dataset: TouchedDataset | None
    through: tuple[str, ...] = ()
    is_rewarded: bool = False


@dataclass(frozen=True)
class TouchedModel:
    """A model that such a run wrote, or that descends from one; `generation` 0 was trained on the rows itself."""

    artifact: Artifact
    generation: int
    through: tuple[str, ...]


@dataclass(frozen=True)
class Consequences:
    """All that was made of a target's scores; each list newest first, promotions with the champions of today first."""

    target: Target
    datasets: list[TouchedDataset] = field(default_factory=list)
    runs: list[TouchedRun] = field(default_factory=list)
    models: list[TouchedModel] = field(default_factory=list)
    scorecards: list[Evaluation] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)

    @property
    def champions(self) -> list[Promotion]:
        return [one for one in self.promotions if one.ended_at is None]

    @property
    def counts(self) -> dict[str, int]:
        parts = ("datasets", "runs", "models", "scorecards", "promotions", "champions")
        return {name: len(getattr(self, name)) for name in parts}

    @property
    def is_empty(self) -> bool:
        return not self.datasets and not self.runs


def consequences_of(target: Target) -> Consequences:
    datasets = _datasets(target)
    by_version = {one.version.pk: one for one in datasets}
    runs, models = _trained(by_version, rewarded_by(target) if isinstance(target, Rater) else NOTHING)
    artifacts = [one.artifact.pk for one in models]
    promotions = Promotion.objects.filter(artifact__in=artifacts).select_related("project", "artifact", "promoted_by")
    return Consequences(
        target=target,
        datasets=datasets,
        runs=runs,
        models=models,
        scorecards=list(Evaluation.objects.light().filter(artifact__in=artifacts)),
        promotions=sorted(promotions.defer("certificate"), key=lambda one: (one.ended_at is not None, -one.pk)),
    )


def _datasets(target: Target) -> list[TouchedDataset]:
    told = DatasetContributor.objects.filter(**{column_of(target): target}).exclude(version__ready_at=None).order_by()
    given = {one["version"]: one for one in told.values("version").annotate(all_scores=Sum("scores"), orders=Sum("rankings"))}
    shares = DatasetShare.objects.filter(version__in=given, **{column_of(target): target})
    rows = dict(shares.order_by().values_list("version", "rows"))
    versions = DatasetVersion.objects.select_related("project").defer("report").in_bulk(list(given))
    found = {
        pk: TouchedDataset(versions[pk], one["all_scores"], one["orders"], rows.get(pk, 0))
        for pk, one in given.items()
    }  # fmt: skip
    found |= _judged(target, found)
    last = set(found)
    while last:  # made of rows of these, and so on
        children = DatasetVersion.objects.ready().filter(parents__in=last).exclude(pk__in=found).distinct()
        made = list(children.select_related("project").defer("report").prefetch_related("parents"))
        for one in made:
            found[one.pk] = TouchedDataset(one, through=tuple(each.name for each in one.parents.all() if each.pk in last))
        last = {one.pk for one in made}
    return sorted(found.values(), key=lambda one: -one.version.pk)


def _judged(target: Target, known: Collection[int]) -> dict[int, TouchedDataset]:
    version = versions_of([target.pk]).get(target.pk) if isinstance(target, Rater) else None
    loops = {pk: loop for pk, loop in judged_by(version).items() if pk not in known} if version else {}
    versions = DatasetVersion.objects.select_related("project").defer("report").in_bulk(list(loops))
    return {pk: TouchedDataset(versions[pk], judged_in=loop) for pk, loop in loops.items()}


def _trained(datasets: dict[int, TouchedDataset], rewarded: Q) -> tuple[list[TouchedRun], list[TouchedModel]]:
    """Runs and models generation by generation: those on the datasets or with the reward, then all that begins from, uses or
    descends from these.
    """
    runs: dict[int, TouchedRun] = {}
    models: dict[int, TouchedModel] = {}
    by_reward = set(Run.objects.filter(rewarded).values_list("pk", flat=True))
    for run in _runs(Q(dataset__in=datasets) | Q(pk__in=by_reward)):
        dataset = datasets.get(run.dataset_id)
        runs[run.pk] = TouchedRun(run, dataset, is_rewarded=run.pk in by_reward)
        of = (*([dataset.version.name] if dataset else []), *([ITS_VERDICTS] if run.pk in by_reward else []))
        models[run.artifact_id] = TouchedModel(run.artifact, 0, of)
    generation, last = 0, {pk: one.artifact.name for pk, one in models.items()}
    while last:
        generation += 1
        newer: dict[int, TouchedModel] = {}
        for run in _runs(Q(base__in=last) | Q(uses__in=last)):
            through = tuple(sorted({last[pk] for pk in (run.base_id, *(one.pk for one in run.uses.all())) if pk in last}))
            known = runs.get(run.pk)
            if known is None:
                runs[run.pk] = TouchedRun(run, None, through)
            else:
                runs[run.pk] = replace(known, through=(*known.through, *through))
            newer.setdefault(run.artifact_id, TouchedModel(run.artifact, generation, through))
        for artifact in Artifact.objects.filter(base__in=last).select_related("base"):
            assert artifact.base is not None  # it was found by it
            newer.setdefault(artifact.pk, TouchedModel(artifact, generation, (artifact.base.name,)))
        fresh = {pk: one for pk, one in newer.items() if pk not in models}
        models |= fresh
        last = {pk: one.artifact.name for pk, one in fresh.items()}
    ready = [one for one in models.values() if one.artifact.ready_at is not None]
    return (
        sorted(runs.values(), key=lambda one: -one.run.pk),
        sorted(ready, key=lambda one: (one.generation, -one.artifact.pk)),
    )


def _runs(which: Q) -> Iterable[Run]:
    found = Run.objects.filter(which).distinct().select_related("artifact", "base", "dataset", "job")
    return found.prefetch_related("uses").defer("dataset__report")


def column_of(target: Target) -> str:
    return "rater" if isinstance(target, Rater) else "rubric_version"


def revocation_of(target: Target) -> Revocation | None:
    """The one in force."""
    return revocations().filter(lifted_at=None, **{column_of(target): target}).first()


def revocations() -> QuerySet[Revocation]:
    return Revocation.objects.select_related("rater", "rubric_version", "revoked_by", "lifted_by").defer("rubric_version__data")


def rebuilds_of(revocation: Revocation) -> list[Pipeline]:
    """The rebuilds that were queued for a revocation, newest first, with their jobs in the order in which they are done."""
    found = Pipeline.objects.filter(kind=REBUILD, payload__revocation=revocation.pk).select_related("requested_by")
    return list(found.prefetch_related(Prefetch("jobs", Job.objects.order_by("pk"))).order_by("-pk"))


@dataclass(frozen=True)
class Source:
    """Somebody, or a rubric version, with what stands in dataset versions of theirs."""

    target: Target
    key: str
    kind: str
    versions: int
    scores: int
    rankings: int
    revocation: Revocation | None


def sources(*, words: str = "") -> list[Source]:
    """Rubric versions and raters with scores in dataset versions, up to SHOWN raters, those with most first; `words`: by name."""
    standing = {(one.kind, one.target.pk): one for one in revocations().filter(lifted_at=None)}
    told = DatasetContributor.objects.exclude(version__ready_at=None).order_by()
    named: Any = told.filter(rater__name__icontains=words).values("rater")
    counted: Any = {"all_scores": Sum("scores"), "orders": Sum("rankings")}
    rows = named.annotate(**counted).order_by("-all_scores", "rater")[:SHOWN]
    by_rater: dict[int, Any] = {one["rater"]: one for one in rows}
    by_rubric: dict[int, Any] = {one["rubric_version"]: one for one in told.values("rubric_version").annotate(**counted)}
    raters: dict[int, Any] = Rater.objects.in_bulk(list(by_rater))
    found = RubricVersion.objects.defer("data").in_bulk(list(by_rubric))
    rubrics: dict[int, Any] = {pk: one for pk, one in found.items() if words.lower() in str(one).lower()}
    versions = {name: _versions_by(told, name) for name in ("rater", "rubric_version")}
    return [
        Source(
            targets[pk], key_of(targets[pk]), targets[pk].get_kind_display() if name == "rater" else "Rubric version",
            versions[name].get(pk, 0), of[pk]["all_scores"], of[pk]["orders"], standing.get((name, pk)),
        )
        for name, targets, of in (("rubric_version", rubrics, by_rubric), ("rater", raters, by_rater))
        for pk in of
        if pk in targets
    ]  # fmt: skip


def _versions_by(told: "QuerySet[DatasetContributor]", name: str) -> dict[int, int]:
    counts: dict[int, int] = {}
    for pk, _ in told.values_list(name, "version").distinct():
        counts[pk] = counts.get(pk, 0) + 1
    return counts


def key_of(target: Target) -> str:
    """What names a target in the API and the shell: `person:ann`, `teacher:strict@1`, `gold:gold answers`, `rubric:honesty-1`."""
    if isinstance(target, Rater):
        return f"{target.kind}:{target.name}"
    return f"rubric:{target.name}-{target.version}"


def target_named(key: str) -> Target | None:
    """The reverse. Of rubrics with one name and version the newest; `rubric:` and the start of a content hash names another."""
    kind, _, name = key.partition(":")
    if kind != "rubric":
        return Rater.objects.filter(kind=kind, name=name).first()
    stem, _, number = name.rpartition("-")
    if stem and number.isascii() and number.isdigit() and len(number) < 10:
        return RubricVersion.objects.filter(name=stem, version=int(number)).order_by("-pk").first()
    return RubricVersion.objects.filter(content_hash__startswith=name).first() if len(name) >= 8 else None


def same_person(target: Target) -> Rater | None:
    """Somebody's decisions as an adjudicator are another rater's than their blind scores: of either, the other."""
    other = {Rater.Kind.PERSON: Rater.Kind.ADJUDICATOR, Rater.Kind.ADJUDICATOR: Rater.Kind.PERSON}
    if not isinstance(target, Rater) or target.kind not in other:
        return None
    return Rater.objects.filter(kind=other[Rater.Kind(target.kind)], name=target.name).first()


def document_of(found: Consequences) -> dict[str, Any]:
    """Consequences as plain values, for the API and the shell."""
    return {
        "target": key_of(found.target),
        "counts": found.counts,
        "datasets": [
            {"name": one.version.name, "project": one.version.project.slug if one.version.project else None, "scores": one.scores,
             "rankings": one.rankings, "rows": one.rows, "of_rows": one.of_rows, "share": one.share, "through": list(one.through),
             "judged_in": one.judged_in}
            for one in found.datasets
        ],
        "runs": [
            {"name": one.run.name, "method": one.run.method, "state": one.run.job.state, "dataset": one.run.dataset.name,
             "share": one.dataset.share if one.dataset else None, "through": list(one.through),
             "reward": one.is_rewarded}
            for one in found.runs
        ],
        "models": [
            {"name": one.artifact.name, "generation": one.generation, "through": list(one.through)} for one in found.models
        ],
        "scorecards": [
            {"id": one.pk, "model": one.model_name, "benchmark": one.benchmark.name, "state": one.job.state}
            for one in found.scorecards
        ],
        "promotions": [
            {"project": one.project.slug, "model": one.artifact.name, "champion": one.ended_at is None,
             "promoted_at": one.promoted_at.isoformat(), "ended_at": one.ended_at.isoformat() if one.ended_at else None}
            for one in found.promotions
        ],
    }  # fmt: skip


def revocation_document(one: Revocation) -> dict[str, Any]:
    return {
        "id": one.pk, "target": key_of(one.target), "kind": one.kind, "reason": one.reason, "in_force": one.is_in_force,
        "revoked_at": one.revoked_at.isoformat(), "revoked_by": one.revoked_by.username if one.revoked_by else None,
        "lifted_at": one.lifted_at.isoformat() if one.lifted_at else None,
        "lifted_by": one.lifted_by.username if one.lifted_by else None, "lift_reason": one.lift_reason,
    }  # fmt: skip


def rebuild_document(one: Pipeline) -> dict[str, Any]:
    return {
        "pipeline": one.pk,
        **{name: one.payload.get(name) for name in ("datasets", "runs", "scorecards", "left")},
        "jobs": [{"title": job.title, "state": job.state} for job in one.jobs.all()],
    }
