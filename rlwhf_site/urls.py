"""The whole site's addresses, following the loop: items, score, data, train, evaluate, models."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path

from rlwhf_site.api import api_urls

urlpatterns = [
    path("", include("dashboards.urls")),
    path("", include("annotations.urls")),
    path("", include("training.urls")),
    path("", include("evaluation.urls")),
    path("jobs/", include("jobs.urls")),
    path("account/", include("accounts.urls")),
    path("api/", api_urls()),
    path("admin/", admin.site.urls),
    path("favicon.ico", favicon),
]
