"""Asks a benchmark's questions through a harness, and whatever else is to be known straight from the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evaluation.asking.asker import Asker
from evaluation.asking.replies import How, Reply, Wanted
from evaluation.harnesses.model import Disbelieved, HarnessModel
from training.stopping import StopRequest


class HarnessAsker(Asker):
    """What went through the harness is kept in `folder`, for this evaluation alone: another one would have its figures without
    its run. The rest is kept in `cache`, with what everybody's evaluations keep.
    """

    def __init__(
        self, model: HarnessModel, folder: Path, cache: Path, *, stop: StopRequest, tell: Callable[[int], None] = lambda _: None
    ) -> None:
        super().__init__(model.inner, cache, stop=stop, tell=tell)
        self._harness, self._own = model, folder
        self._through = Asker(model, folder, stop=stop, tell=tell)

    def ask(self, wanted: Sequence[Wanted], how: How) -> list[Reply]:
        """One reply for each, in order. Raises Stopped, or a TrainingError.

        Disbelieved: what the harness brought is forgotten, so that it has to ask all of it anew, and is checked again.
        """
        through = [index for index, one in enumerate(wanted) if self._harness.asks(one, how)]
        rest = sorted(set(range(len(wanted))) - set(through))
        found: dict[int, Reply] = {}
        if through:
            before = self._through.asked
            with self._forgotten_if_disbelieved():
                found.update(zip(through, self._through.ask([wanted[index] for index in through], how), strict=True))
            self.asked += self._through.asked - before
        if rest:
            found.update(zip(rest, super().ask([wanted[index] for index in rest], how), strict=True))
        return [found[index] for index in range(len(wanted))]

    def described(self) -> dict[str, Any]:
        """What a scorecard says of the harness. Raises Disbelieved."""
        with self._forgotten_if_disbelieved():
            return self._harness.described()

    @contextmanager
    def _forgotten_if_disbelieved(self) -> Iterator[None]:
        try:
            yield
        except Disbelieved:
            shutil.rmtree(self._own, ignore_errors=True)
            raise
