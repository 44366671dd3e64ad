"""What the pages of a project's lead need to show rubrics and forms."""

from typing import Any

from django import template
from django.forms import BaseForm

from annotations.models import RubricVersion
from annotations.rubric import Rubric
from annotations.selectors import rubrics
from annotations.text.marked import SPAN_NAMES

register = template.Library()


@register.filter
def dimension_label(name: str, rubric: Rubric) -> str:
    """What a dimension is called; one that the rubric no longer has keeps its name in data."""
    return next((dimension.label for dimension in rubric.dimensions if dimension.id == name), name)


@register.filter
def rubric_key(version: RubricVersion) -> str:
    return rubrics.rubric_key(version)


@register.filter
def mark_name(label: str) -> str:
    return str(SPAN_NAMES.get(label, label))


@register.filter
def words(text: str) -> list[str]:
    return text.split()


@register.filter
def whole(value: Any) -> int | None:
    """A number out of a form, which may hold anything."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


@register.filter
def sent(form: BaseForm, name: str) -> str:
    """What was sent for a field, as text."""
    return str(form.data.get(name, "")) if form.is_bound else ""
