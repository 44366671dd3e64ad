"""The HTTP API: each app's router under one roof, documented at `/api/docs`."""

from django.contrib.auth.decorators import login_required
from ninja import NinjaAPI

from accounts.api import router as accounts_router

api = NinjaAPI(
    title="RLWHF",
    version="1",
    description=(
        "Every button of the site as an API call. Authenticate with `Authorization: Bearer <token>`; make a token under Account."
    ),
    docs_decorator=login_required,
)

api.add_router("/accounts", accounts_router)
