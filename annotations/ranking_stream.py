"""A project's rankings as votes on the answers to each prompt, in an order that depends on their content alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from annotations.build import BuildSettings
from annotations.gate import Gate
from annotations.models import Item, Project, Ranking, Rater, revoked
from annotations.provenance import Order, Sourced, item_name
from annotations.ranking_rows import Ranked, Vote
from annotations.tuple_stream import TupleStream
from annotations.tuples import RlwhfTuple, prompt_hash

# Prompts at a time.
BATCH = 200
COLUMNS = (
    "shown", "ranks", "all_bad", "given_at", "source_import", "source_line", "rater__name", "rater__kind", "item__prompt_hash",
    "item__open_flags", "rubric_version__name", "rubric_version__version",
)  # fmt: skip


# People, and where no person has ranked teachers: ours, and those of imported files.
HEARD = (Rater.Kind.PERSON, Rater.Kind.TEACHER)


class RankingStream(TupleStream):
    """Reads a project's answers through the gate, with the live rankings of their prompts by people, those that are not revoked.

    A rater's latest ranking of a prompt counts. Rankings of a flagged comparison are left out, and so are flagged and deleted
    answers; the same words by two models are one answer.
    """

    def __init__(self, *, project: Project, settings: BuildSettings, gate: Gate) -> None:
        super().__init__(project=project, settings=settings, gate=gate, unscored=True)
        self.rankings = 0

    def ranked(self) -> Iterator[tuple[Ranked, Sourced]]:
        """The prompts that were ranked, and where their answers and votes come from."""
        groups = self.sourced()
        while batch := list(islice(groups, BATCH)):
            hashes = [prompt_hash(told.group[0].messages) for told in batch]
            orders = self._orders(hashes)
            for hashed, told in zip(hashes, batch, strict=True):
                if hashed in orders:
                    answers, of_prompt = _by_words(told.group), orders[hashed]
                    votes = [Vote(order.rater, order.words, order.all_bad) for order in of_prompt]
                    yield Ranked(answers, votes), Sourced(list(answers.values()), told.origins, of_prompt)
                else:
                    self.left_out["not ranked yet"] += len(told.group)

    def _orders(self, hashes: Sequence[str]) -> dict[str, list[Order]]:
        rankings = Ranking.objects.filter(
            item__project=self._project, item__prompt_hash__in=hashes, rater__kind__in=HEARD, withdrawn_at=None
        ).exclude(revoked())
        rows = list(rankings.select_related("rater", "item", "rubric_version").only(*COLUMNS).order_by("given_at", "pk"))
        shown = Item.every.filter(pk__in={pk for row in rows for pk in row.shown})
        answers = {
            pk: (answer.strip(), item_name(hashed)) for pk, answer, hashed in shown.values_list("pk", "answer", "content_hash")
        }
        by_people = {row.item.prompt_hash for row in rows if row.rater.kind == Rater.Kind.PERSON}
        latest: dict[tuple[str, int, frozenset[int]], Ranking] = {}
        for row in rows:
            if row.item.open_flags:
                self.left_out["ranked in a comparison that is flagged"] += 1
            elif row.rater.kind == Rater.Kind.PERSON:
                latest[row.item.prompt_hash, row.rater_id, frozenset()] = row
            elif row.item.prompt_hash in by_people:
                self.left_out["ranked by a teacher where people have ranked"] += 1
            else:  # a file may hold several orders by one teacher, of different answers each
                several = frozenset(row.shown if row.source_import_id is not None else ())
                latest[row.item.prompt_hash, row.rater_id, several] = row
        orders: dict[str, list[Order]] = defaultdict(list)
        for (hashed, _, _), row in latest.items():
            orders[hashed].append(self._order(row, answers))
        self.rankings += len(latest)
        return orders

    def _order(self, row: Ranking, answers: Mapping[int, tuple[str, str]]) -> Order:
        seen = [(*answers[item], rank) for item, rank in zip(row.shown, row.ranks, strict=True) if item in answers]
        return Order(
            number=row.pk, rater=row.rater.name, kind=row.rater.kind, all_bad=row.all_bad,
            rubric_version=f"{row.rubric_version.name}-{row.rubric_version.version}",
            given_at=row.given_at if row.source_import_id is None else None,
            words={words: rank for words, _, rank in seen}, ranks=[(name, rank) for _, name, rank in seen],
            source=self._sources.of(row.source_import_id, row.source_line),
        )  # fmt: skip


def _by_words(group: Iterable[RlwhfTuple]) -> dict[str, RlwhfTuple]:
    found: dict[str, RlwhfTuple] = {}
    for one in group:
        found.setdefault(one.answer.strip(), one)
    return found
