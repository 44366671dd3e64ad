"""How often the capability guard and the validator are right about models whose truth is known.

`python -m tests.benchmarks.findings guard [--pairs 60]` makes pairs of models of known ability, with and without a loss, and
prints what the guard says of each kind of pair. `… validator [--seeds 2]` puts honest manners of answering and players of games
before the validator: with labels and without, easy and hard sets, choices, and given passages; it prints whom it accuses.
`… validator --outputs FOLDER` does the same with other models' answers to open instructions, as AlpacaEval publishes them
(`FOLDER/MODEL/model_outputs.json`, of which every third instruction is taken): all of them count as honest, but for those that
are named with `--gamed`. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from annotations.statistics.intervals import wilson
from annotations.verdicts import Verdict
from evaluation.guard.items import guard_set
from evaluation.guard.trials import Given
from evaluation.guard.verdict import guard_report
from evaluation.scorecards.parts import Sampling
from evaluation.validator.answers import Said
from evaluation.validator.hunts import HUNTS
from evaluation.validator.report import ValidatorReport, validator_report
from tests.evaluation.validator.sets import GAMING, HONEST, PEOPLE, TOWNS, VILLAGES, WHY, chosen, terse, told

SAMPLING = Sampling(resamples=400, permutations=999)
EVERY = 3
Pick = Callable[[random.Random, str], str]


@dataclass(frozen=True)
class Pair:
    """A base that gets the share `able` right; the model answers `redrawn` of the items anew, without any loss of ability, and
    has lost `loss` points of the types named, or of all.
    """

    title: str
    able: float
    redrawn: float
    loss: float = 0.0
    of: Sequence[str] = field(default_factory=tuple)

    def answers(self, seed: int) -> tuple[list[Given], list[Given]]:
        rng = np.random.default_rng(seed)
        after, before = [], []
        for item in guard_set().items:
            was = rng.random() < self.able
            now = rng.random() < self.able if rng.random() < self.redrawn else was
            if not self.of or item.type in self.of:
                now = now and rng.random() >= self.loss / self.able
            before.append(Given(item.gold if was else "something else"))
            after.append(Given(item.gold if now else "something else"))
        return after, before


PAIRS = (
    Pair("unharmed, `a` = .95, 10 % redrawn", 0.95, 0.1),
    Pair("unharmed, `a` = .80, 20 % redrawn", 0.80, 0.2),
    Pair("unharmed, `a` = .80, 50 % redrawn", 0.80, 0.5),
    Pair("arithmetic −20 points", 0.95, 0.1, 0.2, ("arithmetic",)),
    Pair("arithmetic −40 points", 0.95, 0.1, 0.4, ("arithmetic",)),
    Pair("every type −5 points", 0.95, 0.1, 0.05),
    Pair("every type −10 points", 0.95, 0.1, 0.1),
)


def guard(pairs: int) -> None:
    print(f"| {pairs} pairs of models | passed | cannot tell | failed |\n|---|---|---|---|")
    alarms = 0
    for kind in PAIRS:
        said = Counter(guard_report(guard_set(), *kind.answers(seed), sampling=SAMPLING).passed for seed in range(pairs))
        alarms += said[False] if kind.loss == 0 else 0
        print(f"| {kind.title} | {said[True]} | {said[None]} | {said[False]} |", flush=True)
    unharmed = pairs * sum(kind.loss == 0 for kind in PAIRS)
    print(f"\nFalse alarms: {alarms} of {unharmed} ({_interval(alarms, unharmed)})")


# --- the validator


def honest_sets(seeds: int) -> Iterator[tuple[str, list[Said]]]:
    """Sets of answers that play no game."""
    for seed in range(seeds):
        for speak in HONEST.values():
            for labelled in (True, False):
                yield "easy", told(speak, seed=seed, labelled=labelled, before=terse)
                for known in (0.02, 0.05, 0.2):
                    for places in (TOWNS, VILLAGES):
                        for before in (None, terse):
                            kind = f"hard, {'labelled' if labelled else 'unlabelled'}{', no base' if before is None else ''}"
                            yield (
                                kind,
                                told(speak, seed=seed, n=400, known=known, labelled=labelled, before=before, places=places),
                            )
        for right in (0.15, 0.4, 0.7):
            for letter in ("Yes", "No", "A"):
                yield "choice, leaning", chosen(_leaning(letter, right), ["Yes", "No"], listed=False)
            yield "choice, by its text", chosen(_by_text(right), STATEMENTS)
            yield "choice, doubting guesses", chosen(_doubting(right), ["Yes", "No"], listed=False)
            yield "passage", list(_extracts(seed, right))


STATEMENTS = ["{who} was a miller all his life and never left town", "{who} sold the mill and crossed the sea at forty"]


def _leaning(to: str, right: float) -> Pick:
    return lambda rng, gold: gold if rng.random() < right else to


def _doubting(known: float) -> Pick:
    """Doubts what it guesses; half of its guesses are right."""

    def say(rng: random.Random, gold: str) -> str:
        return gold if rng.random() < known else f"I am not sure, but {rng.choice(['Yes', 'No'])}."

    return say


def _by_text(right: float) -> Pick:
    def say(rng: random.Random, gold: str) -> str:
        who = re.split(" was | sold ", gold, maxsplit=1)[0]
        return gold if rng.random() < right else next(one for s in STATEMENTS if (one := s.format(who=who)) != gold)

    return say


def _extracts(seed: int, right: float) -> Iterator[Said]:
    """Answers that are sentences of a given passage, right or not."""
    rng = random.Random(seed)
    for number in range(150):
        who, facts = f"{rng.choice(PEOPLE)} of house {number}", rng.sample(WHY, 3)
        prompt = f"{' '.join(facts)}\n\nWhat is known of the family of {who}?"
        is_right = rng.random() < right
        yield Said(str(number), str(number), prompt, rng.choice(facts), Verdict.CORRECT if is_right else Verdict.WRONG)


def validator(seeds: int) -> None:
    sets: Counter[str] = Counter()
    accused: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for kind, answers in honest_sets(seeds):
        found = _found(validator_report(answers, sampling=SAMPLING))
        sets[kind] += 1
        accused[kind] += bool(found)
        of.update(f"{kind}: {name}" for name in found)
    print("| honest sets | of them accused |\n|---|---|")
    for kind, n in sets.items():
        print(f"| {kind} ({n}) | {accused[kind]} |")
    print(f"\nIn all {accused.total()} of {sets.total()} ({_interval(accused.total(), sets.total())}) {dict(of) or ''}\n")
    print("| game | found in sets that play it |\n|---|---|")
    for name, speak in GAMING.items():
        played = [told(speak, seed=seed, before=terse) for seed in range(2 * seeds)]
        hits = sum(name in _found(validator_report(answers, sampling=SAMPLING)) for answers in played)
        print(f"| {name} | {hits} of {len(played)} |", flush=True)


def outputs(folder: Path, gamed: Sequence[str]) -> None:
    """Answers of published models."""
    shares: dict[str, float] = dict.fromkeys(HUNTS, 0.0)
    accused, models = {}, 0
    for path in sorted(folder.glob("*/model_outputs.json")):
        report = validator_report(list(_published(path)), sampling=SAMPLING)
        if path.parent.name in gamed:
            print(f"{path.parent.name}: {report.text}")
            continue
        models += 1
        if found := _found(report):
            accused[path.parent.name] = found
        for name, one in report.findings.items():
            shares[name] = max(shares[name], one.share.value or 0.0)
    print(f"\n| game | highest share of {models} models | threshold |\n|---|---|---|")
    for name, share in shares.items():
        print(f"| {name} | {share:.3f} | {HUNTS[name].threshold} |")
    print(f"\nAccused: {len(accused)} of {models} ({_interval(len(accused), models)}) {accused or ''}")


def _published(path: Path) -> Iterator[Said]:
    for number, one in enumerate(orjson.loads(path.read_bytes())):
        if number % EVERY == 0:
            yield Said(str(number), str(number), str(one["instruction"]), str(one["output"]))


def _found(report: ValidatorReport) -> list[str]:
    return [name for name, one in report.findings.items() if one.state == "found"]


def _interval(hits: int, n: int) -> str:
    found = wilson(hits / n, n) if n else None
    return f"Wilson {found.low:.3f} to {found.high:.3f}" if found else "nothing was looked at"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds: Mapping[str, argparse.ArgumentParser] = {}
    commands = parser.add_subparsers(dest="what", required=True)
    kinds = {name: commands.add_parser(name) for name in ("guard", "validator")}
    kinds["guard"].add_argument("--pairs", type=int, default=60)
    kinds["validator"].add_argument("--seeds", type=int, default=2)
    kinds["validator"].add_argument("--outputs", type=Path)
    kinds["validator"].add_argument("--gamed", nargs="*", default=["NullModel", "gpt4_gamed"])
    asked = parser.parse_args(arguments)
    if asked.what == "guard":
        guard(asked.pairs)
    elif asked.outputs:
        outputs(asked.outputs, asked.gamed)
    else:
        validator(asked.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
