"""AI teachers as rewards of training runs: which version is meant, how it is asked, and with which key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import F

from accounts.chat.service import KEY_VARIABLE
from accounts.endpoints import endpoint_environment, endpoint_service
from accounts.hosts import host_allowed
from accounts.models import Role, User
from annotations.models import DatasetVersion, Revocation, Teacher, TeacherVersion
from annotations.rubric import load_rubric
from training.specs import RunSpec

KIND = "teacher"


class NoSuchTeacher(ValueError):  # noqa: N818 - a refusal is no accident
    """A teacher that cannot be a run's reward. `field` names what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def teachers_chosen(spec: RunSpec) -> RunSpec:
    """The specification with the version of each teacher that it names: its newest that gives single scores, unless it says.

    Raises NoSuchTeacher, also for a host that this site may not call.
    """
    if not names_teachers(spec):
        return spec
    values = spec.model_dump(mode="json")
    parts = values["reward"]["parts"]
    if sum(1 for _ in _teachers_within(values["reward"])) > sum(part["kind"] == KIND for part in parts):
        raise NoSuchTeacher("reward", "A teacher is a part of the reward by itself, and no principle of a constitution.")
    for number, part in enumerate(parts):
        if part["kind"] == KIND:
            part["version"] = _version(part, f"reward.parts.{number}").number
    return RunSpec.model_validate(values)


def names_teachers(spec: RunSpec) -> bool:
    """Whether a run by this specification asks an AI teacher."""
    return spec.reward is not None and any(_teachers_within(spec.reward.model_dump(mode="json")))


def may_ask(actor: User | None) -> bool:
    """Whether somebody may have a run ask a teacher, which costs money: as for a teacher's own runs. None: from the shell."""
    return actor is None or actor.has_role(Role.ADMIN)


def teachers_placed(values: Mapping[str, Any], dataset: DatasetVersion) -> tuple[dict[str, Any], dict[str, str]]:
    """A spec's values with all that a child process needs to ask its teachers, and beside them the keys, by variable.

    The network addresses are looked up now and are the only ones that will be called. Raises HostRefused, SecretLost, and
    TeacherVersion.DoesNotExist.
    """
    reward, keys = values.get("reward"), dict[str, str]()
    if not isinstance(reward, Mapping):
        return dict(values), keys
    parts = []
    for number, part in enumerate(reward["parts"]):
        if part["kind"] != KIND:
            parts.append(part)
            continue
        version = _found(part["teacher"], part["version"])
        variable = f"{KEY_VARIABLE}_{number}"  # two teachers may have different keys
        if key := endpoint_environment(version.endpoint).get(KEY_VARIABLE):
            keys[variable] = key
        parts.append(part | _limits(part, version) | {"asks": _asks(version, dataset) | {"key_variable": variable}})
    return {**values, "reward": {**reward, "parts": parts}}, keys


def _asks(version: TeacherVersion, dataset: DatasetVersion) -> dict[str, Any]:
    service = endpoint_service(version.endpoint).model_copy(update={"model": version.model})
    rubric = dataset.project.rubric_version.rubric if dataset.project is not None else load_rubric()
    return {
        "service": service.model_dump(mode="json"),
        "prompt": version.prompt,
        "rubric": rubric.model_dump(mode="json"),
        "uses_reference": version.uses_reference,
        "max_tokens": version.max_tokens,
        "temperature": version.temperature,
        "cache": str(Path(settings.RLWHF_HOME) / "cache" / "teachers"),
    }


def _limits(part: Mapping[str, Any], version: TeacherVersion) -> dict[str, Any]:
    """The lower of the recipe's and the teacher's own, whose cost binds where its service has prices."""
    teacher = version.teacher
    cost = None if teacher.max_cost is None or not _has_prices(version) else float(teacher.max_cost)
    asked = {"max_calls": (part["max_calls"], teacher.max_calls), "max_cost": (part["max_cost"], cost)}
    return {name: min((one for one in both if one is not None), default=None) for name, both in asked.items()}


def _version(part: Mapping[str, Any], at: str) -> TeacherVersion:
    if part["asks"] is not None:
        raise NoSuchTeacher(f"{at}.asks", "Which service is asked is the teacher's own affair here: leave `asks` away.")
    teacher = Teacher.objects.filter(name=part["teacher"]).first()
    if teacher is None:
        raise NoSuchTeacher(f"{at}.teacher", f"There is no teacher “{part['teacher']}”.")
    if not teacher.is_active:
        raise NoSuchTeacher(f"{at}.teacher", f"The teacher “{teacher}” is resting: switch it on first.")
    singles = teacher.versions.select_related("endpoint", "teacher", "rater").filter(prompt__kind="single")
    version = singles.filter(number=F("number") if part["version"] is None else part["version"]).first()
    if version is None:
        which = "no version" if part["version"] is None else f"no version {part['version']}"
        raise NoSuchTeacher(f"{at}.teacher", f"The teacher “{teacher}” has {which} that gives single scores.")
    if Revocation.objects.in_force().filter(rater=version.rater_id).exists():
        raise NoSuchTeacher(
            f"{at}.teacher", f"The scores of {version} are revoked: change how it judges, or lift the revocation."
        )
    if not host_allowed(version.endpoint.base_url):
        reason = f"This site may not call {version.endpoint.base_url}, which the teacher “{teacher}” asks"
        raise NoSuchTeacher(f"{at}.teacher", f"{reason}: see Account → Hosts.")
    if part["max_cost"] is not None and not _has_prices(version):
        raise NoSuchTeacher(f"{at}.max_cost", f"The service of the teacher “{teacher}” has no prices: limit max_calls.")
    return version


def _has_prices(version: TeacherVersion) -> bool:
    return version.endpoint.price_in is not None or version.endpoint.price_out is not None


def _found(teacher: str, number: int) -> TeacherVersion:
    found = TeacherVersion.objects.select_related("teacher", "endpoint").defer("endpoint__sealed_key")
    return found.get(teacher__name=teacher, number=number)


def _teachers_within(values: Any) -> Iterator[Mapping[str, Any]]:
    """Every part of this kind, however deep."""
    if isinstance(values, Mapping):
        if values.get("kind") == KIND and "teacher" in values:
            yield values
        for value in values.values():
            yield from _teachers_within(value)
    elif isinstance(values, list):
        for value in values:
            yield from _teachers_within(value)
