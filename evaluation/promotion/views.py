"""The pages of promotion: projects with their champions, one project, its rules, and a verdict."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.roles import role_required, signed_in_user
from annotations.models import Project
from evaluation.models import Benchmark, Promotion, PromotionVerdict
from evaluation.promotion import selectors, services
from evaluation.promotion.certificate import Certificate
from evaluation.promotion.forms import ReasonForm, RulesForm, rules_text
from evaluation.promotion.rules import Rules
from evaluation.promotion.services import PromotionRefused
from jobs.addresses import number_in
from jobs.downloads import send_file
from training.models import Artifact


@require_GET
@role_required("member")
def promotion_list(request: HttpRequest) -> HttpResponse:
    return render(request, "evaluation/promotion_list.html", {"courts": selectors.courts()})


@require_GET
@role_required("member")
def promotion_project(request: HttpRequest, slug: str) -> HttpResponse:
    court = selectors.court_of(get_object_or_404(Project, slug=slug))
    context = {"court": court, "project": court.project, "reason": ReasonForm()}
    return render(request, "evaluation/promotion_project.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def promotion_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """The project's rules, and their change: a new version each time."""
    project = get_object_or_404(Project, slug=slug)
    now = services.rules_of(project)
    initial: dict[str, Any] = {"rules": rules_text(Rules.model_validate(now.rules) if now else Rules())}
    if benchmark := now.benchmark if now else selectors.benchmark_of(project):
        initial["benchmark"] = benchmark.pk
    form = RulesForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.rules_set(project=project, actor=signed_in_user(request), **form.cleaned_data)
        except PromotionRefused as refused:
            form.add_error("rules", str(refused))
        else:
            messages.success(request, f"Rules {made.number} hold now. Verdicts by older ones promote nobody any more.")
            return redirect("evaluation:promotion-project", slug)
    context = {"project": project, "form": form, "now": now, "any_benchmark": Benchmark.objects.exists()}
    return render(request, "evaluation/promotion_rules.html", context, status=422 if form.is_bound else 200)


@require_GET
@role_required("member")
def promotion_verdict(request: HttpRequest, pk: int) -> HttpResponse:
    """A verdict with every rule's figures."""
    verdict = _verdict(pk)
    document = selectors.document_of(verdict)
    champion = services.champion_of(verdict.project)
    context = {
        "verdict": verdict,
        "job": verdict.job,
        "document": document,
        "rows": selectors.rule_rows(document) if document else [],
        "champion": champion,
        "is_champion": champion is not None and champion.artifact_id == verdict.evaluation.artifact_id,
        "reason": ReasonForm(),
        "has_questions": selectors.questions_path(verdict) is not None,
    }
    return render(request, "evaluation/promotion_verdict.html", context)


@require_GET
@role_required("member")
def promotion_questions(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """All questions that stand in the training rows, one JSON object a line."""
    verdict = _verdict(pk)
    path = selectors.questions_path(verdict)
    if path is None:
        raise Http404("The questions are not on disk.")
    return send_file(request, path.open("rb"), f"{verdict.evaluation.model_name}-questions.jsonl")


@require_POST
@role_required("admin")
def promotion_judge(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    artifact = get_object_or_404(Artifact, name=request.POST.get("model", ""))
    try:
        verdict = services.verdict_queue(project=project, artifact=artifact, actor=signed_in_user(request))
    except PromotionRefused as refused:
        messages.error(request, str(refused))
        return redirect("evaluation:promotion-project", slug)
    return redirect(verdict)


@require_POST
@role_required("admin")
def promotion_promote(request: HttpRequest, pk: int) -> HttpResponse:
    """Promote by the rules; with a `reason`, by hand whatever they say."""
    verdict = _verdict(pk)
    actor = signed_in_user(request)

    def by_rules() -> Promotion:
        return services.promote(verdict=verdict, actor=actor)

    def by_hand() -> Promotion:
        assert verdict.evaluation.artifact is not None  # only artifacts are judged
        return services.promote_by_hand(
            project=verdict.project,
            artifact=verdict.evaluation.artifact,
            reason=request.POST["reason"],
            actor=actor,
            verdict=verdict,
        )

    return _done(request, by_hand if "reason" in request.POST else by_rules, verdict)


def _done(request: HttpRequest, act: Callable[[], Promotion], verdict: PromotionVerdict) -> HttpResponse:
    try:
        promotion = act()
    except PromotionRefused as refused:
        messages.error(request, str(refused))
        return redirect(verdict)
    messages.success(request, f"{promotion.artifact} is champion of {promotion.project} now.")
    return redirect(promotion)


@require_POST
@role_required("admin")
def promotion_roll_back(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    try:
        back = services.champion_roll_back(
            project=project,
            reason=request.POST.get("reason", ""),
            actor=signed_in_user(request),
            champion=number_in(request.POST.get("champion", "")),
        )
    except PromotionRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{back.artifact} is champion again." if back else "There is no champion now.")
    return redirect("evaluation:promotion-project", slug)


@require_GET
@role_required("member")
def promotion_certificate(request: HttpRequest, pk: int) -> HttpResponse:
    promotion = get_object_or_404(Promotion.objects.select_related("artifact", "project"), pk=pk)
    content = Certificate.model_validate(promotion.certificate).model_dump_json(indent=2)
    name = f"{promotion.project.slug}-{promotion.artifact.name}-certificate.json"
    return HttpResponse(
        content, content_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _verdict(pk: int) -> PromotionVerdict:
    try:
        return selectors.verdict_get(pk)
    except PromotionVerdict.DoesNotExist as error:
        raise Http404("There is no such verdict.") from error
