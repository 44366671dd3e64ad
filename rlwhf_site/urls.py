"""The whole site's addresses, following the loop: items, score, data, train, evaluate, models."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path, re_path

from accounts.roles import public
from jobs.monitoring.views import metrics
from rlwhf_site.api import api_unknown, api_urls


@public
def favicon(request: HttpRequest) -> HttpResponseRedirect:  # noqa: ARG001 - what a view is given
    """Browsers ask for this address by themselves on pages that name no icon, such as the API's."""
    return HttpResponseRedirect(static("img/mark.svg"))


urlpatterns = [
    path("", include("dashboards.urls")),
    path("", include("annotations.urls")),
    path("", include("training.urls")),
    path("", include("evaluation.urls")),
    path("chat/", include("evaluation.chatting.urls")),
    path("jobs/", include("jobs.urls")),
    path("account/", include("accounts.urls")),
    re_path(r"^api/?$", api_unknown),
    path("api/", api_urls()),
    re_path(r"^api/", api_unknown),
    path("admin/", admin.site.urls),
    path("metrics", metrics, name="metrics"),
    path("favicon.ico", favicon),
]

handler500 = "rlwhf_site.errors.server_error"
