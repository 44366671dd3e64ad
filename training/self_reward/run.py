"""The stages of self-rewarding data, each gone on with where it was stopped: answers, verdicts, rows.

Answers that another process generated are judged where the specification names them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import orjson

from accounts.chat.service import Ledger, used_of
from annotations.teachers.prompts import Subject
from annotations.teachers.replies import Reply
from jobs.child import append_jsonl, read_json, report_progress, write_json, write_whole
from training.data import Row, read_rows, text_of
from training.exceptions import BadSpec, Stopped
from training.generate import GenerateSpec, generate, quiet_libraries
from training.rewards.gold import gold_answers
from training.self_reward.judging import judge_by_model, judge_by_service
from training.self_reward.rows import Judged, Made, rows_made
from training.self_reward.spec import DPO, GRPO, GSPO, RAW, REPORT, SAMPLES, SelfRewardSpec, read_self_reward_spec
from training.stopping import StopRequest

GENERATED = "generated"
ANSWERS = "answers.jsonl"
UNDER_WAY = f"{RAW}.part"
USED = "judge.used.jsonl"
STATE = "state.json"
STAGES = 3
EVERY_S = 1.0


def self_reward(folder: Path, stop: StopRequest) -> dict[str, Any]:
    """Write the answers, their verdicts, the rows and the report of what a folder's specification asks for; returns the report.

    Raises Stopped when asked to stop, else a TrainingError; the same call goes on from there.
    """
    started = time.perf_counter()
    spec = read_self_reward_spec(folder)
    _same_as_before(folder, spec)
    os.chdir(folder)
    quiet_libraries(spec.hardware)
    rows = _prompts(folder / spec.prompts)
    _generate(spec, folder, stop)
    judged = _judge(spec, folder, rows, stop)
    made = rows_made(judged, min_gap=spec.min_gap, temperature=spec.weights_temperature, logged=spec.logged)
    for name, lines in ((DPO, made.dpo), (GRPO, made.grpo), (GSPO, made.gspo), (SAMPLES, made.samples)):
        _write(folder / name, lines)
    report = _report(spec, folder, judged, made) | {"seconds": round(time.perf_counter() - started, 3)}
    write_json(folder / REPORT, report)
    return report


def judged_in(folder: Path, *, prompts: Path) -> list[Judged]:
    """Every answer with its verdict of a folder whose answers to these prompts are all judged. Raises BadSpec where they are
    not.
    """
    if not (folder / RAW).is_file():
        raise BadSpec(f"There is no {folder / RAW}.", "The answers are not judged yet.")
    rows = _prompts(prompts)
    return [_judged(rows, line) for line in _lines(folder / RAW)]


def _same_as_before(folder: Path, spec: SelfRewardSpec) -> None:
    """What an earlier attempt left is only gone on with where it is of the same answers and verdicts."""
    known = read_json(folder / STATE).get("fingerprint")
    if known is not None and known != spec.fingerprint:
        reason = "The folder holds answers or verdicts by another specification."
        raise BadSpec(
            reason, "Take a folder of its own, or empty this one; pairs' gap and weights' temperature alone may change."
        )
    write_json(folder / STATE, {"fingerprint": spec.fingerprint})


def _prompts(path: Path) -> dict[str, Row]:
    rows = read_rows(path, ("prompt",))
    found = {str(row.get("id", row.get("item_id", number))): row for number, row in enumerate(rows)}
    if len(found) < len(rows):
        raise BadSpec(f"{path.name}: two prompts have the same id.", "Give each its own, or none of them one.")
    return found


def _generate(spec: SelfRewardSpec, folder: Path, stop: StopRequest) -> None:
    if spec.answers is not None:
        return
    inner = folder / GENERATED
    inner.mkdir(exist_ok=True)
    if (inner / "result.json").is_file():
        return
    asked = spec.model_dump(mode="json", include=set(GenerateSpec.model_fields))
    write_json(inner / "generate.json", asked | {"prompts": str((folder / spec.prompts).resolve())})

    def tell(done: int, total: int) -> None:
        _tell(folder, 0, done, total, "answers")

    found = generate(inner, stop, progress=tell)
    os.chdir(folder)
    write_json(inner / "result.json", found)


def _judge(spec: SelfRewardSpec, folder: Path, rows: dict[str, Row], stop: StopRequest) -> list[Judged]:
    """Every answer with its verdict, in the order of prompts and samples; what an earlier attempt was told is not asked again."""
    if (folder / RAW).is_file():
        return [_judged(rows, line) for line in _lines(folder / RAW)]
    answers = sorted(_lines(folder / (spec.answers or Path(GENERATED, ANSWERS))), key=_place(rows))
    told = {(line["id"], line["sample"]): line for line in _lines(folder / UNDER_WAY)}
    _write(folder / UNDER_WAY, told.values())  # without half a line, of a process that was killed
    waiting = []
    for line in answers:
        if (line["id"], line["sample"]) in told:
            continue
        if not line["answer"].strip() or not line.get("ended", True):
            told[line["id"], line["sample"]] = line | {"score": None, "reason": "not judged"}  # no row could hold it
        else:
            waiting.append(line)
    stop.defer()
    last = time.monotonic()

    def each(index: int, reply: Reply) -> None:
        nonlocal last
        line = waiting[index] | _verdict(reply)
        append_jsonl(folder / UNDER_WAY, line)
        told[line["id"], line["sample"]] = line
        if time.monotonic() - last > EVERY_S:
            last = time.monotonic()
            _tell(folder, 1, len(told), len(answers), "verdicts")

    _ask(spec, [_subject(spec, rows[line["id"]], line["answer"]) for line in waiting], folder, each, stop)
    if len(told) < len(answers):
        raise Stopped
    whole = [told[line["id"], line["sample"]] for line in answers]
    judged = [_judged(rows, line) for line in whole]
    _write(folder / RAW, [{"prompt": one.prompt, **line} for one, line in zip(judged, whole, strict=True)])
    (folder / UNDER_WAY).unlink(missing_ok=True)
    return judged


def _ask(spec: SelfRewardSpec, subjects: Sequence[Subject], folder: Path, each: Any, stop: StopRequest) -> None:
    def asked_to_stop() -> bool:
        return stop.asked

    if not subjects:
        return
    if spec.judge.service is not None:
        judge_by_service(spec.judge, spec.judge.service, subjects, each=each, stop=asked_to_stop, used=folder / USED)
    else:
        judge_by_model(spec, subjects, each=each, stop=asked_to_stop)


def _verdict(reply: Reply) -> Row:
    return {
        "score": reply.score,
        "cannot_tell": reply.cannot_tell,
        "reason": reply.reason,
        "critique": reply.critique,
        **({"dimensions": dict(reply.dimensions)} if reply.dimensions else {}),
    }


def _subject(spec: SelfRewardSpec, row: Row, answer: str) -> Subject:
    reference = " or ".join(gold_answers(row.get("gold_answer"))) if spec.judge.uses_reference else ""
    return Subject(text_of(row["prompt"]), answer, reference=reference)


def _judged(rows: dict[str, Row], line: Row) -> Judged:
    row = rows[line["id"]]
    return Judged(
        id=line["id"],
        prompt=row["prompt"],
        sample=line["sample"],
        answer=line["answer"],
        ended=line.get("ended", True),
        score=line["score"],
        reason=line.get("reason", ""),
        cannot_tell=line.get("cannot_tell", False),
        critique=line.get("critique", ""),
        gold_answer=row.get("gold_answer"),
    )


def _place(rows: dict[str, Row]) -> Any:
    order = {name: number for number, name in enumerate(rows)}
    return lambda line: (order[line["id"]], line["sample"])


def _report(spec: SelfRewardSpec, folder: Path, judged: Sequence[Judged], made: Made) -> dict[str, Any]:
    scores = [one.score for one in judged if one.score is not None]
    report: dict[str, Any] = {
        "prompts": len({one.id for one in judged}),
        "answers": len(judged),
        "scored": len(scores),
        "score_mean": round(fmean(scores), 6) if scores else None,
        "scores": dict(sorted(Counter(f"{score:g}" for score in scores).items(), key=lambda one: float(one[0]))),
        "rows": {"dpo": len(made.dpo), "grpo": len(made.grpo), "gspo": len(made.gspo), "samples": len(made.samples)},
        "dropped": {"answers": +made.dropped_answers, "prompts": +made.dropped_prompts},
        "judge": {
            "who": spec.judge.who,
            "prompt": f"{spec.judge.prompt.name}-{spec.judge.prompt.version}",
            "prompt_hash": spec.judge.prompt.content_hash,
        },
    }
    if spec.judge.service is not None:
        report["judge"]["used"] = used_of(Ledger(folder / USED), spec.judge.service)
    return report


def _tell(folder: Path, stage: int, done: int, total: int, what: str) -> None:
    note = f"stage {stage + 1} of {STAGES}: {done} of {total} {what}"
    report_progress(done=stage + done / max(1, total), total=STAGES, note=note, folder=folder)


def _lines(path: Path) -> list[Row]:
    """The whole lines of a file."""
    if not path.is_file():
        return []
    return [orjson.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _write(path: Path, lines: Iterable[Row]) -> None:
    write_whole(path, b"".join(orjson.dumps(line) + b"\n" for line in lines))
