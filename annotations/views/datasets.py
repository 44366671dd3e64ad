"""The Data pages: dataset versions, their report cards, and the build form."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.dataset_files import MANIFEST, PROVENANCE, REPORT, SPLITS, read_rows
from annotations.forms.datasets import DatasetForm
from annotations.models import DatasetVersion, Project
from annotations.selectors.provenance import contributors
from annotations.services import DatasetRefused
from annotations.services.datasets import build_settings
from annotations.services.parquet import ParquetRefused, parquet_file
from jobs.downloads import send_file

PAGE_SIZE = 50
SAMPLE_ROWS = 5
CONTRIBUTORS_SHOWN = 20
# Up to this many items a build takes seconds, and is done while the person waits.
DIRECT_ITEMS = 2000
# Above this a preview would take longer than a person waits.
PREVIEWED_ITEMS = 20_000
# The same where names are replaced: about a millisecond a text.
ANONYMISED_ITEMS = 2000
FILES = [*(f"{split}.jsonl" for split in SPLITS), PROVENANCE, REPORT, MANIFEST]


@require_GET
@role_required("member")
def dataset_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(selectors.dataset_list(), PAGE_SIZE).get_page(request.GET.get("page"))
    built, building = selectors.dataset_counts()
    any_item = Project.objects.filter(item_count__gt=0).exists()
    context = {"page": page, "built": built, "building": building, "any_item": any_item}
    return render(request, "annotations/dataset_list.html", context)


@require_GET
@role_required("member")
def dataset_detail(request: HttpRequest, name: str) -> HttpResponse:
    version = get_object_or_404(selectors.dataset_list(), name=name)
    samples = read_rows(Path(version.folder), "train", SAMPLE_ROWS) if version.is_ready else []
    context = {
        "version": version,
        "report": version.report,
        "splits": [(split, version.counts.get(split, 0)) for split in SPLITS],
        "gates": [
            (title, version.report[key]) for title, key in (("Tuples", "gate"), ("Rows", "row_gate")) if version.report.get(key)
        ],
        "samples": samples,
        "columns": [
            column for column in ("prompt", "response", "chosen", "rejected", "gold_answer") if samples and column in samples[0]
        ],
        "files": [file for file in FILES if version.is_ready and (Path(version.folder) / file).exists()],
        "contributors": contributors(version=version)[:CONTRIBUTORS_SHOWN],
        "parents": version.parents.all(),
    }
    return render(request, "annotations/dataset_detail.html", context)


@require_GET
@role_required("member")
def dataset_download(request: HttpRequest, name: str, file: str) -> StreamingHttpResponse:
    version = get_object_or_404(DatasetVersion.objects.ready(), name=name)
    path = Path(version.folder) / file
    if file not in FILES or not path.exists():
        raise Http404(f"{name} has no file “{file}”.")
    return send_file(request, path.open("rb"), f"{name}-{file}")


@require_GET
@role_required("member")
def dataset_parquet(request: HttpRequest, name: str, split: str) -> StreamingHttpResponse:
    version = get_object_or_404(DatasetVersion.objects.ready(), name=name)
    try:
        path = parquet_file(version=version, split=split, with_provenance="provenance" in request.GET)
    except ParquetRefused as refused:
        raise Http404(str(refused)) from refused
    return send_file(request, path.open("rb"), f"{name}-{split}.parquet")


@require_http_methods(["GET", "POST"])
@role_required("admin")
def dataset_build(request: HttpRequest) -> HttpResponse:
    project = Project.objects.filter(slug=request.GET.get("project", "")).first()
    initial: dict[str, Any] = {"project": project}
    if project and project.mode == Project.Mode.COMPARE:  # its answers are ordered, not scored
        initial["kind"] = DatasetVersion.Kind.PREFERENCE
    form = DatasetForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            version = _making(data["project"], form.settings())(
                project=data["project"],
                name=data["name"],
                kind=data["kind"],
                settings=form.settings(),
                actor=signed_in_user(request),
            )
        except DatasetRefused as refused:
            field = refused.field if refused.field in form.fields else None
            form.add_error(field, f"{refused} {refused.hint}".strip())
        else:
            if version.is_ready:
                messages.success(request, f"{version.name} is built.")
            return redirect(version)
    context = {"form": form, "any_project": Project.objects.exists()}
    return render(request, "annotations/dataset_build.html", context, status=422 if form.is_bound else 200)


@require_POST
@role_required("admin")
def dataset_preview(request: HttpRequest) -> HttpResponse:
    """What a build with the filled-in form would give; builds nothing."""
    form = DatasetForm(request.POST)
    form.fields["name"].required = False
    context: dict[str, object] = {"form": form}
    if form.is_valid():
        data = form.cleaned_data
        project, settings = data["project"], form.settings()
        try:
            if project.item_count > (ANONYMISED_ITEMS if _is_anonymised(project, settings) else PREVIEWED_ITEMS):
                context["too_many"] = project.item_count
            else:
                context["report"] = services.dataset_preview(project=project, kind=data["kind"], settings=settings)
        except DatasetRefused as refused:
            context["refused"] = str(refused)
    return render(request, "annotations/_dataset_preview.html", context)


def _making(project: Project, settings: Mapping[str, Any]) -> Callable[..., DatasetVersion]:
    """At once or in a job; what replaces names is a job's affair, since it would stay in this process's memory."""
    is_quick = project.item_count <= DIRECT_ITEMS and not _is_anonymised(project, settings)
    return services.dataset_build if is_quick else services.dataset_queue


def _is_anonymised(project: Project, settings: Mapping[str, Any]) -> bool:
    return build_settings(settings, project=project).gate.anonymise
