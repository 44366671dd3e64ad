"""A teacher's run, carried out: ask, take down in batches, go on where it was cut off."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from django.db.models import Exists, OuterRef, QuerySet

from annotations.models import Item, Score, TeacherCall, TeacherRun
from annotations.services.alone import alone_at
from annotations.services.teachers import Heard, teacher_scores_store
from annotations.teacher_evidence import Asked, EvidenceOfRun
from annotations.teacher_voices import NO_TEACHER, Voice, budget_of, evidence_in, reference_of, teaching_of, voices_of
from annotations.teachers.judge import Judgement, Teaching, judge_all
from annotations.teachers.prompts import Subject
from annotations.teachers.replies import Reply
from annotations.teachers.rules import judged_by_rules
from annotations.teaching_pairs import Comparing

# Verdicts that are taken down at a time: so many are asked for anew, at most, after a kill.
BATCH = 64
# A service that refuses so many questions, and every one, refuses to work: that says nothing of the items.
REFUSED_ALL = 5
# After so many replies of which none could be read, the rest would be paid for in vain.
UNREADABLE_ALL = 64
SAID_SHOWN = 200
Stop = Callable[[], bool]


class TeacherGone(RuntimeError):  # noqa: N818 - reads as what happened
    """Neither the endpoint nor anything that stands in for it can be had; the message says why."""


class TeacherUnreadable(RuntimeError):  # noqa: N818 - reads as what happened
    """Not one reply could be read; the message says how many there were, why, and what the teacher said."""

    hint = (
        "Try another prompt, a model that follows one, or longer replies, with a few items first (“at most”). What was said "
        "stands under “Last calls”; items without a score are asked about anew when it is next to score the project."
    )


class TeachingStopped(RuntimeError):  # noqa: N818 - reads as what happened
    """It was asked to stop; what was under way was taken down first."""


class _Work(Protocol):
    """What a run has to do, in units: an item to score, or a prompt whose answers are compared."""

    def left(self) -> int: ...

    def ask(self, voice: Voice, most: int) -> tuple[int, int, str | None]:
        """Ask for up to `most` units and take down what is heard. Returns for how many was asked, how many are done, and why no
        more could be where the voice failed.
        """
        ...


def carry_out(run: TeacherRun, *, tell: Callable[[int, int], object] | None = None, stop: Stop = lambda: False) -> TeacherRun:
    """Ask for a verdict on all that the version has not judged and this run has not asked about; `tell` hears how far.

    What was taken down stays, so a run that is cut off is carried out again from there. Raises TeacherGone, TeacherUnreadable and
    TeachingStopped.
    """
    with alone_at(f"annotations.teachers {run.version_id}", run.project_id, stop=stop) as is_its_turn:
        if not is_its_turn:
            raise TeachingStopped
        return _carried_out(run, tell or (lambda _done, _total: None), stop)


def _carried_out(run: TeacherRun, tell: Callable[[int, int], object], stop: Stop) -> TeacherRun:
    teaching = teaching_of(run)
    work: _Work = Comparing(run, teaching, stop) if teaching.prompt.kind == "pairwise" else _Scoring(run, teaching, stop)
    total = work.left()
    voices = voices_of(run)
    voice = next(voices)
    done = 0
    while done < total:
        asked, told, trouble = work.ask(voice, min(BATCH, total - done))
        done += told
        tell(done, total)
        if stop():
            raise TeachingStopped
        _check_readable(run, UNREADABLE_ALL)
        if trouble is not None:
            following = next(voices, None)
            if following is None:
                raise TeacherGone(trouble)
            voice = following
        elif told < asked or not asked:
            break  # its budget is used up, or what was left is gone
    _check_readable(run, 1)
    run.refresh_from_db()
    teacher = run.version.teacher
    if done < total and (budget := _budget_in_words(teacher.max_calls, teacher.max_cost)):
        run.ended_early = f"Its budget is used up: {budget}."
        run.save(update_fields=["ended_early"])
    return run


def _check_readable(run: TeacherRun, least: int) -> None:
    """Raises TeacherUnreadable where so many replies were heard, and none could be read."""
    run.refresh_from_db(fields=["scored", "cannot_tell", "malformed"])
    if run.malformed < least or run.scored or run.cannot_tell:
        return
    asked = run.calls.exclude(source=TeacherCall.Source.RULES)
    if asked.filter(reason="").exists():
        return  # of those that compare, a prompt is malformed where one of its pairs is
    heard = asked.exclude(reason="")
    last = heard.order_by("-pk").first()
    told = f": {last.reason.rstrip('.')}. For example, it said “{last.reply[:SAID_SHOWN]}”" if last is not None else ""
    count = heard.count()
    raise TeacherUnreadable(f"None of {count} repl{'y' if count == 1 else 'ies'} could be read{told}.")


class _Scoring:
    """Items, each of which gets a score."""

    def __init__(self, run: TeacherRun, teaching: Teaching, stop: Stop) -> None:
        self._run, self._teaching, self._stop = run, teaching, stop
        self._evidence = EvidenceOfRun(run, teaching, stop)

    def left(self) -> int:
        run, left = self._run, self._items().count()
        return left if run.most is None else min(left, max(0, run.most - run.calls.count()))

    def ask(self, voice: Voice, most: int) -> tuple[int, int, str | None]:
        items = list(self._items()[: self._evidence.at_most(most)])
        heard, trouble = self._heard(voice, items)
        teacher_scores_store(run=self._run, heard=heard)
        return len(items), len(heard), trouble

    def _items(self) -> QuerySet[Item]:
        """Items without the version's score under the present rubric, but for those that this run has asked about."""
        run = self._run
        rater, rubric = run.version.rater_id, run.project.rubric_version_id
        scored = Score.objects.live().filter(item=OuterRef("pk"), rater=rater, rubric_version=rubric)
        asked = TeacherCall.objects.filter(item=OuterRef("pk"), run=run)
        columns = ("pk", "prompt_text", "answer", "gold_answers")
        return Item.objects.filter(~Exists(scored), ~Exists(asked), project=run.project_id).only(*columns).order_by("pk")

    def _heard(self, voice: Voice, items: Sequence[Item]) -> tuple[list[Heard], str | None]:
        """What was heard of these items, and why no more could be where the voice failed."""
        run = self._run
        if voice.endpoint is None:
            return [self._by_rules(item) for item in items], None
        found: dict[int, Judgement] = {}
        shown = self._evidence.of([Asked(item, item.answer) for item in items])
        subjects = [
            Subject(item.prompt_text, item.answer, reference=reference_of(run, item), evidence=evidence_in(one))
            for item, one in zip(items, shown, strict=True)
        ]
        trouble = None
        try:
            judge_all(voice.client, self._teaching, subjects, each=found.__setitem__, budget=budget_of(run), stop=self._stop)
        except NO_TEACHER as failed:
            trouble = str(failed)
        if trouble is None and (refusal := _refusal_of_all(list(found.values()))):
            return [], refusal
        heard = [
            Heard(items[index], one.reply, voice.call(run, items[index], one, shown=shown[index]))
            for index, one in sorted(found.items())
        ]
        return heard, trouble

    def _by_rules(self, item: Item) -> Heard:
        """Words that say nothing are no verdict of the teacher's: it is asked about the item when it can be had again."""
        reply = judged_by_rules(item.answer, item.gold_answers, self._teaching.rubric)
        if reply.cannot_tell:
            reply = Reply(reason=reply.critique)
        call = TeacherCall(run=self._run, item=item, source=TeacherCall.Source.RULES, score=reply.score, reason=reply.reason)
        return Heard(item, reply, call)


def _refusal_of_all(heard: Sequence[Judgement]) -> str:
    """In words, where a service refuses whatever it is asked; else empty."""
    if len(heard) < REFUSED_ALL or any(one.exchanges[-1].answer.ending != "rejected" for one in heard):
        return ""
    return f"All of {len(heard)} questions were refused: {heard[0].exchanges[-1].answer.reason}"


def _budget_in_words(calls: int | None, cost: Decimal | None) -> str:
    parts = [f"{calls} calls"] if calls is not None else []
    return " or ".join([*parts, f"a cost of {cost}"] if cost is not None else parts)
