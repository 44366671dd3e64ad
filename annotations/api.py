"""Items, scores and datasets over HTTP."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, File, Form, Router, Schema, Status, UploadedFile
from ninja.errors import HttpError
from ninja.pagination import paginate
from pydantic import AfterValidator

from accounts.api_auth import ApiAuth
from annotations import selectors, services
from annotations.dataset_files import MANIFEST, REPORT, SPLITS
from annotations.models import DatasetVersion, Flag, Import, Item, Project, Score
from annotations.rubric import rubric_names
from annotations.selectors import ITEM_STATES, ItemFilter
from annotations.services import DatasetRefused, ScoringRefused
from annotations.services.imports import upload_store
from annotations.tuples import place_of_nul
from jobs.downloads import send_file

router = Router(tags=["annotations"])


def _storable(value: Any) -> Any:
    if place_of_nul(value) is not None:
        raise ValueError("holds a NUL character, which no database text can")
    return value


Text = Annotated[str, AfterValidator(_storable)]


class ProjectOut(Schema):
    name: str
    slug: str
    guidelines: str
    raters_per_item: int
    item_count: int
    rubric: str = Field(alias="rubric_version.name")
    rubric_version: int = Field(alias="rubric_version.version")


class ProjectIn(Schema):
    name: Text
    guidelines: Text = ""
    raters_per_item: int = Field(default=1, ge=0, le=50)


class ProjectChange(Schema):
    """What is left out stays as it is."""

    name: Text | None = None
    guidelines: Text | None = None
    raters_per_item: int | None = Field(default=None, ge=0, le=50)
    rubric: Text | None = Field(default=None, description="Name of a rubric, such as honesty-1.")


class ProgressOut(Schema):
    items: int
    done: int
    scores: int
    mine: int


class ItemOut(Schema):
    id: int
    project: str = Field(alias="project.slug")
    prompt: list[dict[str, Any]]
    answer: str
    stated_confidence: float | None
    people_scores: int
    is_open: bool


class ItemDetailOut(Schema):
    id: int
    project: str
    prompt: list[dict[str, Any]]
    answer: str
    stated_confidence: float | None
    people_scores: int
    is_open: bool
    source_model: str
    gold_answers: list[str]
    knowledge: str | None
    entity: str
    metadata: dict[str, Any]
    flags: list[dict[str, Any]] = Field(description="Those that are open: id, reason, note.")
    scores: list[dict[str, Any]] = Field(description="As in the answer to giving a score.")
    hidden: str = Field(description='"" all are shown; "blind": give yours first; "role": others’ scores are for members')


class ScoreOut(Schema):
    id: int
    item: int = Field(alias="item_id")
    rater: str = Field(alias="rater.name")
    kind: str = Field(alias="rater.kind")
    overall: float | None = Field(description="None is “not scored”, which is never 0.")
    dimensions: dict[str, float]
    critique: str
    cannot_verify: bool
    seconds: float | None
    given_at: datetime


class ScoreIn(Schema):
    submission: UUID = Field(description="Made by you; the same one again gives back the same score.")
    overall: int | None = Field(default=None, ge=-2, le=2)
    dimensions: dict[str, int] = Field(default_factory=dict)
    critique: Text = Field(default="", max_length=20_000)
    cannot_verify: bool = False
    seconds: float | None = Field(default=None, ge=0)


class FlagIn(Schema):
    reason: Text = Field(description=", ".join(Flag.Reason.values))
    note: Text = Field(default="", max_length=2000)


class ImportOut(Schema):
    id: int
    file_name: str
    report: dict[str, Any]
    job: int | None = Field(default=None, alias="job_id")
    finished_at: datetime | None


class DatasetIn(Schema):
    project: Text = Field(description="Address part of the project.")
    name: Text
    kind: Text = Field(description=", ".join(DatasetVersion.Kind.values))
    settings: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(
        default_factory=dict, description='Such as {"min_gap": 2, "split": {"seed": 1}}.'
    )


class DatasetOut(Schema):
    name: str
    kind: str
    project: str | None
    source: str
    content_hash: str
    counts: dict[str, int]
    verdict: str
    report: dict[str, Any]
    settings: dict[str, Any]
    job: int | None = Field(default=None, alias="job_id")
    created_at: datetime
    ready_at: datetime | None

    @staticmethod
    def resolve_project(version: DatasetVersion) -> str | None:
        return version.project.slug if version.project else None


class GoldOut(Schema):
    scores: int


@router.get("/projects", response=list[ProjectOut], auth=ApiAuth("annotator"))
@paginate
def project_list(request: HttpRequest) -> QuerySet[Project]:
    return selectors.project_list()


@router.post("/projects", response={201: ProjectOut}, auth=ApiAuth("admin"))
def project_create(request: HttpRequest, wanted: ProjectIn) -> Status[Project]:
    try:
        return Status(201, services.project_create(**wanted.dict(), actor=_user(request)))
    except ValidationError as error:
        raise HttpError(422, " ".join(error.messages)) from error


@router.patch("/projects/{slug}", response=ProjectOut, auth=ApiAuth("admin"))
def project_update(request: HttpRequest, slug: Text, wanted: ProjectChange) -> Project:
    project = _project(slug)
    if wanted.rubric is not None and wanted.rubric not in rubric_names():
        raise HttpError(422, f"There is no rubric “{wanted.rubric}”; there are {', '.join(rubric_names())}.")
    now = {name: getattr(project, name) for name in ("name", "guidelines", "raters_per_item")}
    try:
        return services.project_update(project=project, actor=_user(request), **now | wanted.dict(exclude_none=True))
    except ValidationError as error:
        raise HttpError(422, " ".join(error.messages)) from error


@router.get("/projects/{slug}/progress", response=ProgressOut, auth=ApiAuth("annotator"))
def project_progress(request: HttpRequest, slug: Text) -> Any:
    return selectors.project_progress(project=_project(slug), user=_user(request))


@router.post("/projects/{slug}/import", response={201: ImportOut}, auth=ApiAuth("admin"))
def item_import(
    request: HttpRequest,
    slug: Text,
    file: File[UploadedFile],
    rater_name: Form[str] = "imported",
) -> Status[Import]:
    """Queue the import of a JSON-lines file of RLWHF tuples."""
    project = _project(slug)
    name = Path(file.name or "upload.jsonl").name.replace("\x00", "")
    stored = upload_store(file.chunks())
    record = services.import_queue(
        project=project, file_name=name, stored_path=stored, actor=_user(request), rater_name=rater_name.replace("\x00", "")
    )
    return Status(201, record)


@router.get("/imports/{pk}", response=ImportOut, auth=ApiAuth("member"))
def import_detail(request: HttpRequest, pk: int) -> Import:
    return get_object_or_404(Import, pk=pk)


@router.post("/projects/{slug}/gold", response=GoldOut, auth=ApiAuth("admin"))
def gold_score(request: HttpRequest, slug: Text) -> dict[str, int]:
    """Score every item that has a gold answer."""
    return {"scores": services.gold_score(project=_project(slug), actor=_user(request))}


@router.get("/items", response=list[ItemOut], auth=ApiAuth("annotator"))
@paginate
def item_list(request: HttpRequest, project: Text = "", q: Text = "", state: Text = "", source: Text = "") -> QuerySet[Item]:
    if state not in ITEM_STATES:
        raise HttpError(422, f"state is one of {', '.join(filter(None, ITEM_STATES))}")
    wanted = ItemFilter(project=_project(project) if project else None, text=q[:200], state=state, source=source)
    return selectors.item_list(wanted=wanted, user=_user(request)).defer(None).defer("search", "metadata")


@router.get("/projects/{slug}/next", response={200: ItemOut, 204: None}, auth=ApiAuth("annotator"))
def item_next(request: HttpRequest, slug: Text) -> Any:
    """The item to score next, held for you for a quarter of an hour; 204 where nothing is left for you."""
    item = services.item_next(project=_project(slug), actor=_user(request))
    return item if item else Status(204, None)


@router.get("/items/{pk}", response=ItemDetailOut, auth=ApiAuth("annotator"))
def item_detail(request: HttpRequest, pk: int) -> dict[str, Any]:
    """An item with the scores of it that you may see. Once you have been shown others', you cannot score it any more."""
    item = get_object_or_404(Item.objects.select_related("project"), pk=pk)
    seen = selectors.scores_seen(item=item, user=_user(request))
    about = ItemOut.from_orm(item).dict()
    more = {name: getattr(item, name) for name in ("source_model", "gold_answers", "knowledge", "entity")}
    more["metadata"] = selectors.metadata_seen(item=item, user=_user(request))
    if selectors.sees_others(seen=seen, metadata=more["metadata"], user=_user(request)):
        services.scores_shown(items=[item.pk], actor=_user(request))
    more["flags"] = [{"id": one.pk, "reason": one.reason, "note": one.note} for one in selectors.open_flags(item=item)]
    scores = [ScoreOut.from_orm(score).dict() for score in (seen.mine, *seen.others) if score]
    return about | more | {"scores": scores, "hidden": seen.hidden}


@router.post("/items/{pk}/scores", response={201: ScoreOut}, auth=ApiAuth("annotator"))
def score_submit(request: HttpRequest, pk: int, given: ScoreIn) -> Status[Score]:
    try:
        return Status(201, services.score_submit(item=get_object_or_404(Item, pk=pk), actor=_user(request), **given.dict()))
    except ScoringRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.post("/items/{pk}/skip", response={204: None}, auth=ApiAuth("annotator"))
def item_skip(request: HttpRequest, pk: int) -> Status[None]:
    services.item_skip(item=get_object_or_404(Item, pk=pk), actor=_user(request))
    return Status(204, None)


@router.post("/items/{pk}/flag", response={204: None}, auth=ApiAuth("annotator"))
def item_flag(request: HttpRequest, pk: int, flag: FlagIn) -> Status[None]:
    try:
        services.item_flag(item=get_object_or_404(Item, pk=pk), actor=_user(request), **flag.dict())
    except ScoringRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(204, None)


@router.post("/items/{pk}/reveal", response=ItemDetailOut, auth=ApiAuth("member"))
def item_reveal(request: HttpRequest, pk: int) -> dict[str, Any]:
    """See the others' scores without giving one; you are then not asked to score this item any more."""
    services.item_reveal(item=get_object_or_404(Item, pk=pk), actor=_user(request))
    return item_detail(request, pk)


@router.post("/flags/{pk}/resolve", response={204: None}, auth=ApiAuth("member"))
def flag_resolve(request: HttpRequest, pk: int) -> Status[None]:
    """Say that a flagged item is in order; `flags` of the item holds the ids."""
    services.flag_resolve(flag=get_object_or_404(Flag, pk=pk), actor=_user(request))
    return Status(204, None)


@router.post("/projects/{slug}/undo", response={200: ItemOut, 204: None}, auth=ApiAuth("annotator"))
def score_undo(request: HttpRequest, slug: Text) -> Any:
    """Take back your last score, skip or flag."""
    try:
        item = services.score_undo(project=_project(slug), actor=_user(request))
    except ScoringRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return item if item else Status(204, None)


@router.get("/datasets", response=list[DatasetOut], auth=ApiAuth("member"))
@paginate
def dataset_list(request: HttpRequest) -> QuerySet[DatasetVersion]:
    return selectors.dataset_list()


@router.post("/datasets", response={201: DatasetOut}, auth=ApiAuth("admin"))
def dataset_build(request: HttpRequest, wanted: DatasetIn) -> Status[DatasetVersion]:
    """Queue the building of a dataset version."""
    values = wanted.dict() | {"project": _project(wanted.project)}
    try:
        return Status(201, services.dataset_queue(**values, actor=_user(request)))
    except DatasetRefused as refused:
        raise HttpError(422, f"{refused} {refused.hint}".strip()) from refused


@router.get("/datasets/{name}", response=DatasetOut, auth=ApiAuth("member"))
def dataset_detail(request: HttpRequest, name: Text) -> DatasetVersion:
    return get_object_or_404(selectors.dataset_list(), name=name)


@router.get("/datasets/{name}/files/{file}", auth=ApiAuth("member"))
def dataset_download(request: HttpRequest, name: Text, file: Text) -> StreamingHttpResponse:
    version = get_object_or_404(DatasetVersion.objects.ready(), name=name)
    path = Path(version.folder) / file
    if file not in {*(f"{split}.jsonl" for split in SPLITS), REPORT, MANIFEST} or not path.exists():
        raise HttpError(404, f"{name} has no file “{file}”.")
    return send_file(request, path.open("rb"), f"{name}-{file}")


def _project(slug: str) -> Project:
    return get_object_or_404(Project.objects.select_related("rubric_version"), slug=slug)


def _user(request: HttpRequest) -> Any:
    return request.auth  # type: ignore[attr-defined]
