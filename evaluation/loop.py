"""The Atlas loop: the whole of RLWHF on a closed world, queued as one pipeline of jobs.

    teach → answer → score → gate → train → evaluate

A tiny model is taught some of Atlas' facts; it answers questions about people it was taught and people it was not; the
answers become items and are scored by their gold answers; the scores become a gated dataset; the dataset trains the model;
and a scorecard on people that training never saw says whether it got more honest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from django.conf import settings
from django.db import transaction
from pydantic import BaseModel, Field

from accounts import audit
from accounts.models import User
from annotations.models import DatasetVersion, Project
from annotations.services import dataset_from_rows, dataset_queue, project_create
from evaluation.atlas.files import AtlasFolder, atlas_files
from evaluation.atlas.world import AtlasSettings
from evaluation.models import Evaluation
from evaluation.services import benchmark_register, evaluation_queue
from jobs.models import Job, Pipeline
from jobs.services import job_queue, pipeline_create
from training.models import Artifact
from training.services import generation_queue, run_queue, run_spec

PIPELINE_KIND = "atlas.loop"
TEACH_RECIPE = "atlas-teach"
DATASET_KINDS = {"grpo": "prompts", "dpo": "preference"}
# Long enough for any answer that Atlas' grammar allows.
ANSWER_TOKENS = 16


class DemoLoopSettings(BaseModel):
    """What one turn of the loop does."""

    method: Literal["grpo", "dpo"] = "grpo"
    seed: int = Field(0, ge=0, lt=2**31, description="Of the world, the teaching and the training.")
    samples: int = Field(4, ge=1, le=64, description="Answers sampled per question for scoring.")
    hardware_tag: str = "cpu"
    max_steps: int | None = Field(
        None,
        ge=1,
        description="Cut teaching and training short, to see the loop turn in a minute; its figures then mean nothing.",
    )
    reuse_base: bool = Field(True, description="Start from the taught model of an earlier turn, where there is one.")


@transaction.atomic
def loop_start(*, actor: User | None, wanted: DemoLoopSettings) -> Pipeline:
    """Queue a whole turn of the loop; its jobs show what happens and how far it is.

    Raises RunRefused where a step cannot be queued.
    """
    atlas = atlas_files(cache=settings.RLWHF_HOME / "cache", settings=AtlasSettings(seed=wanted.seed))
    title = f"Atlas {wanted.seed} by {wanted.method.upper()}"
    pipeline = pipeline_create(name=title, kind=PIPELINE_KIND, payload=wanted.model_dump(), actor=actor)
    turn = _Turn(atlas, wanted, pipeline, actor)
    base, taught = turn.teach()
    project = turn.project()
    scored = turn.answer_and_score(base, project, after=taught)
    dataset, gated = turn.gate(base, project, after=[scored])
    trained, done = turn.train(base, dataset, after=[gated])
    evaluation = turn.evaluate(base, trained, taught=taught, done=done)
    pipeline.payload |= {"base": base.name, "trained": trained.name, "evaluation": evaluation.pk, "project": project.slug}
    pipeline.save(update_fields=["payload"])
    audit.record(actor=actor, action="evaluation.loop_started", target=pipeline, detail=wanted.model_dump())
    return pipeline


@dataclass(frozen=True)
class _Turn:
    """One turn of the loop while it is being queued. Each method queues a step, after the jobs of earlier ones."""

    atlas: AtlasFolder
    wanted: DemoLoopSettings
    pipeline: Pipeline
    actor: User | None

    def teach(self) -> tuple[Artifact, list[Job]]:
        """The taught model, and the job that will make it; none where an earlier turn has taught the same."""
        corpus = self._corpus()
        stem = f"atlas-base-{self.wanted.seed}"
        overrides = self._overrides() | {"model.scratch.tokenizer_texts": str(self.atlas.lexicon)}
        taught = self._taught(corpus, overrides) if self.wanted.reuse_base else None
        if taught is not None:
            return taught, []
        run = run_queue(
            name=_free_name(stem),
            recipe=TEACH_RECIPE,
            dataset=corpus,
            overrides=overrides,
            hardware_tag=self.wanted.hardware_tag,
            title=f"Teach {stem}",
            actor=self.actor,
            pipeline=self.pipeline,
        )
        return run.artifact, [run.job]

    def _taught(self, corpus: DatasetVersion, overrides: dict[str, Any]) -> Artifact | None:
        """A model that an earlier turn taught in just this way: one of a turn that was cut short would not do."""
        spec = run_spec(name="wanted", recipe=TEACH_RECIPE, overrides=overrides).model_dump(mode="json")
        same = {f"run__spec__{part}": spec[part] for part in ("settings", "model", "seed")}
        taught = Artifact.objects.ready().filter(run__dataset=corpus, run__recipe=TEACH_RECIPE, **same).first()
        return taught if taught is not None and taught.model_folder.is_dir() else None

    def _overrides(self) -> dict[str, Any]:
        short = {"settings.max_steps": self.wanted.max_steps} if self.wanted.max_steps else {}
        return {"seed": self.wanted.seed} | short

    def _corpus(self) -> DatasetVersion:
        """What is taught, as a dataset version; the same world gives the same one."""
        name = self.atlas.path.name.replace("atlas-", "atlas-teach-")
        known = DatasetVersion.objects.ready().filter(name=name).first()
        if known is not None and Path(known.folder).is_dir():
            return known
        with self.atlas.teach.open("rb") as lines:
            rows = [orjson.loads(line) for line in lines]
        return dataset_from_rows(name=name, kind="sft", rows={"train": rows}, source=self.atlas.path.name, actor=self.actor)

    def project(self) -> Project:
        """Where the answers are scored; people may score them too."""
        name = f"Atlas {self.wanted.seed}"
        guidelines = "Answers of a tiny model about invented people. You cannot know who is right; the gold answers do."
        return Project.objects.filter(name=name).first() or project_create(name=name, guidelines=guidelines, actor=self.actor)

    def answer_and_score(self, base: Artifact, project: Project, *, after: list[Job]) -> Job:
        """The model answers questions about people of fold A; the answers become items, scored by their gold answers."""
        answers = generation_queue(
            artifact=base,
            prompts=self.atlas.prompts,
            samples=self.wanted.samples,
            temperature=1.0,
            max_new_tokens=ANSWER_TOKENS,
            seed=self.wanted.seed,
            hardware_tag=self.wanted.hardware_tag,
            after=after,
            pipeline=self.pipeline,
            actor=self.actor,
        )
        return job_queue(
            kind="evaluation.collect",
            title=f"Score the answers of {base.name}",
            payload={"project": project.slug, "questions": str(self.atlas.prompts), "answers": answers.pk, "source": base.name},
            hardware_tag="site",
            after=[answers],
            pipeline=self.pipeline,
            actor=self.actor,
        )

    def gate(self, base: Artifact, project: Project, *, after: list[Job]) -> tuple[DatasetVersion, Job]:
        """The scored answers of this base model as a gated dataset version."""
        kind = DATASET_KINDS[self.wanted.method]
        dataset = dataset_queue(
            project=project,
            name=_free_name(f"atlas-{self.wanted.seed}-{kind}", DatasetVersion),
            kind=kind,
            # Nothing is held out here: the people of fold B are, and the benchmark asks about them. Prompts need no score.
            settings={
                "split": {"eval_share": 0.0, "seed": self.wanted.seed},
                "gate": {"require_reward": kind != "prompts"},
                "source_models": [base.name],
            },
            after=after,
            pipeline=self.pipeline,
            actor=self.actor,
        )
        assert dataset.job is not None
        return dataset, dataset.job

    def train(self, base: Artifact, dataset: DatasetVersion, *, after: list[Job]) -> tuple[Artifact, Job]:
        run = run_queue(
            name=_free_name(f"atlas-{self.wanted.seed}-{self.wanted.method}"),
            recipe=f"atlas-{self.wanted.method}",
            dataset=dataset,
            base=base,
            overrides=self._overrides(),
            hardware_tag=self.wanted.hardware_tag,
            title=f"Train {base.name} by {self.wanted.method.upper()}",
            after=after,
            actor=self.actor,
            pipeline=self.pipeline,
        )
        return run.artifact, run.job

    def evaluate(self, base: Artifact, trained: Artifact, *, taught: list[Job], done: Job) -> Evaluation:
        """A scorecard of the base model, then one of the trained model beside it."""
        common: dict[str, Any] = {
            "benchmark": benchmark_register(folder=self.atlas.path, actor=self.actor),
            "hardware_tag": self.wanted.hardware_tag,
            "settings": {"max_new_tokens": ANSWER_TOKENS},
            "actor": self.actor,
            "pipeline": self.pipeline,
        }
        known = Evaluation.objects.filter(artifact=base, benchmark=common["benchmark"], scorecard__isnull=False)
        if not known.exists():
            evaluation_queue(artifact=base, after=taught, **common)
        return evaluation_queue(artifact=trained, base=base, after=[done], **common)


def _free_name(stem: str, model: type[Artifact] | type[DatasetVersion] = Artifact) -> str:
    """`stem`, or the first of `stem-2`, `stem-3`, … that nothing is named yet."""
    taken = set(model._default_manager.filter(name__startswith=stem).values_list("name", flat=True))
    return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)
