"""Who may do what, how they prove it, and what they did."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """Each role may do everything the ones before it may."""

    ANNOTATOR = "annotator", _("Annotator")
    MEMBER = "member", _("Team member")
    ADMIN = "admin", _("Admin")

    @property
    def rank(self) -> int:
        return list(Role).index(self)


class UserManager(DjangoUserManager["User"]):
    def create_superuser(self, username: str, email: str | None = None, password: str | None = None, **extra: object) -> "User":
        return super().create_superuser(username, email, password, **({"role": Role.ADMIN} | extra))


class User(AbstractUser):
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.ANNOTATOR)
    # Of the pages; empty: as the browser asks.
    language = models.CharField(max_length=8, blank=True)
    # Of the scoring desk, {action: key}: those that are not as everybody's.
    keys: "models.JSONField[dict[str, str], dict[str, str]]" = models.JSONField(default=dict, blank=True)

    objects: ClassVar[UserManager] = UserManager()

    class Meta(AbstractUser.Meta):
        constraints = (models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),)

    def has_role(self, role: str) -> bool:
        return self.is_active and Role(self.role).rank >= Role(role).rank


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> "ApiTokenQuerySet":
        live = models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now())
        return self.filter(live, revoked_at=None, user__is_active=True)


class ApiToken(models.Model):
    """A secret that stands for its user over HTTP. Only its digest is kept; the secret is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AllowedHost(models.Model):
    """Another server that this site may call. All others it calls never."""

    # A name or an address, as it stands in the address that is called; lower case, without a port.
    host = models.CharField(max_length=253)
    # Null: every port.
    port = models.PositiveIntegerField(null=True, blank=True)
    # Whether it may lie in a network that the world cannot reach: this machine, the house's own network.
    is_private = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("host", "port")
        constraints = (models.UniqueConstraint(fields=("host", "port"), nulls_distinct=False, name="allowed_host_once"),)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


class Endpoint(models.Model):
    """A service that speaks OpenAI's chat protocol, and one model of it."""

    name = models.SlugField(max_length=80, unique=True)
    # Up to and with the version, such as https://models.example.org/v1
    base_url = models.CharField(max_length=500)
    # As the service calls it.
    model = models.CharField(max_length=200)
    # Empty: it asks for none.
    sealed_key = models.TextField(blank=True, editable=False)
    # Null: no limit.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    timeout_s = models.FloatField(default=60.0)
    # Per million tokens of prompts and of answers, in the currency of the site's prices.
    price_in = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    price_out = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    # What chatting with it may cost in a day, whoever chats. Null: where it has a price, admins alone chat.
    chat_budget = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def has_prices(self) -> bool:
        """Whether what it is asked costs money, as far as the site was told."""
        return bool(self.price_in or self.price_out)

    @property
    def has_key(self) -> bool:
        return bool(self.sealed_key)


class AuditEntry(models.Model):
    """One thing somebody did. Written by services, never changed."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    # Kept beside the key so that the entry still names its actor after the account is gone.
    actor_name = models.CharField(max_length=150, blank=True)
    action = models.CharField(max_length=64, db_index=True)
    target_type = models.CharField(max_length=64, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "audit entries"
        indexes = (models.Index(fields=("target_type", "target_id"), name="audit_target"),)

    def __str__(self) -> str:
        return f"{self.actor_name or 'system'} {self.action} {self.target_label}".strip()
