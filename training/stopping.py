"""Being asked to stop: at once while nothing is worth keeping, else after a checkpoint."""

from __future__ import annotations

import os
import signal
from types import FrameType

from jobs.child import STOPPED_EXIT_CODE


class StopRequest:
    """Whether SIGTERM or SIGINT has come. Until `defer` is called, either ends the process at once."""

    def __init__(self) -> None:
        self.asked = False
        self._deferred = False

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def defer(self) -> None:
        """From now on only take note: somebody looks at `asked`."""
        self._deferred = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self._deferred:
            os._exit(STOPPED_EXIT_CODE)
