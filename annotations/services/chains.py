"""Chains of specialists: make one, have it go through a project's items, and take down what its steps say."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from pydantic import ValidationError

from accounts import audit
from accounts.hosts import host_allowed
from accounts.models import Endpoint, User
from annotations.chains.prompts import ChainPrompt, Role, Work, load_prompt, problem_with, prompt_names, review_conversation
from annotations.models import Chain, ChainResult, ChainRun, ChainStep, ChainVersion, Item, Project
from annotations.services.alone import alone
from annotations.services.copying import rows_copied
from annotations.services.import_batch import item_made
from jobs.services import job_queue

KIND = "annotations.chains"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
MOST_STEPS = 8
LONGEST_REASON = 500
DELETED = "this very item was deleted here, and stays so"
SOONER = "another run has done this step meanwhile"


class ChainRefused(ValueError):  # noqa: N818 - reads as what happened
    """A chain that cannot work. `field` names what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class StepWanted:
    """One specialist, as somebody asks for it: `prompt` is the name of one of ours, or a prompt's fields."""

    prompt: str | Mapping[str, Any]
    endpoint: Endpoint
    max_tokens: int = 800
    temperature: float = 0.0


@transaction.atomic
def chain_save(
    *,
    name: str,
    steps: Sequence[StepWanted],
    actor: User | None,
    max_calls: int | None = None,
    max_cost: Decimal | None = None,
    note: str = "",
) -> ChainVersion:
    """Make a chain, or change the one of that name: with other steps that is a new version. Raises ChainRefused."""
    if not NAME.fullmatch(name) or name == "new":
        raise ChainRefused("name", "A name has small letters, digits, dashes and underscores, 80 at most.")
    made = [_step(number, one) for number, one in enumerate(steps, 1)]
    _check(made)
    slot = {"max_calls": max_calls, "max_cost": max_cost, "note": note[:200], "is_active": True}
    chain, _ = Chain.objects.select_for_update().update_or_create(
        name=name, defaults=slot, create_defaults=slot | {"created_by": actor}
    )
    content_hash = _hash(made)
    newest = chain.versions.first()
    if newest is not None and newest.content_hash == content_hash:
        return newest
    number = (chain.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    version = ChainVersion.objects.create(chain=chain, number=number, content_hash=content_hash, created_by=actor)
    for one in made:
        one.version = version
    ChainStep.objects.bulk_create(made)
    detail: dict[str, object] = {"steps": [f"{one.role}: {one.model}" for one in made]}
    audit.record(actor=actor, action="annotations.chain_saved", target=version, detail=detail)
    return version


def _step(number: int, wanted: StepWanted) -> ChainStep:
    if not 1 <= wanted.max_tokens <= 32_000:
        raise ChainRefused("steps", f"Step {number}: a reply has between 1 and 32,000 tokens.")
    if not 0 <= wanted.temperature <= 2:
        raise ChainRefused("steps", f"Step {number}: a temperature lies between 0 and 2.")
    if not host_allowed(wanted.endpoint.base_url):
        raise ChainRefused("steps", f"Step {number}: this site may not call {wanted.endpoint.base_url}: see Account → Hosts.")
    prompt = _prompt(number, wanted.prompt)
    return ChainStep(
        position=number,
        role=prompt.role,
        endpoint=wanted.endpoint,
        model=wanted.endpoint.model,
        prompt=prompt.model_dump(mode="json"),
        prompt_hash=prompt.content_hash,
        max_tokens=wanted.max_tokens,
        temperature=wanted.temperature,
    )


def _prompt(number: int, wanted: str | Mapping[str, Any]) -> ChainPrompt:
    if isinstance(wanted, str):
        if wanted not in prompt_names():
            raise ChainRefused("steps", f"Step {number}: there is no prompt “{wanted}”; there are {', '.join(prompt_names())}.")
        return load_prompt(wanted)
    try:
        return ChainPrompt.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        told = f"Step {number}: {where or 'prompt'}: {first['msg'].removeprefix('Value error, ')}"
        raise ChainRefused("steps", told) from error


def _check(steps: Sequence[ChainStep]) -> None:
    if len(steps) > MOST_STEPS:
        raise ChainRefused("steps", f"A chain has {MOST_STEPS} steps at most.")
    roles: list[Role] = [one.role for one in steps]  # type: ignore[misc]
    if problem := problem_with(roles):
        raise ChainRefused("steps", problem)


def _hash(steps: Sequence[ChainStep]) -> str:
    parts = [(one.endpoint_id, one.model, one.prompt_hash, one.max_tokens, one.temperature) for one in steps]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@transaction.atomic
def chain_switch(*, chain: Chain, is_active: bool, actor: User | None) -> Chain:
    """Have a chain rest, or work again. What came of it stays."""
    chain.is_active = is_active
    chain.save(update_fields=["is_active"])
    audit.record(actor=actor, action="annotations.chain_switched", target=chain, detail={"active": is_active})
    return chain


@transaction.atomic
def chain_run_queue(*, chain: Chain, project: Project, actor: User | None, most: int | None = None) -> ChainRun:
    """Have a chain go through the items of a project that it has not gone through. Raises ChainRefused."""
    version = chain.versions.first()
    if version is None or not chain.is_active:
        raise ChainRefused("chain", f"“{chain}” is resting: switch it on first.")
    for step in version.steps.select_related("endpoint") if chain.max_cost is not None else ():
        if step.endpoint.price_in is None and step.endpoint.price_out is None:
            raise ChainRefused(
                "max_cost",
                f"“{chain}” may cost {chain.max_cost:g} a run, and the endpoint “{step.endpoint}” has no prices:"
                " give it some (0 where it costs nothing), or limit the calls instead.",
            )
    if most is not None and most < 1:
        raise ChainRefused("most", "One item at least.")
    job = job_queue(
        kind=KIND,
        title=f"{version} over {project.name}",
        payload={"chain": chain.name, "project": project.slug},
        hardware_tag="site",
        actor=actor,
    )
    run = ChainRun.objects.create(project=project, version=version, most=most, job=job, requested_by=actor)
    audit.record(actor=actor, action="annotations.chain_run_queued", target=run, detail={"most": most})
    return run


@dataclass(frozen=True)
class Told:
    """What a step said of one item, as it is taken down; `result` lacks the item that comes of it."""

    source: Item
    work: Work
    result: ChainResult


@transaction.atomic
def chain_results_store(*, run: ChainRun, step: ChainStep, told: Sequence[Told]) -> list[ChainResult]:
    """Take down what a step said of some items, with the items that come of it: all of it or nothing.

    What the project has already stays the item that it is; what was deleted here does not come back. Items that were deleted
    meanwhile are left out, and what another run has done meanwhile is not done twice. In a project that compares,
    `comparisons_open` is to be called at the end.
    """
    project = alone(run.project_id)
    wanted_ids = {pk for one in told for pk in (one.source.pk, one.result.parent_id)}
    there = set(Item.objects.filter(pk__in=wanted_ids).values_list("pk", flat=True))
    kept = [one for one in told if there.issuperset((one.source.pk, one.result.parent_id))]
    done = ChainResult.objects.filter(step=step, source__in=[one.source for one in kept], reason="")
    sooner = set(done.values_list("source_id", flat=True))
    for one in kept:
        if one.source.pk in sooner and not one.result.reason:
            one.result.reason = SOONER
    made = {one.source.pk: _item(project, step, one) for one in kept if not one.result.reason}
    hashes = [one.content_hash for one in made.values()]
    known = {one.content_hash: one for one in Item.every.filter(project=project, content_hash__in=hashes).defer("search")}
    new = {one.content_hash: one for one in made.values() if one.content_hash not in known}
    rows_copied(new.values())
    for one in kept:
        if (item := made.get(one.source.pk)) is None:
            continue
        there_now = known.get(item.content_hash) or new[item.content_hash]
        if there_now.deleted_at is not None:
            one.result.reason = DELETED
        else:
            one.result.item, one.result.is_new = there_now, there_now is item
    results = ChainResult.objects.bulk_create([one.result for one in kept], batch_size=500)
    Project.objects.filter(pk=project.pk).update(item_count=F("item_count") + len(new))
    return results


def _item(project: Project, step: ChainStep, told: Told) -> Item:
    """The unsaved item that a step's words become: an answer to the same question, or to “review this answer”."""
    source, result = told.source, told.result
    prompt = ChainPrompt.model_validate(step.prompt)
    origin = {
        "name": str(step.version), "step": step.position, "role": step.role, "model": step.model,
        "prompt": f"{prompt.name}-{prompt.version}", "parent": result.parent_id, "source": source.pk,
    }  # fmt: skip
    more: dict[str, Any] = {"entity": source.entity, "skill": source.skill, "metadata": {"chain": origin}}
    if step.role == ChainStep.Role.REVIEW:
        asked = review_conversation(prompt, told.work)
        return item_made(
            project=project, prompt=asked, answer=result.reply, source_model=step.model, prompt_is_text=False, **more
        )
    more |= {"gold_answers": source.gold_answers, "prompt_is_text": source.prompt_is_text}
    return item_made(project=project, prompt=source.prompt, answer=result.reply, source_model=step.model, **more)
