"""Projects: list, one project, set-up, gold scoring."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.forms.projects import ProjectForm
from annotations.models import Item, Project
from annotations.selectors.leads import project_warnings, tab_counts
from annotations.selectors.rollups import revoked_counts


@require_GET
@role_required("annotator")
def project_list(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    projects = [(one, selectors.project_progress(project=one, user=user)) for one in selectors.project_list()]
    return render(request, "annotations/project_list.html", {"projects": projects})


@require_GET
@role_required("member")
def project_detail(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(selectors.project_list(), slug=slug)
    revoked = {one.rater: one.scores for one in revoked_counts(project=project.pk)}
    context = {
        "project": project,
        "rubric": project.rubric_version.shown,
        "progress": selectors.project_progress(project=project, user=signed_in_user(request)),
        "raters": [(row, revoked.get(row.rater_id, 0)) for row in selectors.rater_progress(project=project)],
        "imports": selectors.import_list(project=project)[:10],
        "datasets": selectors.dataset_list().filter(project=project)[:10],
        "warnings": project_warnings(project=project),
        "tabs": tab_counts(project=project),
        "has_gold": Item.objects.filter(project=project).exclude(gold_answers=[]).exists(),
    }
    return render(request, "annotations/project_detail.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def project_create(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = services.project_create(actor=signed_in_user(request), **form.settings())
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{project.name} is ready for items.")
            return redirect(f"{reverse('annotations:item-import')}?project={project.slug}")
    return render(request, "annotations/project_form.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def project_edit(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project.objects.select_related("rubric_version"), slug=slug)
    form = ProjectForm(request.POST or None, instance=project)
    if request.method == "POST" and form.is_valid():
        try:
            services.project_update(project=project, actor=signed_in_user(request), **form.settings())
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, "Saved.")
            return redirect(project)
    # The form wrote what was sent into its project; the heading says what there is.
    project = get_object_or_404(selectors.project_list(), slug=slug)
    context = {"form": form, "project": project, "tabs": tab_counts(project=project)}
    return render(request, "annotations/project_form.html", context, status=422 if form.is_bound else 200)


@require_POST
@role_required("admin")
def project_gold(request: HttpRequest, slug: str) -> HttpResponse:
    """Score every item that has a gold answer."""
    project = get_object_or_404(Project, slug=slug)
    scored = services.gold_score(project=project, actor=signed_in_user(request))
    messages.success(
        request, f"{scored} scores by gold answers." if scored else "Every item with a gold answer has its score already."
    )
    return redirect(project)
