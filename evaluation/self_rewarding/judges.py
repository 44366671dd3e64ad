"""Who judges a loop's answers: what the setting names, looked up once when the loop starts, and how the job asks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from accounts.chat.service import KEY_VARIABLE
from accounts.endpoints import endpoint_environment, endpoint_service
from accounts.hosts import host_allowed
from annotations.models import Revocation, Teacher, TeacherVersion
from annotations.teachers.prompts import load_prompt, prompt_names
from evaluation.self_rewarding.settings import SELF, LoopSettings
from training.models import Artifact
from training.placing import model_here


class NoSuchJudge(ValueError):  # noqa: N818 - a refusal is no accident
    """Nobody can judge as asked; the message says what to change."""


class Asked(NamedTuple):
    """A judge as `training.self_reward` reads it, with the environment that holds its key."""

    values: dict[str, Any]
    environment: dict[str, str]


def judge_chosen(wanted: LoopSettings) -> str:
    """The setting with a teacher's version in it, so that every round is judged alike. Raises NoSuchJudge."""
    kind, _, name = wanted.judge.partition(":")
    if kind != "teacher":
        _check_prompt(wanted.judge_prompt)
        if kind == "model":
            _model(name)
        return wanted.judge
    version = _version(name)
    _check(version)
    return f"teacher:{version}"


def teachers_that_judge() -> list[Teacher]:
    """Those that a loop could begin with now: active, with a version that gives scores, not revoked, at an address that may be
    called.
    """
    return [one for one in Teacher.objects.all() if _may_judge(one)]


def _may_judge(teacher: Teacher) -> bool:
    try:
        _check(_version(teacher.name))
    except NoSuchJudge:
        return False
    return True


def _check(version: TeacherVersion) -> None:
    """Raises NoSuchJudge where no loop may begin with it."""
    if not version.teacher.is_active:
        raise NoSuchJudge(f"The teacher “{version.teacher}” is resting: switch it on first.")
    if Revocation.objects.in_force().filter(rater=version.rater_id).exists():
        raise NoSuchJudge(f"The scores of {version} are revoked: change how it judges, or lift the revocation.")
    if not host_allowed(version.endpoint.base_url):
        raise NoSuchJudge(f"This site may not call {version.endpoint.base_url}, which “{version}” asks: see Account → Hosts.")


def judge_asked(judge: str, settings: Mapping[str, Any], folder: Path) -> Asked:
    """How a job in `folder` asks it. Raises NoSuchJudge, HostRefused and SecretLost."""
    kind, _, name = judge.partition(":")
    if kind == "teacher":
        return _teacher_asked(_version(name))
    values = {
        "prompt": settings["judge_prompt"],
        "max_tokens": settings["judge_max_tokens"],
        "uses_reference": settings["uses_reference"],
    }
    if judge != SELF:
        values["model"] = str(model_here(_model(name), folder))
    return Asked(values, {})


def _teacher_asked(version: TeacherVersion) -> Asked:
    teacher, endpoint = version.teacher, version.endpoint
    service = endpoint_service(endpoint).model_copy(update={"model": version.model})
    has_prices = endpoint.price_in is not None or endpoint.price_out is not None
    values = {
        "service": service.model_dump(mode="json"),
        "prompt": version.prompt,
        "max_tokens": version.max_tokens,
        "uses_reference": version.uses_reference,
        "temperature": version.temperature,
        "max_calls": teacher.max_calls,
        "max_cost": float(teacher.max_cost) if teacher.max_cost is not None and has_prices else None,
        "key_variable": KEY_VARIABLE,
    }
    return Asked(values, endpoint_environment(endpoint))


def _check_prompt(name: str) -> None:
    if name not in prompt_names():
        raise NoSuchJudge(f"There is no prompt “{name}”; there are {', '.join(prompt_names())}.")
    if load_prompt(name).kind == "pairwise":
        raise NoSuchJudge(f"“{name}” compares answers; self-rewarding needs one that gives scores.")


def _model(name: str) -> Artifact:
    found = Artifact.objects.filter(name=name).select_related("base").first()
    if found is None:
        raise NoSuchJudge(f"There is no model “{name}” to judge.")
    if found.ready_at is None or found.purpose != Artifact.Purpose.POLICY:
        raise NoSuchJudge(f"“{name}” cannot judge: it is {'not trained yet' if not found.ready_at else found.purpose_in_words}.")
    return found


def _version(named: str) -> TeacherVersion:
    name, _, number = named.partition("@")
    teacher = Teacher.objects.filter(name=name).first()
    if teacher is None:
        raise NoSuchJudge(f"There is no teacher “{name}”.")
    versions = teacher.versions.select_related("teacher", "endpoint").exclude(prompt__kind="pairwise")
    found = (versions.filter(number=int(number)) if number else versions).first()
    if found is None:
        raise NoSuchJudge(f"The teacher “{name}” has {f'no version {number}' if number else 'no version'} that gives scores.")
    return found
