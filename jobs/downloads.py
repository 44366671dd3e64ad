"""Sending a file piece by piece, whichever kind of server asks.

Django's own FileResponse reads a file whole into memory under ASGI; a model's weights do not fit there.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

from jobs.figures import Chart, chart_csv

PIECE = 256 * 1024
# The parameter by which a page is asked for the numbers of one of its charts; all others are the page's filters.
CHART_PARAMETER = "csv"


def send_file(request: HttpRequest, file: BinaryIO, name: str) -> StreamingHttpResponse:
    """The open `file` as an answer, which closes it: something to save as `name`, never to be shown as a page."""
    pieces = _pieces_async(file) if isinstance(request, ASGIRequest) else _pieces(file)
    response = StreamingHttpResponse(pieces, content_type="application/octet-stream")
    response["Content-Length"] = os.fstat(file.fileno()).st_size
    response["Content-Disposition"] = content_disposition_header(True, PurePosixPath(name).name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response._resource_closers.append(file.close)  # type: ignore[attr-defined]  # as FileResponse does
    return response


def send_chart(request: HttpRequest, charts: Iterable[Chart], *, of: str = "") -> HttpResponse | None:
    """The numbers of the chart that `?csv=ID` names, as filtered as the page is; None where the page itself is asked for. `of`
    is what the page is about, for the file's name.

    Raises Http404 for a chart that the page does not have.
    """
    wanted = request.GET.get(CHART_PARAMETER)
    if not wanted:
        return None
    chart = next((one for one in charts if one.id == wanted), None)
    if chart is None:
        raise Http404("This page has no such chart.")
    name = "-".join(filter(None, (of, chart.id)))
    headers = {"Content-Disposition": content_disposition_header(True, f"{name}.csv") or "attachment"}
    return HttpResponse(chart_csv(chart), content_type="text/csv; charset=utf-8", headers=headers)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    left = os.fstat(file.fileno()).st_size
    while left > 0 and (piece := file.read(min(PIECE, left))):
        left -= len(piece)
        yield piece


async def _pieces_async(file: BinaryIO) -> AsyncIterator[bytes]:
    # A file that grows meanwhile (a log) ends where the header said it would.
    left = os.fstat(file.fileno()).st_size
    while left > 0 and (piece := await asyncio.to_thread(file.read, min(PIECE, left))):
        left -= len(piece)
        yield piece
