"""The management commands that jobs run in a child process."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

CALL = re.compile(r'django_child\(\s*"(\w+)"')


def children() -> list[str]:
    root = Path(settings.BASE_DIR)
    sources = [*root.glob("[a-z]*/jobs.py"), *root.glob("[a-z]*/*/jobs.py")]
    return sorted({name for path in sources for name in CALL.findall(path.read_text("utf-8"))})


def test_the_search_finds_them():
    assert children() == [
        "argilla",
        "chains",
        "collect_answers",
        "dataset",
        "import_items",
        "items",
        "pipeline",
        "quality",
        "teachers",
    ]


@pytest.mark.parametrize("name", children())
def test_each_takes_the_argument_that_every_child_is_given(name):
    """Django leaves it out of a command that asks for no checks; the job would then end with a usage message."""
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    assert "--skip-checks" in parser.format_help()
