"""Some hundred tuples at a time into items and scores."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone

from annotations.models import Item, Progress, Project, Rater, Score
from annotations.services.gold_items import gold_reference
from annotations.services.positions import position_drawn
from annotations.services.raters import adjudicator_rater, teacher_rater
from annotations.tuples import RlwhfTuple, content_hash, prompt_hash

# What a tuple's metadata says about the score; the rest is about the item.
SCORE_FIELDS = frozenset(
    {"rubric_dimension", "iteration_count", "consensus_score", "hardware_profile", "update_timestamp", "rubric_version", "raters"}
)
# Columns of their own, so not kept a second time.
ITEM_FIELDS = frozenset({"source_ai", "confidence_score", "gold_score", "gold_note", "qualification"})
TUPLE_FIELDS = frozenset(
    {"prompt", "answer", "feedback", "reward", "metadata", "knowledge", "knowledge_source", "gold_answer", "entity"}
)


@dataclass
class Counts:
    items_added: int = 0
    items_known: int = 0
    items_deleted: int = 0
    scores_added: int = 0
    scores_known: int = 0


def item_made(
    *,
    project: Project,
    prompt: list[dict[str, Any]],
    answer: str,
    source_model: str = "",
    stated_confidence: float | None = None,
    gold_score: float | None = None,
    **more: Any,
) -> Item:
    """An unsaved item, with all that follows from its content. `more` are columns that nothing follows from."""
    hashed = content_hash(prompt, answer, source_model)
    return Item(
        project=project,
        prompt=prompt,
        prompt_text="\n\n".join(str(message["content"]) for message in prompt),
        answer=answer,
        source_model=source_model,
        stated_confidence=stated_confidence,
        content_hash=hashed,
        prompt_hash=prompt_hash(prompt),
        position=position_drawn(order=project.order, content_hash=hashed, stated_confidence=stated_confidence),
        is_open=project.raters_per_item > 0 and gold_score is None,
        gold_score=gold_score,
        **more,
    )


def item_from_tuple(*, project: Project, one: RlwhfTuple) -> Item:
    """The unsaved item of a tuple."""
    document = one.document()
    metadata = document.get("metadata", {})
    about_item = {key: value for key, value in metadata.items() if key not in ITEM_FIELDS | SCORE_FIELDS}
    if one.reward is None:
        about_item |= {key: value for key, value in metadata.items() if key in SCORE_FIELDS}
    extra = {key: value for key, value in document.items() if key not in TUPLE_FIELDS}
    gold = one.metadata.gold_score
    return item_made(
        project=project,
        prompt=one.messages,
        answer=one.answer,
        source_model=one.metadata.source_ai or "",
        stated_confidence=one.metadata.confidence_score,
        gold_score=gold,
        prompt_is_text=isinstance(one.prompt, str),
        gold_answers=one.gold_answers,
        knowledge=one.knowledge,
        knowledge_source=one.knowledge_source or "",
        entity=one.entity or "",
        metadata=extra | ({"metadata": about_item} if about_item else {}),
        gold_note=one.metadata.gold_note or "",
        is_qualification=bool(one.metadata.qualification) and gold is not None,
    )


class Batch:
    """Collects tuples of one project and writes them in a few statements per flush."""

    def __init__(self, *, project: Project, rater_name: str) -> None:
        self._project = project
        self._rater_name = rater_name
        self._tuples: list[RlwhfTuple] = []
        self._raters: dict[str, Rater] = {}
        self._scored: dict[int, int] = {}
        self._gold = 0
        self._now = timezone.now()
        self.counts = Counts()

    def __len__(self) -> int:
        return len(self._tuples)

    def add(self, one: RlwhfTuple) -> None:
        self._tuples.append(one)

    def flush(self) -> None:
        drafts = [(item_from_tuple(project=self._project, one=one), one) for one in self._tuples]
        self._tuples = []
        if not drafts:
            return
        ids = self._write_items({item.content_hash: item for item, _ in drafts})
        there = [(ids[item.content_hash], one) for item, one in drafts if item.content_hash in ids]
        self._write_scores([(item, one) for item, one in there if one.reward is not None])
        self.counts.items_known += len(there)
        self.counts.items_deleted += len(drafts) - len(there)

    def close(self) -> None:
        """Bring the project's and the raters' running counts up to date."""
        self.counts.items_known -= self.counts.items_added
        added = {"item_count": F("item_count") + self.counts.items_added, "gold_count": F("gold_count") + self._gold}
        Project.objects.filter(pk=self._project.pk).update(**added)
        for rater, scored in self._scored.items():
            row, _ = Progress.objects.get_or_create(project=self._project, rater_id=rater)
            Progress.objects.filter(pk=row.pk).update(scored=F("scored") + scored)

    def _write_items(self, wanted: dict[str, Item]) -> dict[str, int]:
        """The numbers of those that are there afterwards: what was deleted here does not come back by an import."""
        known = self._known(list(wanted))
        found = {hashed: pk for hashed, (pk, is_deleted) in known.items() if not is_deleted}
        new = [item for hashed, item in sorted(wanted.items()) if hashed not in known]
        Item.objects.bulk_create(new, batch_size=500)
        self.counts.items_added += len(new)
        self._write_references([item for item in new if item.gold_score is not None])
        return found | {item.content_hash: item.pk for item in new}

    def _write_references(self, gold: list[Item]) -> None:
        """Gold items come with the score that is right. An item that is known already is changed on its page, not here."""
        if not gold:
            return
        by, version = adjudicator_rater(name=self._rater_name), self._project.rubric_version_id
        Score.objects.bulk_create(
            [gold_reference(item=item, rubric_version_id=version, rater=by, given_at=self._now) for item in gold], batch_size=500
        )
        self._gold += len(gold)

    def _known(self, hashes: list[str]) -> dict[str, tuple[int, bool]]:
        """Number of each item by its hash, and whether it was deleted."""
        rows = Item.every.filter(project=self._project, content_hash__in=hashes)
        return {hashed: (pk, at is not None) for hashed, pk, at in rows.values_list("content_hash", "pk", "deleted_at")}

    def _write_scores(self, given: list[tuple[int, RlwhfTuple]]) -> None:
        """The newest score of each rater on each item stands; the one that it replaces is withdrawn."""
        live = {
            (score.item_id, score.rater_id): score
            for score in Score.objects.filter(item_id__in={item for item, _ in given}, withdrawn_at=None)
        }
        new: dict[tuple[int, int], Score] = {}
        for item_id, one in given:
            score = self._score(item_id, one)
            key = (item_id, score.rater_id)
            standing = new.get(key) or live.get(key)
            if standing and _says_no_more(score, standing, dated=one.metadata.update_timestamp is not None):
                self.counts.scores_known += 1
            else:
                score.replaces = live.get(key)
                new[key] = score
        replaced = [score.replaces.pk for score in new.values() if score.replaces]
        Score.objects.filter(pk__in=replaced).update(withdrawn_at=self._now)
        Score.objects.bulk_create(new.values(), batch_size=500)
        self.counts.scores_added += len(new)
        for score in new.values():
            if score.replaces is None:
                self._scored[score.rater_id] = self._scored.get(score.rater_id, 0) + 1

    def _score(self, item_id: int, one: RlwhfTuple) -> Score:
        metadata: dict[str, Any] = one.document().get("metadata", {})
        return Score(
            item_id=item_id,
            rater=self._rater(one),
            rubric_version_id=self._project.rubric_version_id,
            overall=one.reward,
            critique=one.feedback,
            metadata={key: value for key, value in metadata.items() if key in SCORE_FIELDS},
            given_at=_given_at(one, self._now),
        )

    def _rater(self, one: RlwhfTuple) -> Rater:
        named = (one.metadata.model_extra or {}).get("rater")
        name = named if isinstance(named, str) and named.strip() else self._rater_name
        if name not in self._raters:
            self._raters[name] = teacher_rater(name=name)
        return self._raters[name]


def _given_at(one: RlwhfTuple, now: datetime) -> datetime:
    return one.metadata.update_timestamp or now


def _says_no_more(score: Score, standing: Score, *, dated: bool) -> bool:
    """Whether the standing score is this one, or a later one by the same rater."""
    same = (score.overall, score.critique) == (standing.overall, standing.critique)
    if not dated:
        return same
    return score.given_at < standing.given_at or (same and score.given_at == standing.given_at)
