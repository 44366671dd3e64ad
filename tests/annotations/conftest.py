"""People, a project and items for the tests of annotations."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from accounts.services import user_create
from annotations.models import Item, Project
from annotations.services import item_import, project_create

PASSWORD = "a long enough secret"


@pytest.fixture
def person() -> Callable[..., User]:
    """A person with a role: `person("ann")`, `person("mo", "member")`."""
    return lambda name, role="annotator": user_create(username=name, password=PASSWORD, role=role, actor=None)


@pytest.fixture
def project(db: None) -> Project:
    return project_create(name="Capitals", actor=None, guidelines="Look it *up*.")


def tuple_of(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A small RLWHF tuple, unscored unless `fields` say otherwise."""
    return {"prompt": f"What is the capital of country {number}?", "answer": f"Town {number}.", **fields}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Iterable[Any]], Path]:
    """Tuples (or lines as they are) as a JSON-lines file."""

    def make(lines: Iterable[Any], name: str = "tuples.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), encoding="utf-8")
        return path

    return make


@pytest.fixture
def items(project: Project, write: Callable[[Iterable[Any]], Path]) -> list[Item]:
    """Ten unscored items, in the order in which they are handed out."""
    item_import(project=project, path=write(tuple_of(number) for number in range(10)), actor=None)
    return list(Item.objects.order_by("position"))
