"""Which models can be chatted with, and how those of this site are served just now."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from accounts.models import Endpoint
from accounts.selectors import endpoint_list
from evaluation.chatting.jobs import KIND
from evaluation.serving.places import ADDRESS
from jobs.child import read_json
from jobs.hardware import COMPUTE_TAGS
from jobs.models import ENDED, Job, State
from jobs.selectors import tags_served
from jobs.storage.places import local_path
from training.models import Artifact

Standing = Literal["none", "waiting", "ready"]


@dataclass(frozen=True)
class ChatModel:
    """Something that answers: a model of this site (its own files, or an adapter on another's), or an endpoint."""

    name: str
    kind: Literal["model", "adapter", "endpoint"]
    about: str

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "about": self.about}


def chat_models() -> list[ChatModel]:
    """All there are: models of this site, newest first, then endpoints whose hosts an admin has allowed."""
    artifacts = Artifact.objects.ready().policies().select_related("base")
    own = [ChatModel(one.name, _kind(one), f"from {one.base.name}" if one.base else "") for one in artifacts]
    return own + [ChatModel(one.name, "endpoint", one.model) for one in endpoint_list()]


def _kind(artifact: Artifact) -> Literal["model", "adapter"]:
    return "adapter" if artifact.kind == Artifact.Kind.ADAPTER else "model"


def endpoint_named(name: str) -> Endpoint | None:
    return Endpoint.objects.filter(name=name).first()


def artifact_named(name: str) -> Artifact | None:
    """A model of this site that answers prompts, by name; None where there is none, or it is not trained yet."""
    return Artifact.objects.ready().policies().select_related("base").filter(name=name).first()


@dataclass(frozen=True)
class Serving:
    """How a model of this site is served: not at all, by a job that is on its way, or by one that answers at `address`.

    `job` is the newest that was to serve it, ended or not; `reason` says why it can not be asked.
    """

    name: str
    state: Standing
    job: Job | None = None
    address: str = ""
    digest: str = ""
    reason: str = ""
    hint: str = ""

    def described(self) -> dict[str, Any]:
        job = self.job.pk if self.job is not None and self.state != "none" else None
        return {"model": self.name, "state": self.state, "job": job, "model_hash": self.digest, "reason": self.reason}


def serving_of(name: str) -> Serving:
    """How the model of that name is served just now."""
    job = Job.objects.filter(kind=KIND, payload__models__contains=[name]).select_related("worker").order_by("-pk").first()
    if job is None:
        return Serving(name, "none", reason=f"“{name}” is not served yet.")
    if job.state in ENDED:
        failed = job.state == State.FAILED
        reason = f"It could not be served: {job.reason}" if failed else f"“{name}” is not served any more."
        return Serving(name, "none", job, reason=reason, hint=job.hint if failed else "")
    told = read_json(local_path(job.folder) / ADDRESS) if job.folder and job.state == State.RUNNING else {}
    if not told:
        return Serving(name, "waiting", job, reason=f"“{name}” is not ready yet: {job.progress_note or job.get_state_display()}.")
    if told["host"] != socket.gethostname():
        reason = f"“{name}” is served on {told['host']}, and this site's pages reach only their own machine."
        return Serving(name, "none", job, reason=reason, hint="Stop it, and choose hardware that the site's machine has.")
    return Serving(name, "ready", job, told["address"], str(told["models"].get(name, "")))


def servings() -> list[Serving]:
    """The models that are served, or on their way, the newest first."""
    jobs = Job.objects.filter(kind=KIND).exclude(state__in=ENDED).order_by("-pk")
    names = dict.fromkeys(name for job in jobs for name in job.payload["models"])
    return [serving_of(name) for name in names]


def serving_tags() -> list[str]:
    """The hardware on which some worker would serve a model now, `cpu` first."""
    served = tags_served()
    return [tag for tag in COMPUTE_TAGS if tag in served]


def servings_of(names: Sequence[str]) -> list[Serving]:
    """Of these names those of models of this site; endpoints need no serving."""
    own = set(Artifact.objects.filter(name__in=names).values_list("name", flat=True))
    return [serving_of(name) for name in names if name in own]
