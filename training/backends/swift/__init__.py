"""ms-swift as a backend, in an environment of its own.

`environment` makes that environment, `options` says a specification in ms-swift's arguments, `job` writes what it is handed,
`execute` carries a run out, `plugin` is what ms-swift loads of ours, `validation` asks its own parser beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from training.backends.bundle import Bundle, Start
from training.backends.swift import megatron, options
from training.backends.swift.packing import bundle_of
from training.specs import RunSpec
from training.virtual_environments import FOLDER_VARIABLE, home

TITLE = "ms-swift"
MODULE: Final = "training.backends.swift.execute"


def check(spec: RunSpec) -> None:
    """Raise BadSpec for what ms-swift cannot do, by the specification alone."""
    options.check(spec)
    megatron.check(spec)


def start(_spec: RunSpec, folder: Path) -> Start:
    """The process that follows ms-swift's trainer; it reads nothing but the specification."""
    return Start([sys.executable, "-m", MODULE, str(folder)], {FOLDER_VARIABLE: str(home())})


def bundle(spec: RunSpec) -> Bundle:
    """A bundle that ms-swift's own command carries out."""
    return bundle_of(spec)
