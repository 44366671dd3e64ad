"""The pages of AI teachers."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Endpoint
from accounts.roles import role_required, signed_in_user
from annotations.forms.teachers import TeacherForm, TeacherRunForm, initial_of
from annotations.models import Project, Teacher, TeacherRun
from annotations.selectors import teachers as selectors
from annotations.services.teachers import DEFAULT_PROMPT, TeacherRefused, teacher_run_queue, teacher_save, teacher_switch
from jobs.models import State


@require_GET
@role_required("member")
def teacher_list(request: HttpRequest) -> HttpResponse:
    context = {"teachers": selectors.teacher_list(), "any_endpoint": Endpoint.objects.exists()}
    return render(request, "annotations/teacher_list.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def teacher_edit(request: HttpRequest, name: str = "") -> HttpResponse:
    """A new teacher, or the next version of one; for a new one the address can say how it is asked."""
    teacher = get_object_or_404(Teacher, name=name) if name else None
    version = teacher.versions.first() if teacher else None
    data = {**request.POST.dict(), "name": name} if name and request.method == "POST" else request.POST or None
    given = {one: request.GET[one] for one in ("prompt", "uses_reference", "max_tokens") if one in request.GET}
    wanted = {"prompt": DEFAULT_PROMPT} | given  # as in the shell and over HTTP, and not the first by the alphabet
    form = TeacherForm(data, initial=initial_of(teacher, version) if teacher and version else wanted)
    if name:
        form.fields["name"].disabled = True
        form.initial["name"] = name
    if request.method == "POST" and form.is_valid():
        try:
            made = teacher_save(**form.cleaned_data, actor=signed_in_user(request))
        except TeacherRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        else:
            messages.success(request, f"{made} judges from now on.")
            return redirect(made.teacher)
    context = {"form": form, "teacher": teacher, "any_endpoint": Endpoint.objects.exists()}
    return render(request, "annotations/teacher_edit.html", context, status=422 if form.is_bound else 200)


@require_GET
@role_required("member")
def teacher_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One teacher: how it judges, its runs, its last calls; the address says by `project` and `version` whose figures those are.

    While a run goes, the page asks for what has changed by itself, and says by `measured` which figures it shows.
    """
    context = _shown(request, get_object_or_404(Teacher, name=name)) | {"form": TeacherRunForm()}
    template = "annotations/_teacher_live.html" if request.htmx else "annotations/teacher_detail.html"  # type: ignore[attr-defined]
    return render(request, template, context)


def _shown(request: HttpRequest, teacher: Teacher) -> dict[str, Any]:
    versions = list(teacher.versions.select_related("endpoint", "fallback", "rater", "created_by", "teacher"))
    version = versions[0] if versions else None
    shown = next((one for one in versions if str(one.number) == request.GET.get("version")), version)
    measured = selectors.measured(shown) if shown else {}
    projects = list(measured)
    chosen = next((one for one in projects if one.slug == request.GET.get("project")), projects[0] if projects else None)
    runs = list(selectors.runs_of(teacher)[: selectors.RUNS_SHOWN])
    by = measured[chosen] if chosen else None
    return {
        "teacher": teacher,
        "version": version,
        "versions": versions,
        "shown": shown,
        "versions_measured": selectors.versions_measured(teacher),
        "revocation": selectors.revocation_of(version),
        "runs": runs,
        "is_live": any(not one.job.has_ended for one in runs),
        "waiting": next((one.job for one in reversed(runs) if one.job.state == State.QUEUED), None),
        "calls": selectors.calls_of(teacher)[: selectors.CALLS_SHOWN],
        "projects": projects,
        "chosen": chosen,
        "measured": by,
        "is_measured_anew": by is not None and str(by.pk) != request.GET.get("measured"),
        "any_project": Project.objects.exists(),
    }


@require_POST
@role_required("admin")
def teacher_run(request: HttpRequest, name: str) -> HttpResponse:
    teacher = get_object_or_404(Teacher, name=name)
    form = TeacherRunForm(request.POST)
    if form.is_valid():
        try:
            run = teacher_run_queue(teacher=teacher, actor=signed_in_user(request), **form.cleaned_data)
        except TeacherRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        else:
            messages.success(request, _said(run))
            return redirect(teacher)
    context = _shown(request, teacher) | {"form": form}
    if not teacher.is_active:  # then the page has no form to say it in
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
    return render(request, "annotations/teacher_detail.html", context, status=422)


def _said(run: TeacherRun) -> str:
    if run.only_measures:
        return f"{run.version} will be held against the people of {run.project} anew."
    return f"{run.version} will {'order the answers of' if run.version.compares else 'score'} {run.project}."


@require_POST
@role_required("admin")
def teacher_switched(request: HttpRequest, name: str) -> HttpResponse:
    teacher = get_object_or_404(Teacher, name=name)
    teacher_switch(teacher=teacher, is_active=request.POST.get("active") == "1", actor=signed_in_user(request))
    messages.success(request, f"{teacher} {'works again' if teacher.is_active else 'rests'}.")
    return redirect(teacher)
