"""Asks a model what it has not been asked yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from evaluation.asking.kept import KeptReplies
from evaluation.asking.replies import How, Model, Reply, Wanted
from training.stopping import StopRequest


class Asker:
    """One model with what is kept of its replies. `asked` counts the replies that were not there already.

    `tell` hears of each batch of replies how many they were, kept ones included.
    """

    def __init__(self, model: Model, folder: Path, *, stop: StopRequest, tell: Callable[[int], None] = lambda _: None) -> None:
        self.model, self.asked = model, 0
        self._folder, self._stop, self._tell = folder, stop, tell
        self._kept: dict[How, KeptReplies] = {}

    def ask(self, wanted: Sequence[Wanted], how: How) -> list[Reply]:
        """One reply for each, in order. Raises Stopped, or a TrainingError; what there was by then is kept."""
        if how not in self._kept:
            self._kept[how] = KeptReplies.of(self._folder, self.model, how)
        kept = self._kept[how]
        found = kept.of_keys(one.key for one in wanted)
        missing = list({one.key: one for one in wanted if one.key not in found}.values())
        self._tell(len(wanted) - len(missing))

        def keep(replies: Sequence[tuple[int, Reply]]) -> None:
            new = {missing[index].key: reply for index, reply in replies}
            kept.add(new.items())
            found.update(new)
            self.asked += len(replies)
            self._tell(len(replies))

        if missing:
            self.model.reply(missing, how, keep=keep, stop=self._stop)
        return [found[one.key] for one in wanted]  # a model replies to everything or raises
