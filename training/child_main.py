"""What every process that a worker starts does around its work: being told to stop, and saying how it ended."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from jobs.child import STOPPED_EXIT_CODE, report_failure, watch_parent
from training.exceptions import Stopped, TrainingError
from training.stopping import StopRequest


def child_main(arguments: list[str], work: Callable[[Path, StopRequest], None], *, usage: str) -> int:
    """Do the work in the folder that the one argument names.

    Exit status: 0 done, 143 stopped (it can be gone on with), 1 failed (`failure.json` says why), 2 wrong usage.
    """
    if len(arguments) != 1:
        print(f"usage: {usage}", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    stop = StopRequest()
    stop.listen()
    watch_parent()
    try:
        work(folder, stop)
    except Stopped:
        return STOPPED_EXIT_CODE
    except TrainingError as error:
        report_failure(reason=error.reason, hint=error.hint, kind=error.kind, folder=folder)
        print(f"{error.reason} {error.hint}", file=sys.stderr)
        return 1
    except Exception as error:
        traceback.print_exc()
        report_failure(reason=f"{type(error).__name__}: {error}", hint="The log has the details.", folder=folder)
        return 1
    return 0
