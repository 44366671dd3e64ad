"""A loaded model that answers requests together: whatever has come in while it was busy is its next batch."""

from __future__ import annotations

import hashlib
import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from evaluation.serving.reading import prompts_read
from training.data import form_of
from training.exceptions import OutOfMemory
from training.faults import training_error
from training.generate import quiet_libraries
from training.loading import end_ids, load_for
from training.sampling import Sampler
from training.specs import HardwareSpec, ModelSpec

GATHER_S = 0.01
"""How long the first request of a batch waits for company."""
GROW_AFTER = 16
"""After so many batches without a shortage of memory, twice as many requests are tried together again."""


class Token(NamedTuple):
    """One token. `logprob` is the natural logarithm of its probability; None for the first of a prompt. `top`: the likeliest."""

    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


@dataclass
class Wish:
    """One answer to be had: to which tokens, how long, how it is drawn, where it ends, and who is told of each piece of text."""

    ids: list[int]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    number: int = 0
    stop: Sequence[str] = ()
    top: int = 0
    read_prompt: bool = False
    heard: Callable[[str, list[Token]], None] | None = None
    ended: Callable[[Answered | Exception], None] = lambda _: None
    cancelled: bool = False
    begun: bool = False
    """Whether `heard` was told anything: then it cannot be answered a second time."""


@dataclass
class Answered:
    """The whole answer. `prompt` holds the prompt's tokens where they were to be read too."""

    text: str
    tokens: list[Token]
    finish: Literal["stop", "length"]
    prompt: list[Token] = field(default_factory=list)


class TooLong(ValueError):  # noqa: N818 (says what is wrong)
    """More tokens than the model can hold."""


class Engine:
    """One model. `submit` may be called from any thread; answers come from the engine's own.

    A batch holds requests of one temperature; each ends by its own length and stops. What does not fit into memory is answered
    in halves, and so is what comes next, until it has gone well for a while.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        hardware: HardwareSpec,
        prompt_format: str = "auto",
        batch_size: int = 32,
        digest: str = "",
    ) -> None:
        quiet_libraries(hardware)
        self.name, self.batch_size = name, batch_size
        self.digest = digest
        """A hash of the model's files, where callers are to know whether it is still the same one under its name."""
        loaded = load_for(ModelSpec(path=path), hardware)
        self._model, self.tokenizer = loaded.model, loaded.tokenizer
        self._form = form_of(prompt_format, has_template=self.tokenizer.chat_template is not None)
        self._ends = end_ids(self._model, self.tokenizer)
        self._prompts = self._sampler(1, 0.0)
        self.longest = int(getattr(self._model.config, "max_position_embeddings", 0) or 1 << 20)
        self.batches = 0
        self.together = batch_size
        """How many are answered together now: fewer than `batch_size` where memory was short."""
        self._well = 0
        self._dropping = False
        self._queue: queue.SimpleQueue[Wish | None] = queue.SimpleQueue()
        self._waiting: list[Wish] = []
        self._thread = threading.Thread(target=self._work, name=f"engine-{name}", daemon=True)
        self._thread.start()

    def chat_ids(self, messages: list[dict[str, Any]]) -> list[int]:
        return self._prompts.tokens(messages)

    def text_ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def spelling(self, token: int) -> str:
        """One token as text, special ones by their names."""
        text: str = self.tokenizer.decode([token])
        return text

    def room(self, ids: Sequence[int], wanted: int | None, *, usual: int) -> int:
        """How many tokens an answer may have. Raises TooLong."""
        left = self.longest - len(ids)
        if not ids or min(ids) < 0 or max(ids) >= len(self.tokenizer):
            raise TooLong("The prompt holds no token, or tokens that the model does not have.")
        if left < 0 or (wanted is not None and wanted > left) or (wanted is None and left < 1):
            more = f" and {wanted} to come" if wanted is not None else ""
            raise TooLong(f"The model holds {self.longest} tokens, and there are {len(ids)} in the prompt{more}.")
        return min(usual, left) if wanted is None else wanted

    @property
    def waiting(self) -> int:
        """About how many requests wait for a batch of theirs."""
        return self._queue.qsize() + len(self._waiting)

    def submit(self, wish: Wish) -> None:
        self._queue.put(wish)

    def close(self, *, drop: bool = False) -> None:
        """Answer what has been asked, and end; with `drop`, end after the next token, whoever still waits."""
        self._dropping = self._dropping or drop
        self._queue.put(None)
        self._thread.join()

    def is_over(self, wish: Wish) -> bool:
        """Whether nobody wants the answer any more."""
        return wish.cancelled or self._dropping

    # --- the engine's own thread

    def _work(self) -> None:
        for _ in count():
            batch = self._gather()
            if batch is None:
                return
            self._answer([wish for wish in batch if not self.is_over(wish)])

    def _gather(self) -> list[Wish] | None:
        """What is answered next: the oldest request, and those of its temperature; None: nothing any more."""
        if not self._waiting:
            first = self._queue.get()
            if first is None:
                return None
            self._waiting.append(first)
        while len(self._waiting) < self.together:
            try:
                another = self._queue.get(timeout=GATHER_S)
            except queue.Empty:
                break
            if another is None:
                self._queue.put(None)  # seen again once all is answered
                break
            self._waiting.append(another)
        warmth = self._waiting[0].temperature
        batch = [wish for wish in self._waiting if wish.temperature == warmth][: self.together]
        self._waiting = [wish for wish in self._waiting if not any(wish is one for one in batch)]
        return batch

    def _answer(self, batch: list[Wish]) -> None:
        ahead = [batch] if batch else []
        while ahead:
            batch = ahead.pop(0)
            failed = self._tried(batch)
            if failed is None:
                self._grow()
            elif len(batch) > 1 and isinstance(training_error(failed), OutOfMemory):
                ahead = self._halves(batch, failed) + ahead
            else:
                for wish in batch:
                    wish.ended(failed)

    def _tried(self, batch: list[Wish]) -> Exception | None:
        """Answer them, or return why not: without the traceback, whose frames hold all of the batch's memory."""
        try:
            answers = _Batch(self, batch).answers()
        except Exception as error:
            return _bare(error)
        self.batches += 1
        for wish, answer in zip(batch, answers, strict=True):
            wish.ended(answer)
        return None

    def _halves(self, batch: list[Wish], failed: Exception) -> list[list[Wish]]:
        """What is tried next after a batch that was too large. A stream cannot begin anew: those that had begun end here."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        for wish in batch:
            if wish.begun:
                wish.ended(failed)
        self.together, self._well = len(batch) // 2, 0
        left = [wish for wish in batch if not wish.begun]
        return [left[at : at + self.together] for at in range(0, len(left), self.together)]

    def _grow(self) -> None:
        self._well += 1
        if self._well >= GROW_AFTER and self.together < self.batch_size:
            self.together, self._well = min(self.batch_size, 2 * self.together), 0

    def _sampler(self, max_new_tokens: int, temperature: float) -> Sampler:
        return Sampler(self._model, self.tokenizer, form=self._form, max_new_tokens=max_new_tokens, temperature=temperature)

    def _read(self, wishes: Sequence[Wish]) -> list[list[Token]]:
        """The prompts' own tokens, each with the probability that it has after those before it."""
        top = max(wish.top for wish in wishes)
        read = prompts_read(self._model, [wish.ids for wish in wishes], top=top, pad=self.tokenizer.pad_token_id)
        return [
            [Token(one, logprob, best[: wish.top]) for one, logprob, best in zip(wish.ids, own, tops, strict=True)]
            for wish, (own, tops) in zip(wishes, read, strict=True)
        ]


def _bare(error: Exception) -> Exception:
    """The error and what led to it, without tracebacks."""
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


class _Batch:
    """Requests that are answered at once, step by step."""

    def __init__(self, engine: Engine, wishes: list[Wish]) -> None:
        self._engine, self._wishes = engine, wishes
        self._tokens: list[list[Token]] = [[] for _ in wishes]
        self._said = [""] * len(wishes)
        self._finish: list[Literal["stop", "length"] | None] = ["length" if wish.max_tokens == 0 else None for wish in wishes]

    def answers(self) -> list[Answered]:
        read = [wish for wish in self._wishes if wish.read_prompt]
        prompts = dict(zip(map(id, read), self._engine._read(read), strict=True)) if read else {}
        longest = max(wish.max_tokens for wish in self._wishes)
        if longest:
            warmth = self._wishes[0].temperature
            self._engine._sampler(longest, warmth).answer(
                [wish.ids for wish in self._wishes],
                numbers=_numbers(self._wishes, longest) if warmth > 0 else None,
                heard=self._heard,
            )
        return [self._answered(row, prompts.get(id(wish), [])) for row, wish in enumerate(self._wishes)]

    def _answered(self, row: int, prompt: list[Token]) -> Answered:
        whole = self._engine.decode([token.id for token in self._tokens[row]])
        return Answered(_until(whole, self._wishes[row].stop), self._tokens[row], self._finish[row] or "length", prompt)

    def _heard(self, chosen: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
        own = logprobs.gather(1, chosen[:, None])[:, 0].tolist()
        most = max(wish.top for wish in self._wishes)
        best = logprobs.topk(most, dim=-1) if most else None
        ids, values = (best.indices.tolist(), best.values.tolist()) if best else ([], [])
        for row, (token, value) in enumerate(zip(chosen.tolist(), own, strict=True)):
            if self._finish[row] is None:
                top = tuple(zip(ids[row], values[row], strict=True))[: self._wishes[row].top] if best else ()
                self._step(row, Token(token, value, top))
        return torch.tensor([finish is not None for finish in self._finish])

    def _step(self, row: int, token: Token) -> None:
        wish, tokens = self._wishes[row], self._tokens[row]
        tokens.append(token)
        if token.id in self._engine._ends or self._engine.is_over(wish):
            self._finish[row] = "stop"
        elif len(tokens) >= wish.max_tokens:
            self._finish[row] = "length"
        if wish.stop or wish.heard:
            self._tell(row, token)

    def _tell(self, row: int, token: Token) -> None:
        """Say the new text, but for what may be half a letter or the beginning of a stop."""
        wish = self._wishes[row]
        whole = self._engine.decode([one.id for one in self._tokens[row]])
        text = _until(whole, wish.stop)
        if len(text) < len(whole):
            self._finish[row] = "stop"
        if wish.heard is None:
            return
        sure = text if self._finish[row] else _sure(text, wish.stop)
        wish.begun = True
        wish.heard(sure[len(self._said[row]) :], [token])
        self._said[row] = sure


def _until(text: str, stops: Sequence[str]) -> str:
    found = [at for at in map(text.find, stops) if at >= 0]
    return text[: min(found)] if found else text


def _sure(text: str, stops: Sequence[str]) -> str:
    """The text that stays, whatever comes next."""
    held = max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
    return text[: len(text) - held].rstrip("�")


def _numbers(wishes: Sequence[Wish], steps: int) -> torch.Tensor:
    """What is drawn for each, (batch, steps) in [0, 1): with a seed, the same whoever else is in the batch."""
    rows = []
    for wish in wishes:
        what = f"{wish.seed}/{wish.number}/{wish.ids}" if wish.seed is not None else secrets.token_hex(16)
        key = int.from_bytes(hashlib.sha256(what.encode()).digest()[:16], "big")
        rows.append(np.random.Generator(np.random.Philox(key=key)).random(steps))
    return torch.from_numpy(np.stack(rows))
