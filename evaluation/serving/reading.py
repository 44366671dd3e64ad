"""How likely a model finds the tokens of prompts, in no more memory than a bound, however long they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

MOST_VALUES = 2**27
"""So many values over the vocabulary are held at a time: half a gigabyte as float32, and as much again where they are summed."""


class Read(NamedTuple):
    """One prompt. `own`: each token's log-probability, None for the first; `tops`: the likeliest tokens at its place."""

    own: list[float | None]
    tops: list[tuple[tuple[int, float], ...]]


@torch.inference_mode()
def prompts_read(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], *, top: int, pad: int, most: int = MOST_VALUES
) -> list[Read]:
    """Each prompt's tokens with their natural log-probabilities, in order. Prompts alike in length are read together; one that
    is too long alone is read piece by piece.
    """
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    found: list[Read | None] = [None] * len(prompts)
    for rows in _groups([len(one) for one in prompts], most // vocabulary):
        group = [prompts[row] for row in rows]
        pieces = list(_pieces(model, group, top=top, pad=pad, step=max(1, most // vocabulary // len(group))))
        own = torch.cat([one for one, _, _ in pieces], dim=1).tolist()
        ids = torch.cat([one for _, one, _ in pieces], dim=1).tolist()
        values = torch.cat([one for _, _, one in pieces], dim=1).tolist()
        for at, row in enumerate(rows):
            length = len(prompts[row]) - 1
            tops = [tuple(zip(*one, strict=True)) for one in zip(ids[at][:length], values[at][:length], strict=True)]
            found[row] = Read([None, *own[at][:length]], [(), *tops])
    return [one for one in found if one is not None]


def _groups(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Rows that are read together: at most so many tokens with the padding, or one alone. The longest first."""
    left = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while left:
        count = max(1, most // lengths[left[0]])
        yield left[:count]
        left = left[count:]


def _pieces(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], *, top: int, pad: int, step: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For `step` places at a time: the following tokens' log-probabilities (rows, places), and the likeliest tokens there with
    theirs (rows, places, top).
    """
    width = max(map(len, prompts))
    device = model.device
    ids = torch.tensor([[*one, *[pad] * (width - len(one))] for one in prompts], device=device)
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in prompts], device=device)
    whole = step >= width
    kept: dict[str, Any] = {}
    for start in range(0, width, step):
        end = min(width, start + step)
        output = model(input_ids=ids[:, start:end], attention_mask=mask[:, :end], use_cache=not whole, **kept)
        if not whole:
            kept = {"past_key_values": output.past_key_values}
        yield _told(output.logits, ids[:, start + 1 : end + 1], top)
        del output  # before the next piece's is made


def _told(logits: Tensor, following: Tensor, top: int) -> tuple[Tensor, Tensor, Tensor]:
    logits = logits[:, : following.shape[1]].float()
    sums = logits.logsumexp(dim=-1)
    own = logits.gather(2, following[:, :, None])[:, :, 0] - sums
    best = logits.topk(top, dim=-1)
    return own, best.indices, best.values - sums[:, :, None]
