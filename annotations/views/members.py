"""The People page of a project: who may score, how much, and what they can judge."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors
from annotations.models import Project
from annotations.selectors.leads import project_warnings, tab_counts
from annotations.selectors.members import member_users, members_of, qualification_counts, users_to_add
from annotations.services.members import (
    MemberRefused,
    member_add,
    member_cap,
    member_pause,
    member_resume,
    member_skills,
)
from annotations.services.qualification import qualification_again, qualification_waive

PAGE_SIZE = 50


@require_GET
@role_required("member")
def member_list_page(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(selectors.project_list(), slug=slug)
    page = Paginator(member_users(project=project), PAGE_SIZE).get_page(request.GET.get("page"))
    members = members_of(project=project, users=list(page.object_list))
    tried = qualification_counts(project=project) if project.qualification_items else None
    context = {
        "project": project,
        "tabs": tab_counts(project=project),
        "warnings": project_warnings(project=project),
        "page": page,
        "members": members,
        "qualification": tried,
        # Who has scored them all, so that only the share that was right can hold them back.
        "waiting": {rater for rater, one in (tried or {}).items() if one.answered >= project.qualification_items},
        "addable": users_to_add(project=project) if project.members_only else [],
    }
    return render(request, "annotations/member_list.html", context)


@require_POST
@role_required("admin")
def member_add_page(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    user = User.objects.filter(username=request.POST.get("username", "").replace("\x00", "")).first()
    try:
        if user is None:
            raise MemberRefused("Choose somebody to add.")
        member_add(project=project, user=user, actor=signed_in_user(request))
    except MemberRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{user.username} may score here.")
    return redirect("annotations:member-list", slug=slug)


@require_POST
@role_required("admin")
def member_update(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One change of what holds for somebody: the button that was pressed says which."""
    project = get_object_or_404(Project, slug=slug)
    user = get_object_or_404(User, pk=pk)
    try:
        said = _change(request, {"project": project, "user": user, "actor": signed_in_user(request)})
    except MemberRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, said)
    return redirect("annotations:member-list", slug=slug)


def _change(request: HttpRequest, who: dict[str, Any]) -> str:
    name = who["user"].username
    match request.POST.get("action"):
        case "pause":
            member_pause(**who)
            return f"{name} is paused here; what they had in hand went back to the queue."
        case "resume":
            member_resume(**who)
            return f"{name} may score here again."
        case "waive":
            qualification_waive(**who)
            return f"{name} goes on without the qualification."
        case "again":
            qualification_again(**who)
            return f"{name} has another attempt: the qualification items come to them again."
        case "save":
            with transaction.atomic():
                member_cap(cap=_cap(request.POST.get("cap", "")), **who)
                member_skills(user=who["user"], skills=request.POST.get("skills", "").split(","), actor=who["actor"])
            return f"Saved for {name}."
        case _:
            raise MemberRefused("That is nothing that can be done with a member.")


def _cap(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise MemberRefused("A cap is a whole number, or empty for the project’s.")
    return int(text)
