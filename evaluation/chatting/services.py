"""Starting and stopping the jobs that serve models of this site for chat."""

from collections.abc import Sequence

from django.db import connection, transaction

from accounts.models import User
from evaluation.chatting.jobs import IDLE_S, KIND
from evaluation.chatting.selectors import artifact_named, serving_of, serving_tags
from jobs.hardware import COMPUTE_TAGS, Hardware
from jobs.machines import announced
from jobs.models import HELD, Job
from jobs.selectors import live_workers, queue_pause_of
from jobs.services import job_queue, job_stop
from training.hardware.memory import RUNTIME_BYTES, is_on_cpu
from training.hardware.sizes import UnknownSize, size_of_folder
from training.models import Artifact

GIB = 2**30


class ServingRefused(ValueError):  # noqa: N818 - reads as what happened
    """A model cannot be served now; the message says why, and what helps."""


@transaction.atomic
def serving_start(*, names: Sequence[str], actor: User | None, tag: str = "", idle_s: float = IDLE_S) -> Job | None:
    """Queue a job that serves those of the models that are not served yet, together; None where all are, or are on their way.

    `tag`: the hardware; without one, what there is. Raises ServingRefused where no worker could take it now, or has the memory.
    """
    with connection.cursor() as run:  # two people who ask for the same model get one job
        run.execute("SELECT pg_advisory_xact_lock(hashtext('evaluation.serving'))")
    artifacts = [_artifact(name) for name in dict.fromkeys(names)]
    wanted = [one for one in artifacts if serving_of(one.name).state == "none"]
    if not wanted:
        return None
    tag = tag or next(iter(serving_tags()), "cpu")
    if tag not in COMPUTE_TAGS:
        raise ServingRefused(f"“{tag}” is no hardware that models run on; there are {', '.join(COMPUTE_TAGS)}.")
    _check_workers(tag)
    _check_memory(wanted, tag)
    title = f"Serve {' and '.join(one.name for one in wanted)} for chat"
    payload = {"models": [one.name for one in wanted], "idle_s": idle_s}
    return job_queue(kind=KIND, title=title, payload=payload, hardware_tag=tag, actor=actor, max_attempts=1)


def serving_stop(*, name: str, actor: User | None) -> Job | None:
    """End the job that serves a model, with all that it serves; None where there is none."""
    found = serving_of(name)
    if found.job is None or found.job.has_ended:
        return None
    return job_stop(job=found.job, actor=actor)


def _artifact(name: str) -> Artifact:
    found = artifact_named(name)
    if found is None:
        raise ServingRefused(f"There is no model named “{name}” that answers prompts.")
    return found


def _check_workers(tag: str) -> None:
    """Raises ServingRefused unless a worker of the tag is free: a person who waits to chat waits for no training run."""
    workers = [worker for worker in live_workers() if tag in worker.tags]
    if not workers:
        others = ", ".join(serving_tags())
        instead = f"Workers take {others} now: choose that" if others else f"Start one: `rlwhf worker --tags {tag}`"
        raise ServingRefused(f"No worker takes {tag} jobs now. {instead}.")
    if paused := queue_pause_of(tag):
        raise ServingRefused(f"The {tag} queue is paused by {paused.paused_by or 'the shell'}. {paused.reason}".strip())
    held = list(Job.objects.filter(worker__in=workers, state__in=HELD))
    if len({job.worker_id for job in held}) < len(workers):
        return
    busy = ", ".join(f"“{job.title}”" for job in held[:3])
    served = next((job for job in held if job.kind == KIND), None)
    helps = f"Stop serving {' and '.join(served.payload['models'])}" if served else "Wait, or start another worker"
    raise ServingRefused(f"Every {tag} worker is at work: {busy}. {helps}.")


def _check_memory(artifacts: Sequence[Artifact], tag: str) -> None:
    """Raises ServingRefused where no worker has the memory free. Where a size is not known, or nobody says, it is tried."""
    each = 4 if is_on_cpu(tag) else 2
    try:
        values = sum(size_of_folder(one.model_folder).parameters for one in artifacts)
    except (UnknownSize, OSError, ValueError):
        return
    needed = values * each + RUNTIME_BYTES
    machines = [found for worker in live_workers() if tag in worker.tags and (found := announced(worker))]
    free = [room for machine in machines if (room := _free(machine, tag)) is not None]
    if free and needed > max(free):
        names = " and ".join(one.name for one in artifacts)
        raise ServingRefused(
            f"{names} would take about {needed / GIB:.1f} GiB of memory, and the roomiest {tag} worker has "
            f"{max(free) / GIB:.1f} GiB free. Stop what uses it, or choose other hardware."
        )


def _free(machine: Hardware, tag: str) -> int | None:
    """Bytes that a model could take now; None where nobody says."""
    if is_on_cpu(tag):
        return machine.memory_free_bytes
    return max((card.free_bytes for card in machine.devices(tag) if card.free_bytes is not None), default=None)
