"""Revoke scores and have them count again; and make anew without them what was made with them: datasets, then runs, then
scorecards, as one pipeline of jobs.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from django.db import transaction

from accounts import audit
from accounts.models import User
from annotations.models import DatasetVersion, Revocation
from annotations.services import DatasetRefused, dataset_queue, revocation_lift, revoke
from evaluation.ledger.selectors import REBUILD, Consequences, Target, consequences_of, rebuilds_of
from evaluation.ledger.watching import champions_watch
from evaluation.models import Evaluation
from evaluation.services import EvaluationRefused, evaluation_queue
from jobs.models import ENDED, Job, Pipeline
from jobs.services import pipeline_create
from training.models import Artifact, Run
from training.services import RunRefused, run_create
from training.specs import ARTIFACT, RunSpec, artifacts_named, artifacts_placed

Depth = Literal["datasets", "runs", "scorecards"]
DEPTHS: tuple[Depth, ...] = ("datasets", "runs", "scorecards")
# Of a name, before what tells the rebuilt one apart: names may have 100 characters.
STEM = 80


class RebuildRefused(ValueError):  # noqa: N818 - reads as what happened
    """Why nothing is queued; the message says what to do."""


def scores_revoke(*, target: Target, reason: str, actor: User | None) -> Revocation:
    """Have a target's scores count for nothing from now on; an alert tells of every champion that stands on them. Raises
    RevocationRefused.
    """
    made = revoke(target=target, reason=reason, actor=actor)
    champions_watch()
    return made


def scores_reinstate(*, revocation: Revocation, reason: str, actor: User | None) -> Revocation:
    """Have them count again. Raises RevocationRefused."""
    lifted = revocation_lift(revocation=revocation, reason=reason, actor=actor)
    champions_watch()
    return lifted


@transaction.atomic
def rebuild_queue(*, revocation: Revocation, actor: User | None, depth: Depth = "datasets") -> Pipeline:
    """Queue the datasets that a project's builds made with revoked scores, with the same settings and without these; then the
    same runs on them; then their scorecards on the same benchmarks. Of datasets alike in all but their age one is made.

    What cannot be made anew is named in the pipeline's payload (`left`), with why. Raises RebuildRefused.
    """
    if depth not in DEPTHS:
        raise RebuildRefused(f"A rebuild goes as far as {', '.join(DEPTHS)}.")
    locked = Revocation.objects.select_for_update().get(pk=revocation.pk)
    if not locked.is_in_force:
        raise RebuildRefused("The revocation was lifted: its scores count again, so nothing would change.")
    if any(job.state not in ENDED for one in rebuilds_of(locked) for job in one.jobs.all()):
        raise RebuildRefused("A rebuild for this revocation is under way: wait for it, or stop its pipeline.")
    found = consequences_of(locked.target)
    pipeline = pipeline_create(
        name=f"Without the scores of {locked}", kind=REBUILD, payload={"revocation": locked.pk, "depth": depth}, actor=actor
    )
    rebuild = _Rebuild(pipeline, actor, f"-r{locked.pk}")
    try:
        rebuild.queue(found, depth)
    except (DatasetRefused, RunRefused, EvaluationRefused) as refused:
        raise RebuildRefused(str(refused)) from refused
    if not rebuild.versions:
        raise RebuildRefused("No dataset can be made anew: none with these scores was built from a project.")
    pipeline.payload |= rebuild.document()
    pipeline.save(update_fields=["payload"])
    audit.record(actor=actor, action="evaluation.rebuild_queued", target=locked, detail={"pipeline": pipeline.pk, "depth": depth})
    return pipeline


@dataclass
class _Rebuild:
    """A rebuild while it is being queued: what stands for what, by the old one's number."""

    pipeline: Pipeline
    actor: User | None
    suffix: str
    versions: dict[int, tuple[DatasetVersion, DatasetVersion]] = field(default_factory=dict)
    artifacts: dict[int, tuple[Artifact, Run]] = field(default_factory=dict)
    scorecards: list[Evaluation] = field(default_factory=list)
    left: list[dict[str, str]] = field(default_factory=list)

    def queue(self, found: Consequences, depth: Depth) -> None:
        self._datasets(found)
        if depth != "datasets":
            self._runs(found)
        if depth == "scorecards":
            self._scorecards(found)

    def document(self) -> dict[str, Any]:
        runs = {one.artifact.name for _, one in self.artifacts.values()}
        return {
            "datasets": {old.name: new.name for old, new in self.versions.values()},
            "runs": {old.name: run.name for old, run in self.artifacts.values()},
            "scorecards": [one.pk for one in self.scorecards],
            "left": self.left,
            "made": len({new.pk for _, new in self.versions.values()}) + len(runs) + len(self.scorecards),
        }

    def _datasets(self, found: Consequences) -> None:
        alike: dict[tuple[int, str, bytes], DatasetVersion] = {}
        for touched in found.datasets:  # newest first
            old = touched.version
            if touched.through or touched.judged_in or old.project is None:
                self._leave("dataset", old.name, "it was not built from a project")
                continue
            key = (old.project.pk, old.kind, orjson.dumps(old.settings, option=orjson.OPT_SORT_KEYS))
            if key not in alike:
                alike[key] = dataset_queue(
                    project=old.project,
                    name=_free_name(f"{old.name[:STEM]}{self.suffix}", DatasetVersion),
                    kind=old.kind,
                    settings=old.settings,
                    actor=self.actor,
                    pipeline=self.pipeline,
                )
            self.versions[old.pk] = (old, alike[key])

    def _runs(self, found: Consequences) -> None:
        touched = {one.run.artifact_id for one in found.runs} | {one.artifact.pk for one in found.models}
        alike: dict[bytes, Run] = {}
        for one in reversed(found.runs):  # oldest first: a run's models were there before it
            run = one.run
            if run.artifact.ready_at is None:
                continue
            if one.is_rewarded:
                self._leave("run", run.name, "its reward asks this teacher")
                continue
            needed = [*([run.base] if run.base else []), *run.uses.all()]
            missing = [model.name for model in needed if model.pk in touched and model.pk not in self.artifacts]
            if missing or (one.dataset and run.dataset_id not in self.versions):
                self._leave("run", run.name, f"{', '.join(missing) or run.dataset.name} is not made anew")
                continue
            key = orjson.dumps(self._key(run, needed), option=orjson.OPT_SORT_KEYS)
            if key not in alike:
                alike[key] = self._run(run, needed)
            self.artifacts[run.artifact_id] = (run.artifact, alike[key])

    def _key(self, run: Run, needed: list[Artifact]) -> list[Any]:
        """What makes two runs the same run: all but their names."""
        models = [self._now(model).pk for model in needed]
        return [run.spec | {"name": "", "model": None if run.base else run.spec["model"]}, self._dataset(run).pk, models]

    def _run(self, run: Run, needed: list[Artifact]) -> Run:
        dataset, base = self._dataset(run), self._now(run.base) if run.base else None
        name = _free_name(f"{run.name[:STEM]}{self.suffix}", Artifact)
        names = {one.name: self._now(one).name for one in needed}
        placed = {one: ARTIFACT + names.get(one, one) for one in artifacts_named(run.spec)}
        values = artifacts_placed(run.spec, placed) | {"name": name}
        if base is not None:
            values["model"] = {**values["model"], "path": base.name}
        waits = [dataset.job] if run.dataset_id in self.versions else []
        waits += [self.artifacts[one.pk][1].job for one in needed if one.pk in self.artifacts]
        return run_create(
            name=name,
            spec=RunSpec.model_validate(values),
            recipe=run.recipe,
            dataset=dataset,
            base=base,
            actor=self.actor,
            after=[job for job in waits if job is not None],
            pipeline=self.pipeline,
        )

    def _scorecards(self, found: Consequences) -> None:
        """The newest of each model on each benchmark again."""
        seen: set[tuple[int, int]] = set()
        for old in found.scorecards:  # newest first
            if old.artifact_id not in self.artifacts or not old.headline:
                continue
            run = self.artifacts[old.artifact_id][1]
            if (run.pk, old.benchmark_id) in seen:
                continue
            seen.add((run.pk, old.benchmark_id))
            base = self._now(old.base) if old.base else None
            jobs: list[Job] = [run.job]
            if old.base_id in self.artifacts:
                jobs.append(self.artifacts[old.base_id][1].job)
            self.scorecards.append(
                evaluation_queue(
                    artifact=run.artifact,
                    benchmark=old.benchmark,
                    base=base,
                    settings=old.settings,
                    hardware_tag=old.job.hardware_tag,
                    actor=self.actor,
                    after=jobs,
                    pipeline=self.pipeline,
                )
            )

    def _now(self, model: Artifact) -> Artifact:
        return self.artifacts[model.pk][1].artifact if model.pk in self.artifacts else model

    def _dataset(self, run: Run) -> DatasetVersion:
        return self.versions[run.dataset_id][1] if run.dataset_id in self.versions else run.dataset

    def _leave(self, what: str, name: str, why: str) -> None:
        self.left.append({"what": what, "name": name, "why": why})


def _free_name(stem: str, model: type[Artifact] | type[DatasetVersion]) -> str:
    """`stem`, or the first of `stem-2`, `stem-3`, … that nothing is named yet."""
    taken = set(model._default_manager.filter(name__startswith=stem).values_list("name", flat=True))
    return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)
