"""Items of a project as records on the server, with what teachers gave them as suggestions.

A record's external id is the item's content hash: the same item is the same record whoever pushes it and however often, and
another text is another record. The text of a record that is there already is never sent again, because the server would put it
under answers that were given to another one.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from annotations.argilla.client import BULK, ArgillaRefused, Client
from annotations.argilla.questions import HASH_PROPERTY, NotForArgilla, agent_name, record_fields, says_the_same
from annotations.models import ArgillaLink, ArgillaRecord, Item, Rater, Score
from annotations.tuples import digest

Tell = Callable[[int, int], None]
CANNOT_BE_SENT = 422


@dataclass(frozen=True)
class Outgoing:
    """What is to be sent of one item."""

    item: Item
    document: dict[str, Any]
    pushed_hash: str
    is_known: bool


def push(*, link: ArgillaLink, client: Client, tell: Tell) -> Counter[str]:
    """Send what is new or has changed. Done batch by batch: what was cut off is done by the next push."""
    counts: Counter[str] = Counter()
    if not link.records.exists():
        _recognise(link, client)
    questions = {one["name"]: one["id"] for one in client.questions(str(link.dataset_id))}
    ours = {questions[name] for name in link.teachers.values() if name in questions}
    total = Item.objects.filter(project=link.project_id).count()
    done = 0
    for items in _items(link):
        waiting = _waiting(link, items, questions, counts)
        if waiting:
            _send(link, client, waiting, ours, counts)
        done += len(items)
        tell(done, total)
    return counts


def _recognise(link: ArgillaLink, client: Client) -> None:
    """What the dataset holds of our items before we know of any, since the project was connected with it before: their text may
    have been changed there, so it is compared and not sent again.
    """
    for page in client.records(str(link.dataset_id)):
        there = {one["external_id"]: one for one in page}
        items = Item.objects.filter(project=link.project_id, content_hash__in=[name for name in there if name])
        rows = [
            ArgillaRecord(
                link=link,
                item=item,
                record_id=there[item.content_hash]["id"],
                content_hash=item.content_hash,
                pushed_hash="",
                pushed_at=timezone.now(),
                trouble=""
                if says_the_same(there[item.content_hash]["fields"], prompt=item.prompt, answer=item.answer)
                else "changed",
            )
            for item in items
        ]
        ArgillaRecord.objects.bulk_create(rows, ignore_conflicts=True)


def _items(link: ArgillaLink) -> Iterator[list[Item]]:
    last = 0
    columns = ("pk", "prompt", "answer", "content_hash", "open_flags", "gold_score")
    while items := list(Item.objects.filter(project=link.project_id, pk__gt=last).order_by("pk").only(*columns)[:BULK]):
        last = items[-1].pk
        yield items


def _waiting(link: ArgillaLink, items: Sequence[Item], questions: dict[str, str], counts: Counter[str]) -> list[Outgoing]:
    # By the text, not by the item: another item may have had this text before it was edited.
    hashes = [item.content_hash for item in items]
    known = {one.content_hash: one for one in ArgillaRecord.objects.filter(link=link, content_hash__in=hashes)}
    given = _suggestions(link, items, questions, counts)
    found = []
    for item in items:
        record = known.get(item.content_hash)
        if item.open_flags:
            counts["items_flagged"] += 1
            continue
        if record is not None and record.trouble == "changed":
            counts["records_changed_there"] += 1
            continue
        try:
            one = _outgoing(item, given.get(item.pk, []), record)
        except NotForArgilla:
            counts["items_refused"] += 1
            continue
        if record is not None and (record.pushed_hash, record.item_id, record.trouble) == (one.pushed_hash, item.pk, ""):
            counts["records_known"] += 1
        else:
            found.append(one)
    return found


def _outgoing(item: Item, suggestions: list[dict[str, Any]], record: ArgillaRecord | None) -> Outgoing:
    is_there = record is not None and not record.trouble
    document: dict[str, Any] = {"external_id": item.content_hash, "metadata": {HASH_PROPERTY: item.content_hash}}
    fields = record_fields(prompt=item.prompt, answer=item.answer)
    if not is_there:
        document["fields"] = fields
    if suggestions:
        document["suggestions"] = suggestions
    return Outgoing(item, document, digest(item.content_hash, suggestions), is_there)


def _suggestions(
    link: ArgillaLink, items: Sequence[Item], questions: dict[str, str], counts: Counter[str]
) -> dict[int, list[dict[str, Any]]]:
    """Each teacher's live score, unless it is revoked, as a suggestion for its own question. A teacher that came after the
    dataset was made has none: no question can be added then.
    """
    scores = Score.objects.counting().filter(item__in=items, overall__isnull=False).select_related("rater")
    gold = {item.pk for item in items if item.gold_score is not None}
    found: dict[int, list[dict[str, Any]]] = {}
    for score in scores.filter(rater__kind__in=(Rater.Kind.TEACHER, Rater.Kind.GOLD)).order_by("rater_id"):
        question = questions.get(link.teachers.get(score.rater.name, ""))
        if score.rater.name.startswith("argilla:"):
            continue  # what came from there does not go back as a hint
        if score.rater.kind == Rater.Kind.GOLD and score.item_id in gold:
            continue  # the item is there to see how its annotators judge, and this is what is right
        if question is None:
            counts["suggestions_without_question"] += 1
            continue
        assert score.overall is not None
        whole = round(score.overall)
        counts["suggestions_rounded"] += whole != score.overall
        one = {"question_id": question, "value": str(whole), "agent": agent_name(score.rater.name), "type": "model"}
        found.setdefault(score.item_id, []).append(one)
    return found


def _send(
    link: ArgillaLink, client: Client, waiting: Sequence[Outgoing], questions: Collection[str], counts: Counter[str]
) -> None:
    """Send a batch; where the server refuses it, its halves, so that one record that cannot go keeps none of the others back."""
    try:
        records = client.records_upsert(str(link.dataset_id), [one.document for one in waiting])
    except ArgillaRefused as refused:
        if refused.status != CANNOT_BE_SENT:
            raise
        if len(waiting) == 1:
            counts["items_refused"] += 1
            return
        middle = len(waiting) // 2
        _send(link, client, waiting[:middle], questions, counts)
        _send(link, client, waiting[middle:], questions, counts)
        return
    # Before it is written down that the batch was sent: one that is cut off here is sent again.
    _withdraw(client, records, waiting, questions, counts)
    _remember(link, waiting, {one["external_id"]: one["id"] for one in records})
    for one in waiting:
        counts["records_changed" if one.is_known else "records_added"] += 1
        counts["suggestions"] += len(one.document.get("suggestions", []))


def _withdraw(
    client: Client, records: Sequence[dict[str, Any]], sent: Sequence[Outgoing], questions: Collection[str], counts: Counter[str]
) -> None:
    """Suggestions whose score is withdrawn here. An upsert adds and replaces, so they are taken away one record at a time."""
    standing = {one.item.content_hash: {said["question_id"] for said in one.document.get("suggestions", [])} for one in sent}
    for record in records:
        wanted = standing[record["external_id"]]
        there = [said for said in record.get("suggestions") or [] if said["question_id"] in questions]
        if stale := [said["id"] for said in there if said["question_id"] not in wanted]:
            client.suggestions_delete(record["id"], stale)
            counts["suggestions_withdrawn"] += len(stale)


def _remember(link: ArgillaLink, sent: Sequence[Outgoing], ids: dict[str, str]) -> None:
    now = timezone.now()
    rows = [
        ArgillaRecord(
            link=link,
            item=one.item,
            record_id=ids[one.item.content_hash],
            content_hash=one.item.content_hash,
            pushed_hash=one.pushed_hash,
            pushed_at=now,
            trouble="",
        )
        for one in sent
    ]
    ArgillaRecord.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=("link", "content_hash"),
        update_fields=("item", "record_id", "pushed_hash", "pushed_at", "trouble"),
    )
