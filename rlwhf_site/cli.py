"""The console script `rlwhf`: every command is a Django management command, with dashes allowed in its name."""

import ast
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line, get_commands, load_command_class

from rlwhf_site.database import why_unreachable

# Ours, in the order of the loop; Django's own are for developers, who know them.
GROUPS = {
    "rlwhf_site": "The site",
    "accounts": "People",
    "annotations": "Items, scores, data",
    "training": "Training",
    "evaluation": "Evaluation",
    "dashboards": "Dashboard",
    "jobs": "Jobs",
}
# Commands that must work while no database runs. All others get a sentence instead of a connection's time-out.
WITHOUT_DATABASE = {
    "argilla_export",
    "backup",
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "gate",
    "hardware",
    "help",
    "honesty_reward_model",  # but for datasets, and then it says so
    "ingest",
    "makemessages",
    "makemigrations",
    "profiles",
    "restore",
    "self_reward",
    "serve",  # but for models by name, and then it says so
    "squashmigrations",
    "startapp",
    "startproject",
    "swift_environment",
    "test",
    "testserver",
    "up",
    "validate_answers",
    "version",
    "web",
}
HELP = {"-h", "--help", "--version"}


def main(argv: list[str] | None = None) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rlwhf_site.settings")
    arguments = list(sys.argv if argv is None else argv)
    if arguments[1:2] == ["up"]:
        # Until the supervisor listens nothing runs that would have to be stopped. Python's own KeyboardInterrupt can get lost
        # while modules are loaded, and the site would go on starting.
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    if arguments[1:] in ([], ["help"], ["-h"], ["--help"]):
        print_commands()
        return
    arguments[1] = arguments[1].replace("-", "_") if not arguments[1].startswith("-") else arguments[1]
    try:
        settings.RLWHF_HOME  # noqa: B018 (reads the settings, so that a mistake in them is told before anything else)
    except ImproperlyConfigured as error:
        sys.exit(f"{error}")
    if needs_database(arguments) and (reason := why_unreachable()):
        sys.exit(reason)
    try:
        execute_from_command_line(arguments)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell has it; whoever pressed Ctrl-C needs no traceback


def needs_database(arguments: list[str]) -> bool:
    command, *rest = arguments[1:]
    if command in WITHOUT_DATABASE or command.endswith("_train"):
        return False
    return not command.startswith("-") and not HELP & set(rest)


def print_commands() -> None:
    """What `rlwhf` alone says: our commands by subject, one line each."""
    import django  # noqa: PLC0415 (set up only here; every other command has Django do it)

    django.setup()
    owners = get_commands()
    write = sys.stdout.write
    write("rlwhf COMMAND …    (`rlwhf COMMAND --help` says more; `make run` starts the site)\n")
    for app, title in GROUPS.items():
        package = apps.get_app_config(app).name
        names = sorted(name for name, owner in owners.items() if owner == package)
        if names:
            write(f"\n{title}\n")
        for name in names:
            write(f"  {name.replace('_', '-'):24} {summary(package, name)}\n")
    write("\nDjango's own commands work too: `rlwhf check`, `rlwhf shell`, `rlwhf migrate`, …\n")


def summary(package: str, name: str) -> str:
    """The first sentence of a command's help; one that cannot be loaded must not hide the others."""
    try:
        said = _help_in_source(package, name) or load_command_class(package, name).help
        text = " ".join(said.split())
    except Exception as error:
        return f"cannot be loaded: {error}"
    return text.split(". ")[0].rstrip(".")


def _help_in_source(package: str, name: str) -> str:
    """The `help` that a command's class gives, read without importing what all commands together need, which takes seconds.

    Empty where it is not written there as plain words: those of a method's training are made.
    """
    file = Path(import_module(package).__path__[0], "management", "commands", f"{name}.py")
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.ClassDef) and node.name == "Command":
            for line in node.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "help":
                    return str(line.value.value) if isinstance(line.value, ast.Constant) else ""
    return ""


if __name__ == "__main__":
    main()
