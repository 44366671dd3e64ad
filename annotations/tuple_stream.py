"""A project's scored items as fused tuples, grouped by prompt, in an order that depends on their content alone."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from annotations.build import BuildSettings
from annotations.fusion import Fused, Given, Teachers, decided, fuse
from annotations.gate import Gate
from annotations.models import Item, Project, Rater, Revocation, Score, revoked
from annotations.provenance import Origin, Sourced, item_name
from annotations.rounds import rounds_before
from annotations.sourcing import Sources
from annotations.teacher_versions import heard, voices
from annotations.teacher_weights import teacher_weights
from annotations.tuples import RlwhfTuple

if TYPE_CHECKING:
    from annotations.agreed_scores import AgreedScores

BATCH = 500
COLUMNS = (
    "id", "prompt", "prompt_is_text", "answer", "source_model", "stated_confidence", "gold_answers", "knowledge",
    "knowledge_source", "entity", "metadata", "prompt_hash", "content_hash", "open_flags", "project_id", "revises", "iteration",
    "written_by", "written_by__name", "source_import", "source_line",
)  # fmt: skip


# A score that an import brought without a date has that of the import, which is not when it was given.
IS_DATED = Q(source_import=None) | Q(metadata__has_key="update_timestamp")


class TupleStream:
    """Reads a project's items through fusion and the gate; says what was left out, and why, in `left_out`."""

    def __init__(self, *, project: Project, settings: BuildSettings, gate: Gate, unscored: bool) -> None:
        self._project = project
        self._settings = settings
        self._gate = gate
        # Prompts are worth having without a score.
        self._unscored = unscored
        self._agreed = _agreed_scores(project, Rater.Kind.PERSON) if settings.consensus == "dawid-skene" else None
        self._taught = _agreed_scores(project, Rater.Kind.TEACHER) if settings.teachers == "dawid-skene" else None
        self._weights = teacher_weights() if settings.teachers == "weighted" else {}
        self._deltas = _teacher_deltas(project, settings.teacher_deltas, self._as_told) if settings.teacher_deltas else {}
        self._sources = Sources()
        self.items = 0
        # How many rewards came from which rule of fusion.
        self.methods: Counter[str] = Counter()
        # Where Dawid & Skene's model was asked for: why the median stood in for it.
        self.median_because: Counter[str] = Counter()
        # Where the teachers' majority was asked for: how often as many of them gave one score as another.
        self.teachers_tied = 0
        # How far rewards by teachers moved, to agree with preferences.
        self.moved: list[float] = []
        # By rater: the weights that went into rewards.
        self.teacher_weights: dict[str, float] = {}
        self.left_out: Counter[str] = Counter()
        # The revocations in force when the build began, and how many scores of each item were left out for such.
        self.revocations = list(Revocation.objects.in_force().order_by("pk").values_list("pk", flat=True))
        self.revoked: Counter[int] = Counter()

    def groups(self) -> Iterator[list[RlwhfTuple]]:
        """All tuples of one prompt together."""
        return (list(sourced.group) for sourced in self.sourced())

    def sourced(self) -> Iterator[Sourced]:
        """The same, with where each comes from."""
        for _, found in groupby(self._tuples(), key=lambda one: one[0]):
            pairs = [(one, origin) for _, one, origin in found]
            yield Sourced([one for one, _ in pairs], {str(one.metadata.item_id): origin for one, origin in pairs})

    def _tuples(self) -> Iterator[tuple[str, RlwhfTuple, Origin]]:
        of_project = Item.objects.filter(project=self._project).select_related("written_by").only(*COLUMNS)
        items = of_project.order_by("prompt_hash", "content_hash").iterator(BATCH)
        while batch := list(islice(items, BATCH)):
            self.items += len(batch)
            scores = given_scores([item.pk for item in batch], self._sources)
            if self.revocations:
                self.revoked.update(revoked_scores([item.pk for item in batch]))
            turns = rounds_before(batch, scores_of=given_scores, fused_of=self._fused)
            for item in batch:
                fused = self._fused(item, scores.get(item.pk, []))
                one = self._tuple(item, scores.get(item.pk, []), fused, turns.get(item.pk, []))
                if one is not None:
                    yield item.prompt_hash, one, self._origin(item, fused)

    def _fused(self, item: Item, scores: list[Given]) -> Fused | None:
        fused, delta = self._as_told(item, scores), self._deltas.get(item.pk)
        return fused if fused is None or delta is None else replace(fused, reward=round(fused.reward + delta, 6), delta=delta)

    def _as_told(self, item: Item, scores: list[Given]) -> Fused | None:
        """Before teachers' rewards are made to agree with preferences."""
        wanted = self._settings
        agreed = self._agreed.of(item.pk) if self._agreed else None
        taught = self._taught.of(item.pk) if self._taught else None
        teachers = Teachers(wanted.teachers, self._weights, taught)
        return fuse(scores, gold=wanted.gold, gold_weight=wanted.gold_weight, agreed=agreed, teachers=teachers)

    def _origin(self, item: Item, fused: Fused | None) -> Origin:
        source = self._sources.of(item.source_import_id, item.source_line)
        if fused is None:
            return Origin(item.pk, item.content_hash, source)
        counted = frozenset(one.number for one in fused.counted)
        return Origin(item.pk, item.content_hash, source, method=fused.method, scores=fused.heard, counted=counted)

    def _tuple(self, item: Item, scores: list[Given], fused: Fused | None, turns: list[dict[str, Any]]) -> RlwhfTuple | None:
        reason = self._reason_to_leave_out(item, scores, fused)
        if reason:
            self.left_out[reason] += 1
            return None
        if fused:
            self._count(item, fused)
        return self._gate.document(tuple_document(item, fused, turns), f"item {item.pk}")

    def _count(self, item: Item, fused: Fused) -> None:
        self.methods[fused.method] += 1
        if fused.delta:
            self.moved.append(abs(fused.delta))
        if fused.method == "teachers-weighted":
            self.teacher_weights |= {one.rater: self._weights.get(one.rater, 1.0) for one in fused.heard}
        if fused.method != "median":
            return
        by_teachers = not fused.people and self._settings.teachers != "median"
        model = self._taught if by_teachers else self._agreed
        if model:
            self.median_because[model.why_median(item.pk)] += 1
        self.teachers_tied += by_teachers and self._settings.teachers == "majority"

    def _reason_to_leave_out(self, item: Item, scores: list[Given], fused: Fused | None) -> str | None:
        if item.open_flags:
            return "flagged"
        if self._settings.source_models and item.source_model not in self._settings.source_models:
            return "another source model"
        if self._unscored:
            return None
        if fused is None and decided(scores):
            return "decided that it cannot be verified"
        if fused is None:
            unscored = "its scores are revoked" if self.revoked[item.pk] else "not scored yet"
            return "nobody could verify it" if scores else unscored
        return "too few people scored it" if fused.people < self._settings.min_people else None


def _teacher_deltas(project: Project, strength: float, fused_of: Callable[[Item, list[Given]], Fused | None]) -> dict[int, float]:
    from annotations.teacher_deltas import teacher_deltas  # noqa: PLC0415 - needs NumPy, which few builds do

    return teacher_deltas(project, strength=strength, fused_of=fused_of)


def _agreed_scores(project: Project, kind: Rater.Kind) -> "AgreedScores":
    from annotations.agreed_scores import AgreedScores  # noqa: PLC0415 - needs scipy, which few builds do

    return AgreedScores(project, kind=kind)


GIVEN = (
    "item_id", "rater__kind", "rater__name", "overall", "given_at", "critique", "dimensions", "rubric_version__name",
    "rubric_version__version", "pk", "source_import_id", "source_line", "rater_id",
)  # fmt: skip


def given_scores(items: list[int], sources: Sources | None = None) -> dict[int, list[Given]]:
    """The live scores of each item that are not revoked, as fusion reads them; of a teacher's versions the newest one's."""
    rows = Score.objects.counting().filter(item__in=items).order_by("id").annotate(is_dated=IS_DATED)
    given: dict[int, list[tuple[int, Given]]] = {}
    for (
        item,
        kind,
        rater,
        overall,
        at,
        critique,
        dimensions,
        rubric,
        version,
        number,
        record,
        line,
        by,
        is_dated,
    ) in rows.values_list(*GIVEN, "is_dated"):
        one = Given(
            kind=kind,
            rater=rater,
            overall=overall,
            given_at=at,
            critique=critique,
            dimensions=dimensions,
            rubric_version=f"{rubric}-{version}",
            dated=is_dated,
            number=number,
            source=sources.of(record, line) if sources else None,
        )
        given.setdefault(item, []).append((by, one))
    versions = voices()
    return {item: heard(scores, versions) for item, scores in given.items()}


def revoked_scores(items: list[int]) -> Counter[int]:
    """How many live scores of each item are revoked."""
    return Counter(Score.objects.live().filter(revoked(), item__in=items).values_list("item_id", flat=True))


def tuple_document(item: Item, fused: Fused | None, turns: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The RLWHF tuple of an item, with all that it was imported with, and the rounds of review before it."""
    extra = {key: value for key, value in item.metadata.items() if key != "metadata"}
    metadata: dict[str, Any] = {
        **item.metadata.get("metadata", {}),
        "source_ai": item.source_model or None,
        "confidence_score": item.stated_confidence,
        "item_id": item_name(item.content_hash),
    }
    document: dict[str, Any] = {
        **extra,
        "prompt": item.prompt[0]["content"] if item.prompt_is_text else item.prompt,
        "answer": item.answer,
        "feedback": fused.feedback if fused else "",
        "reward": fused.reward if fused else None,
        "metadata": metadata,
        "knowledge": item.knowledge,
        "gold_answer": item.gold_answers,
        "entity": item.entity or None,
    }
    if item.revises_id is not None:
        document["turns"], metadata["iteration_count"] = list(turns), item.iteration
    if item.knowledge_source:
        document["knowledge_source"] = item.knowledge_source
    if fused:
        metadata |= {
            "consensus_score": fused.consensus,
            "consensus_method": fused.method,
            "update_timestamp": fused.given_at.isoformat() if fused.given_at else None,
            "rubric_version": fused.rubric_version,
            "raters": list(fused.raters),
            "dimensions": dict(fused.dimensions),
        }
        # What an earlier export said of another fusion is not this one's.
        for stale in ("expected_reward", "teacher_delta"):
            metadata.pop(stale, None)
        if fused.given_at is None:  # imported, and nobody wrote down when it was given
            del metadata["update_timestamp"]
        if fused.expected is not None:
            metadata["expected_reward"] = fused.expected
        if fused.delta is not None:
            metadata["teacher_delta"] = fused.delta
    return document
