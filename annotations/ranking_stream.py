"""A project's rankings as votes on the answers to each prompt, in an order that depends on their content alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from annotations.build import BuildSettings
from annotations.gate import Gate
from annotations.models import Item, Project, Ranking, Rater
from annotations.ranking_rows import Ranked, Vote
from annotations.tuple_stream import TupleStream
from annotations.tuples import RlwhfTuple, prompt_hash

# Prompts at a time.
BATCH = 200


class RankingStream(TupleStream):
    """Reads a project's answers through the gate, with the live rankings of their prompts by people.

    A rater's latest ranking of a prompt counts. Rankings of a flagged comparison are left out, and so are flagged and deleted
    answers; the same words by two models are one answer.
    """

    def __init__(self, *, project: Project, settings: BuildSettings, gate: Gate) -> None:
        super().__init__(project=project, settings=settings, gate=gate, unscored=True)
        self.rankings = 0

    def ranked(self) -> Iterator[Ranked]:
        """The prompts that were ranked."""
        groups = self.groups()
        while batch := list(islice(groups, BATCH)):
            hashes = [prompt_hash(group[0].messages) for group in batch]
            votes = self._votes(hashes)
            for hashed, group in zip(hashes, batch, strict=True):
                if hashed in votes:
                    yield Ranked(_by_words(group), votes[hashed])
                else:
                    self.left_out["not ranked yet"] += len(group)

    def _votes(self, hashes: Sequence[str]) -> dict[str, list[Vote]]:
        rankings = Ranking.objects.filter(
            item__project=self._project, item__prompt_hash__in=hashes, rater__kind=Rater.Kind.PERSON, withdrawn_at=None
        )
        columns = ("shown", "ranks", "all_bad", "rater__name", "item__prompt_hash", "item__open_flags")
        rows = list(rankings.select_related("rater", "item").only(*columns).order_by("given_at", "pk"))
        words = dict(Item.every.filter(pk__in={pk for row in rows for pk in row.shown}).values_list("pk", "answer"))
        latest: dict[tuple[str, int], Ranking] = {}
        for row in rows:
            if row.item.open_flags:
                self.left_out["ranked in a comparison that is flagged"] += 1
            else:
                latest[row.item.prompt_hash, row.rater_id] = row
        votes: dict[str, list[Vote]] = defaultdict(list)
        for (hashed, _), row in latest.items():
            votes[hashed].append(_vote(row, words))
        self.rankings += len(latest)
        return votes


def _vote(row: Ranking, words: dict[int, str]) -> Vote:
    seen = zip(row.shown, row.ranks, strict=True)
    return Vote(row.rater.name, {words[item].strip(): rank for item, rank in seen if item in words}, row.all_bad)


def _by_words(group: Iterable[RlwhfTuple]) -> dict[str, RlwhfTuple]:
    found: dict[str, RlwhfTuple] = {}
    for one in group:
        found.setdefault(one.answer.strip(), one)
    return found
