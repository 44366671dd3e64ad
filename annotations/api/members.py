"""Who scores in a project, over HTTP; and how newcomers do."""

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from accounts.models import User
from annotations import services
from annotations.api.common import Text, acting_user, project_of
from annotations.models import Project
from annotations.selectors.members import Member, member_users, members_of
from annotations.services.members import (
    MemberRefused,
    member_add,
    member_cap,
    member_pause,
    member_resume,
    member_skills,
)
from annotations.services.qualification import (
    Outcome,
    feedback_list,
    outcome,
    qualification_again,
    qualification_waive,
)
from annotations.services.raters import person_rater

router = Router(tags=["annotations"])


class MemberOut(Schema):
    username: str = Field(alias="user.username")
    role: str = Field(alias="user.role")
    may_score: bool
    is_paused: bool
    cap: int | None
    skills: list[str]
    scored: int
    skipped: int
    assigned: int
    qualified: str = Field(description='"", "passed" or "waived"')
    attempt: int

    @staticmethod
    def resolve_cap(one: Member) -> int | None:
        return one.membership.cap if one.membership else None

    @staticmethod
    def resolve_skills(one: Member) -> list[str]:
        return one.rater.skills if one.rater else []

    @staticmethod
    def resolve_scored(one: Member) -> int:
        return one.progress.scored if one.progress else 0

    @staticmethod
    def resolve_skipped(one: Member) -> int:
        return one.progress.skipped if one.progress else 0

    @staticmethod
    def resolve_qualified(one: Member) -> str:
        return one.membership.qualified_by if one.membership else ""

    @staticmethod
    def resolve_attempt(one: Member) -> int:
        return one.membership.attempt if one.membership else 1


class MemberChange(Schema):
    """What is left out stays as it is."""

    is_active: bool | None = Field(default=None, description="false pauses: what they hold goes back to the queue.")
    cap: int | None = Field(default=None, ge=1, description="Scores at most; null: as the project says.")
    skills: list[Text] | None = Field(default=None, description="In every project.")


class FeedbackOut(Schema):
    item: int = Field(alias="item.pk")
    given: float | None
    reference: float
    note: str
    how: str = Field(description='"right", "near" (within one step), "off" or "unscored"')


class QualificationOut(Schema):
    asked: int
    answered: int
    left: int
    right: int
    near: int
    needed_share: float
    attempt: int
    state: str = Field(description='"not asked", "under way", "passed", "waived" or "failed"')
    feedback: list[FeedbackOut]


@router.get("/projects/{slug}/members", response=list[MemberOut], auth=ApiAuth("member"))
def member_list(request: HttpRequest, slug: Text) -> list[Member]:
    """Everybody who may score here, or has; at most 1,000."""
    project = project_of(slug)
    return members_of(project=project, users=list(member_users(project=project)[:1000]))


@router.put("/projects/{slug}/members/{username}", response=MemberOut, auth=ApiAuth("admin"))
def member_set(request: HttpRequest, slug: Text, username: Text, change: MemberChange) -> Member:
    """Add somebody, pause them, set their cap and skills: all that is asked, or where part of it is refused nothing."""
    project, user, actor = project_of(slug), _user(username), acting_user(request)
    given = change.dict(exclude_unset=True)
    try:
        with transaction.atomic():
            _change(project, user, actor, given)
    except MemberRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return members_of(project=project, users=[user])[0]


def _change(project: Project, user: User, actor: User, given: dict[str, Any]) -> None:
    if given.get("is_active") is False:
        member_pause(project=project, user=user, actor=actor)
    elif given.get("is_active"):
        member_resume(project=project, user=user, actor=actor)
    elif not set(given) & {"cap", "skills"}:
        member_add(project=project, user=user, actor=actor)
    if "cap" in given:
        member_cap(project=project, user=user, cap=given["cap"], actor=actor)
    if given.get("skills") is not None:
        member_skills(user=user, skills=given["skills"], actor=actor)


@router.post("/projects/{slug}/members/{username}/waive", response=MemberOut, auth=ApiAuth("admin"))
def member_waive(request: HttpRequest, slug: Text, username: Text) -> Member:
    """Let somebody go on without the qualification items."""
    project, user = project_of(slug), _user(username)
    qualification_waive(project=project, user=user, actor=acting_user(request))
    return members_of(project=project, users=[user])[0]


@router.post("/projects/{slug}/members/{username}/again", response=MemberOut, auth=ApiAuth("admin"))
def member_again(request: HttpRequest, slug: Text, username: Text) -> Member:
    """Another attempt: what they gave on the qualification items is withdrawn, and the items come again."""
    project, user = project_of(slug), _user(username)
    qualification_again(project=project, user=user, actor=acting_user(request))
    return members_of(project=project, users=[user])[0]


@router.get("/projects/{slug}/qualification", response=QualificationOut, auth=ApiAuth("annotator"))
def qualification(request: HttpRequest, slug: Text) -> dict[str, Any]:
    """How you do on the qualification items: what you gave, and what is right. Those scores then stand."""
    project, user = project_of(slug), acting_user(request)
    return _told(project, user)


def _told(project: Project, user: User) -> dict[str, Any]:
    rater = person_rater(user=user)
    told: Outcome = outcome(project=project, rater=rater)
    given = feedback_list(project=project, rater=rater)
    services.scores_shown(items=[one.item.pk for one in given], actor=user)
    return {**vars(told), "left": told.left, "feedback": given}


def _user(username: str) -> User:
    return get_object_or_404(User, username=username)
