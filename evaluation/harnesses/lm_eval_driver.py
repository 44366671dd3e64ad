"""A benchmark as a task of lm-eval, or lm-eval's own tasks: `python -m evaluation.harnesses.lm_eval_driver FOLDER`.

Likelihoods are read over `/completions` with `echo`, which few services have; ours does. Tasks that only generate go over the
chat.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from evaluation.harnesses.request import (
    MEASURES,
    SAMPLES,
    Judging,
    Report,
    Request,
    TaskSample,
    driver_main,
    finite,
    mean,
    measures_of,
)

TASK = "rlwhf_benchmark"
TASKS_VARIABLE = "RLWHF_LM_EVAL_TASKS"
RIGHT_OR_WRONG = ("acc_norm", "acc", "exact_match")
FORGIVING = ("flexible-extract", "remove_whitespace")


def benchmark_task(judging: Judging) -> dict[str, Any]:
    """The benchmark as lm-eval's configuration of a task; our judge gives each answer its part in each measure."""
    rows = [{"id": one.id, "prompt": one.prompt} for one in judging.questions.values()]

    def judged(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        return measures_of(judging.line(judging.questions[doc["id"]], results[0]))

    return {
        "task": TASK,
        "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": lambda doc: doc["prompt"],
        "doc_to_target": lambda _: "",
        "process_results": judged,
        "generation_kwargs": {
            "until": [], "max_gen_toks": judging.request.max_new_tokens, "do_sample": False, "temperature": 0.0
        },
        "metric_list": [{"metric": name, "aggregation": mean, "higher_is_better": name != "wrong"} for name in MEASURES],
        "metadata": {"version": 1},
    }  # fmt: skip


def drive(judging: Judging) -> Report:
    """The benchmark's questions, or the tasks that are named."""
    request = judging.request
    manager = TaskManager(include_path=os.environ.get(TASKS_VARIABLE) or None)
    if request.load_only:
        return _loaded(request, manager)
    tasks: list[Any] = list(request.tasks) or [benchmark_task(judging)]
    chat = request.tokenizer is None or not request.tasks
    arguments: dict[str, Any] = {
        "model": request.model,
        "base_url": f"{request.base_url}/{'chat/completions' if chat else 'completions'}",
        "num_concurrent": request.at_once,
        "max_retries": 5,
        "timeout": int(request.timeout_s),
        "max_gen_toks": request.max_new_tokens,
    }
    if not chat:
        arguments |= {"tokenizer": str(request.tokenizer), "tokenizer_backend": "huggingface", "max_length": request.longest}
    found = simple_evaluate(
        model="local-chat-completions" if chat else "local-completions",
        model_args=arguments,
        tasks=tasks,
        apply_chat_template=chat,
        use_cache=str(judging.folder / ("tasks" if request.tasks else "answers")),
        task_manager=manager,
        limit=request.limit if request.tasks else None,
        bootstrap_iters=100 if request.tasks else 0,
        log_samples=bool(request.tasks),
    )
    results: dict[str, dict[str, Any]] = found["results"] if found else {}
    figures = {task: _figures(values) for task, values in results.items()}
    own = figures.pop(TASK, {})
    if request.tasks and found:
        _write_samples(judging.folder / SAMPLES, found["samples"], _owners(request.tasks, found["group_subtasks"]))
    return Report(
        status="success" if results else "error",
        version=version("lm-eval"),
        n=len(judging.questions),
        metrics={name: own.get(name) for name in MEASURES} if own else {},
        tasks=figures,
    )


def _loaded(request: Request, manager: TaskManager) -> Report:
    """Whether the tasks are known, have their data here, and can be asked of this model."""
    tasks = manager.load(list(request.tasks))["tasks"]
    unasked = [name for name, task in tasks.items() if request.tokenizer is None and task.OUTPUT_TYPE != "generate_until"]
    if unasked:
        error = f"{', '.join(unasked)}: judged by likelihoods, which a service's model does not tell"
        return Report(status="error", version=version("lm-eval"), n=0, error=error)
    return Report(status="success", version=version("lm-eval"), n=0)


def _figures(values: dict[str, Any]) -> dict[str, float | None]:
    """lm-eval's `acc,none` as `acc`; another filter than none keeps its name."""
    named = {key.removesuffix(",none"): value for key, value in values.items() if "," in key}
    return {key: finite(value) for key, value in named.items()}


# --- each question's own result, which two models can be compared by


def _owners(asked: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each task by the name that was asked for: itself, or a group that it is in."""

    def within(name: str) -> Iterator[str]:
        yield name
        for child in groups.get(name, ()):
            yield from within(child)

    return {task: name for name in asked for task in within(name)}


def _write_samples(path: Path, samples: Mapping[str, Sequence[Mapping[str, Any]]], owners: Mapping[str, str]) -> None:
    """One line for each question, of tasks whose answers are right or wrong; others have no lines."""
    with path.open("wb") as file:
        for task, all_filters in samples.items():
            names = [one["filter"] for one in all_filters]
            # Of several ways to read an answer the forgiving one: a change of form is no loss of ability.
            name = next((name for name in FORGIVING if name in names), names[0] if names else "")
            chosen = [one for one in all_filters if one["filter"] == name]
            metric = _right_or_wrong(chosen)
            for one in chosen if metric else ():
                line = _sample(one, str(metric), task=owners.get(task, task), id=f"{task}/{one['doc_id']}")
                file.write(line.model_dump_json().encode() + b"\n")


def _right_or_wrong(samples: Sequence[Mapping[str, Any]]) -> str | None:
    """The metric that says of every answer whether it is right; None: there is none, as with a likeness of texts."""
    if not samples:
        return None
    names = [*RIGHT_OR_WRONG, *samples[0]["metrics"]]
    return next((name for name in names if all(one.get(name) in (0, 1) for one in samples)), None)


def _sample(one: Mapping[str, Any], metric: str, **about: str) -> TaskSample:
    asked = [list(each) for each in one["arguments"]]
    choices = [str(each[1]) for each in asked] if len(asked) > 1 else []
    target, said = one["target"], one["filtered_resps"]
    if choices:
        answer = choices[max(range(len(choices)), key=lambda at: said[at][0])]
    else:
        answer = said[0] if isinstance(said[0], str) else ""
    gold = choices[target] if choices and isinstance(target, int) and 0 <= target < len(choices) else str(target)
    return TaskSample(
        prompt=str(asked[0][0]), gold=gold.strip(), options=len(choices), answer=answer.strip(), right=one[metric] == 1, **about
    )


if __name__ == "__main__":
    sys.exit(driver_main(sys.argv[1:], drive))
