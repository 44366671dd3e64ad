"""A chain's run, carried out: step after step over some items at a time, from where it was cut off, within its budget."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Exists, Max, Min, OuterRef, QuerySet, Subquery, Sum

from accounts.chat.client import ChatClient, ServiceFailed
from accounts.chat.service import KEY_VARIABLE
from accounts.endpoints import endpoint_environment, endpoint_service
from accounts.hosts import HostRefused
from accounts.secrets import SecretLost
from annotations.chains.asking import Said, Step, asked, room
from annotations.chains.prompts import ChainPrompt, Work
from annotations.models import ChainResult, ChainRun, ChainStep, Item, Project
from annotations.services.alone import alone_at
from annotations.services.chains import LONGEST_REASON, Told, chain_results_store
from annotations.services.comparing import comparisons_open

Stop = Callable[[], bool]
# Items at a time: so many answers of one step are asked for anew, at most, after a kill.
BATCH = 32


class ChainBroken(RuntimeError):  # noqa: N818 - reads as what happened
    """A service of the chain cannot be had; the message says which, and why."""


class ChainStopped(RuntimeError):  # noqa: N818 - reads as what happened
    """It was asked to stop; what was under way was taken down first."""


@dataclass
class _Walk:
    """One item on its way through the chain: where it stands, and what is in hand."""

    source: Item
    work: Work
    at: Item
    done: set[int] = field(default_factory=set)
    is_stuck: bool = False

    def take(self, step: ChainStep, result: ChainResult) -> None:
        if result.item is None:
            self.is_stuck = True
            return
        self.done.add(step.pk)
        self.work, self.at = self.work.after(step.role, result.item.answer), result.item  # type: ignore[arg-type]


def carry_out(run: ChainRun, *, tell: Callable[[int, int], object] | None = None, stop: Stop = lambda: False) -> ChainRun:
    """Take the chain over all that its version has not gone through and that has not failed in this run; `tell` hears how far.

    What was taken down stays, so a run that is cut off goes on from there. Two runs of a version in a project take turns: nothing
    is asked, or paid, twice. Raises ChainBroken and ChainStopped.
    """
    with alone_at(f"annotations.chains {run.version_id}", run.project_id, stop=stop) as is_its_turn:
        if not is_its_turn:
            raise ChainStopped
        return _carried_out(run, tell, stop)


def _carried_out(run: ChainRun, tell: Callable[[int, int], object] | None, stop: Stop) -> ChainRun:
    rest = _Rest(run, stop)
    total, done = rest.left(), 0
    try:
        while done < total:
            sources = rest.next(min(rest.at_once(), total - done))
            if not sources or not rest.walk(sources):
                break  # what was left is gone, or the budget is used up
            done += len(sources)
            if tell is not None:
                tell(done, total)
    finally:
        if run.project.mode == Project.Mode.COMPARE:
            comparisons_open(project=run.project)
    if done < total and (budget := _budget_in_words(run)):
        run.ended_early = f"Its budget is used up: {budget}."
        run.save(update_fields=["ended_early"])
    return run


class _Rest:
    """What a run has still to do."""

    def __init__(self, run: ChainRun, stop: Stop) -> None:
        self._run, self._stop = run, stop
        self._steps = list(run.version.steps.select_related("endpoint").order_by("position"))
        self._secret = f"{settings.SECRET_KEY}:chain:{run.version_id}"
        self._clients: dict[int, ChatClient] = {}

    # --- which items

    def left(self) -> int:
        begun, others = self._sources()
        return begun.count() + self._allowed(others.count())

    def next(self, most: int) -> list[Item]:
        """Those that this run has begun with come first."""
        begun, others = self._sources()
        found = list(begun[:most])
        return found + list(others[: self._allowed(most - len(found))])

    def _allowed(self, most: int) -> int:
        if self._run.most is None:
            return most
        begun = self._run.results.values("source").distinct().count()
        return max(0, min(most, self._run.most - begun))

    def _sources(self) -> tuple[QuerySet[Item], QuerySet[Item]]:
        """Items that the version has not gone through: those that this run has begun with, and the others.

        What a chain has made is nothing to begin with, nor is a gold item. A chain that answers begins once with each question.
        """
        run, last = self._run, self._steps[-1]
        made = ChainResult.objects.filter(item=OuterRef("pk"), is_new=True)
        through = ChainResult.objects.filter(source=OuterRef("pk"), step=last, reason="")
        mine = ChainResult.objects.filter(source=OuterRef("pk"), run=run)
        stuck = mine.exclude(reason="")
        own = Item.objects.filter(~Exists(made), project=run.project_id, gold_score=None)
        items = own.filter(~Exists(through), ~Exists(stuck))
        if self._steps[0].role == ChainStep.Role.ANSWER:
            heads = own.order_by().values("prompt_hash").annotate(head=Min("pk")).values("head")
            items = items.filter(pk__in=Subquery(heads))
        items = items.defer("search").order_by("pk")
        return items.filter(Exists(mine)), items.filter(~Exists(mine))

    # --- how far each is, and what is next

    def walk(self, sources: Sequence[Item]) -> bool:
        """Take these through all steps. False where the budget does not reach. Raises ChainBroken and ChainStopped."""
        walks = self._walks(sources)
        for step in self._steps:
            waiting = [one for one in walks if not one.is_stuck and step.pk not in one.done]
            while waiting:
                few = waiting[: self._room(step, len(waiting))]
                if not few:
                    return False
                self._ask(step, few)
                waiting = waiting[len(few) :]
        return True

    def _walks(self, sources: Sequence[Item]) -> list[_Walk]:
        """Where each stands: what an earlier run, or this one before it was cut off, has taken down counts."""
        results = ChainResult.objects.filter(source__in=sources, step__in=self._steps, reason="").select_related("item")
        by_place: Mapping[tuple[int, int], ChainResult] = {(one.source_id, one.step_id): one for one in results}
        walks = []
        for source in sources:
            walk = _Walk(source, Work(source.prompt, source.answer), source)
            for step in self._steps:
                result = by_place.get((source.pk, step.pk))
                if result is None:
                    break
                walk.take(step, result)
            walks.append(walk)
        return walks

    def _ask(self, step: ChainStep, walks: Sequence[_Walk]) -> None:
        """Ask for one step of these, and take down what is heard."""
        prompt = ChainPrompt.model_validate(step.prompt)
        heard: dict[int, Said] = {}
        trouble = None
        how = Step(prompt, step.max_tokens, step.temperature)
        try:
            works = [one.work for one in walks]
            asked(self._client(step), how, works, secret=self._secret, each=heard.__setitem__, stop=self._stop)
        except (ServiceFailed, HostRefused, SecretLost) as failed:
            trouble = f"Step {step.position}, {step.endpoint}: {failed}"
        by_source = {one.source.pk: one for one in walks}
        told = [self._told(step, walks[index], said) for index, said in sorted(heard.items())]
        for result in chain_results_store(run=self._run, step=step, told=told):
            by_source.pop(result.source_id).take(step, result)
        for walk in by_source.values():  # deleted meanwhile, or not answered
            walk.is_stuck = True
        if trouble is not None:
            raise ChainBroken(trouble)
        if self._stop():
            raise ChainStopped

    def _told(self, step: ChainStep, walk: _Walk, said: Said) -> Told:
        result = ChainResult(
            run=self._run,
            step=step,
            source=walk.source,
            parent=walk.at,
            reply=said.text,
            reason=said.reason[:LONGEST_REASON],
            tokens_in=said.tokens_in,
            tokens_out=said.tokens_out,
            cost=None if said.cost is None else Decimal(str(round(said.cost, 8))),
        )
        return Told(walk.source, walk.work, result)

    def _client(self, step: ChainStep) -> ChatClient:
        """One for each step: its pace holds from batch to batch. It asks for the model that the version was made with, whatever
        the endpoint has become since. Raises HostRefused and SecretLost.
        """
        if step.pk not in self._clients:
            key = endpoint_environment(step.endpoint).get(KEY_VARIABLE, "")
            service = endpoint_service(step.endpoint).model_copy(update={"model": step.model})
            self._clients[step.pk] = ChatClient(service, key=key)
        return self._clients[step.pk]

    # --- the budget

    def at_once(self) -> int:
        """Items at a time: as many as can be taken through all steps, so that money is not spent on first steps alone."""
        calls, cost = self._budget()
        if calls is None and cost is None:
            return BATCH
        known = [self._dearest(step) for step in self._steps]
        whole = None if None in known else sum(one or 0.0 for one in known)
        return max(1, room(most=BATCH, calls=None if calls is None else calls // len(self._steps), cost=cost, dearest=whole))

    def _room(self, step: ChainStep, most: int) -> int:
        calls, cost = self._budget()
        return room(most=most, calls=calls, cost=cost, dearest=self._dearest(step) if cost is not None else None)

    def _budget(self) -> tuple[int | None, float | None]:
        """Calls and money that are left."""
        chain = self._run.version.chain
        if chain.max_calls is None and chain.max_cost is None:
            return None, None
        used = self._run.results.aggregate(calls=Count("pk"), cost=Sum("cost"))
        calls = None if chain.max_calls is None else chain.max_calls - used["calls"]
        return calls, None if chain.max_cost is None else float(chain.max_cost - (used["cost"] or 0))

    def _dearest(self, step: ChainStep) -> float | None:
        """What a call of this step has cost at most; None: not known yet. Nothing, where its service has no prices."""
        if step.endpoint.price_in is None and step.endpoint.price_out is None:
            return 0.0
        found = ChainResult.objects.filter(step=step).aggregate(most=Max("cost"))["most"]
        return None if found is None else float(found)


def _budget_in_words(run: ChainRun) -> str:
    chain = run.version.chain
    parts = [f"{chain.max_calls} calls"] if chain.max_calls is not None else []
    return " or ".join([*parts, f"a cost of {chain.max_cost}"] if chain.max_cost is not None else parts)
