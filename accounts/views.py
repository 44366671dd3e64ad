"""Logging in and out, one's password and tokens, and for admins the people and the audit log."""

from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import selectors, services, setup_link
from accounts.endpoint_check import endpoint_check
from accounts.endpoints import EndpointRefused, endpoint_forget, endpoint_save
from accounts.forms import AuditFilterForm, EndpointForm, FirstAdminForm, HostForm, LoginForm, NewPersonForm, TokenForm
from accounts.hosts import HostRefused, host_allow, host_forget, private_caution
from accounts.language import is_known, remember_language
from accounts.models import AllowedHost, Endpoint, Role, User
from accounts.roles import public, role_required, signed_in_user
from accounts.theme import remember_theme

PAGE_SIZE = 100
PASSWORD_BACKEND = "django.contrib.auth.backends.ModelBackend"

login_page = public(
    LoginView.as_view(template_name="accounts/login.html", authentication_form=LoginForm, redirect_authenticated_user=True)
)
# Logging out is open to strangers too: a second click on the button must not end at the log-in page with an error.
logout = public(LogoutView.as_view())


def add_errors(form: Form, error: ValidationError, *, field: str) -> None:
    """Put a service's refusal beside the fields it names; what names none goes to `field`."""
    if not hasattr(error, "error_dict"):
        form.add_error(field, error)
        return
    for name, errors in error.error_dict.items():
        form.add_error(name if name in form.fields else field, ValidationError(errors))


@require_POST
@public
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or what the system prefers; back to where the person was."""
    response = redirect(_back(request))
    remember_theme(response, request.POST.get("theme", ""))
    return response


@require_POST
@public
def language(request: HttpRequest) -> HttpResponse:
    """Remember the language of the pages, for the person where there is one, and in this browser."""
    chosen = request.POST.get("language", "")
    if isinstance(request.user, User):
        services.user_set_language(user=request.user, language=chosen if is_known(chosen) else "", actor=request.user)
    response = redirect(_back(request))
    remember_language(response, chosen)
    return response


def _back(request: HttpRequest) -> str:
    back = request.POST.get("next", "/")
    own = {request.get_host()}
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts=own, require_https=request.is_secure()) else "/"


@sensitive_post_parameters("password", "again")
@never_cache
@require_http_methods(["GET", "POST"])
@public
def setup(request: HttpRequest, token: str) -> HttpResponse:
    """The first admin makes the account here, by the link that the start of the site printed."""
    if not setup_link.setup_token_valid(token):
        return render(request, "accounts/setup_closed.html", {"has_admin": services.first_admin_exists()}, status=404)
    form = FirstAdminForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.first_admin_create(username=form.cleaned_data["username"], password=form.cleaned_data["password"])
        except ValidationError as error:
            add_errors(form, error, field="password")
        except PermissionError as error:
            form.add_error(None, str(error))
        else:
            setup_link.setup_link_spend()
            login(request, user, backend=PASSWORD_BACKEND)
            messages.success(request, f"Welcome, {user.username}. You are the site's first admin.")
            return redirect("dashboards:home")
    return render(request, "accounts/setup.html", {"form": form}, status=422 if form.is_bound else 200)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@role_required("annotator")
def password(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    form = PasswordChangeForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.user_set_password(user=user, password=form.cleaned_data["new_password1"], actor=user)
        update_session_auth_hash(request, user)
        messages.success(request, _("Your password is changed. Other browsers that were logged in as you are logged out."))
        return redirect("accounts:password")
    return render(request, "accounts/password.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def person_list(request: HttpRequest) -> HttpResponse:
    """Everybody, with a form to add somebody."""
    form = NewPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            person = services.user_create(**form.cleaned_data, actor=signed_in_user(request))
        except ValidationError as error:
            add_errors(form, error, field="password")
        else:
            messages.success(request, f"{person.username} can log in now, as {person.get_role_display().lower()}.")
            return redirect("accounts:person-list")
    context = {"people": selectors.person_list(), "form": form, "roles": Role.choices}
    return render(request, "accounts/person_list.html", context, status=422 if form.is_bound else 200)


@require_POST
@role_required("admin")
def person_role(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    try:
        services.user_set_role(user=person, role=request.POST.get("role", ""), actor=signed_in_user(request))
    except ValueError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{person.username} is now: {person.get_role_display().lower()}.")
    return redirect("accounts:person-list")


@require_POST
@role_required("admin")
def person_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch an account off or on again."""
    person = get_object_or_404(User, pk=pk)
    try:
        services.user_set_active(user=person, active=request.POST.get("active") == "1", actor=signed_in_user(request))
    except ValueError as error:
        messages.error(request, str(error))
    return redirect("accounts:person-list")


@never_cache
@require_http_methods(["GET", "POST"])
@role_required("annotator")
def token_list(request: HttpRequest) -> HttpResponse:
    """One's own API tokens; a new one's secret is in the answer to its POST and nowhere else."""
    user = signed_in_user(request)
    form, secret = TokenForm(request.POST or None), None
    status = 422 if form.is_bound else 200
    if request.method == "POST" and form.is_valid():
        made = services.token_create(user=user, name=form.cleaned_data["name"], actor=user, expires_at=form.expires_at())
        secret = made[1]
        form, status = TokenForm(), 201
    context = {"form": form, "secret": secret, "tokens": selectors.token_list(user=user)}
    return render(request, "accounts/token_list.html", context, status=status)


@require_POST
@role_required("annotator")
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in_user(request)
    token = selectors.token_list(user=user).filter(pk=pk).first()
    if token is None:
        raise Http404
    services.token_revoke(token=token, actor=user)
    messages.success(request, _("“%(name)s” is revoked: whatever used it is refused from now on.") % {"name": token.name})
    return redirect("accounts:token-list")


@require_GET
@role_required("admin")
def audit_list(request: HttpRequest) -> HttpResponse:
    form = AuditFilterForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    entries = selectors.audit_list(person=wanted.get("person"), action=wanted.get("action", ""))
    page = Paginator(entries, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "form": form,
        "wanted": wanted,
        "people": selectors.person_list(),
        "actions": selectors.audit_actions(),
    }
    return render(request, "accounts/audit_list.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def host_list(request: HttpRequest) -> HttpResponse:
    """The other servers that the site may call, with a form to allow one."""
    form = HostForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            entry = host_allow(**form.cleaned_data, actor=signed_in_user(request))
        except HostRefused as refused:
            form.add_error("host", str(refused))
        else:
            if caution := private_caution(entry):
                messages.warning(request, f"{caution} Allow it again with “It may lie in a private network”.")
            else:
                messages.success(request, f"This site may call {entry}.")
            return redirect("accounts:host-list")
    context = {"hosts": selectors.host_list(), "form": form}
    return render(request, "accounts/host_list.html", context, status=422 if form.is_bound else 200)


@require_POST
@role_required("admin")
def host_remove(request: HttpRequest, pk: int) -> HttpResponse:
    entry = get_object_or_404(AllowedHost, pk=pk)
    host_forget(entry=entry, actor=signed_in_user(request))
    messages.success(request, f"This site calls {entry} no more.")
    return redirect("accounts:host-list")


@sensitive_post_parameters("key")
@require_http_methods(["GET", "POST"])
@role_required("admin")
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """The services whose models the site may ask, with a form to make one known; the address can fill in what is no secret."""
    wanted = {name: request.GET[name] for name in ("name", "base_url", "model") if name in request.GET}
    form = EndpointForm(request.POST or None, initial=wanted)
    if request.method == "POST" and form.is_valid() and _endpoint_saved(request, form, is_new=True):
        return redirect("accounts:endpoint-list")
    context = {"endpoints": selectors.endpoint_list(), "form": form}
    return render(request, "accounts/endpoint_list.html", context, status=422 if form.is_bound else 200)


@sensitive_post_parameters("key")
@require_http_methods(["GET", "POST"])
@role_required("admin")
def endpoint_change(request: HttpRequest, name: str) -> HttpResponse:
    """One service's address, model, key and limits."""
    endpoint = get_object_or_404(Endpoint, name=name)
    now = {field: getattr(endpoint, field) for field in EndpointForm.base_fields if field not in ("key", "forget_key")}
    form = EndpointForm({**request.POST.dict(), "name": name}) if request.method == "POST" else EndpointForm(initial=now)
    form.fields["name"].disabled = True
    form.initial["name"] = name
    if request.method == "POST" and form.is_valid() and _endpoint_saved(request, form):
        return redirect("accounts:endpoint-list")
    context = {"endpoint": endpoint, "form": form}
    return render(request, "accounts/endpoint_change.html", context, status=422 if form.is_bound else 200)


def _endpoint_saved(request: HttpRequest, form: EndpointForm, *, is_new: bool = False) -> bool:
    """Whether it could be saved; else the form says why not."""
    try:
        endpoint = endpoint_save(**form.wanted(), is_new=is_new, actor=signed_in_user(request))
    except EndpointRefused as refused:
        form.add_error(refused.field, str(refused))
        return False
    messages.success(request, f"{endpoint} is saved. Check asks it one question; then {endpoint.model} can be evaluated.")
    return True


@require_POST
@role_required("admin")
def endpoint_ask(request: HttpRequest, name: str) -> HttpResponse:
    """One question, so that an admin hears what is wrong before a job does."""
    try:
        messages.success(request, endpoint_check(get_object_or_404(Endpoint, name=name)).told(name))
    except EndpointRefused as refused:
        messages.error(request, str(refused))
    return redirect("accounts:endpoint-list")


@require_POST
@role_required("admin")
def endpoint_remove(request: HttpRequest, name: str) -> HttpResponse:
    endpoint = get_object_or_404(Endpoint, name=name)
    try:
        endpoint_forget(endpoint=endpoint, actor=signed_in_user(request))
    except EndpointRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{name} is forgotten, and its key with it.")
    return redirect("accounts:endpoint-list")
