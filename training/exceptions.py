"""What can go wrong in a training child, each with a reason for people and a hint on how to mend it."""
# ruff: noqa: N818 (the names say what happened; all but one derive from TrainingError)

from __future__ import annotations

from pathlib import Path


class TrainingError(Exception):
    """A failure with a reason; `kind` groups failures for the page that shows them, `about` says what it is about."""

    kind = "error"
    about = ""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class BadSpec(TrainingError):
    """The spec does not say what to do, or asks for something that cannot be done."""

    kind = "bad-spec"


class BadData(TrainingError):
    """A row that cannot be trained on, found at a file, line and field."""

    kind = "bad-data"

    def __init__(self, path: Path, line: int, field: str, problem: str, hint: str = "") -> None:
        where = f"{path}, line {line}" + (f", field “{field}”" if field else "")
        super().__init__(f"{where}: {problem}", hint)
        self.path, self.line, self.field = path, line, field


class BadModel(TrainingError):
    """The model or its tokenizer cannot be loaded."""

    kind = "bad-model"


class TeacherGone(TrainingError):
    """An AI teacher can give no rewards any more: its service is away, or its budget is used up."""

    kind = "teacher"


class Diverged(TrainingError):
    """The loss or the gradient is no longer a finite number."""

    kind = "diverged"


class OutOfMemory(TrainingError):
    """The device or the machine has no memory left."""

    kind = "out-of-memory"


class DiskFull(TrainingError):
    """There is no room to write what the run must write."""

    kind = "disk-full"


class Unsupported(TrainingError):
    """This machine or this model cannot do something that was asked for; `feature` names it."""

    kind = "unsupported"

    def __init__(self, feature: str, reason: str, hint: str = "") -> None:
        super().__init__(reason, hint)
        self.about = feature


class Stopped(Exception):
    """The run was asked to stop, and a checkpoint is on disk."""
