"""What the operations share."""

from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from pydantic import AfterValidator

from annotations.models import Project
from annotations.tuples import place_of_nul


def storable(value: Any) -> Any:
    if place_of_nul(value) is not None:
        raise ValueError("holds a NUL character, which no database text can")
    if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ValueError("holds half a character, which no database text can")
    return value


Text = Annotated[str, AfterValidator(storable)]


def project_of(slug: str) -> Project:
    return get_object_or_404(Project.objects.select_related("rubric_version"), slug=slug)


def acting_user(request: HttpRequest) -> Any:
    return request.auth  # type: ignore[attr-defined]


def complaint(error: ValidationError) -> str:
    """What is wrong, with the field that it is about."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{field}: {' '.join(told)}" for field, told in error.message_dict.items())
