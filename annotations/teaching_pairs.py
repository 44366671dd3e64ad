"""A teacher that compares: every two answers of a prompt in both orders, and what that says of their order."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from django.db.models import F, Func, Max, Min, QuerySet, TextField, Value

from annotations.models import Item, Ranking, Rater, TeacherCall, TeacherRun, revoked
from annotations.ranks import BLANKS
from annotations.services.comparing import candidates
from annotations.services.teachers import Compared, teacher_rankings_store
from annotations.teacher_evidence import Asked, EvidenceOfRun
from annotations.teacher_voices import NO_TEACHER, Voice, budget_of, evidence_in, reference_of
from annotations.teachers.judge import Judgement, Teaching, judge_all
from annotations.teachers.prompts import Subject
from annotations.teachers.replies import Better
from annotations.teachers.rules import judged_by_rules

# A prompt's answers that are compared, at most: four make six pairs, and twelve questions.
MOST_ANSWERS = 4
# Prompts at a time.
BATCH = 16


@dataclass
class _Prompt:
    """A prompt whose answers are compared: what this run has asked of it before, and what is still to be asked."""

    head: Item
    answers: Sequence[Item]
    known: list[TeacherCall]
    missing: list[tuple[Item, Item]]
    calls: list[TeacherCall] = field(default_factory=list)
    critiques: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be asked: of one reply that cannot be read there is no order, whatever the others say."""
        return len(self.calls) == len(self.missing) or any(call.reason for call in self.calls)


class Comparing:
    """The prompts of a project with several answers, each of which gets an order."""

    def __init__(self, run: TeacherRun, teaching: Teaching, stop: Callable[[], bool]) -> None:
        self._run, self._teaching, self._stop = run, teaching, stop
        self._evidence = EvidenceOfRun(run, teaching, stop)

    def left(self) -> int:
        run, left = self._run, self._heads().count()
        return left if run.most is None else min(left, max(0, run.most - run.scored - run.cannot_tell - run.malformed))

    def ask(self, voice: Voice, most: int) -> tuple[int, int, str | None]:
        """As the others that a run may have to do. Pairs that were asked about before a prompt's last one stand in the log, and
        are asked about no more.
        """
        prompts = self._prompts(self._evidence.at_most(min(most, BATCH)))
        pairs = [(prompt, *pair) for prompt in prompts for pair in prompt.missing]
        trouble = None
        if voice.endpoint is None:
            for prompt, one, other in pairs:
                prompt.calls.append(self._by_rules(prompt.head.gold_answers, one, other))
        else:
            trouble = self._asked(voice, pairs)
        told = [prompt for prompt in prompts if prompt.calls or prompt.is_done]
        teacher_rankings_store(run=self._run, heard=[_compared(prompt) for prompt in told])
        return len(prompts), sum(prompt.is_done for prompt in prompts), trouble

    def _heads(self) -> QuerySet[Item, int]:
        """Under which item each prompt is compared: those without the version's order under the present rubric, but for those
        of which this run has heard what it could not read.
        """
        run = self._run
        ranked = Ranking.objects.filter(
            item__project=run.project_id,
            rater=run.version.rater_id,
            rubric_version=run.project.rubric_version_id,
            withdrawn_at=None,
        )
        unreadable = TeacherCall.objects.filter(run=run).exclude(reason="")
        words = Func("answer", Value(BLANKS), function="btrim", output_field=TextField())
        prompts = Item.objects.filter(project=run.project_id, gold_score=None).order_by().values("prompt_hash")
        prompts = prompts.exclude(prompt_hash__in=ranked.order_by().values("item__prompt_hash"))
        prompts = prompts.exclude(prompt_hash__in=unreadable.order_by().values("item__prompt_hash"))
        several = prompts.annotate(head=Min("pk"), least=Min(words), most=Max(words)).exclude(least=F("most"))
        return several.order_by("head").values_list("head", flat=True)

    def _prompts(self, most: int) -> list[_Prompt]:
        heads = Item.objects.in_bulk(list(self._heads()[:most]))
        return [self._prompt(head) for _, head in sorted(heads.items())]

    def _prompt(self, head: Item) -> _Prompt:
        asked = TeacherCall.objects.filter(run=self._run, item__prompt_hash=head.prompt_hash, other__isnull=False).order_by("pk")
        by_pair = {frozenset((call.item_id, call.other_id)): call for call in asked}
        paid = [pk for call in by_pair.values() for pk in (call.item_id, call.other_id) if pk is not None]
        first = list(dict.fromkeys([*paid, *self._ordered_by_people(head)]))
        answers = candidates(item=head, rater=self._run.version.rater, first=first, most=MOST_ANSWERS)
        pairs = list(combinations(answers, 2))
        known = [by_pair[key] for one, other in pairs if (key := frozenset((one.pk, other.pk))) in by_pair]
        missing = [(one, other) for one, other in pairs if frozenset((one.pk, other.pk)) not in by_pair]
        return _Prompt(head, answers, known, missing)

    def _ordered_by_people(self, head: Item) -> list[int]:
        """The answers to a prompt that people have told apart: only by these can it be told how good the teacher's order is."""
        project = self._run.project
        given = Ranking.objects.filter(
            item__project=project,
            item__prompt_hash=head.prompt_hash,
            rubric_version=project.rubric_version_id,
            rater__kind=Rater.Kind.PERSON,
            withdrawn_at=None,
        ).exclude(revoked())
        orders = given.order_by("pk").values_list("shown", "ranks")
        return most_ordered([dict(zip(shown, ranks, strict=True)) for shown, ranks in orders], MOST_ANSWERS)

    def _asked(self, voice: Voice, pairs: Sequence[tuple[_Prompt, Item, Item]]) -> str | None:
        """Why no more could be asked, where the voice failed."""
        run = self._run
        heads = {prompt.head.pk: prompt.head for prompt, _, _ in pairs}
        shown = dict(zip(heads, self._evidence.of([Asked(head, None) for head in heads.values()]), strict=True))

        def each(index: int, judgement: Judgement) -> None:
            prompt, one, other = pairs[index]
            prompt.calls.append(voice.call(run, one, judgement, other=other, shown=shown[prompt.head.pk]))
            prompt.critiques[one.pk, other.pk] = judgement.reply.critique

        subjects = [
            Subject(
                prompt.head.prompt_text,
                one.answer,
                other.answer,
                reference=reference_of(run, prompt.head),
                evidence=evidence_in(shown[prompt.head.pk]),
            )
            for prompt, one, other in pairs
        ]
        try:
            judge_all(voice.client, self._teaching, subjects, each=each, budget=budget_of(run), stop=self._stop)
        except NO_TEACHER as failed:
            return str(failed)
        return None

    def _by_rules(self, gold: Sequence[str], one: Item, other: Item) -> TeacherCall:
        """The better by its words, where they say something of both."""
        first, second = (judged_by_rules(item.answer, gold, self._teaching.rubric).score for item in (one, other))
        call = TeacherCall(run=self._run, item=one, other=other, source=TeacherCall.Source.RULES)
        if first is None or second is None:
            call.reason = "The words alone do not say which is better."
        else:
            better: Better = "tie" if first == second else "first" if first > second else "second"
            call.better = better
        return call


def most_ordered(orders: Sequence[Mapping[int, int]], most: int) -> list[int]:
    """Up to `most` answers of which the most pairs were told apart, each taken for the pairs that it makes with those before it.

    `orders` are ranks by answer. Greedy, and so the best for two answers only.
    """
    pairs: Counter[frozenset[int]] = Counter()
    for ranks in orders:
        pairs.update(frozenset(two) for two in combinations(ranks, 2) if ranks[two[0]] != ranks[two[1]])
    if not pairs:
        return []
    best = min(pairs, key=lambda pair: (-pairs[pair], sorted(pair)))
    taken = sorted(best)
    while len(taken) < most:
        worth: Counter[int] = Counter()
        for pair, times in pairs.items():
            if len(left := pair.difference(taken)) == 1:
                worth.update({next(iter(left)): times})
        if not worth:
            break
        taken.append(min(worth, key=lambda answer: (-worth[answer], answer)))
    return taken


def _compared(prompt: _Prompt) -> Compared:
    return Compared(
        prompt.head, [item.pk for item in prompt.answers], prompt.known, prompt.calls, prompt.critiques, prompt.is_done
    )
