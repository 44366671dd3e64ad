"""The Rubric page of a project: read it, edit it into a new version, go back, compare, download and upload."""

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors
from annotations.forms.rubrics import RubricForms
from annotations.models import Project, RubricVersion
from annotations.rubric_text import rubric_differences, rubric_toml
from annotations.selectors.leads import project_warnings, tab_counts
from annotations.selectors.rubrics import figures_anew, rubric_choices, rubric_key, rubric_uses
from annotations.services.rubrics import LONGEST_FILE, RubricRefused, rubric_edit, rubric_found, rubric_read, rubric_use


@require_GET
@role_required("member")
def rubric_detail(request: HttpRequest, slug: str) -> HttpResponse:
    project = _project(slug)
    context = _about(project) | {
        "uses": rubric_uses(project=project),
        "choices": rubric_choices(),
        "current": rubric_key(project.rubric_version),
        "warnings": [one for one in project_warnings(project=project) if one.about == "revoked"],
    }
    return render(request, "annotations/rubric_detail.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def rubric_edit_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The editor. A button that adds a row sends what there is and gets it back with the row; nothing is saved."""
    project = _project(slug)
    rubric = project.rubric_version.rubric
    forms = RubricForms(rubric=rubric, data=request.POST if request.method == "POST" else None)
    adds = "add" in request.POST
    if request.method == "POST" and not adds and forms.is_valid():
        try:
            version = rubric_edit(project=project, data=forms.rubric_data(), actor=signed_in_user(request))
        except RubricRefused as refused:
            forms.refuse(refused.problems)
        else:
            _said(request, project, version)
            return redirect("annotations:rubric-detail", slug=slug)
    if adds:
        forms.unjudged()
    status = 422 if request.method == "POST" and not adds else 200
    context = _about(project) | {"forms": forms, "anew": figures_anew(project=project)}
    return render(request, "annotations/rubric_edit.html", context, status=status)


@require_POST
@role_required("admin")
def rubric_use_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Move the project to a version that there is."""
    project = _project(slug)
    try:
        version = rubric_found(key=request.POST.get("rubric", ""))
    except RubricRefused as refused:
        messages.error(request, str(refused))
    else:
        rubric_use(project=project, version=version, actor=signed_in_user(request))
        _said(request, project, version)
    return redirect("annotations:rubric-detail", slug=slug)


@require_POST
@role_required("admin")
def rubric_upload(request: HttpRequest, slug: str) -> HttpResponse:
    """A rubric from a TOML file, as a new version of its name."""
    project = _project(slug)
    try:
        version = _uploaded(project, request.FILES.get("file"), signed_in_user(request))
    except RubricRefused as refused:
        for problem in refused.problems[:10]:
            messages.error(request, str(problem))
    else:
        _said(request, project, version)
    return redirect("annotations:rubric-detail", slug=slug)


def _uploaded(project: Project, file: "UploadedFile[bytes] | None", actor: User) -> RubricVersion:
    text = file.read(LONGEST_FILE * 4).decode("utf-8", "replace") if file is not None else ""
    data = rubric_read(text=text).model_dump(mode="json", exclude={"version"})
    return rubric_edit(project=project, data=data, actor=actor)


@require_GET
@role_required("member")
def rubric_download(request: HttpRequest, slug: str) -> HttpResponse:
    version = _version(request.GET.get("version") or rubric_key(_project(slug).rubric_version))
    headers = {"Content-Disposition": f'attachment; filename="{version.name}-{version.version}.toml"'}
    return HttpResponse(rubric_toml(version.rubric), content_type="application/toml; charset=utf-8", headers=headers)


@require_GET
@role_required("member")
def rubric_compare(request: HttpRequest, slug: str) -> HttpResponse:
    project = _project(slug)
    after = _version(request.GET.get("to") or rubric_key(project.rubric_version))
    before = _version(request.GET.get("from") or rubric_key(after))
    context = _about(project) | {
        "before": before,
        "after": after,
        "keys": (rubric_key(before), rubric_key(after)),
        "choices": rubric_choices(),
        "differences": rubric_differences(before.rubric, after.rubric),
    }
    return render(request, "annotations/rubric_compare.html", context)


def _about(project: Project) -> dict[str, Any]:
    return {"project": project, "tabs": tab_counts(project=project), "rubric": project.rubric_version.rubric}


def _said(request: HttpRequest, project: Project, version: RubricVersion) -> None:
    if version.pk == project.rubric_version_id:
        messages.info(request, f"Nothing changed: this is {version}.")
    else:
        said = f"{project.name} is scored under {version} from now on. Scores so far keep theirs."
        messages.success(request, f"{said} {figures_anew(project=project, version=version)}".strip())


def _version(key: str) -> RubricVersion:
    try:
        return rubric_found(key=key.replace("\x00", ""))
    except RubricRefused as refused:
        raise Http404(str(refused)) from refused


def _project(slug: str) -> Project:
    return get_object_or_404(selectors.project_list(), slug=slug)
