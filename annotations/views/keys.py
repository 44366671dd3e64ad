"""One's own keys of the scoring desk."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.roles import role_required, signed_in_user
from annotations import services
from annotations.desk_keys import ACTIONS, Action, Scope
from annotations.services import KeysRefused

GROUPS: tuple[tuple[Scope, Promise], ...] = (
    ("desk", gettext_lazy("Always")),
    ("score", gettext_lazy("Scoring an answer")),
    ("marks", gettext_lazy("Marking words")),
    ("marking", gettext_lazy("While marking")),
    ("compare", gettext_lazy("Comparing answers")),
    ("review", gettext_lazy("Reviewing an answer")),
)


@dataclass(frozen=True)
class Field:
    action: Action
    key: str
    error: str = ""


@require_http_methods(["GET", "POST"])
@role_required("annotator")
def keys(request: HttpRequest) -> HttpResponse:
    """Every action of the scoring desk and its key. What they are changed to follows the person, not the browser."""
    user = signed_in_user(request)
    now = services.keys_of(user=user)
    errors: dict[str, str] = {}
    if request.method == "POST":
        typed = {action.name: request.POST.get(action.name, "").strip().replace("\x00", "") for action in ACTIONS}
        changes = {name: key or None for name, key in typed.items() if key != now[name] and name in request.POST}
        reset = "reset" in request.POST
        try:
            services.keys_change(user=user, keys={} if reset else changes, reset=reset, actor=user)
        except KeysRefused as refused:
            errors = {refused.name: str(refused)}
            now |= {name: key or now[name] for name, key in typed.items()}
        else:
            messages.success(request, _("Your keys are as usual again.") if reset else _("Your keys are saved."))
            return redirect("annotations:keys")
    fields = [Field(action, now[action.name], errors.get(action.name, "")) for action in ACTIONS]
    groups = [(title, [one for one in fields if one.action.scope == scope]) for scope, title in GROUPS]
    context = {"groups": [(title, of_group) for title, of_group in groups if of_group], "is_wrong": bool(errors)}
    return render(request, "annotations/keys.html", context, status=422 if errors else 200)
