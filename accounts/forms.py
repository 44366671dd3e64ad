"""The forms of the accounts pages."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Role, User

NEW_PASSWORD = forms.PasswordInput(attrs={"autocomplete": "new-password"})


class LoginForm(AuthenticationForm):
    """Django's own, with the cursor in the first field and a plain sentence for a wrong password."""

    error_messages = {
        "invalid_login": _("That name and password do not go together. Both are case-sensitive."),
        "inactive": _("This account is switched off; ask an admin."),
    }


class NewPersonForm(forms.Form):
    username = forms.CharField(
        label="Name",
        max_length=150,
        help_text="For logging in: letters, digits and @ . + - _",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    email = forms.EmailField(label="E-mail", required=False)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.ANNOTATOR)
    password = forms.CharField(widget=NEW_PASSWORD, help_text="At least 10 characters. The person can change it under Account.")


class FirstAdminForm(forms.Form):
    username = forms.CharField(
        label="Name",
        max_length=150,
        help_text="For logging in: letters, digits and @ . + - _",
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(widget=NEW_PASSWORD, help_text="At least 10 characters, and not a common one.")
    again = forms.CharField(label="Password again", widget=NEW_PASSWORD)

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if self.cleaned_data.get("password") != self.cleaned_data.get("again"):
            self.add_error("again", "The two passwords differ.")
        return data


class TokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("What will use it, such as “nightly import”."))
    days = forms.TypedChoiceField(
        label=_("Valid for"),
        coerce=int,
        initial=90,
        choices=((30, _("30 days")), (90, _("90 days")), (365, _("a year")), (0, _("until revoked"))),
    )

    def expires_at(self) -> Any:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


class HostForm(forms.Form):
    host = forms.CharField(
        max_length=253,
        help_text="Such as argilla.example.org, without http://",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    port = forms.IntegerField(required=False, min_value=1, max_value=65535, help_text="Empty: every port.")
    is_private = forms.BooleanField(
        required=False,
        label="It may lie in a private network",
        help_text="Such as this machine or your own network. Without this, such addresses are refused.",
    )
    note = forms.CharField(required=False, max_length=200, help_text="What it is for.")


class EndpointForm(forms.Form):
    name = forms.SlugField(
        max_length=80,
        help_text="What scorecards call it, such as big-model-2026.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    base_url = forms.CharField(
        label="Address",
        max_length=500,
        help_text="Up to and with the version, such as https://models.example.org/v1. Its host must be among the allowed ones.",
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
    )
    model = forms.CharField(
        max_length=200, help_text="As the service calls it.", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    key = forms.CharField(
        required=False,
        max_length=2000,
        help_text="Kept encrypted and never shown again. Empty: as before.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    forget_key = forms.BooleanField(required=False, label="It needs no key")
    requests_per_minute = forms.IntegerField(required=False, min_value=1, help_text="Empty: no limit.")
    timeout_s = forms.FloatField(label="Time-out", initial=60, min_value=1, max_value=3600, help_text="Seconds for one answer.")
    price_in = forms.DecimalField(
        label="Price of prompts", required=False, min_value=0, decimal_places=4, help_text="Per million tokens."
    )
    price_out = forms.DecimalField(
        label="Price of answers", required=False, min_value=0, decimal_places=4, help_text="Per million tokens."
    )
    chat_budget = forms.DecimalField(
        label="Chat, a day",
        required=False,
        min_value=0,
        decimal_places=4,
        help_text="What chatting with it may cost in a day, whoever chats. Empty: where it has a price, admins alone chat.",
    )
    note = forms.CharField(required=False, max_length=200, help_text="What it is for.")

    def wanted(self) -> dict[str, Any]:
        """What the service that saves it takes."""
        values = dict(self.cleaned_data)
        key, none = values.pop("key"), values.pop("forget_key")
        return {**values, "key": "" if none else key or None}


class AuditFilterForm(forms.Form):
    person = forms.ModelChoiceField(
        User.objects.order_by("username"), required=False, to_field_name="username", empty_label="Everybody"
    )
    action = forms.CharField(required=False)
