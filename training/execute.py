"""Carry out a training run: `python -m training.execute RUN_DIR`.

Reads `spec.json` in the folder and writes the run folder. Needs no Django and no database, so a run can be carried
by hand to a machine that reaches nothing. SIGTERM saves a checkpoint and ends the process; the same command in the
same folder goes on from the newest checkpoint that was written whole.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from jobs.child import report_progress, report_result, write_json
from training.checkpoints import drop_unended, pass_over_damaged
from training.child_main import child_main, forget_failure
from training.data import RunRows, form_of, rows_of
from training.ensembles import execute_members, members_of
from training.environment import describe_environment
from training.exceptions import BadSpec, Stopped
from training.folder import RunFolder, checkpoint_step, log_metrics, truncate_after
from training.hardware.standby import standby_environment
from training.packages import check_packages, hide_unused
from training.processes import is_first
from training.report import write_report
from training.specs import RunSpec, read_spec
from training.stopping import StopRequest
from training.trainers import METHODS, Method, resolve

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from training.callbacks import RunCallback
    from training.loading import Loaded
    from training.trainers.arguments import TrainerInputs


def main(arguments: list[str]) -> int:
    """Carry out the run in the folder that is named; see `child_main` for the exit status."""
    return child_main(
        arguments,
        lambda folder, stop: execute(RunFolder(folder), stop),
        usage="python -m training.execute RUN_DIR",
    )


def execute(folder: RunFolder, stop: StopRequest, *, callbacks: Callable[[], list[TrainerCallback]] = list) -> None:
    """Carry out the run in `folder`; a run that is already done is left alone. `callbacks` makes more of the trainer's.

    Raises Stopped after a checkpoint when asked to stop, else a TrainingError.
    """
    if folder.result.exists():
        return
    started = time.perf_counter()
    spec = read_spec(folder.spec)
    _quiet_libraries(spec)
    os.chdir(folder.path)
    forget_failure(folder.path)
    check_packages(spec)
    rows = rows_of(spec)
    if is_first():
        report_progress(done=0, total=None, note="loading the model", folder=folder.path)
        write_json(folder.environment, describe_environment())
    if members_of(spec) > 1:
        execute_members(folder, spec, stop, carry_out=execute, held_out=rows.eval)
        return
    pass_over_damaged(folder)
    # torch and transformers take seconds to import: only once the spec and the data are known to be good
    from training import loading  # noqa: PLC0415 (weight)

    loading.take_device(spec.hardware.profile)
    loaded = loading.model_for(spec, rows.train)
    _set_threads(spec.hardware.threads or loading.default_threads(loaded.model))
    trainer, callback, inputs = _build(spec, folder, stop, loaded, rows)
    for one in callbacks():
        trainer.add_callback(one)
    ready = time.perf_counter()
    _train(trainer, folder, stop)
    if callback.stopped:
        raise Stopped
    seconds = {"startup_seconds": ready - started, "train_seconds": time.perf_counter() - ready}
    _finish(trainer, inputs, seconds)


def _quiet_libraries(spec: RunSpec) -> None:
    """Nothing leaves the machine unasked; set before the libraries are imported, which read this once."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # its version is pinned
    if spec.hardware.threads:
        os.environ["OMP_NUM_THREADS"] = str(spec.hardware.threads)
    os.environ.update(_tracking_environment(spec))
    for name, value in standby_environment(spec).items():
        os.environ.setdefault(name, value)  # who has set it to 0 means it
    hide_unused(spec)
    if spec.hardware.profile == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _tracking_environment(spec: RunSpec) -> dict[str, str]:
    """Where the trackers write that are on, relative to the run folder."""
    project = {"WANDB_PROJECT": spec.tracking.wandb} if spec.tracking.wandb else {}
    return {**project, "WANDB_DIR": ".", "TENSORBOARD_LOGGING_DIR": "tensorboard", "TRACKIO_DIR": "trackio"}


def _set_threads(threads: int) -> None:
    import torch  # noqa: PLC0415 (weight)

    torch.set_num_threads(threads)


def _build(
    spec: RunSpec,
    folder: RunFolder,
    stop: StopRequest,
    loaded: Loaded,
    rows: RunRows,
) -> tuple[Any, RunCallback, TrainerInputs]:
    from training.callbacks import RunCallback  # noqa: PLC0415 (weight)
    from training.trainers.additions import add_to  # noqa: PLC0415 (weight)
    from training.trainers.arguments import TrainerInputs  # noqa: PLC0415 (weight)

    callback = RunCallback(folder, stop)
    inputs = TrainerInputs(
        spec=spec,
        folder=folder,
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        form=form_of(spec.data.prompt_format, has_template=loaded.tokenizer.chat_template is not None),
        train_rows=rows.train,
        eval_rows=rows.eval,
        callbacks=[callback],
    )
    trainer = resolve(METHODS[spec.method].trainer).build(inputs)
    add_to(trainer, spec.settings)
    if spec.settings.ewc is not None:
        from training.trainers.ewc import hold  # noqa: PLC0415 (weight)

        hold(trainer, inputs)
    if is_first():
        _write_config(inputs, trainer)
    return trainer, callback, inputs


def _write_config(inputs: TrainerInputs, trainer: Any) -> None:
    import torch  # noqa: PLC0415 (weight)

    config = {
        "spec": inputs.spec.model_dump(mode="json"),
        "form": inputs.form,
        "parameters": inputs.model.num_parameters(),
        "trainable_parameters": inputs.model.num_parameters(only_trainable=True),
        "threads": torch.get_num_threads(),
        "device": str(trainer.args.device),
        "model": inputs.model.config.to_dict(),
    }
    write_json(inputs.folder.config, config)


def _train(trainer: Any, folder: RunFolder, stop: StopRequest) -> None:
    checkpoint = _checkpoint_of_all(folder)
    for stream in (folder.metrics, folder.completions):
        if is_first():
            truncate_after(stream, checkpoint_step(checkpoint))
    stop.defer()
    gc.freeze()  # what is imported stays: no collection has to look at it again
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except Exception:
        if is_first():
            drop_unended(folder)  # on a full disk that makes the room to say so
        raise


def _checkpoint_of_all(folder: RunFolder) -> Path | None:
    """The checkpoint to go on from, if any. Raises BadSpec where the processes of a run do not see the same one."""
    from training.agreement import Agreement  # noqa: PLC0415 (weight)

    checkpoint = folder.newest_checkpoint()
    if not Agreement().same(checkpoint_step(checkpoint)):
        hint = "Let them share the run's folder, or remove its checkpoints on all of them."
        raise BadSpec("The machines of this run do not see the same checkpoints.", hint)
    return checkpoint


def _finish(trainer: Any, inputs: TrainerInputs, seconds: dict[str, float]) -> None:
    """Measure, and write what is left: the model, the tokenizer, the report, and last of all the result.

    Of several processes all measure, since none could wait for another as long as that may take, and the first one writes.
    """
    spec, folder = inputs.spec, inputs.folder
    method = METHODS[spec.method]
    kind = "model" if spec.settings.lora is None else "adapter"
    measured = _measure(trainer, inputs)
    _save_whole(trainer, folder.model if kind == "model" else folder.adapter, folder, method)
    if not is_first():
        return
    result = {
        "method": spec.method,
        "produces": method.produces,
        "kind": kind,
        "path": kind,
        "steps": trainer.state.global_step,
        "metrics": _last_metrics(trainer.state.log_history) | measured,
        **{name: round(value, 3) for name, value in seconds.items()},
        "user_cpu_seconds": round(psutil.Process().cpu_times().user, 3),
        "peak_memory_bytes": _peak_memory(),
    }
    summary = {name: value for name, value in result.items() if name != "metrics"}
    sections = {"Result": summary, "Last metrics": result["metrics"], "Settings": spec.settings.model_dump()}
    write_report(folder.report, title=f"{method.title}: {spec.name}", sections=sections)
    report_result(result, folder=folder.path)


def _measure(trainer: Any, inputs: TrainerInputs) -> dict[str, float]:
    """The method's own figures on the held-out rows, where it has any."""
    measure = getattr(resolve(METHODS[inputs.spec.method].trainer), "measure", None)
    if measure is None or not inputs.eval_rows:
        return {}
    figures = {name: value for name, value in measure(trainer, inputs).items() if isfinite(value)}
    if is_first():
        log_metrics(inputs.folder.metrics, trainer.state.global_step, figures)
    return figures


def _save_whole(trainer: Any, target: Path, folder: RunFolder, method: Method) -> None:
    """`_save`; where that fails, as for want of room, nothing is left that could be taken for a model."""
    try:
        _save(trainer, target, folder, method)
    except Exception:
        if is_first():
            shutil.rmtree(target, ignore_errors=True)
        raise


def _save(trainer: Any, target: Path, folder: RunFolder, method: Method) -> None:
    from training.trainers.saving import save_weights  # noqa: PLC0415 (weight)

    getattr(resolve(method.trainer), "save", save_weights)(trainer, target)
    if is_first():
        trainer.processing_class.save_pretrained(folder.tokenizer)
        trainer.processing_class.save_pretrained(target)  # so that the model's folder can be loaded by itself


def _peak_memory() -> int:
    """The most memory that this process has held at once, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if (status := Path("/proc/self/status")).is_file():
        # Linux: getrusage(2) would tell of whoever started this process too: what it held when it did is kept over exec.
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
        if held := next((line for line in lines if line.startswith("VmHWM:")), ""):
            return int(held.split()[1]) * 1024
    import resource  # noqa: PLC0415 (does not exist on Windows)

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _last_metrics(history: list[dict[str, Any]]) -> dict[str, float]:
    """The last value of each metric that is a number: of a batch in which nothing applied, a mean is none."""
    merged: dict[str, float] = {}
    for line in history:
        merged.update({name: value for name, value in line.items() if isinstance(value, int | float) and isfinite(value)})
    merged.pop("step", None)
    return merged


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
