"""The pages of AI teachers."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Endpoint
from accounts.roles import role_required, signed_in_user
from annotations.forms.teachers import TeacherForm, TeacherRunForm, initial_of
from annotations.models import Project, Teacher
from annotations.selectors import teachers as selectors
from annotations.services.teachers import DEFAULT_PROMPT, TeacherRefused, teacher_run_queue, teacher_save, teacher_switch


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
    """One teacher: how it judges, its runs, its last calls; `project` in the address holds it against that project's people."""
    teacher = get_object_or_404(Teacher, name=name)
    version = teacher.versions.select_related("endpoint", "fallback", "rater", "created_by").first()
    measured = selectors.measured(version) if version else {}
    projects = list(measured)
    chosen = next((one for one in projects if one.slug == request.GET.get("project")), projects[0] if projects else None)
    context: dict[str, Any] = {
        "teacher": teacher,
        "version": version,
        "versions": teacher.versions.all(),
        "revocation": selectors.revocation_of(version),
        "runs": selectors.runs_of(teacher)[: selectors.RUNS_SHOWN],
        "calls": selectors.calls_of(teacher)[: selectors.CALLS_SHOWN],
        "projects": projects,
        "chosen": chosen,
        "measured": measured[chosen] if chosen else None,
        "form": TeacherRunForm(),
        "any_project": Project.objects.exists(),
    }
    return render(request, "annotations/teacher_detail.html", context)


@require_POST
@role_required("admin")
def teacher_run(request: HttpRequest, name: str) -> HttpResponse:
    teacher = get_object_or_404(Teacher, name=name)
    form = TeacherRunForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect(teacher)
    try:
        run = teacher_run_queue(teacher=teacher, actor=signed_in_user(request), **form.cleaned_data)
    except TeacherRefused as refused:
        messages.error(request, str(refused))
        return redirect(teacher)
    messages.success(request, f"{run.version} will score {run.project}.")
    return redirect(teacher)


@require_POST
@role_required("admin")
def teacher_switched(request: HttpRequest, name: str) -> HttpResponse:
    teacher = get_object_or_404(Teacher, name=name)
    teacher_switch(teacher=teacher, is_active=request.POST.get("active") == "1", actor=signed_in_user(request))
    messages.success(request, f"{teacher} {'works again' if teacher.is_active else 'rests'}.")
    return redirect(teacher)
