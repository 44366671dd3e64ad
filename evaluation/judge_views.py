"""The pages of Atlas' judges: those that are there, one of them with its error, and the teaching of another."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.roles import role_required, signed_in_user
from evaluation.atlas_judge import judge_error_kept, judge_teach, judges
from evaluation.forms import JudgeForm
from jobs.selectors import pipeline_jobs, pipeline_state
from training.services import RunRefused


@require_GET
@role_required("member")
def judge_list(request: HttpRequest) -> HttpResponse:
    found = [{"pipeline": one, "state": pipeline_state(pipeline_jobs(one))} for one in judges()]
    return render(request, "evaluation/judge_list.html", {"judges": found})


@require_http_methods(["GET", "POST"])
@role_required("admin")
def judge_create(request: HttpRequest) -> HttpResponse:
    """What teaching a judge does (GET), and its start (POST)."""
    form = JudgeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            pipeline = judge_teach(actor=signed_in_user(request), wanted=form.wanted())
        except RunRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        else:
            messages.success(request, f"{pipeline.payload['artifact']} is being taught: each step shows here as it runs.")
            return redirect("evaluation:judge-detail", pipeline.pk)
    return render(request, "evaluation/judge_create.html", {"form": form}, status=422 if form.is_bound else 200)


@require_GET
@role_required("member")
def judge_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A judge: its jobs while it is taught, then its error and what makes it a teacher."""
    pipeline = get_object_or_404(judges(), pk=pk)
    jobs = pipeline_jobs(pipeline)
    context: dict[str, Any] = {
        "pipeline": pipeline,
        "jobs": jobs,
        "state": pipeline_state(jobs),
        "is_live": any(not job.has_ended for job in jobs),
        "name": pipeline.payload["artifact"],
    }
    if context["state"] == "succeeded":
        try:
            context["error"] = judge_error_kept(pipeline)
        except OSError:  # its folder was tidied away before anybody asked
            context["is_gone"] = True
    template = "evaluation/_judge.html" if request.htmx else "evaluation/judge_detail.html"  # type: ignore[attr-defined]
    return render(request, template, context)
