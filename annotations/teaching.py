"""A teacher's run, carried out: ask, take down in batches, go on where it was cut off."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, Sum

from accounts.chat.client import ChatClient, ServiceFailed
from accounts.chat.service import KEY_VARIABLE
from accounts.endpoints import endpoint_environment, endpoint_service
from accounts.hosts import HostRefused
from accounts.models import Endpoint
from accounts.secrets import SecretLost
from annotations.models import Item, Score, TeacherCall, TeacherRun
from annotations.services.teachers import LONGEST_REPLY, Heard, teacher_scores_store
from annotations.teachers.judge import Budget, Judgement, Teaching, judge_all
from annotations.teachers.prompts import Subject, TeacherPrompt
from annotations.teachers.rules import judged_by_rules

# Verdicts that are taken down at a time: so many are asked for anew, at most, after a kill.
BATCH = 64
NO_TEACHER = (ServiceFailed, HostRefused, SecretLost)


class TeacherGone(RuntimeError):  # noqa: N818 - reads as what happened
    """Neither the endpoint nor anything that stands in for it can be had; the message says why."""


@dataclass
class _Voice:
    """Who answers: an endpoint, or, without one, the rules."""

    source: TeacherCall.Source
    endpoint: Endpoint | None

    @cached_property
    def client(self) -> ChatClient:
        """Raises HostRefused and SecretLost."""
        assert self.endpoint is not None  # rules ask nobody
        key = endpoint_environment(self.endpoint).get(KEY_VARIABLE, "")
        return ChatClient(endpoint_service(self.endpoint), key=key)


def carry_out(run: TeacherRun, *, tell: Callable[[int, int], object] | None = None) -> TeacherRun:
    """Ask for a verdict on each item that the version has not scored and this run has not asked about; `tell` hears how far.

    What was taken down stays, so a run that is cut off is carried out again from there. Raises TeacherGone.
    """
    teaching = _teaching(run)
    total = _left(run).count()
    total = total if run.most is None else min(total, max(0, run.most - run.calls.count()))
    voices = _voices(run)
    voice = next(voices)
    done = 0
    while done < total and (batch := list(_left(run)[: min(BATCH, total - done)])):
        heard, trouble = _ask(run, teaching, voice, batch)
        teacher_scores_store(run=run, heard=heard)
        done += len(heard)
        if tell is not None:
            tell(done, total)
        if trouble is not None:
            following = next(voices, None)
            if following is None:
                raise TeacherGone(trouble)
            voice = following
        elif len(heard) < len(batch):
            break  # its budget is used up
    run.refresh_from_db()
    if done < total:
        teacher = run.version.teacher
        run.ended_early = f"Its budget is used up: {_budget_in_words(teacher.max_calls, teacher.max_cost)}."
        run.save(update_fields=["ended_early"])
    return run


def _left(run: TeacherRun) -> QuerySet[Item]:
    """Items without the version's score under the present rubric, but for those that this run has asked about."""
    rater, rubric = run.version.rater_id, run.project.rubric_version_id
    scored = Score.objects.live().filter(item=OuterRef("pk"), rater=rater, rubric_version=rubric)
    asked = TeacherCall.objects.filter(item=OuterRef("pk"), run=run)
    columns = ("pk", "prompt_text", "answer", "gold_answers")
    return Item.objects.filter(~Exists(scored), ~Exists(asked), project=run.project_id).only(*columns).order_by("pk")


def _teaching(run: TeacherRun) -> Teaching:
    version = run.version
    return Teaching(
        prompt=TeacherPrompt.model_validate(version.prompt),
        rubric=run.project.rubric_version.rubric,
        secret=f"{settings.SECRET_KEY}:{version.pk}",
        max_tokens=version.max_tokens,
        temperature=version.temperature,
    )


def _voices(run: TeacherRun) -> Iterator[_Voice]:
    """The endpoint, then what stands in for it."""
    version = run.version
    yield _Voice(TeacherCall.Source.LIVE, version.endpoint)
    if version.fallback is not None:
        yield _Voice(TeacherCall.Source.FALLBACK, version.fallback)
    if version.uses_rules:
        yield _Voice(TeacherCall.Source.RULES, None)


def _ask(run: TeacherRun, teaching: Teaching, voice: _Voice, items: Sequence[Item]) -> tuple[list[Heard], str | None]:
    """What was heard of these items, and why no more could be where the voice failed."""
    if voice.endpoint is None:
        return [_by_rules(run, teaching, item) for item in items], None
    found: dict[int, Judgement] = {}
    subjects = [_subject(run, item) for item in items]
    trouble = None
    try:
        judge_all(voice.client, teaching, subjects, each=found.__setitem__, budget=_budget(run))
    except NO_TEACHER as failed:
        trouble = str(failed)
    return [_heard(run, voice, items[index], judgement) for index, judgement in sorted(found.items())], trouble


def _subject(run: TeacherRun, item: Item) -> Subject:
    reference = " or ".join(item.gold_answers) if run.version.uses_reference else ""
    return Subject(item.prompt_text, item.answer, reference=reference)


def _heard(run: TeacherRun, voice: _Voice, item: Item, judgement: Judgement) -> Heard:
    last = judgement.exchanges[-1]
    service = voice.client.service
    prices = service.price_in, service.price_out
    spent = judgement.tokens_in * (prices[0] or 0) + judgement.tokens_out * (prices[1] or 0)
    call = TeacherCall(
        run=run,
        item=item,
        source=voice.source,
        reply=last.answer.text[:LONGEST_REPLY],
        score=judgement.reply.score,
        reason=judgement.reason[:LONGEST_REPLY],
        questions=len(judgement.exchanges),
        tokens_in=judgement.tokens_in,
        tokens_out=judgement.tokens_out,
        cost=None if prices == (None, None) else Decimal(str(round(spent / 1e6, 8))),
        seconds=sum(one.seconds for one in judgement.exchanges),
    )
    return Heard(item, judgement.reply, call)


def _by_rules(run: TeacherRun, teaching: Teaching, item: Item) -> Heard:
    reply = judged_by_rules(item.answer, item.gold_answers, teaching.rubric)
    return Heard(item, reply, TeacherCall(run=run, item=item, source=TeacherCall.Source.RULES, score=reply.score))


def _budget(run: TeacherRun) -> Budget:
    """What is left of the run's, after what it has used."""
    teacher = run.version.teacher
    used = run.calls.aggregate(calls=Sum("questions"), cost=Sum("cost"))
    calls = None if teacher.max_calls is None else max(0, teacher.max_calls - (used["calls"] or 0))
    cost = None if teacher.max_cost is None else float(max(Decimal(0), teacher.max_cost - (used["cost"] or 0)))
    return Budget(calls=calls, cost=cost)


def _budget_in_words(calls: int | None, cost: Decimal | None) -> str:
    parts = [f"{calls} calls"] if calls is not None else []
    return " or ".join([*parts, f"a cost of {cost}"] if cost is not None else parts)
