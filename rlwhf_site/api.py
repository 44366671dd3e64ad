"""The HTTP API: each app's router under one roof, documented at `/api/docs`."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required, login_required
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI, Swagger

from accounts.api import router as accounts_router
from accounts.api_auth import token_of
from accounts.roles import public
from annotations.api import router as annotations_router
from dashboards.api import router as dashboards_router
from evaluation.api import router as evaluation_router
from evaluation.benchmarks.api import router as benchmarks_router
from evaluation.chatting.api import router as chatting_router
from evaluation.findings_api import router as findings_router
from evaluation.ledger.api import router as ledger_router
from evaluation.promotion.api import router as promotion_router
from evaluation.reports.api import router as reports_router
from evaluation.self_rewarding.api import router as self_rewarding_router
from jobs.api import router as jobs_router
from jobs.monitoring.api import router as monitoring_router
from jobs.storage.api import router as storage_router
from training.api import router as training_router

View = Callable[..., HttpResponseBase]
NONE_OF_THEM = re.compile(r"No (\w+) matches the given query\.")


def for_whoever_may_call(view: View) -> View:
    """The documentation and its schema are for whoever is logged in, and for whoever brings a token, as any operation is."""
    logged_in = login_required(view)

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "Authorization" not in request.headers:
            return logged_in(request, *args, **kwargs)
        if token_of(request) is None:
            return JsonResponse({"detail": "Unauthorized"}, status=401)
        return view(request, *args, **kwargs)

    return shown


api = NinjaAPI(
    title="RLWHF",
    version="1",
    description=(
        "Every button of the site as an API call. Authenticate with `Authorization: Bearer <token>`; make a token under Account."
    ),
    docs_decorator=for_whoever_may_call,
    # More than two hundred operations are a list by subject first; a word finds a subject.
    docs=Swagger(settings={"docExpansion": "none", "defaultModelsExpandDepth": 0, "filter": True}),
)

ROUTERS = (
    annotations_router, training_router, evaluation_router, benchmarks_router, reports_router, findings_router, promotion_router,
    ledger_router, self_rewarding_router, chatting_router, jobs_router, monitoring_router, storage_router, accounts_router,
    dashboards_router,
)  # fmt: skip
for router in ROUTERS:
    api.add_router("", router)


@api.exception_handler(Http404)
def not_found(request: HttpRequest, missing: Http404) -> JsonResponse:
    """Says what is not there: of several names in a request each may be the wrong one."""
    text = str(missing) or "There is nothing here."
    if kind := NONE_OF_THEM.fullmatch(text):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind[1]).lower()
        text = f"There is no such {words}."
    return JsonResponse({"detail": text}, status=404)


def api_urls() -> tuple[list[Any], str, str]:
    """The API's addresses. Its operations do their own authentication (a test holds that each has one), so the site-wide
    log-in check, which would answer a script with a redirect to the log-in page, lets them through."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        assert pattern.callback is not None
        login_not_required(pattern.callback)
    return patterns, app_name, namespace


@csrf_exempt
@public
def api_unknown(request: HttpRequest) -> JsonResponse:
    """What scripts get at an address that no operation has: JSON, as from every other one, not the site's page for people."""
    return JsonResponse({"detail": f"There is no operation at {request.path}; see /api/docs."}, status=404)
