"""Rows of a dataset version and where each comes from; and what a rater, a rubric version or an import went into."""

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.roles import role_required, signed_in_user
from annotations.dataset_files import SPLITS
from annotations.models import DatasetVersion, Import, Rater, RubricVersion
from annotations.selectors import provenance
from annotations.services import scores_shown

PAGE_SIZE = 50
TEXTS = ("prompt", "response", "answer", "chosen", "rejected", "responses", "gold_answer")


@require_GET
@role_required("member")
def dataset_rows(request: HttpRequest, name: str) -> HttpResponse:
    """The rows of a split, page by page; of one rater, or those whose scores changed since, where that is asked for."""
    version = _version(name)
    split = _split(request, version)
    rater = _rater(request)
    numbers: Sequence[int]
    if rater or request.GET.get("changed"):
        numbers = provenance.rows_with(version=version, split=split, rater=rater)
    else:
        numbers = range(1, version.counts.get(split, 0) + 1)
    page = Paginator(numbers, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [
        (number, {column: row[column] for column in TEXTS if row.get(column)})
        for first, count in _runs(list(page.object_list))
        for number, row in provenance.rows_shown(version=version, split=split, first=first, count=count)
    ]
    context = {
        "version": version,
        "split": split,
        "splits": [(one, version.counts.get(one, 0)) for one in SPLITS],
        "page": page,
        "rows": rows,
        "rater": rater,
        "changed": bool(request.GET.get("changed")) and not rater,
    }
    return render(request, "annotations/dataset_rows.html", context)


@require_GET
@role_required("member")
def dataset_row(request: HttpRequest, name: str, split: str, row: int) -> HttpResponse:
    version, user = _version(name), signed_in_user(request)
    seen = provenance.row_seen(version=version, split=split, number=row, user=user)
    if seen is None:
        raise Http404(f"{name} has no {split} row {row}.")
    scores_shown(items=seen.revealing, actor=user)
    context = {
        "version": version,
        "seen": seen,
        "others": [(title, number) for title, number in (("Previous", row - 1), ("Next", row + 1)) if _is_row(seen, number)],
        "more": {column: value for column, value in seen.row.items() if column not in TEXTS},
        "texts": {column: seen.row[column] for column in TEXTS if seen.row.get(column)},
        "parents": version.parents.all(),
    }
    return render(request, "annotations/dataset_row.html", context)


@require_GET
@role_required("member")
def provenance_rater(request: HttpRequest, pk: int) -> HttpResponse:
    """The dataset versions that hold a rater's scores."""
    rater = get_object_or_404(Rater, pk=pk)
    context: dict[str, Any] = {"title": rater.name, "kind": rater.get_kind_display(), "rater": rater}
    return render(request, "annotations/provenance.html", context | {"of_rater": provenance.versions_of_rater(rater=rater)})


@require_GET
@role_required("member")
def provenance_rubric(request: HttpRequest, pk: int) -> HttpResponse:
    rubric = get_object_or_404(RubricVersion, pk=pk)
    context: dict[str, Any] = {"title": str(rubric), "kind": "Rubric version", "rubric": rubric}
    return render(request, "annotations/provenance.html", context | {"of_rubric": provenance.versions_of_rubric(rubric=rubric)})


@require_GET
@role_required("member")
def provenance_import(request: HttpRequest, pk: int) -> HttpResponse:
    record = get_object_or_404(Import, pk=pk)
    context: dict[str, Any] = {"title": record.file_name, "kind": "Import", "record": record}
    return render(request, "annotations/provenance.html", context | {"of_import": provenance.versions_of_import(record=record)})


def _version(name: str) -> DatasetVersion:
    return get_object_or_404(DatasetVersion.objects.ready().select_related("project", "job"), name=name)


def _split(request: HttpRequest, version: DatasetVersion) -> str:
    """The one that was asked for, else the first that has rows."""
    asked = request.GET.get("split", "")
    return asked if asked in SPLITS else next((split for split in SPLITS if version.counts.get(split)), SPLITS[0])


def _rater(request: HttpRequest) -> Rater | None:
    asked = request.GET.get("rater", "")[:18]
    return get_object_or_404(Rater, pk=int(asked)) if asked.isascii() and asked.isdigit() else None


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Numbers in order as (first, how many) of each run without a gap."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs


def _is_row(seen: provenance.SeenRow, number: int) -> bool:
    return 1 <= number <= seen.version.counts.get(seen.split, 0)
