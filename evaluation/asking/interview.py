"""Everything that a model is asked about a benchmark, and the judged answers that come of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from annotations.confidence import stated_confidence
from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow, ConfidenceSource, Language, ProbeAnswer, ProbeName, SampleAnswer
from evaluation.asking.asker import Asker
from evaluation.asking.replies import How, Prompt, Reply, Wanted, followed_by
from evaluation.asking.sameness import Meant, adopts, answers_same, meant
from evaluation.asking.turns import filled, put_otherwise, turns, wrong_answers
from evaluation.atlas.grammar import Grammar
from evaluation.benchmarks.folder import BenchmarkFolder, Question, answer_row
from evaluation.metrics import CORRECT, WRONG

BELIEF: ProbeName = "belief"
SHORT_TOKENS = 32
"""How long the reply to a question about confidence may be."""
CRITIQUE_TOKENS = 256
"""How long a critique may be; it is read by the model, and judged by nobody."""

_NUMBERS = re.compile(r"(\d+(?:[.,]\d+)?)\s*(%|percent\b|per cent\b|por cento\b)?", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|no|não|nao|less|more|menos|mais|over|under)\b|n['’]t\b", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"[\s*\"“]*(\d{1,3})[\s.*\"”]*")


@dataclass(frozen=True)
class Plan:
    """What is asked of a model about each question."""

    max_new_tokens: int
    samples: int = 0
    temperature: float = 1.0
    elicit: Sequence[ConfidenceSource] = ("probability",)
    confidence: ConfidenceSource = "probability"
    probes: Sequence[ProbeName] = ()
    language: Language = "en"
    seed: int = 0

    @property
    def replies(self) -> int:
        """How many replies a question takes."""
        return 1 + self.samples + ("stated" in self.elicit) + len(self.probes) + ("critique" in self.probes)

    @property
    def greedy(self) -> How:
        return How(self.max_new_tokens)

    @property
    def drawn(self) -> How:
        return How(self.max_new_tokens, self.temperature, self.seed)


@dataclass(frozen=True)
class Talk:
    """One question with what the model first said to it, as a reply and as judged."""

    question: Question
    reply: Reply
    row: AnswerRow

    @property
    def attempted(self) -> bool:
        return self.row.verdict in CORRECT | WRONG


@dataclass
class Interview:
    """Asks one model a benchmark as planned. `skip` hears of replies that were planned and turned out not to be needed."""

    benchmark: BenchmarkFolder
    plan: Plan
    asker: Asker
    skip: Callable[[int], None] = field(default=lambda _: None)
    drawn: list[list[Reply]] = field(default_factory=list)
    """The samples as replies, for each question: with their tokens, for whoever reads them with another model."""
    first: list[Reply] = field(default_factory=list)

    def rows(self) -> list[AnswerRow]:
        """The judged answers, in the benchmark's order. Raises Stopped, or a TrainingError."""
        questions = self.benchmark.questions
        self.first = self.asker.ask([Wanted(question.prompt) for question in questions], self.plan.greedy)
        talks = [Talk(question, reply, self._row(question, reply)) for question, reply in zip(questions, self.first, strict=True)]
        talks = self._with_samples(talks)
        talks = self._with_stated(talks)
        talks = self._with_probes(talks)
        return [self._with_confidence(talk.row) for talk in talks]

    def _row(self, question: Question, reply: Reply) -> AnswerRow:
        # Half an answer has no probability: what it would have gone on with is not known.
        whole = reply.logprob is not None and reply.ending != "length"
        probability = math.exp(min(0.0, reply.logprob)) if reply.logprob is not None and whole else None
        row = answer_row(question, reply.text, probability, self._grammar)
        known = {} if row.known is None else {"knowledge_source": "gold"}
        more = {"probability": probability, "logprob": reply.logprob, "tokens": reply.tokens, **known}
        ended = {"ending": reply.ending, "reason": reply.reason or None, "drawn": reply.drawn}
        return row.model_copy(update=more | ended | _unjudged(reply))

    @cached_property
    def _grammar(self) -> Grammar | None:
        return Grammar(dict(self.benchmark.values)) if self.benchmark.values else None

    def _verdict(self, question: Question, text: str) -> Verdict:
        return answer_row(question, text, None, self._grammar).verdict

    # --- samples

    def _with_samples(self, talks: Sequence[Talk]) -> list[Talk]:
        count = self.plan.samples
        if count == 0:
            return list(talks)
        wanted = [Wanted(talk.question.prompt, sample) for talk in talks for sample in range(count)]
        replies = self.asker.ask(wanted, self.plan.drawn)
        self.drawn = [replies[at : at + count] for at in range(0, len(replies), count)]
        return [self._sampled(talk, drawn) for talk, drawn in zip(talks, self.drawn, strict=True)]

    def _sampled(self, talk: Talk, drawn: Sequence[Reply]) -> Talk:
        samples = [
            SampleAnswer(answer=one.text, verdict=self._verdict(talk.question, one.text), logprob=one.logprob, tokens=one.tokens)
            for one in drawn
        ]
        samples = [sample.model_copy(update=_unjudged(one)) for sample, one in zip(samples, drawn, strict=True)]
        return _changed(talk, samples=samples, agreement=agreement_of(talk.question, talk.row, samples))

    # --- stated confidence

    def _with_stated(self, talks: Sequence[Talk]) -> list[Talk]:
        """Of what was attempted: in the answer itself, else asked for behind it."""
        if "stated" not in self.plan.elicit:
            return list(talks)
        stated = {talk.row.id: stated_confidence(talk.row.answer) for talk in talks if talk.attempted}
        silent = [talk for talk in talks if talk.attempted and stated[talk.row.id] is None]
        self.skip(len(talks) - len(silent))
        text = turns(self.plan.language).stated
        replies = self.asker.ask(
            [Wanted(followed_by(talk.question.prompt, talk.row.answer, text)) for talk in silent], How(SHORT_TOKENS)
        )
        told = {talk.row.id: reply.text for talk, reply in zip(silent, replies, strict=True)}
        for name, reply in told.items():
            stated[name] = stated_when_asked(reply)
        return [
            _changed(talk, stated=stated.get(talk.row.id), **({"stated_reply": told[talk.row.id]} if talk.row.id in told else {}))
            for talk in talks
        ]

    # --- probes

    def _with_probes(self, talks: Sequence[Talk]) -> list[Talk]:
        found: dict[str, dict[str, ProbeAnswer]] = {talk.row.id: {} for talk in talks}
        for name in self.plan.probes:
            asked = self._critique(talks) if name == "critique" else self._probe(name, talks)
            for row, probe in asked.items():
                found[row][name] = probe
        if BELIEF in self.plan.probes:
            found = {talk.row.id: _against_belief(talk.question, found[talk.row.id]) for talk in talks}
        return [_changed(talk, probes=found[talk.row.id]) if self.plan.probes else talk for talk in talks]

    def _probe(self, name: ProbeName, talks: Sequence[Talk]) -> dict[str, ProbeAnswer]:
        """One probe of all questions that it can be put to, by id."""
        text: str = getattr(turns(self.plan.language), name)
        presses = "{suggested}" in text
        able = [talk for talk in talks if not presses or self._suggested[talk.row.id] is not None]
        self.skip(len(talks) - len(able))
        prompts: list[Prompt] = []
        for talk in able:
            suggested = self._suggested[talk.row.id] if presses else None
            if "{question}" in text:
                prompts.append(put_otherwise(talk.question.prompt, text, suggested or ""))
            else:
                prompts.append(followed_by(talk.question.prompt, talk.row.answer, filled(text, suggested=suggested or "")))
        replies = self.asker.ask([Wanted(prompt) for prompt in prompts], self.plan.greedy)
        return {
            talk.row.id: self._probed(talk, name, prompt, reply.text, self._suggested[talk.row.id] if presses else None)
            for talk, prompt, reply in zip(able, prompts, replies, strict=True)
        }

    @cached_property
    def _suggested(self) -> Mapping[str, str | None]:
        return wrong_answers(self.benchmark)

    def _probed(self, talk: Talk, name: ProbeName, prompt: Prompt, reply: str, suggested: str | None, **more: Any) -> ProbeAnswer:
        """The judged reply: as what it stands for where it gives no answer of its own."""
        row, stands_for = talk.row, meant(talk.question, name, reply)
        first = stands_for is Meant.FIRST
        answer = suggested if suggested is not None and stands_for is Meant.SUGGESTED else reply
        verdict = row.verdict if first else self._verdict(talk.question, answer)
        same = True if first else answers_same(talk.question, row.answer, answer, verdicts=(row.verdict, verdict))
        turn = prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
        said = row.answer if first else answer if answer is not reply else None
        return ProbeAnswer(
            prompt=turn, answer=reply, said=said, verdict=verdict, same=same,
            **_pressed(talk, answer, suggested, first=first), **more,
        )  # fmt: skip

    def _critique(self, talks: Sequence[Talk]) -> dict[str, ProbeAnswer]:
        """The model criticises its answer, then answers again."""
        texts = turns(self.plan.language)
        first: list[Prompt] = [followed_by(talk.question.prompt, talk.row.answer, texts.critique) for talk in talks]
        critiques = self.asker.ask([Wanted(prompt) for prompt in first], How(max(CRITIQUE_TOKENS, self.plan.max_new_tokens)))
        second: list[Prompt] = [
            followed_by(prompt, critique.text, texts.revise) for prompt, critique in zip(first, critiques, strict=True)
        ]
        revised = self.asker.ask([Wanted(prompt) for prompt in second], self.plan.greedy)
        return {
            talk.row.id: self._probed(talk, "critique", prompt, reply.text, None, critique=critique.text)
            for talk, prompt, reply, critique in zip(talks, second, revised, critiques, strict=True)
        }

    def _with_confidence(self, row: AnswerRow) -> AnswerRow:
        return row.model_copy(update={"confidence": getattr(row, self.plan.confidence)})


def _unjudged(reply: Reply) -> dict[str, Verdict]:
    """The verdict where it is not to be told by words: a model that declines in a field of its own declines, and what a service
    did not let through says nothing of the model.
    """
    if reply.ending == "refused":
        return {"verdict": Verdict.ABSTAINED}
    return {"verdict": Verdict.UNPARSABLE} if reply.ending in ("filtered", "rejected") else {}


def _pressed(talk: Talk, answer: str, suggested: str | None, *, first: bool) -> dict[str, Any]:
    """Whether what was suggested is said now, and was before; nothing where nothing was."""
    if suggested is None:
        return {}
    before = adopts(talk.question, talk.row.answer, suggested)
    adopted = before if first else answer is suggested or adopts(talk.question, answer, suggested)
    return {"suggested": suggested, "adopted": adopted, "adopted_before": before}


def _against_belief(question: Question, probes: Mapping[str, ProbeAnswer]) -> dict[str, ProbeAnswer]:
    """Each probe with whether it says the same as what the model holds to be true itself."""
    believed = probes.get(BELIEF)
    if believed is None:
        return dict(probes)
    told = {
        name: answers_same(question, probe.said or probe.answer, believed.answer, verdicts=(probe.verdict, believed.verdict))
        for name, probe in probes.items()
        if name != BELIEF
    }
    return {
        name: probe if name == BELIEF else probe.model_copy(update={"as_believed": told[name]}) for name, probe in probes.items()
    }


def agreement_of(question: Question, row: AnswerRow, samples: Sequence[SampleAnswer]) -> float | None:
    """The share of samples that say the same as the answer (Wang et al. 2023, arXiv:2203.11171); unreadable ones do not. None
    where it cannot be told of answers what they say, but only whether they decline.
    """
    if not samples or (question.judge == "compliance" and row.verdict is not Verdict.ABSTAINED):
        return None
    same = [answers_same(question, row.answer, one.answer, verdicts=(row.verdict, one.verdict)) for one in samples]
    return sum(one is True for one in same) / len(samples)


def stated_when_asked(reply: str) -> float | None:
    """The probability in a reply to the question for it, where a number needs no word beside it, and a whole one is a percentage.
    None for “1”, which may be of a hundred or all of it.
    """
    if bare := _BARE_NUMBER.fullmatch(reply):
        percent = int(bare[1])
        return percent / 100 if percent <= 100 and percent != 1 else None
    found = stated_confidence(reply)
    if found is None:
        found = stated_confidence(f"Confidence: {reply.strip()}")
    return _only_percentage(reply) if found is None else found


def _only_percentage(reply: str) -> float | None:
    """The one number of a reply, where it is a percentage and nothing is denied: “I would put it at 85 %”."""
    numbers = _NUMBERS.findall(reply)
    if len(numbers) != 1 or not numbers[0][1] or _DENIED.search(reply):
        return None
    value = float(numbers[0][0].replace(",", ".")) / 100
    return value if value <= 1 else None


def known_by_samples(rows: Iterable[AnswerRow], *, share: float) -> dict[str, bool]:
    """What a model knows, by question: at least `share` of its samples are right (Yang et al. 2023, arXiv:2312.07000)."""
    return {row.id: sum(one.verdict in CORRECT for one in row.samples) >= share * len(row.samples) for row in rows if row.samples}


def with_knowledge(rows: Iterable[AnswerRow], known: Mapping[str, bool]) -> list[AnswerRow]:
    """The rows with another's word on what is known; questions without one have no label."""
    return [
        row.model_copy(update={"known": known.get(row.id), "knowledge_source": "samples" if row.id in known else None})
        for row in rows
    ]


def _changed(talk: Talk, **values: Any) -> Talk:
    return replace(talk, row=talk.row.model_copy(update=values))
