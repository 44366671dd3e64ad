"""Teachers: make one, have it score a project's items, and take down what it says."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import comb
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Min
from django.db.models.functions import Coalesce
from django.utils import timezone
from pydantic import ValidationError

from accounts import audit
from accounts.hosts import host_allowed
from accounts.models import Endpoint, User
from annotations.models import (
    Item,
    Progress,
    Project,
    Ranking,
    Rater,
    Revocation,
    Score,
    Teacher,
    TeacherCall,
    TeacherRun,
    TeacherVersion,
)
from annotations.ranks import dense
from annotations.services.alone import alone
from annotations.teachers.prompts import TeacherPrompt, load_prompt, prompt_names
from annotations.teachers.replies import Reply
from jobs.services import job_queue

KIND = "annotations.teachers"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
DEFAULT_PROMPT = "honesty-single-1"
LONGEST_REPLY = 4000


class TeacherRefused(ValueError):  # noqa: N818 - reads as what happened
    """A teacher that cannot work. `field` names what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@transaction.atomic
def teacher_save(
    *,
    name: str,
    endpoint: Endpoint,
    actor: User | None,
    prompt: str | Mapping[str, Any] = DEFAULT_PROMPT,
    weight: float = 1.0,
    uses_reference: bool = False,
    max_tokens: int = 400,
    temperature: float = 0.0,
    fallback: Endpoint | None = None,
    uses_rules: bool = False,
    search_url: str = "",
    search_model: Endpoint | None = None,
    max_calls: int | None = None,
    max_cost: Decimal | None = None,
    note: str = "",
) -> TeacherVersion:
    """Make a teacher, or change the one of that name: where it then judges in another way that is a new version.

    `prompt` is the name of one of ours, or a prompt's fields. Raises TeacherRefused.
    """
    asked = prompt_of(prompt)
    _check(endpoint=endpoint, fallback=fallback, weight=weight, max_tokens=max_tokens, temperature=temperature)
    search_url = _search(search_url, search_model, asked)
    _check_prices(name, max_cost, (endpoint, fallback, search_model))
    slot = {"weight": weight, "max_calls": max_calls, "max_cost": max_cost, "note": note[:200], "is_active": True}
    teacher, _ = Teacher.objects.select_for_update().update_or_create(
        name=_name(name), defaults=slot, create_defaults=slot | {"created_by": actor}
    )
    how: dict[str, Any] = {
        "endpoint": endpoint,
        "model": endpoint.model,
        "prompt": asked.model_dump(mode="json"),
        "prompt_hash": asked.content_hash,
        "uses_reference": uses_reference,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "fallback": fallback,
        "uses_rules": uses_rules,
        "search_url": search_url,
        "search_model": search_model,
    }
    return _version(teacher, how, actor)


def _version(teacher: Teacher, how: Mapping[str, Any], actor: User | None) -> TeacherVersion:
    """The newest, where that judges like this; else a new one with its rater."""
    newest = teacher.versions.first()
    if newest is not None and all(getattr(newest, field) == value for field, value in how.items()):
        return newest
    number = (teacher.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    rater = Rater.objects.create(kind=Rater.Kind.TEACHER, name=f"{teacher.name}@{number}")
    made = TeacherVersion.objects.create(teacher=teacher, number=number, rater=rater, created_by=actor, **how)
    detail: dict[str, object] = {
        "endpoint": how["endpoint"].name,
        "model": how["model"],
        "prompt": f"{how['prompt']['name']}-{how['prompt']['version']}",
    }
    if how["search_url"]:
        detail["search"] = how["search_url"]
    audit.record(actor=actor, action="annotations.teacher_saved", target=made, detail=detail)
    return made


def prompt_of(prompt: str | Mapping[str, Any]) -> TeacherPrompt:
    """One of our prompts by name, or one of somebody's own. Raises TeacherRefused."""
    if isinstance(prompt, str):
        if prompt not in prompt_names():
            raise TeacherRefused("prompt", f"There is no prompt “{prompt}”; there are {', '.join(prompt_names())}.")
        return load_prompt(prompt)
    try:
        return TeacherPrompt.model_validate(prompt)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise TeacherRefused("prompt", f"{where or 'prompt'}: {first['msg'].removeprefix('Value error, ')}") from error


def _name(name: str) -> str:
    if not NAME.fullmatch(name) or name == "new":
        raise TeacherRefused("name", "A name has small letters, digits, dashes and underscores, 80 at most.")
    return name


def _check(*, endpoint: Endpoint, fallback: Endpoint | None, weight: float, max_tokens: int, temperature: float) -> None:
    for field, one in (("endpoint", endpoint), ("fallback", fallback)):
        if one is not None and not host_allowed(one.base_url):
            raise TeacherRefused(field, f"This site may not call {one.base_url} any more: see Account → Hosts.")
    if fallback is not None and fallback.pk == endpoint.pk:
        raise TeacherRefused("fallback", "Where the endpoint cannot be had, the same one cannot be asked instead.")
    if not 0 <= weight <= 100:
        raise TeacherRefused("weight", "A weight lies between 0 and 100.")
    if not 1 <= max_tokens <= 32_000:
        raise TeacherRefused("max_tokens", "A reply has between 1 and 32,000 tokens.")
    if not 0 <= temperature <= 2:
        raise TeacherRefused("temperature", "A temperature lies between 0 and 2.")


def _search(address: str, model: Endpoint | None, prompt: TeacherPrompt) -> str:
    """The address of a search service as it is kept. Raises TeacherRefused where it cannot be asked."""
    address = address.strip().rstrip("/")
    if not address:
        if model is not None:
            raise TeacherRefused("search_model", "A model is asked in a search's stead: name the search service too.")
        return ""
    if "?" in address or "#" in address:
        raise TeacherRefused("search_url", "Give the service's address as far as /search, such as http://127.0.0.1:8888.")
    if not host_allowed(address):
        raise TeacherRefused("search_url", f"This site may not call {address}. An admin can allow its host: Account → Hosts.")
    if model is not None and not host_allowed(model.base_url):
        raise TeacherRefused("search_model", f"This site may not call {model.base_url} any more: see Account → Hosts.")
    if "{evidence}" not in prompt.user or "{fence}" not in prompt.user:
        told = "Its prompt has no place for evidence between marks ({evidence} and {fence}): take honesty-evidence-1."
        raise TeacherRefused("prompt", told)
    return address


@transaction.atomic
def teacher_switch(*, teacher: Teacher, is_active: bool, actor: User | None) -> Teacher:
    """Have a teacher rest, or work again. What it has scored stays."""
    teacher.is_active = is_active
    teacher.save(update_fields=["is_active"])
    audit.record(actor=actor, action="annotations.teacher_switched", target=teacher, detail={"active": is_active})
    return teacher


@transaction.atomic
def teacher_run_queue(*, teacher: Teacher, project: Project, actor: User | None, most: int | None = None) -> TeacherRun:
    """Have a teacher score what it has not scored in a project, and be held against people. Raises TeacherRefused."""
    version = teacher.versions.select_related("teacher", "endpoint", "fallback", "search_model").first()
    if version is None or not teacher.is_active:
        raise TeacherRefused("teacher", f"“{teacher}” is resting: switch it on first.")
    if Revocation.objects.in_force().filter(rater=version.rater_id).exists():
        raise TeacherRefused("teacher", f"The scores of {version} are revoked: change how it judges, or lift the revocation.")
    if most != 0:  # else nobody is asked anything
        _check_prices(teacher.name, teacher.max_cost, (version.endpoint, version.fallback, version.search_model))
    if most is not None and most < 0:
        raise TeacherRefused("most", "Not fewer items than none.")
    if version.compares and project.mode != Project.Mode.COMPARE:
        raise TeacherRefused("project", f"“{teacher}” compares answers, and “{project}” does not ask for comparisons.")
    does = "beside people in" if most == 0 else "orders the answers of" if version.compares else "scores"
    job = job_queue(
        kind=KIND,
        title=f"{version} {does} {project.name}",
        payload={"teacher": teacher.name, "project": project.slug},
        hardware_tag="site",
        actor=actor,
    )
    run = TeacherRun.objects.create(project=project, version=version, most=most, job=job, requested_by=actor)
    audit.record(actor=actor, action="annotations.teacher_run_queued", target=run, detail={"most": most})
    return run


def _check_prices(name: str, max_cost: Decimal | None, asked: Sequence[Endpoint | None]) -> None:
    """A limit in money binds only where it is known what an answer costs."""
    if max_cost is None:
        return
    for one in asked:
        if one is not None and one.price_in is None and one.price_out is None:
            raise TeacherRefused(
                "max_cost",
                f"“{name}” may cost {max_cost:g} a run, and the endpoint “{one}” has no prices:"
                " give it some (0 where it costs nothing), or limit the calls instead.",
            )


@dataclass(frozen=True)
class Heard:
    """What a teacher said of one item, as it is taken down."""

    item: Item
    reply: Reply
    call: TeacherCall


def _counted(project: Project, rater: Rater, fresh: int) -> None:
    """The project's page says who scored how much, teachers as well as people."""
    if fresh:
        row, _ = Progress.objects.get_or_create(project=project, rater=rater)
        Progress.objects.filter(pk=row.pk).update(scored=F("scored") + fresh)


def _taken(calls: Iterable[TeacherCall]) -> dict[str, Any]:
    """The run's totals with what these calls took: with those of items that were deleted meanwhile, for they were paid for."""
    calls = list(calls)
    sources = Counter(call.evidence_source for call in calls)
    more: dict[str, Any] = {
        "questions": sum(call.questions for call in calls),
        "tokens_in": sum(call.tokens_in for call in calls),
        "tokens_out": sum(call.tokens_out for call in calls),
        "fallbacks": sum(call.source != TeacherCall.Source.LIVE for call in calls),
        **{f"by_{one}": sources[one] for one in TeacherCall.EvidenceSource.values},
    }
    costs = [call.cost for call in calls if call.cost is not None]
    taken = {name: F(name) + count for name, count in more.items()}
    return taken | ({"cost": Coalesce("cost", Decimal()) + sum(costs)} if costs else {})


@transaction.atomic
def teacher_scores_store(*, run: TeacherRun, heard: Sequence[Heard]) -> int:
    """Take down some verdicts with their calls: all of them or none. Returns how many are scores.

    A score is a rater's like any other: append-only, under the project's rubric, replacing the version's earlier one of the item.
    Items that were deleted meanwhile are left out.
    """
    project = alone(run.project_id)
    there = set(Item.objects.filter(pk__in=[one.item.pk for one in heard]).values_list("pk", flat=True))
    kept = [one for one in heard if one.item.pk in there]
    rater = run.version.rater
    standing = {one.item_id: one for one in Score.objects.live().filter(rater=rater, item__in=there)}
    scores = [_score(one, rater, project, standing.get(one.item.pk)) for one in kept if not one.reply.is_malformed]
    Score.objects.filter(pk__in=[one.replaces_id for one in scores if one.replaces_id]).update(withdrawn_at=timezone.now())
    Score.objects.bulk_create(scores, batch_size=500)
    TeacherCall.objects.bulk_create([one.call for one in kept], batch_size=500)
    _counted(project, rater, sum(one.replaces_id is None for one in scores))
    told = sum(one.overall is not None for one in scores)
    malformed = sum(one.reply.is_malformed and one.call.source != TeacherCall.Source.RULES for one in kept)
    TeacherRun.objects.filter(pk=run.pk).update(
        scored=F("scored") + told,
        cannot_tell=F("cannot_tell") + len(kept) - told - malformed,
        malformed=F("malformed") + malformed,
        **_taken(one.call for one in heard),
    )
    return told


def _score(heard: Heard, rater: Rater, project: Project, standing: Score | None) -> Score:
    reply = heard.reply
    metadata: dict[str, Any] = {"source": str(heard.call.source), "run": heard.call.run_id}
    if reply.confidence is not None:
        metadata["confidence"] = reply.confidence
    if (evidence := heard.call.evidence) is not None:
        found = {"source": str(heard.call.evidence_source), "digest": evidence.digest, "at": evidence.found_at.isoformat()}
        metadata["evidence"] = found
    return Score(
        item_id=heard.item.pk,
        rater=rater,
        rubric_version_id=project.rubric_version_id,
        overall=reply.score,
        dimensions=dict(reply.dimensions),
        cannot_verify=reply.score is None,
        critique=reply.critique[:LONGEST_REPLY],
        seconds=round(heard.call.seconds, 3),
        metadata=metadata,
        given_at=timezone.now(),
        replaces=standing,
    )


@dataclass(frozen=True)
class Compared:
    """What a teacher said of the answers to one prompt, as it is taken down."""

    head: Item
    shown: Sequence[int]
    known: Sequence[TeacherCall]
    """of this run, taken down before"""
    calls: Sequence[TeacherCall]
    critiques: Mapping[tuple[int, int], str]
    """of pairs"""
    is_done: bool
    """whether nothing more will be asked"""

    @property
    def is_unreadable(self) -> bool:
        return any(call.reason for call in self.calls)

    @property
    def critique(self) -> str:
        """Of all pairs, the answers by their place."""
        places = {item: place for place, item in enumerate(self.shown, start=1)}
        told = [(places[one], places[other], text) for (one, other), text in self.critiques.items() if text]
        is_pair = len(self.shown) == 2
        return "\n".join(text if is_pair else f"{one} and {other}: {text}" for one, other, text in sorted(told))


def _without_deleted(one: Compared, there: set[int]) -> Compared:
    """What was said of the answers that are there still: it was paid for, and orders them as well as all did."""
    if there.issuperset(one.shown):
        return one
    shown = [item for item in one.shown if item in there]
    known, calls = ([call for call in some if there >= {call.item_id, call.other_id}] for some in (one.known, one.calls))
    critiques = {pair: text for pair, text in one.critiques.items() if there.issuperset(pair)}
    is_done = len(known) + len(calls) == comb(len(shown), 2) or any(call.reason for call in calls)
    return Compared(one.head, shown, known, calls, critiques, is_done)


def _head_of(one: Compared, project: Project) -> int:
    """Under which item an order stands: the prompt's first, which may be another than when it was asked."""
    found = Item.objects.filter(project=project, prompt_hash=one.head.prompt_hash, gold_score=None)
    return found.aggregate(first=Min("pk"))["first"] or one.shown[0]


@transaction.atomic
def teacher_rankings_store(*, run: TeacherRun, heard: Sequence[Compared]) -> int:
    """Take down what was said of pairs, and the order of each prompt of which all is said: all of it or nothing. Returns how many
    orders were taken down.

    An order is a rater's like any other: append-only, under the prompt's head and the project's rubric, replacing the version's
    earlier ones of the prompt. Where an answer was deleted meanwhile, the others are ordered by what was said of them.
    """
    project = alone(run.project_id)
    there = set(Item.objects.filter(pk__in={pk for one in heard for pk in one.shown}).values_list("pk", flat=True))
    kept = [_without_deleted(one, there) for one in heard]
    rater = run.version.rater
    ordered = [one for one in kept if one.is_done and not one.is_unreadable and len(one.shown) > 1]
    prompts = [one.head.prompt_hash for one in ordered]
    live = Ranking.objects.filter(rater=rater, item__project=project, item__prompt_hash__in=prompts, withdrawn_at=None)
    standing = {one.item.prompt_hash: one for one in live.select_related("item").order_by("pk")}
    live.update(withdrawn_at=timezone.now())
    Ranking.objects.bulk_create([_ranking(one, rater, project, standing.get(one.head.prompt_hash)) for one in ordered])
    _counted(project, rater, sum(one.head.prompt_hash not in standing for one in ordered))
    TeacherCall.objects.bulk_create([call for one in kept for call in one.calls], batch_size=500)
    unreadable = [one for one in kept if one.is_unreadable]
    silent = sum(all(call.source == TeacherCall.Source.RULES for call in one.calls if call.reason) for one in unreadable)
    TeacherRun.objects.filter(pk=run.pk).update(
        scored=F("scored") + len(ordered),
        cannot_tell=F("cannot_tell") + silent,
        malformed=F("malformed") + len(unreadable) - silent,
        **_taken(call for one in heard for call in one.calls),
    )
    return len(ordered)


def _ranking(one: Compared, rater: Rater, project: Project, standing: Ranking | None) -> Ranking:
    calls = [*one.known, *one.calls]
    return Ranking(
        item_id=one.head.pk if one.head.pk in one.shown else _head_of(one, project),
        rater=rater,
        rubric_version_id=project.rubric_version_id,
        shown=list(one.shown),
        ranks=ranks_by_wins(one.shown, calls),
        critique=one.critique[:LONGEST_REPLY],
        seconds=round(sum(call.seconds for call in calls), 3),
        given_at=timezone.now(),
        replaces=standing,
    )


def ranks_by_wins(shown: Sequence[int], calls: Sequence[TeacherCall]) -> list[int]:
    """The rank of each answer by its wins over the others, a tie being half of one (Copeland 1951): a circle is a tie of all."""
    points = dict.fromkeys(shown, 0)
    for call in calls:
        assert call.other_id is not None  # of a pair
        points[call.item_id] += {"first": 2, "tie": 1}.get(call.better, 0)
        points[call.other_id] += {"second": 2, "tie": 1}.get(call.better, 0)
    return dense([-points[item] for item in shown])
