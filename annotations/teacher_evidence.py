"""What a teacher is shown of a question in a run: looked for in the order of `annotations.teachers.evidence`, and kept."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property

from django.conf import settings
from django.utils import timezone

from accounts.chat.client import ChatClient
from accounts.chat.service import KEY_VARIABLE
from accounts.endpoints import endpoint_environment, endpoint_service
from accounts.hosts import HostRefused, place_allowed
from accounts.outgoing import outgoing_client
from annotations.models import Item, TeacherEvidence, TeacherRun
from annotations.teacher_voices import NO_TEACHER, Shown, budget_of
from annotations.teachers.evidence import (
    RULES,
    Evidence,
    Finder,
    Knower,
    Result,
    SearchFailed,
    evidence_by_rules,
    searched,
)
from annotations.teachers.judge import Teaching

TIMEOUT_S = 10.0
# Items at a time where money is short: evidence that is paid for is then judged by, before more is looked for.
FEW = 8


@dataclass(frozen=True)
class Asked:
    """What evidence is wanted for: an item, and its answer, where only one is judged."""

    item: Item
    answer: str | None


class EvidenceOfRun:
    """Evidence for the items of a run, as far as its version wants any."""

    def __init__(self, run: TeacherRun, teaching: Teaching, stop: Callable[[], bool] = lambda: False) -> None:
        self._run, self._teaching, self._stop = run, teaching, stop

    def at_most(self, most: int) -> int:
        """How many items to take at a time, so that what is spent on their evidence leaves enough for their verdicts."""
        if self._run.version.search_model is None:
            return most
        budget = budget_of(self._run)
        if budget.calls is not None:
            most = min(most, max(1, budget.calls // 2))
        return most if budget.cost is None else min(most, FEW)

    def of(self, subjects: Sequence[Asked]) -> list[Shown | None]:
        """For each in its place; None where the version is shown no evidence."""
        version = self._run.version
        if not version.search_url or not subjects:
            return [None] * len(subjects)
        try:
            place, refusal = place_allowed(version.search_url), ""
        except HostRefused as refused:
            place, refusal = None, str(refused)
        headers = {"Accept": "application/json"}
        with outgoing_client(base_url=version.search_url, headers=headers, timeout_s=TIMEOUT_S, checked=place) as client:

            def search(query: str) -> list[Result]:
                """From several threads at once, none of which asks the database."""
                if place is None:
                    raise SearchFailed(refusal)
                return searched(client, query)

            finder = Finder(self._keeper, version.search_url, search, self._knower, timezone.now, NO_TEACHER, self._stop)
            found, trouble = finder.find([one.item.prompt_text for one in subjects])
        return [self._shown(one, found.get(one.item.prompt_text), trouble) for one in subjects]

    @cached_property
    def _keeper(self) -> "Kept":
        return Kept(self._run)

    def _knower(self) -> Knower | None:
        """Raises HostRefused and SecretLost. Half of what is left of a budget, at most: the other half is for verdicts."""
        endpoint = self._run.version.search_model
        if endpoint is None:
            return None
        service, budget = endpoint_service(endpoint), budget_of(self._run)
        if budget.calls is not None or budget.cost is not None:
            service = service.model_copy(update={"at_once": 1})  # what is under way is spent, too
        client = ChatClient(service, key=endpoint_environment(endpoint).get(KEY_VARIABLE, ""))
        return Knower(
            client,
            endpoint.name,
            f"{settings.SECRET_KEY}:{self._run.version_id}",
            most=None if budget.calls is None else budget.calls // 2,
            most_cost=None if budget.cost is None else budget.cost / 2,
        )

    def _shown(self, subject: Asked, found: Evidence | None, trouble: str) -> Shown:
        if found is None:
            gold = subject.item.gold_answers if self._run.version.uses_reference else ()
            rubric = self._teaching.rubric
            found = evidence_by_rules(subject.answer, gold, rubric, trouble=trouble, now=timezone.now())
            found = self._keeper.keep_once(found)
        assert found.number is not None  # it is kept
        return Shown(self._keeper.row(found.number), found.source, found.trouble)


class Kept:
    """Evidence in the database; the rows of one run's evidence are held, for its calls point at them."""

    def __init__(self, run: TeacherRun) -> None:
        self._run = run
        self._rows: dict[int, TeacherEvidence] = {}

    def row(self, number: int) -> TeacherEvidence:
        return self._rows[number]

    def find(self, provider: str, query: str) -> Evidence | None:
        row = TeacherEvidence.objects.filter(key=_key(provider, query)).order_by("-pk").first()
        return None if row is None else self._of(row)

    def keep(self, found: Evidence) -> Evidence:
        row = TeacherEvidence.objects.create(
            source=found.source,
            provider=found.provider,
            key=_key(found.provider, found.query),
            query=found.query,
            text=found.text,
            digest=found.digest,
            results=[asdict(one) for one in found.results],
            run=self._run,
            questions=int(found.source == "model"),
            tokens_in=found.tokens_in,
            tokens_out=found.tokens_out,
            cost=None if found.cost is None else Decimal(str(round(found.cost, 8))),
            found_at=found.at,
        )
        return self._of(row, source=found.source, trouble=found.trouble)

    def keep_once(self, found: Evidence) -> Evidence:
        """As `keep`, but for the same words no second time."""
        row = TeacherEvidence.objects.filter(key=_key(RULES, ""), digest=found.digest).first()
        return self.keep(found) if row is None else self._of(row, trouble=found.trouble)

    def _of(self, row: TeacherEvidence, *, source: str = "", trouble: str = "") -> Evidence:
        self._rows[row.pk] = row
        results = tuple(Result(**one) for one in row.results)
        return Evidence(
            source or row.source,  # type: ignore[arg-type]
            row.provider, row.query, row.text, row.found_at, results, trouble, number=row.pk,
        )  # fmt: skip


def _key(provider: str, query: str) -> str:
    return hashlib.sha256(f"{provider}\n{query}".encode()).hexdigest()
