"""How many answers a second an evaluation gets, against asking one question after the other, and against Inspect.

`python -m tests.benchmarks.evaluation [--rounds 3] [--questions 512]` asks the same models the same questions, greedily, in
turns: as an evaluation does it, judged answers included; with a plain loop of `generate`, a question at a time, judged; and
through Inspect with an exact match, where `inspect_ai` can be imported. Models are loaded beforehand. Prints answers a second
and processor time an answer (the median of the rounds; the latter says more beside other work), and how many answers are the
same as the loop's.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from evaluation.asking.asker import Asker
from evaluation.asking.interview import Interview, Plan
from evaluation.asking.local import LocalModel
from evaluation.atlas.files import atlas_files
from evaluation.atlas.grammar import Grammar
from evaluation.benchmarks.folder import BenchmarkFolder, answer_row, benchmark_read
from tests.training.learning import Bench
from training.specs import HardwareSpec, ScratchModel
from training.stopping import StopRequest

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything reads it: Inspect would look its model's made-up name up

BATCH = 128
THREADS = 1


@dataclass(frozen=True)
class Work:
    """A model's folder, the questions, and how long an answer may be."""

    title: str
    model: Path
    benchmark: BenchmarkFolder
    max_new_tokens: int


def short_answers(place: Path, questions: int) -> Work:
    """A tiny model that was taught a closed world: a word or two, then the end."""
    benchmark = _first(place / "short", benchmark_read(atlas_files(cache=place / "atlas").path), questions)
    return Work("0.1 M parameters, taught, answers of 2 to 6 tokens", Bench(place).base, benchmark, 16)


def long_answers(place: Path, questions: int) -> Work:
    """A model of random weights that never comes to an end, and questions of very different lengths."""
    import torch

    from training.scratch import make_model, make_tokenizer

    source = benchmark_read(atlas_files(cache=place / "atlas").path)
    texts = [" ".join([str(question.prompt)] * (1 + n % 8)) for n, question in enumerate(source.questions)]
    rows = [{"id": str(n), "prompt": text, "gold_answer": "x"} for n, text in enumerate(texts)]
    shape = ScratchModel(
        vocab_size=2000,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=4,
        max_position_embeddings=1024,
    )
    torch.manual_seed(0)
    tokenizer = make_tokenizer(texts, shape)
    folder = place / "random"
    make_model(tokenizer, shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Work("7 M parameters, untaught, answers of 32 tokens", folder, _written(place / "long", rows[: questions // 4]), 32)


def _first(folder: Path, benchmark: BenchmarkFolder, questions: int) -> BenchmarkFolder:
    rows = [question.model_dump() for question in benchmark.questions[:questions]]
    return _written(folder, rows, values={name: list(values) for name, values in benchmark.values.items()})


def _written(folder: Path, rows: Sequence[dict[str, Any]], **manifest: Any) -> BenchmarkFolder:
    folder.mkdir()
    (folder / "benchmark.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    return benchmark_read(folder)


Ask = Callable[[], list[str]]
"""Asks all questions and judges the answers; returns them in the questions' order."""


def evaluation(work: Work, place: Path) -> Ask:
    model = LocalModel(str(work.model), hardware=HardwareSpec(threads=THREADS), prompt_format="auto", batch_size=BATCH)
    assert model._loaded is not None
    numbers = count()

    def ask() -> list[str]:
        asker = Asker(model, place / f"kept-{next(numbers)}", stop=StopRequest())
        return [row.answer for row in Interview(work.benchmark, Plan(work.max_new_tokens), asker).rows()]

    return ask


def one_by_one(work: Work, place: Path) -> Ask:
    """What a short script does."""
    import torch

    from training.loading import load_for
    from training.specs import ModelSpec

    loaded = load_for(ModelSpec(path=str(work.model)), HardwareSpec(threads=THREADS))
    grammar = Grammar(dict(work.benchmark.values)) if work.benchmark.values else None

    @torch.inference_mode()
    def ask() -> list[str]:
        answers = []
        for question in work.benchmark.questions:
            chat = [{"role": "user", "content": question.prompt}]
            text = loaded.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
            batch = loaded.tokenizer(text, add_special_tokens=False, return_tensors="pt")
            output = loaded.model.generate(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], do_sample=False,
                max_new_tokens=work.max_new_tokens, pad_token_id=loaded.tokenizer.pad_token_id,
            )  # fmt: skip
            answer = loaded.tokenizer.decode(output[0, batch["input_ids"].shape[1] :], skip_special_tokens=True).strip()
            answers.append(answer_row(question, answer, None, grammar).answer)
        return answers

    return ask


def inspect(work: Work, place: Path) -> Ask:
    os.environ["INSPECT_LOG_DIR"] = str(place / "logs")
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    place_of = _model_folder(work.model, place / "for-inspect")
    config = GenerateConfig(max_tokens=work.max_new_tokens, max_connections=BATCH, temperature=0.0)
    model = get_model(
        "hf/local", model_path=str(place_of), tokenizer_path=str(place_of), device="cpu", config=config, do_sample=False
    )
    samples = [Sample(id=q.id, input=str(q.prompt), target=q.gold_answer or "x") for q in work.benchmark.questions]
    task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=match())

    def ask() -> list[str]:
        (log,) = evaluate(task, model=model, display="none", log_dir=str(place / "logs"), max_samples=BATCH, log_level="error")
        assert log.status == "success", log.error
        found = {str(one.id): one.output.completion.strip() for one in log.samples or []}
        return [found[question.id] for question in work.benchmark.questions]

    return ask


def _model_folder(source: Path, into: Path) -> Path:
    """One folder with weights and tokenizer, as others expect it."""
    from training.loading import load_for
    from training.specs import ModelSpec

    loaded = load_for(ModelSpec(path=str(source)), HardwareSpec(threads=THREADS))
    loaded.model.save_pretrained(into)
    loaded.tokenizer.save_pretrained(into)
    return into


CONTENDERS: dict[str, Callable[[Work, Path], Ask]] = {"one by one": one_by_one, "evaluation": evaluation}
if importlib.util.find_spec("inspect_ai"):
    CONTENDERS["inspect"] = inspect


def measure(work: Work, place: Path, rounds: int) -> None:
    asks = {name: make(work, place / name.replace(" ", "-")) for name, make in CONTENDERS.items()}
    rates: dict[str, list[float]] = {name: [] for name in asks}
    costs: dict[str, list[float]] = {name: [] for name in asks}
    said: dict[str, list[str]] = {}
    for number in range(rounds):
        for name in list(asks)[:: 1 if number % 2 == 0 else -1]:
            began, used = time.perf_counter(), time.process_time()
            said[name] = asks[name]()
            rates[name].append(len(said[name]) / (time.perf_counter() - began))
            costs[name].append(1000 * (time.process_time() - used) / len(said[name]))
    print(f"\n{work.title}; {len(work.benchmark.questions)} questions, {rounds} rounds in turns, {THREADS} thread\n")
    print("| | answers a second | evaluation is so many times as fast | processor ms an answer | same as one by one |")
    print("|---|---|---|---|---|")
    for name, found in rates.items():
        times = [ours / theirs for ours, theirs in zip(rates["evaluation"], found, strict=True)]
        same = sum(a == b for a, b in zip(said[name], said["one by one"], strict=True)) / len(said[name])
        by_round = ", ".join(f"{one:.1f}" for one in times)
        print(f"| {name} | {median(found):.1f} | {by_round} | {median(costs[name]):.2f} | {same:.1%} |", flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=512)
    parser.add_argument("--only", choices=["short", "long"])
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, make in {"short": short_answers, "long": long_answers}.items():
            if asked.only in (None, name):
                measure(make(place, asked.questions), place, asked.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
