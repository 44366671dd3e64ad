"""One score for each item from several raters': Dawid & Skene's model where there is enough to fit it, else the median.

The model (Dawid & Skene 1979, Applied Statistics 28:20): each item has a true class, drawn from the classes' prior; each
rater sees it through a confusion matrix of their own. Both are fitted by EM, so a rater who is always one step low, or who
gives one value to everything, counts for what their scores tell, not for a vote.

Only whole scores are classes. A half step (a teacher's median) is none of them, so an item that has one keeps its median.
“Cannot verify” is no rating: it never comes in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from annotations.statistics.ratings import SCORES, FloatArray, IntArray, Ratings

# Added to each cell of a rater's confusion counts (and, by class, to the prior's): with few scores a cell never seen is no
# proof that it cannot happen. It makes the fit a maximum of the posterior under a Dirichlet(1 + SMOOTHING) prior.
SMOOTHING = 0.01
MAX_ITERATIONS = 500
# Stop when a round gains less than this many nats a rating.
TOLERANCE = 1e-8
# Below these the median is nearer to the truth: items with two scores, and scores of such items that one rater has given.
# Simulated with three scores an item, a spammer and a rater who is always low among four or eight, the model draws level at
# about 200 items.
MIN_ITEMS = 200
MIN_RATINGS = 50

Method = Literal["dawid-skene", "median"]
Wanted = Method
Why = Literal["", "asked for", "one score", "few items", "half step", "new rater"]
WHYS: tuple[Why, ...] = ("", "asked for", "one score", "few items", "half step", "new rater")


@dataclass(frozen=True, slots=True, eq=False)
class DawidSkene:
    """A fitted model. Items and raters are numbered as they were given, classes from 0."""

    posterior: FloatArray
    """how probable each class is: shape (items, classes)"""
    prior: FloatArray
    """shape (classes,)"""
    confusion: FloatArray
    """how often a rater gives a label where the class is true: shape (raters, true class, label)"""
    objective: tuple[float, ...]
    """the log-likelihood of each round, with the logarithm of the smoothing's prior where there is smoothing; never falls"""
    log_likelihood: float
    converged: bool

    @property
    def iterations(self) -> int:
        return len(self.objective)

    @property
    def mode(self) -> IntArray:
        """The most probable class; of equals (but for rounding) the lower."""
        best: IntArray = self.posterior.round(9).argmax(axis=1).astype(np.int64)
        return best

    @property
    def entropy(self) -> FloatArray:
        """How undecided the posterior is: 0 for certainty, 1 where all classes are equally probable."""
        return normalised_entropy(self.posterior)


def dawid_skene(
    item: npt.ArrayLike,
    rater: npt.ArrayLike,
    label: npt.ArrayLike,
    *,
    classes: int = len(SCORES),
    smoothing: float = SMOOTHING,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> DawidSkene:
    """Fit the model to labels 0 … classes − 1 by EM from the share of each label in an item (equation 3.1 of the paper).

    `item` and `rater` are numbered from 0, each with at least one label; a rater may label an item more than once. Raises
    ValueError for labels that are no class, such as half steps.
    """
    given = _Labels.of(item, rater, label, classes)
    posterior = given.shares()
    objective: list[float] = []
    converged = False
    while True:
        prior, confusion = given.maximise(posterior, smoothing)
        posterior, log_likelihood = given.expect(prior, confusion)
        # log of the prior's density, without its constant; 0 where nothing is smoothed, even beside a probability of 0.
        penalty = smoothing * (np.log(confusion).sum() + np.log(prior).sum()) if smoothing else 0.0
        objective.append(float(log_likelihood + penalty))
        if len(objective) > 1 and objective[-1] - objective[-2] < tolerance * given.count:
            converged = True
            break
        if len(objective) >= max_iterations:
            break
    return DawidSkene(posterior, prior, confusion, tuple(objective), log_likelihood, converged)


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Labels as a sparse matrix of (rater and label) by item: both steps of EM are then a product with it."""

    matrix: sparse.csr_array
    transposed: sparse.csr_array
    raters: int
    classes: int
    count: int

    @classmethod
    def of(cls, item: npt.ArrayLike, rater: npt.ArrayLike, label: npt.ArrayLike, classes: int) -> _Labels:
        items, raters, labels = np.asarray(item, np.int64), np.asarray(rater, np.int64), np.asarray(label)
        if not items.size:
            raise ValueError("there are no labels")
        if (labels != np.floor(labels)).any() or labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"labels are whole numbers from 0 to {classes - 1}; a half step is no class")
        people = int(raters.max()) + 1
        row = raters * classes + labels.astype(np.int64)
        matrix = sparse.csr_array((np.ones(items.size), (row, items)), shape=(people * classes, int(items.max()) + 1))
        return cls(matrix, matrix.T.tocsr(), people, classes, items.size)

    def shares(self) -> FloatArray:
        counts = np.zeros((self.matrix.shape[1], self.classes))
        for one in range(self.classes):
            counts[:, one] = self.matrix[one :: self.classes].sum(axis=0)
        shares: FloatArray = counts / counts.sum(axis=1, keepdims=True)
        return shares

    def maximise(self, posterior: FloatArray, smoothing: float) -> tuple[FloatArray, FloatArray]:
        """The prior and the confusion matrices (equations 2.3 and 2.4), with the smoothing's counts."""
        expected = (self.matrix @ posterior).reshape(self.raters, self.classes, self.classes).transpose(0, 2, 1) + smoothing
        total = expected.sum(axis=2, keepdims=True)
        confusion = np.zeros_like(expected)
        # A class that none of a rater's items has leaves a row of zeros where nothing is smoothed: no item asks for it.
        np.divide(expected, total, out=confusion, where=total > 0)
        prior = posterior.sum(axis=0) + smoothing
        return prior / prior.sum(), confusion

    def expect(self, prior: FloatArray, confusion: FloatArray) -> tuple[FloatArray, float]:
        """The posterior of each item (equation 2.5), and the log-likelihood of all labels (equation 2.7)."""
        with np.errstate(divide="ignore"):
            logs = np.log(confusion).transpose(0, 2, 1).reshape(-1, self.classes)
            joint = self.transposed @ logs + np.log(prior)
        # An item's own labels have made some class possible, so the greatest is a number.
        greatest = joint.max(axis=1, keepdims=True)
        joint -= greatest
        np.exp(joint, out=joint)
        total = joint.sum(axis=1, keepdims=True)
        return joint / total, float(np.log(total).sum() + greatest.sum())


def normalised_entropy(posterior: FloatArray) -> FloatArray:
    logs = np.log(posterior, out=np.zeros_like(posterior), where=posterior > 0)
    entropy: FloatArray = np.abs((posterior * logs).sum(axis=1)) / np.log(posterior.shape[1])
    return entropy


# One score an item


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """A score for each item that has a rating, in order of `item`, and how it came about."""

    item: IntArray
    score: FloatArray
    """the most probable score, or the median"""
    expected: FloatArray
    """the mean of the posterior, or the median again"""
    disagreement: FloatArray
    """0 to 1, NaN for a single rating. Dawid–Skene: the posterior's entropy as a share of the greatest there can be; median:
    the mean difference of all pairs of ratings over the width of the scale."""
    spread: FloatArray
    """the mean difference of all pairs of ratings over the width of the scale, whichever method; NaN for a single rating"""
    ratings: IntArray
    fitted: npt.NDArray[np.bool_]
    """whether Dawid–Skene's model gave the score; else it is the median"""
    why: npt.NDArray[np.int8]
    """why it is the median: an index of WHYS, 0 where it is not"""
    model: DawidSkene | None
    model_raters: IntArray
    """the raters of the model's confusion matrices, by their number in the ratings"""

    def method(self, index: int) -> Method:
        return "dawid-skene" if self.fitted[index] else "median"

    def reason(self, index: int) -> Why:
        return WHYS[int(self.why[index])]


def consensus(
    ratings: Ratings,
    *,
    method: Wanted = "dawid-skene",
    classes: Sequence[int] = SCORES,
    smoothing: float = SMOOTHING,
    min_items: int = MIN_ITEMS,
    min_ratings: int = MIN_RATINGS,
) -> Consensus:
    """One score for each rated item. With `method="dawid-skene"` an item still gets its median where it has one rating or a
    half step, where one of its raters has given fewer than `min_ratings` scores to items that others rated too, or where
    fewer than `min_items` items are left to fit the model to.
    """
    items, index = np.unique(ratings.item, return_inverse=True)
    count = np.bincount(index, minlength=items.size).astype(np.int64)
    middle, spread = _medians_and_spreads(index, ratings.value, count, classes[-1] - classes[0])
    if method == "median":
        why = np.full(items.size, WHYS.index("asked for"), np.int8)
    else:
        why = _reasons(ratings, index, count, whole=np.isin(ratings.value, classes), least=(min_items, min_ratings))
    score, expected, disagreement = middle.copy(), middle.copy(), spread.copy()
    model, people = None, np.zeros(0, np.int64)
    fitted = why == 0
    if fitted.any():
        used = fitted[index]
        people, rater = np.unique(ratings.rater[used], return_inverse=True)
        number = np.cumsum(fitted) - 1
        label = ratings.value[used] - classes[0]
        model = dawid_skene(number[index[used]], rater, label, classes=len(classes), smoothing=smoothing)
        score[fitted] = np.asarray(classes, np.float64)[model.mode]
        expected[fitted] = model.posterior @ np.asarray(classes, np.float64)
        disagreement[fitted] = model.entropy
    return Consensus(items, score, expected, disagreement, spread, count, fitted, why, model, people)


def _medians_and_spreads(index: IntArray, value: FloatArray, count: IntArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Of each item the median, and the mean difference of all pairs over `width`."""
    ordered = value[np.lexsort((value, index))]
    end = np.cumsum(count)
    start = end - count
    middle = (ordered[start + (count - 1) // 2] + ordered[start + count // 2]) / 2
    # In ascending order the differences of all pairs add up to Σ (2·place − n + 1)·value.
    place = np.arange(ordered.size) - np.repeat(start, count)
    weighted = (2 * place - np.repeat(count, count) + 1) * ordered
    apart = np.add.reduceat(weighted, start) if count.size else weighted
    pairs = count * (count - 1) / 2
    spread = np.full(count.size, np.nan)
    np.divide(apart, pairs * width, out=spread, where=pairs > 0)
    return middle, spread


def _reasons(
    ratings: Ratings, index: IntArray, count: IntArray, *, whole: npt.NDArray[np.bool_], least: tuple[int, int]
) -> npt.NDArray[np.int8]:
    """Of each item why it gets the median, as an index of WHYS; 0: it need not."""
    min_items, min_ratings = least
    why = np.where(count < 2, WHYS.index("one score"), 0).astype(np.int8)
    halves = index[~whole]
    why[halves] = np.where(why[halves] == 0, WHYS.index("half step"), why[halves])
    people, rater = np.unique(ratings.rater, return_inverse=True)
    # Leaving an item out can leave another of its raters with too few, and so on.
    while True:
        given = np.bincount(rater[why[index] == 0], minlength=people.size)
        new = index[(given < min_ratings)[rater] & (why[index] == 0)]
        if not new.size:
            break
        why[new] = WHYS.index("new rater")
    if 0 < (why == 0).sum() < min_items:
        why[why == 0] = WHYS.index("few items")
    return why
