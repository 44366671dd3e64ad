"""The home page: the loop, where the project stands in it, and the next thing to do."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.roles import role_required


@require_GET
@role_required("annotator")
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "dashboards/home.html")
