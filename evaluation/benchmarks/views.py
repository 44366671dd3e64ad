"""The pages of benchmarks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations.models import Project
from evaluation.benchmarks import selectors
from evaluation.benchmarks.formats import FORMATS
from evaluation.benchmarks.forms import AtlasForm, FileForm, ProjectForm
from evaluation.benchmarks.making import Made, benchmark_atlas, benchmark_from_project, benchmark_import, upload_benchmark
from evaluation.models import Benchmark
from evaluation.services import EvaluationRefused
from jobs.addresses import number_in
from jobs.downloads import send_file

PAGE_SIZE = 50
SCORECARDS_SHOWN = 20


@require_GET
@role_required("member")
def benchmark_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(selectors.benchmarks(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "evaluation/benchmark_list.html", {"page": page})


@require_GET
@role_required("member")
def benchmark_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One benchmark; `q` in the address looks among its questions."""
    benchmark = get_object_or_404(selectors.benchmarks(), pk=pk)
    asked = request.GET.get("page", "1")
    text = request.GET.get("q", "")
    scorecards = selectors.scorecards_on(benchmark)
    context = {
        "benchmark": benchmark,
        "manifest": selectors.manifest_of(benchmark),
        "judges": selectors.judges_of(benchmark),
        "abstention": selectors.abstention_measured(),
        "slices": selectors.slices_shown(benchmark.facts),
        "on_disk": selectors.questions_path(benchmark) is not None,
        "q": text,
        "questions": selectors.question_page(benchmark, number=number_in(asked) or 1, text=text),
        "scorecards": scorecards[:SCORECARDS_SHOWN],
        "trained_on": benchmark.project.datasets.order_by("-pk")[:5] if benchmark.project else [],
    }
    return render(request, "evaluation/benchmark_detail.html", context)


@require_GET
@role_required("member")
def benchmark_questions(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The questions as they are on disk, a JSON object a line: what the hash is of."""
    benchmark = get_object_or_404(Benchmark, pk=pk)
    path = selectors.questions_path(benchmark)
    if path is None:
        raise Http404("The questions are not on disk.")
    return send_file(request, path.open("rb"), f"{benchmark.name}-{benchmark.hash[:12]}.jsonl")


@require_http_methods(["GET", "POST"])
@role_required("admin")
def benchmark_create(request: HttpRequest) -> HttpResponse:
    """Three ways to a benchmark, a form each; `way` says which was sent."""
    way = request.POST.get("way", "")
    made_of: dict[str, forms.Form] = {}
    for kind in (FileForm, ProjectForm, AtlasForm):
        data, files = (request.POST, request.FILES) if kind.prefix == way else (None, None)
        made_of[str(kind.prefix)] = kind(data, files, initial={"project": request.GET.get("project")})
    form = made_of.get(way)
    if form is not None and form.is_valid():
        try:
            made = MAKERS[way](form.cleaned_data, signed_in_user(request))
        except EvaluationRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        else:
            messages.success(request, _told(made))
            return redirect(made.benchmark)
    context = {"forms": made_of, "formats": FORMATS.values(), "any_project": Project.objects.exists()}
    return render(request, "evaluation/benchmark_create.html", context, status=422 if form is not None else 200)


def _told(made: Made) -> str:
    left_out = sum(made.left_out.values())
    without = f" {left_out} record{'s' if left_out != 1 else ''} gave none." if left_out else ""
    if made.known:
        return f"These questions were known already, as {made.benchmark.name} {made.benchmark.version}."
    return f"{made.benchmark.name} {made.benchmark.version} has {made.benchmark.n} questions.{without}"


def _of_file(data: dict[str, Any], actor: User) -> Made:
    upload = data["file"]
    called = Path(upload.name or "upload").name

    def make(path: Path) -> Made:
        how = {name: data[name] for name in ("source_format", "name", "version")}
        return benchmark_import(path=path, actor=actor, called=called, **how)

    return upload_benchmark(upload.chunks(), called, make)


def _of_project(data: dict[str, Any], actor: User) -> Made:
    return benchmark_from_project(**data, actor=actor)


def _of_atlas(data: dict[str, Any], actor: User) -> Made:
    return benchmark_atlas(**data, actor=actor)


MAKERS: dict[str, Callable[[dict[str, Any], User], Made]] = {"file": _of_file, "project": _of_project, "atlas": _of_atlas}
