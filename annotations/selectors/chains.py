"""What pages, API and commands show of chains."""

from dataclasses import dataclass

from django.db.models import Count, Prefetch, Q, QuerySet, Sum

from annotations.models import Chain, ChainResult, ChainRun, ChainStep, ChainVersion, Item

RUNS_SHOWN = 20
RESULTS_SHOWN = 20
CHAINS_SHOWN = 10


@dataclass(frozen=True)
class Listed:
    """A chain with its newest version, and how many items its versions have made."""

    chain: Chain
    newest: ChainVersion | None
    made: int


def chain_list() -> list[Listed]:
    """By name."""
    made = ChainResult.objects.filter(is_new=True).order_by().values("step__version__chain")
    counted = dict(made.annotate(n=Count("pk")).values_list("step__version__chain", "n"))
    steps = Prefetch("steps", ChainStep.objects.select_related("endpoint").order_by("position"))
    newest = {
        one.chain_id: one for one in ChainVersion.objects.select_related("chain").prefetch_related(steps).order_by("number")
    }
    return [Listed(one, newest.get(one.pk), counted.get(one.pk, 0)) for one in Chain.objects.all()]


def chain_runs(chain: Chain) -> QuerySet[ChainRun]:
    """The newest first."""
    found: QuerySet[ChainRun] = ChainRun.objects.filter(version__chain=chain).select_related(
        "version__chain", "project", "job", "requested_by"
    )
    return found.order_by("-pk").annotate(
        calls=Count("results"),
        made=Count("results", filter=Q(results__is_new=True)),
        failed=Count("results", filter=~Q(results__reason="")),
        tokens_in=Sum("results__tokens_in"),
        tokens_out=Sum("results__tokens_out"),
        cost=Sum("results__cost"),
    )


def run_counts(run: ChainRun) -> dict[str, int]:
    """Of one run: `calls`, items `made`, and calls that `failed`."""
    counted = {
        "calls": Count("pk"), "made": Count("pk", filter=Q(is_new=True)), "failed": Count("pk", filter=~Q(reason="")),
    }  # fmt: skip
    return dict(run.results.aggregate(**counted))


def chain_results(chain: Chain) -> QuerySet[ChainResult]:
    """Every call, the newest first."""
    found = ChainResult.objects.filter(step__version__chain=chain)
    return found.select_related("step__version__chain", "item", "source", "parent", "run__project")


@dataclass(frozen=True)
class Line:
    """One chain's way from an item, as far as it has come."""

    version: ChainVersion
    source: Item
    results: list[ChainResult]


def chains_of(item: Item) -> list[Line]:
    """The chains that this item came of, and those that began with it."""
    origins = ChainResult.objects.filter(Q(item=item) | Q(source=item), reason="")
    ways = origins.order_by("-step__version_id").values_list("step__version_id", "source_id").distinct()
    return [line for way in ways[:CHAINS_SHOWN] if (line := _line(*way))]


def _line(version: int, source: int) -> Line | None:
    results = ChainResult.objects.filter(step__version=version, source=source, reason="", item__deleted_at=None)
    found = list(results.select_related("step__version__chain", "item", "source").order_by("step__position"))
    return Line(found[0].step.version, found[0].source, found) if found else None
