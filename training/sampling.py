"""Answers from a model, each with the probability that the model gave it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria

from training.data import Form, Row, prompt_in_form
from training.loading import end_ids


@dataclass(frozen=True)
class Answer:
    """An answer's text and its probability: the product of its tokens' probabilities, end of text included."""

    text: str
    confidence: float


class _Temperature(LogitsProcessor):  # type: ignore[misc]
    """Divides the scores by the temperature, and keeps the model's own log-probabilities of this step."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self.log_probabilities: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.log_probabilities = scores.float().log_softmax(dim=-1)  # (batch, vocabulary)
        return scores / self._temperature if self._temperature > 0 else scores


class _Tally(StoppingCriteria):  # type: ignore[misc]
    """Adds up the chosen tokens' log-probabilities until each answer ends; never stops anything itself."""

    def __init__(self, scores: _Temperature, ends: Tensor, batch: int) -> None:
        self._scores = scores
        self._ends = ends
        self.total = torch.zeros(batch, dtype=torch.float64)
        self._running = torch.ones(batch, dtype=torch.bool)

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        chosen = input_ids[:, -1]
        assert self._scores.log_probabilities is not None
        gained = self._scores.log_probabilities.gather(1, chosen[:, None])[:, 0].double().cpu()
        self.total += torch.where(self._running, gained, 0.0)
        self._running &= ~torch.isin(chosen, self._ends).cpu()
        return torch.zeros(len(chosen), dtype=torch.bool, device=chosen.device)


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
        self._config = GenerationConfig(
            do_sample=temperature > 0,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max_new_tokens,
            eos_token_id=self._ends,
            pad_token_id=tokenizer.pad_token_id,
        )
        tokenizer.padding_side = "left"

    def tokens(self, prompt: str | list[Row]) -> list[int]:
        """A prompt as token ids."""
        formed = prompt_in_form(prompt, self._form)
        if isinstance(formed, str):
            ids: list[int] = self._tokenizer(formed)["input_ids"]
            return ids
        text = self._tokenizer.apply_chat_template(formed, add_generation_prompt=True, tokenize=False)
        encoded: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return encoded

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Sequence[int]]) -> list[Answer]:
        """One answer per prompt (of token ids), in order, in one batch."""
        batch = self._tokenizer.pad({"input_ids": [list(one) for one in prompts]}, return_tensors="pt")
        batch = batch.to(self._model.device)
        scores = _Temperature(self._temperature)
        tally = _Tally(scores, torch.tensor(self._ends, device=self._model.device), len(prompts))
        output = self._model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            generation_config=self._config,
            logits_processor=[scores],
            stopping_criteria=[tally],
        )
        new = output[:, batch["input_ids"].shape[1] :]
        answers = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        confidences = tally.total.exp().tolist()
        return [Answer(text.strip(), value) for text, value in zip(answers, confidences, strict=True)]
