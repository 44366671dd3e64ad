"""A model on disk that replies: a model folder, an adapter's, a run's, or a name at the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accounts.chat.answers import Ending
from evaluation.asking.kept import KeptReplies
from evaluation.asking.replies import How, Keep, Prompt, Reply, Wanted
from evaluation.model_hash import model_hash
from training.data import form_of
from training.exceptions import OutOfMemory, Stopped
from training.faults import training_error
from training.generate import quiet_libraries
from training.specs import HardwareSpec, ModelSpec
from training.stopping import StopRequest

if TYPE_CHECKING:
    from training.loading import Loaded
    from training.sampling import Answer, Sampler


FEW = 16
"""So many prompts are answered together however different they are in length."""
READ = "read as training writes it"
"""Under which it is kept what a model found of given answers. Another way of reading needs another name."""
PADDED = 1.2
"""Beyond that a batch ends where it would have more than so many times the tokens of its prompts, the padding included."""


class LocalModel:
    """Loaded when it is first asked something. Prompts alike in length are answered together, the longest first, so that what
    does not fit shows at once; a batch that does not fit into memory is halved, and so are those after it.
    """

    def __init__(self, path: str, *, hardware: HardwareSpec, prompt_format: str, batch_size: int) -> None:
        self._path, self._hardware, self._prompt_format = path, hardware, prompt_format
        self._batch_size = batch_size
        self._samplers: dict[How, Sampler] = {}

    @cached_property
    def digest(self) -> str:
        return model_hash(self._path)

    def settings(self) -> Mapping[str, Any]:
        return {"prompt_format": self._prompt_format, "precision": self._hardware.precision}

    def reply(self, wanted: Sequence[Wanted], how: How, *, keep: Keep, stop: StopRequest) -> None:
        sampler = self._sampler(how)
        tokens = [sampler.tokens(one.prompt) for one in wanted]
        for room, places in _by_room(tokens, sampler.longest, how.max_new_tokens).items():
            if room < 1:
                keep([(place, _too_long(len(tokens[place]), sampler.longest)) for place in places])
                continue

            def answer(batch: Sequence[int], most: int = room, places: Sequence[int] = places) -> None:
                asked = [places[i] for i in batch]
                numbers = _numbers([wanted[i] for i in asked], how)
                answers = sampler.answer([tokens[i] for i in asked], numbers=numbers, most=most)
                keep([(i, _reply(one)) for i, one in zip(asked, answers, strict=True)])

            self._in_batches([len(tokens[place]) for place in places], answer, stop)

    def logprobs(self, given: Sequence[tuple[Prompt, Reply]], *, keep: Keep, stop: StopRequest) -> None:
        """How likely this model finds replies that another one gave: `keep` is told each again, with this model's `logprob`; what
        is longer than it reads has none.

        Read are the reply's own tokens where they spell its text here too, else its text and the end of an answer, as training
        writes them.
        """
        import torch  # noqa: PLC0415 (weight)

        from training.scoring import logprobs_of  # noqa: PLC0415 (weight)

        sampler, loaded = self._sampler(How(max_new_tokens=1)), self._loaded
        rows = [sampler.read(prompt, reply.text, reply.ids, ended=reply.ending != "length") for prompt, reply in given]

        lengths = [len(prompt) + len(answer) for prompt, answer in rows]
        able = [place for place, length in enumerate(lengths) if sampler.longest is None or length <= sampler.longest]
        keep([(place, _too_long(lengths[place], sampler.longest)) for place in sorted(set(range(len(rows))) - set(able))])

        def read(batch: Sequence[int]) -> None:
            places = [able[i] for i in batch]
            with torch.inference_mode():
                found = logprobs_of(loaded.model, [rows[i] for i in places], pad=loaded.tokenizer.pad_token_id)
            keep([(i, Reply(given[i][1].text, round(value, 6))) for i, value in zip(places, found, strict=True)])

        self._in_batches([lengths[place] for place in able], read, stop)

    def _in_batches(self, lengths: Sequence[int], work: Callable[[Sequence[int]], None], stop: StopRequest) -> None:
        """Have all rows worked on, by index; `lengths` are their tokens."""
        stop.defer()
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        at = 0
        while at < len(order):
            if stop.asked:
                raise Stopped
            batch = order[at : at + self._together([lengths[i] for i in order[at : at + self._batch_size]])]
            try:
                work(batch)
            except (RuntimeError, MemoryError) as error:
                if len(batch) == 1 or not isinstance(training_error(error), OutOfMemory):
                    raise
                self._batch_size = len(batch) // 2
                self._free()
            else:
                at += len(batch)

    def _together(self, lengths: Sequence[int]) -> int:
        """How many rows make a batch, of those whose lengths are given, the longest first."""
        whole = 0
        for count, length in enumerate(lengths, start=1):
            whole += length
            if count > FEW and count * lengths[0] > PADDED * whole:
                return count - 1
        return len(lengths)

    def unload(self) -> None:
        """Give the memory back; asked again, the model is loaded again."""
        if "_loaded" in self.__dict__:
            del self._loaded
            self._samplers.clear()
            self._free()

    def _free(self) -> None:
        import torch  # noqa: PLC0415 (weight)

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _sampler(self, how: How) -> Sampler:
        # torch and transformers take seconds to import: only where something is to be asked
        from training.sampling import Sampler  # noqa: PLC0415 (weight)

        if how not in self._samplers:
            tokenizer = self._loaded.tokenizer
            self._samplers[how] = Sampler(
                self._loaded.model,
                tokenizer,
                form=form_of(self._prompt_format, has_template=tokenizer.chat_template is not None),
                max_new_tokens=how.max_new_tokens,
                temperature=how.temperature,
            )
        return self._samplers[how]

    @cached_property
    def _loaded(self) -> Loaded:
        quiet_libraries(self._hardware)
        from training.loading import load_for  # noqa: PLC0415 (weight)

        return load_for(ModelSpec(path=self._path), self._hardware)


def _by_room(tokens: Sequence[Sequence[int]], longest: int | None, most: int) -> dict[int, list[int]]:
    """The places of prompts by how many tokens their answer may have: `most`, or what the model's positions leave.

    Those with less room are asked apart: nobody else's answer is to end earlier for them.
    """
    rooms: dict[int, list[int]] = {}
    for place, one in enumerate(tokens):
        room = most if longest is None else max(0, min(most, longest - len(one)))
        rooms.setdefault(room, []).append(place)
    return dict(sorted(rooms.items(), reverse=True))


def _reply(answer: Answer) -> Reply:
    ending: Ending = "stop" if answer.ended else "length"
    return Reply(answer.text, round(answer.logprob, 6), len(answer.ids), answer.ids, ending)


def _too_long(tokens: int, longest: int | None) -> Reply:
    return Reply("", ending="rejected", reason=f"It has {tokens} tokens, and the model reads {longest} at most.")


def reference_logprobs(
    reference: LocalModel,
    given: Sequence[tuple[Prompt, Reply]],
    *,
    folder: Path,
    stop: StopRequest,
    tell: Callable[[int], None],
) -> list[float | None]:
    """The logarithm of the probability that `reference` gives each reply, in order; None for what is longer than it reads. What
    was read before is kept.
    """
    cache = KeptReplies.of(folder, reference, READ)
    keys = [_scored_key(prompt, reply) for prompt, reply in given]
    found = cache.of_keys(keys)
    missing = list({key: index for index, key in enumerate(keys) if key not in found}.values())
    tell(len(given) - len(missing))

    def keep(read: Sequence[tuple[int, Reply]]) -> None:
        new = {keys[missing[index]]: replace(reply, text="") for index, reply in read}
        cache.add(new.items())
        found.update(new)
        tell(len(read))

    if missing:
        reference.logprobs([given[index] for index in missing], keep=keep, stop=stop)
    return [found[key].logprob for key in keys]


def _scored_key(prompt: Prompt, reply: Reply) -> str:
    spelt = repr((reply.ids, reply.text, reply.ending == "length")).encode()
    return f"{Wanted(prompt).key}.{hashlib.sha256(spelt).hexdigest()[:32]}"


def _numbers(wanted: Sequence[Wanted], how: How) -> Any:
    """What is drawn for each prompt, sample and seed, the same in every batch: a tensor (prompts, tokens); None: nothing is."""
    if how.temperature == 0:
        return None
    import torch  # noqa: PLC0415 (weight)

    rows = [np.random.Generator(np.random.Philox(key=_key(one, how.seed))).random(how.max_new_tokens) for one in wanted]
    return torch.from_numpy(np.stack(rows))


def _key(wanted: Wanted, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{wanted.key}".encode()).digest()[:16], "big")
