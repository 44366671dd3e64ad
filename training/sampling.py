"""Answers from a model, each with the probability that the model gave it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria

from training.data import Form, Row, answer_in_form, prompt_in_form
from training.loading import end_ids
from training.trainers.sequences import Tokens, tokens_of


@dataclass(frozen=True)
class Answer:
    """An answer's text, its tokens, and the natural logarithm of its probability: that of its tokens, end of text included.

    One that was cut off at the length that was allowed has not `ended`.
    """

    text: str
    logprob: float
    ids: tuple[int, ...]
    ended: bool = True

    @property
    def confidence(self) -> float:
        """The answer's probability."""
        return math.exp(self.logprob)


Heard = Callable[[Tensor, Tensor], Tensor]
"""Told of each step of a batch: the tokens (batch,) and all log-probabilities (batch, vocabulary). Returns which answers are to
end with that token (batch,), ended ones among them or not.
"""


class _Temperature(LogitsProcessor):  # type: ignore[misc]
    """Divides the scores by the temperature, and keeps the model's own log-probabilities of this step."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self.log_probabilities: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.log_probabilities = scores.float().log_softmax(dim=-1)  # (batch, vocabulary)
        return scores / self._temperature if self._temperature > 0 else scores


class _Draw(_Temperature):
    """Draws each token by a number in [0, 1) that was given beforehand (inverse transform sampling).

    What is drawn for a prompt is then a matter of its own numbers, whatever else is in the batch, and in which order.
    """

    def __init__(self, temperature: float, numbers: Tensor) -> None:
        super().__init__(temperature)
        self._numbers = numbers  # (batch, steps)
        self._step = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scaled = super().__call__(input_ids, scores)
        # Half a million small shares add up wrongly in single precision; Apple's devices have no other.
        precise = torch.float32 if scores.device.type == "mps" else torch.float64
        shares = scaled.to(precise).softmax(dim=-1).cumsum(dim=-1)
        wanted = self._numbers[:, self._step, None].to(shares) * shares[:, -1:]
        chosen = torch.searchsorted(shares, wanted, right=True).clamp_(max=shares.shape[1] - 1)
        self._step += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)


class _Tally(StoppingCriteria):  # type: ignore[misc]
    """Adds up the chosen tokens' log-probabilities until each answer ends; stops what `heard` says, and nothing else."""

    def __init__(self, scores: _Temperature, ends: Tensor, batch: int, heard: Heard | None = None) -> None:
        self._scores = scores
        self._heard = heard
        self._ends = ends
        self.total = torch.zeros(batch, dtype=torch.float64)
        self.lengths = torch.zeros(batch, dtype=torch.int64)
        self.running = torch.ones(batch, dtype=torch.bool)

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        chosen = input_ids[:, -1]
        assert self._scores.log_probabilities is not None
        gained = self._scores.log_probabilities.gather(1, chosen[:, None])[:, 0].double().cpu()
        self.total += torch.where(self.running, gained, 0.0)
        self.lengths += self.running
        self.running &= ~torch.isin(chosen, self._ends).cpu()
        if self._heard is None:
            return torch.zeros(len(chosen), dtype=torch.bool, device=chosen.device)
        ended = self._heard(chosen, self._scores.log_probabilities)
        self.running &= ~ended.cpu()
        return ended.to(chosen.device)


class Sampler:
    """Answers prompts with a model; `temperature` 0 takes the likeliest token each time."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        form: Form,
        max_new_tokens: int,
        temperature: float,
    ) -> None:
        self._model, self._tokenizer, self._form = model.eval(), tokenizer, form
        self._temperature = temperature
        self._ends = sorted(end_ids(model, tokenizer))
        # The model's own generation settings (a repetition penalty, say) would change what it says.
        model.generation_config = GenerationConfig(
            eos_token_id=self._ends, pad_token_id=tokenizer.pad_token_id, max_new_tokens=max_new_tokens
        )
        common = {"max_new_tokens": max_new_tokens, "eos_token_id": self._ends, "pad_token_id": tokenizer.pad_token_id}
        self._drawn = GenerationConfig(do_sample=True, temperature=1.0, top_k=0, top_p=1.0, **common)
        self._likeliest = GenerationConfig(do_sample=False, **common)
        tokenizer.padding_side = "left"

    @property
    def longest(self) -> int | None:
        """How many tokens the model reads at most, its answer included; None where its configuration does not say."""
        config = self._model.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", 0) or 0) or None

    def tokens(self, prompt: str | list[Row]) -> list[int]:
        """A prompt as token ids."""
        formed = prompt_in_form(prompt, self._form)
        if isinstance(formed, str):
            ids: list[int] = self._tokenizer(formed)["input_ids"]
            return ids
        text = self._tokenizer.apply_chat_template(formed, add_generation_prompt=True, tokenize=False)
        encoded: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return encoded

    def read(
        self, prompt: str | list[Row], answer: str, ids: Sequence[int] | None = None, *, ended: bool = True
    ) -> tuple[list[int], list[int]]:
        """A prompt and an answer that somebody gave to it, as token ids: `ids`, where they spell the answer with this tokenizer.

        Else both as training has them, up to the token that ends the answer: of several that may, the one that the chat
        template writes, or the tokenizer's own. An answer that was cut off (not `ended`) has none.
        """
        tokenizer = self._tokenizer
        if ids and max(ids) < len(tokenizer) and tokenizer.decode(list(ids), skip_special_tokens=True).strip() == answer:
            return self.tokens(prompt), list(ids)
        formed = prompt_in_form(prompt, self._form)
        tokens = tokens_of(tokenizer, formed, answer_in_form(answer, self._form, formed))
        return tokens.ids[: tokens.answer], self._up_to_the_end(tokens, ended=ended)

    def _up_to_the_end(self, tokens: Tokens, *, ended: bool) -> list[int]:
        """The answer's tokens without what a template writes behind its end (a line's end, say), which no model is asked for."""
        said = tokens.ids[tokens.answer :]
        last = next((place for place in reversed(range(len(said))) if said[place] in self._ends), None)
        if last is None:
            return said
        return said[: last + 1] if ended or last == 0 else said[:last]

    @torch.inference_mode()
    def answer(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        numbers: Tensor | None = None,
        heard: Heard | None = None,
        most: int | None = None,
    ) -> list[Answer]:
        """One answer per prompt (of token ids), in order, in one batch; of `most` tokens, where that is fewer than usual.

        With `numbers` in [0, 1), of shape (prompts, max_new_tokens), these say what is drawn, in place of torch's random state.
        `heard` listens to every step, and may end answers.
        """
        batch = self._tokenizer.pad({"input_ids": [list(one) for one in prompts]}, return_tensors="pt")
        batch = batch.to(self._model.device)
        drawn = None if numbers is None else numbers.to(self._model.device)
        scores = _Temperature(self._temperature) if drawn is None else _Draw(self._temperature, drawn)
        tally = _Tally(scores, torch.tensor(self._ends, device=self._model.device), len(prompts), heard)
        output = self._model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            # what `_Draw` has chosen is the likeliest
            generation_config=_limited(self._drawn if drawn is None and self._temperature > 0 else self._likeliest, most),
            logits_processor=[scores],
            stopping_criteria=[tally],
        )
        new = output[:, batch["input_ids"].shape[1] :]
        texts = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        return [
            Answer(text.strip(), logprob, tuple(ids[:length]), not running)
            for text, logprob, ids, length, running in zip(
                texts, tally.total.tolist(), new.tolist(), tally.lengths.tolist(), tally.running.tolist(), strict=True
            )
        ]


def _limited(config: GenerationConfig, most: int | None) -> GenerationConfig:
    if most is None:
        return config
    limited = copy(config)
    limited.max_new_tokens = most
    return limited
