"""Rubric versions: an edited rubric is a new version; scores keep the one that they were given under."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max
from pydantic import ValidationError

from accounts import audit
from accounts.models import User
from annotations.models import Project, RubricVersion
from annotations.rubric import Rubric, load_rubric, rubric_names
from annotations.tuples import place_of_nul

# Longer than any rubric that people could score by.
LONGEST_FILE = 200_000
SHORTEST_HASH = 8


@dataclass(frozen=True)
class RubricProblem:
    """What is wrong, and where: such as ("dimensions", 0, "id")."""

    place: tuple[str | int, ...]
    reason: str

    def __str__(self) -> str:
        where = ".".join(map(str, self.place))
        return f"{where}: {self.reason}" if where else self.reason


class RubricRefused(ValueError):  # noqa: N818 - reads as what happened
    """This is no rubric; `problems` say why."""

    def __init__(self, problems: list[RubricProblem]) -> None:
        super().__init__(" ".join(map(str, problems)))
        self.problems = problems


def rubric_version(*, rubric: Rubric) -> RubricVersion:
    """The row of this rubric: found by its content, or made."""
    return RubricVersion.objects.get_or_create(
        content_hash=rubric.content_hash,
        defaults={
            "name": rubric.name,
            "version": rubric.version,
            "title": rubric.title,
            "data": rubric.model_dump(mode="json"),
        },
    )[0]


def rubric_found(*, key: str) -> RubricVersion:
    """The rubric that `key` names: a file of the site or a version, both as “honesty-1”; or the start of a content hash.

    Raises RubricRefused.
    """
    if key in rubric_names():
        return rubric_version(rubric=load_rubric(key))
    name, _, number = key.rpartition("-")
    version = None
    if number.isdecimal() and len(number) < 9:
        version = RubricVersion.objects.filter(name=name, version=int(number)).order_by("pk").last()
    if version is None and len(key) >= SHORTEST_HASH and key.isalnum():
        version = RubricVersion.objects.filter(content_hash__startswith=key).first()
    if version is None:
        known = {*rubric_names(), *(f"{row.name}-{row.version}" for row in RubricVersion.objects.all()[:20])}
        raise RubricRefused([RubricProblem((), f"There is no rubric “{key}”; there are {', '.join(sorted(known))}.")])
    return version


def rubric_checked(*, data: Any) -> Rubric:
    """The rubric in `data`. Raises RubricRefused with everything that is wrong with it."""
    if not isinstance(data, dict):
        raise RubricRefused([RubricProblem((), "is not a rubric")])
    if (place := place_of_nul(data)) is not None:
        raise RubricRefused([RubricProblem((place,), "holds a NUL character")])
    try:
        return Rubric.model_validate(data)
    except ValidationError as error:
        raise RubricRefused([_problem(one) for one in error.errors(include_url=False, include_context=False)]) from error


def _problem(error: Any) -> RubricProblem:
    words = {
        "missing": "is missing",
        "string_pattern_mismatch": "is small letters, digits and underscores, and starts with a letter",
        "extra_forbidden": "is nothing that a rubric has",
    }
    text = error["msg"].removeprefix("Value error, ")
    return RubricProblem(tuple(error["loc"]), words.get(error["type"], text[:1].lower() + text[1:]))


def rubric_read(*, text: str) -> Rubric:
    """The rubric in a TOML file. Raises RubricRefused."""
    if len(text) > LONGEST_FILE:
        raise RubricRefused([RubricProblem((), "is too long for a rubric")])
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RubricRefused([RubricProblem((), f"is not TOML ({error})")]) from error
    return rubric_checked(data=data)


@transaction.atomic
def rubric_edit(*, project: Project, data: Mapping[str, Any], actor: User | None) -> RubricVersion:
    """Move a project to the rubric in `data`, as a new version of its name; a name that is left out stays, and so does what
    was scored. What says the same as a version that there is already becomes no new one.

    Raises RubricRefused.
    """
    project = _locked(project)
    name = data.get("name") or project.rubric_version.name
    rubric = rubric_checked(data={**data, "name": name, "version": 1})
    versions = list(RubricVersion.objects.select_for_update(no_key=True).filter(name=rubric.name).order_by("-version", "-pk"))
    said = _said(rubric)
    versions.sort(key=lambda row: row.pk != project.rubric_version_id)
    version = next((row for row in versions if _said(row.rubric) == said), None)
    if version is None:
        version = rubric_version(rubric=rubric.model_copy(update={"version": _highest(rubric.name) + 1}))
    return _moved(project, version, actor)


@transaction.atomic
def rubric_use(*, project: Project, version: RubricVersion, actor: User | None) -> RubricVersion:
    """Move a project to a rubric version that there is: an earlier one, or another project's."""
    return _moved(_locked(project), version, actor)


def _highest(name: str) -> int:
    """The highest version of a name, among the rows and the site's files."""
    rows = RubricVersion.objects.filter(name=name).aggregate(highest=Max("version"))["highest"] or 0
    return max([rows, *(rubric.version for rubric in map(load_rubric, rubric_names()) if rubric.name == name)])


def _said(rubric: Rubric) -> dict[str, Any]:
    return rubric.model_dump(mode="json", exclude={"version"})


def _locked(project: Project) -> Project:
    return Project.objects.select_for_update(of=("self",), no_key=True).select_related("rubric_version").get(pk=project.pk)


def _moved(project: Project, version: RubricVersion, actor: User | None) -> RubricVersion:
    before = project.rubric_version
    if before.pk != version.pk:
        Project.objects.filter(pk=project.pk).update(rubric_version=version)
        detail: dict[str, object] = {"from": f"{before.name}-{before.version}", "to": f"{version.name}-{version.version}"}
        audit.record(actor=actor, action="annotations.rubric_changed", target=project, detail=detail)
    return version
