"""The kinds of background job that annotations has. Each is done by a management command in a child process."""

from pathlib import Path
from typing import Any, cast

import orjson
from django.db import transaction
from django.urls import reverse

from annotations.dataset_files import Written
from annotations.gate import Verdict
from annotations.models import ChainRun, DatasetVersion, Import, QualityReport, TeacherRun
from annotations.services import DatasetRefused, dataset_publish, dataset_refuse, quality_publish
from annotations.services.datasets import USES, Built
from annotations.services.file_datasets import uploads_forget
from annotations.services.quality import Computed
from jobs.kinds import JobKind, Launch, Outcome, django_child
from jobs.models import Job

REFUSAL = "refusal.json"
QUALITY = "quality.json"


class ItemImport(JobKind):
    """`import-items` of a stored file, or its undo. The child writes the rows itself, in chunks; one that is cut off goes on."""

    def launch(self, job: Job, folder: Path) -> Launch:
        what = "--undo-import" if job.payload.get("undo") else "--import"
        return Launch(argv=django_child("import_items", what, str(job.payload["import"]), "--folder", str(folder)))

    def url(self, job: Job) -> str | None:
        record = Import.objects.filter(pk=job.payload["import"]).first()
        return record.get_absolute_url() if record else None


class DatasetBuild(JobKind):
    """`dataset write`: the child writes the folder, and the version is published when the job ends."""

    def launch(self, job: Job, folder: Path) -> Launch:
        _version_of(job)
        return Launch(argv=django_child("dataset", "write", str(job.payload["dataset"]), "--folder", str(folder)))

    def finished(self, job: Job, outcome: Outcome) -> None:
        refusal = Path(job.folder) / REFUSAL
        if outcome.succeeded:
            built = dataset_publish(version=_version_of(job), built=built_from(job.result or {}, Path(job.folder)))
            transaction.on_commit(lambda: uploads_forget(version=built))
        elif job.folder and refusal.exists() and (version := DatasetVersion.objects.filter(job=job).first()):
            dataset_refuse(version=version, report=cast(dict[str, Any], _read_json(refusal)))

    def url(self, job: Job) -> str | None:
        version = DatasetVersion.objects.filter(pk=job.payload["dataset"]).first()
        return version.get_absolute_url() if version else None


class Quality(JobKind):
    """`quality --report`: the child computes the report into its folder, and it is kept when the job ends."""

    def launch(self, job: Job, folder: Path) -> Launch:
        return Launch(argv=django_child("quality", "--report", str(job.payload["report"]), "--folder", str(folder)))

    def finished(self, job: Job, outcome: Outcome) -> None:
        report = QualityReport.objects.filter(pk=job.payload["report"]).first()
        if outcome.succeeded and report:
            stored = cast(dict[str, Any], _read_json(Path(job.folder) / QUALITY))
            quality_publish(report=report, computed=Computed(stored["last_score"], stored["data"]))

    def url(self, job: Job) -> str | None:
        report = QualityReport.objects.filter(pk=job.payload["report"]).select_related("project").first()
        return reverse("annotations:project-quality", args=[report.project.slug]) if report else None


class Bulk(JobKind):
    """`items carry-out`: the child changes the items itself, batch by batch; where it is cut off, the next one goes on."""

    def launch(self, job: Job, folder: Path) -> Launch:
        undo = ["--undo"] if job.payload["undo"] else []
        argv = django_child("items", "carry-out", str(job.payload["action"]), "--folder", str(folder), *undo)
        return Launch(argv=argv)

    def url(self, job: Job) -> str | None:
        return reverse("annotations:bulk-list")


class Argilla(JobKind):
    """`argilla carry-out`: a push or a pull; the child does it batch by batch, and one that is cut off is done again from what is
    in step already.
    """

    def launch(self, job: Job, folder: Path) -> Launch:
        return Launch(argv=django_child("argilla", "carry-out", str(job.payload["sync"]), "--folder", str(folder)))

    def url(self, job: Job) -> str | None:
        return reverse("annotations:argilla", args=[job.payload["project"]])


class ChainWalk(JobKind):
    """`chains carry-out`: the child takes down step by step; where it is cut off, the next one goes on."""

    def launch(self, job: Job, folder: Path) -> Launch:
        run = ChainRun.objects.get(job=job)
        return Launch(argv=django_child("chains", "carry-out", str(run.pk), "--folder", str(folder)))

    def url(self, job: Job) -> str | None:
        run = ChainRun.objects.filter(job=job).select_related("version__chain").first()
        return run.version.chain.get_absolute_url() if run else None


class TeacherScoring(JobKind):
    """`teachers carry-out`: the child takes verdicts down batch by batch; where it is cut off, the next one goes on."""

    def launch(self, job: Job, folder: Path) -> Launch:
        run = TeacherRun.objects.get(job=job)
        return Launch(argv=django_child("teachers", "carry-out", str(run.pk), "--folder", str(folder)))

    def url(self, job: Job) -> str | None:
        run = TeacherRun.objects.filter(job=job).select_related("version__teacher").first()
        return run.version.teacher.get_absolute_url() if run else None


def quality_file(computed: Computed) -> bytes:
    """What the child hands over about a report that it computed; too long for a job's result."""
    return orjson.dumps({"last_score": computed.last_score, "data": computed.data})


def _version_of(job: Job) -> DatasetVersion:
    """What the job makes. Raises DatasetRefused where its name was asked for again after the job had failed."""
    version = DatasetVersion.objects.get(pk=job.payload["dataset"])
    if version.job_id != job.pk:
        raise DatasetRefused(f"“{version.name}” was asked for again since; this job no longer makes it.")
    return version


def result_of(built: Built) -> dict[str, Any]:
    """What the child hands over about a folder that it wrote."""
    written = built.written
    return {
        "folder": str(written.folder), "content_hash": written.content_hash, "counts": written.counts,
        "verdict": built.verdict, "report": built.report,
    }  # fmt: skip


def built_from(result: dict[str, Any], folder: Path) -> Built:
    """What the child made, by its result and by what it left in its job's folder."""
    written = Written(Path(result["folder"]), result["content_hash"], result["counts"])
    uses = folder / USES
    return Built(written, cast(Verdict, result["verdict"]), result["report"], uses if uses.exists() else None)


def _read_json(path: Path) -> object:
    return orjson.loads(path.read_bytes())
