"""What the text is like: length, divergence from the reference model, diversity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np

from accounts.chat.answers import Ending
from annotations.verdicts import normalise
from evaluation.metrics.columns import Array, Codes, Columns, Mask, Tally, entity_codes, ratio
from evaluation.metrics.metric import Basis, Metric


@dataclass(frozen=True, slots=True)
class Text:
    """An answer's text. The log-probabilities are natural, of the whole answer; the reference's are of the same answer."""

    entity: str
    text: str
    tokens: int | None = None
    logprob: float | None = None
    reference_logprob: float | None = None
    ending: Ending | None = None


@dataclass(frozen=True, kw_only=True)
class Texts(Columns):
    words: Array
    tokens: Array
    log_ratio: Array
    """log-probability − that of the reference, in nats an answer; NaN where one is missing"""
    cut: Mask
    """cut off at the length that was allowed"""
    refused: Mask
    """not answered: the service refused the question or let nothing through, or it is longer than the model reads"""
    ended: Mask
    """how it ended is known"""


def texts_of(records: Sequence[Text]) -> Texts:
    entity, entities = entity_codes([r.entity for r in records])
    return Texts(
        words=np.array([len(normalise(r.text).split()) for r in records], dtype=np.float64),
        tokens=np.array([np.nan if r.tokens is None else r.tokens for r in records], dtype=np.float64),
        log_ratio=np.array([_log_ratio(r) for r in records], dtype=np.float64),
        cut=np.array([r.ending == "length" for r in records], dtype=np.bool_),
        refused=np.array([r.ending in ("filtered", "rejected") for r in records], dtype=np.bool_),
        ended=np.array([r.ending is not None for r in records], dtype=np.bool_),
        entity=entity,
        entities=entities,
    )


def _log_ratio(record: Text) -> float:
    if record.logprob is None or record.reference_logprob is None:
        return float("nan")
    return record.logprob - record.reference_logprob


ANSWERS: Basis[Texts] = Basis(lambda x: np.ones(x.n, dtype=np.bool_), "no answers")
COUNTED: Basis[Texts] = Basis(lambda x: ~np.isnan(x.tokens), "no answer's tokens were counted")
ENDED: Basis[Texts] = Basis(lambda x: x.ended, "how the answers ended is not known")
COMPARED: Basis[Texts] = Basis(lambda x: ~np.isnan(x.log_ratio), "no answer has log-probabilities of both models")
COMPARED_TOKENS: Basis[Texts] = Basis(
    lambda x: ~np.isnan(x.log_ratio + x.tokens), "no answer has log-probabilities of both models and a number of tokens"
)


def _mean_over(t: Tally[Texts], values: Array) -> Array:
    there = ~np.isnan(values)
    return ratio(t.total(np.nan_to_num(values)), t.total(there))


def _kl_per_token(t: Tally[Texts]) -> Array:
    x = t.columns
    there = COMPARED_TOKENS.mask(x)
    return ratio(t.total(np.where(there, x.log_ratio, 0.0)), t.total(np.where(there, x.tokens, 0.0)))


_UNBOUNDED = float("inf")

LENGTH_METRICS: dict[str, Metric[Texts]] = {
    "mean_words": Metric(
        "Words in an answer", "text", "neither", 0, _UNBOUNDED, "mean number of words", "plain counting",
        ANSWERS, other=lambda t: _mean_over(t, t.columns.words),
    ),
    "mean_tokens": Metric(
        "Tokens in an answer", "text", "neither", 0, _UNBOUNDED, "mean number of tokens", "plain counting",
        COUNTED, other=lambda t: _mean_over(t, t.columns.tokens),
    ),
}  # fmt: skip

ENDING_METRICS: dict[str, Metric[Texts]] = {
    "cut_share": Metric(
        "Answers that were cut off", "text", "lower", 0, 1, "cut off at the length that was allowed / all whose end is known",
        "plain counting", ENDED, lambda x: x.cut,
    ),
    "refused_share": Metric(
        "Questions that could not be asked", "text", "lower", 0, 1,
        "refused or filtered by the service, or longer than the model reads / all whose end is known",
        "plain counting", ENDED, lambda x: x.refused,
    ),
}  # fmt: skip

KL_METRICS: dict[str, Metric[Texts]] = {
    "kl": Metric(
        "KL from the reference", "text", "neither", -_UNBOUNDED, _UNBOUNDED,
        "mean of (log p − log p of the reference) over answers drawn from the model, nats an answer",
        "Schulman 2020, estimator k1", COMPARED, other=lambda t: _mean_over(t, t.columns.log_ratio),
    ),
    "kl_per_token": Metric(
        "KL from the reference, per token", "text", "neither", -_UNBOUNDED, _UNBOUNDED,
        "sum of (log p − log p of the reference) / tokens, nats", "Schulman 2020, estimator k1",
        COMPARED_TOKENS, other=_kl_per_token,
    ),
}  # fmt: skip
"""Only of answers drawn at temperature 1: of the likeliest answers the same mean is no divergence."""


# Diversity is of all texts together, not a mean over them, so it is no sum over a Tally.


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    """Return a text's n-grams of words, in order."""
    words = normalise(text).split()
    return list(zip(*(words[k:] for k in range(n)), strict=False))


def distinct(counts: Array) -> float:
    """Return different n-grams / all n-grams (Li et al. 2016, distinct-n), given how often each occurs."""
    return float((counts > 0).sum() / counts.sum())


DISTINCT_OF = 100
"""Different n-grams are counted among so many: their share falls with length, whatever is said (Liu et al. 2022)."""


def distinct_among(counts: Array, number: int = DISTINCT_OF) -> float:
    """Return different n-grams / n-grams as it is to be expected of `number` n-grams drawn without replacement (all, where there
    are fewer), given how often each occurs.

    distinct-n (Li et al. 2016) at a fixed length, by rarefaction (Hurlbert 1971, Ecology 52:577): Σ 1 − C(N − Nᵢ, m) / C(N, m),
    over m. A model that falls silent says fewer words, of which more are different, by that alone.
    """
    total = int(counts.sum())
    drawn = min(number, total)
    times, alike = np.unique(counts[counts > 0].astype(np.int64), return_counts=True)
    never = [_ways(total - int(one), drawn) - _ways(total, drawn) if total - one >= drawn else -np.inf for one in times]
    return float((alike * -np.expm1(never)).sum() / drawn)


def _ways(total: int, drawn: int) -> float:
    """Return the logarithm of the number of ways to draw some of a total."""
    return lgamma(total + 1) - lgamma(drawn + 1) - lgamma(total - drawn + 1)


def entropy(counts: Array) -> float:
    """Return the Shannon entropy of the n-grams' distribution in nats (Zhang et al. 2018, Ent-n)."""
    share = counts[counts > 0] / counts.sum()
    # Without the 0.0 one n-gram alone would give −0.
    return float(0.0 - (share * np.log(share)).sum())


@dataclass(frozen=True, eq=False)
class NGrams:
    """How often each n-gram occurs: row k says that n-gram `code[k]` stands `count[k]` times in a text about `entity[k]`."""

    code: Codes
    count: Array
    entity: Codes
    entities: int
    different: int

    def total(self, keep: Array | None = None) -> Array:
        """Return how often each n-gram occurs, shape (different,); `keep`, of ones and zeros, chooses entities."""
        weights = self.count if keep is None else self.count * keep[self.entity]
        return np.bincount(self.code, weights=weights, minlength=self.different).astype(np.float64)


def ngrams_of(texts: Sequence[Text], n: int) -> NGrams:
    codes: dict[tuple[str, ...], int] = {}
    entity, entities = entity_codes([one.entity for one in texts])
    rows = [
        (codes.setdefault(gram, len(codes)), count, about)
        for one, about in zip(texts, entity.tolist(), strict=True)
        for gram, count in Counter(ngrams(one.text, n)).items()
    ]
    table = np.array(rows, dtype=np.intp).reshape(-1, 3)
    return NGrams(table[:, 0], table[:, 1].astype(np.float64), table[:, 2], entities, len(codes))


# Diversity of k answers to one question


@dataclass(frozen=True, kw_only=True)
class Draws(Columns):
    """Questions that were answered k times."""

    different: Array
    """different answers / answers"""


def draws_of(samples: Sequence[Sequence[str]], entities: Sequence[str]) -> Draws:
    """Take each question's samples, and what it is about. Answers that normalise alike are one; questions with fewer than two
    samples are left out.
    """
    kept = [(texts, entity) for texts, entity in zip(samples, entities, strict=True) if len(texts) > 1]
    different = [len({normalise(text) for text in texts}) / len(texts) for texts, _ in kept]
    entity, number = entity_codes([about for _, about in kept])
    return Draws(different=np.array(different, dtype=np.float64), entity=entity, entities=number)


DRAWN: Basis[Draws] = Basis(lambda d: np.ones(d.n, dtype=np.bool_), "no question was answered twice or more")

DRAW_METRICS: dict[str, Metric[Draws]] = {
    "distinct_samples": Metric(
        "Different answers to one question", "text", "neither", 0, 1, "mean of different answers / k samples", "plain counting",
        DRAWN, other=lambda t: ratio(t.total(t.columns.different), t.n),
    ),
}  # fmt: skip
