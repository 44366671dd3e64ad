"""The import page and its reports."""

from pathlib import Path

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.forms.imports_and_datasets import ImportForm
from annotations.models import Import, Project
from annotations.services.imports import DIRECT_BYTES, import_folder, upload_store
from jobs.downloads import send_file


@require_http_methods(["GET", "POST"])
@role_required("admin")
def item_import(request: HttpRequest) -> HttpResponse:
    chosen = Project.objects.filter(slug=request.GET.get("project", "")).first()
    form = ImportForm(request.POST or None, request.FILES or None, initial={"project": chosen})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        record = _import(data["project"], data["file"], data["rater_name"], signed_in_user(request))
        return redirect(record)
    context = {"form": form, "imports": selectors.import_list()[:20], "any_project": Project.objects.exists()}
    return render(request, "annotations/item_import.html", context, status=422 if form.is_bound else 200)


def _import(project: Project, upload: "UploadedFile[bytes]", rater_name: str, user: User) -> Import:
    """Small files while the person waits, others as a job."""
    name = Path(upload.name or "upload.jsonl").name
    stored = upload_store(upload.chunks())
    if (upload.size or 0) > DIRECT_BYTES:
        return services.import_queue(project=project, file_name=name, stored_path=stored, actor=user, rater_name=rater_name)
    record = Import.objects.create(
        project=project, file_name=name[:200], stored_path=str(stored), rater_name=rater_name, requested_by=user
    )
    services.import_carry_out(record=record, path=stored)
    return record


@require_GET
@role_required("member")
def import_detail(request: HttpRequest, pk: int) -> HttpResponse:
    record = get_object_or_404(selectors.import_list(), pk=pk)
    return render(request, "annotations/import_detail.html", {"record": record, "report": record.report, "job": record.job})


@require_GET
@role_required("member")
def import_refused(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Every refused line as CSV: file, line, field, reason."""
    record = get_object_or_404(Import, pk=pk)
    path = import_folder() / f"{record.pk}-refused.csv"
    if not record.refused_path or not path.exists():
        raise Http404("No line of this file was refused.")
    return send_file(request, path.open("rb"), f"refused-{record.pk}.csv")
