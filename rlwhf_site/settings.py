"""Settings, all from the environment. `manage.py check` says what is wrong with them; `docs/settings.md` lists them."""

import os
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from rlwhf_site.address import Address
from rlwhf_site.home import home_folder, published_database_url, read_or_create_secret, site_address


def flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, "1" if default else "0").strip().lower() in {"1", "true", "yes", "on"}


def number(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        return float(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number, not {text!r}.") from error


def names(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


BASE_DIR = Path(__file__).resolve().parent.parent
RLWHF_HOME = home_folder()
# Where the environments of other backends lie. Said in the environment, for that is where this process's children look too.
os.environ.setdefault("RLWHF_ENVIRONMENTS", str(RLWHF_HOME / "environments"))
# What commands put before the path of a page that they point to.
SITE_ADDRESS = site_address(RLWHF_HOME)
DEBUG = flag("RLWHF_DEBUG")
# HTTPS is what the world sees: cookies, redirects and HSTS follow. Off for a site on one's own machine.
HTTPS = flag("RLWHF_HTTPS")
SECRET_KEY = os.environ.get("RLWHF_SECRET_KEY") or read_or_create_secret(RLWHF_HOME / "secret_key")
ALLOWED_HOSTS = names("RLWHF_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = names("RLWHF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "accounts",
    "jobs",
    "annotations",
    "training",
    "evaluation",
    "dashboards",
    "rlwhf_site",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "axes",
    "csp",
    "django_htmx",
    "ninja",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "accounts.language.language_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "rlwhf_site.urls"
ASGI_APPLICATION = "rlwhf_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context_processors.theme",
                "django.template.context_processors.i18n",
                "rlwhf_site.navigation.navigation",
            ],
        },
    }
]


# A server, or the network before it, that swallows what is sent and says nothing: noticed within 25 seconds. By TCP's own
# defaults a process would wait for a quarter of an hour where it had sent something, and for two hours where it had not.
DATABASE_NETWORK = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


def database(url: str) -> dict[str, object]:
    """Django's settings for `postgresql://user:password@host:port/name`; a host that starts with / is a socket folder."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"DATABASE_URL must start with postgresql://, not {parts.scheme}://")
    try:
        port = str(parts.port or "")
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL has a wrong port: {error}.") from error
    query = dict(parse_qsl(parts.query.replace("+", "%2B")))  # as libpq reads it: a plus is a plus
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "rlwhf",
        "USER": unquote(parts.username or "rlwhf"),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": port,
        "CONN_HEALTH_CHECKS": True,  # a database that was started again must not cost the next requests
        "OPTIONS": DATABASE_NETWORK
        | query
        | {"pool": {"min_size": 1, "max_size": int(number("RLWHF_DATABASE_POOL", 16)), "timeout": 10}},
    }


# The embedded server publishes its address in the state folder, so that every process of one installation finds it.
DATABASE_URL = (
    os.environ.get("DATABASE_URL")
    or published_database_url(RLWHF_HOME)
    or f"postgresql://rlwhf@/rlwhf?host={quote(str(RLWHF_HOME / 'run'))}"
)
DATABASES = {"default": database(DATABASE_URL)}


def listening(name: str) -> Address | None:
    text = os.environ.get(name, "").strip()
    try:
        return Address.parse(text) if text else None
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


# Where `rlwhf up` lets workers on other hosts reach the embedded PostgreSQL; by default nowhere.
DATABASE_LISTEN = listening("RLWHF_DATABASE_LISTEN")
# Where folders travel between machines that do not share a state folder; empty: they share one, or there is one machine.
STORAGE_URL = os.environ.get("RLWHF_STORAGE_URL", "").strip()
# Folders outside of the state folder that may be sent to workers on other hosts, such as one with models.
STORAGE_FOLDERS = [Path(part).resolve() for part in names("RLWHF_STORAGE_FOLDERS")]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# redis://, amqp:// or a postgresql:// address; by default the queue lives in the same PostgreSQL as the data.
BROKER_URL = os.environ.get("BROKER_URL") or DATABASE_URL

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "dashboards:home"
LOGOUT_REDIRECT_URL = "accounts:login"
# Ten wrong passwords for one name from one address lock that pair for a quarter of an hour.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "accounts/locked.html"
SILENCED_SYSTEM_CHECKS: list[str] = []

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("RLWHF_BEHIND_PROXY") else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = RLWHF_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "rlwhf_site.finders.PlotlyFinder",
]
# Brotli packs Plotly's script a fifth smaller than gzip, and takes half a minute of a site's first start for it, wherever some
# other package happens to have brought it along.
SERVESTATIC_USE_BROTLI = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage" if DEBUG else "rlwhf_site.storage.StaticFiles"
    },
}
MEDIA_ROOT = RLWHF_HOME / "uploads"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("pt", "Português")]
LOCALE_PATHS = [BASE_DIR / "locale"]
# Numbers are written the same way in every language, as in the charts and files beside them.
FORMAT_MODULE_PATH = "rlwhf_site.formats"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# Who else gives names to models, by dotted name: pages tell an endpoint's and the site's own apart by name alone.
MODEL_NAMES_TAKEN = ("training.selectors.artifact_named",)

# What each background job does, by dotted name: `jobs` itself knows no kind of job.
JOB_KINDS = {
    "annotations.import": "annotations.jobs.ItemImport",
    "annotations.dataset": "annotations.jobs.DatasetBuild",
    "annotations.quality": "annotations.jobs.Quality",
    "annotations.bulk": "annotations.jobs.Bulk",
    "annotations.argilla": "annotations.jobs.Argilla",
    "annotations.teachers": "annotations.jobs.TeacherScoring",
    "annotations.chains": "annotations.jobs.ChainWalk",
    "training.run": "training.jobs.TrainingRun",
    "training.generate": "training.jobs.AnswerGeneration",
    "training.environment": "training.environments.EnvironmentJob",
    "training.serve": "evaluation.chatting.jobs.ModelServing",
    "evaluation.scorecard": "evaluation.jobs.ScorecardEvaluation",
    "evaluation.collect": "evaluation.jobs.AnswerCollection",
    "evaluation.verdict": "evaluation.promotion.jobs.Verdict",
    "evaluation.self_reward_judge": "evaluation.self_rewarding.jobs.Judging",
    "evaluation.self_reward_clean": "evaluation.self_rewarding.jobs.Cleaning",
    "evaluation.self_reward_decide": "evaluation.self_rewarding.jobs.Deciding",
}
# What the reconciler does now and then, by dotted name, and every how many seconds.
CHORES = {
    "annotations.services.rollups.score_counts_tend": 30,
    "annotations.services.rollups.score_counts_check": 86_400,
    "annotations.services.revocations.revocations_settle": 30,
}
# A worker that has not renewed a job's lease for this long has lost it.
JOB_LEASE_SECONDS = number("RLWHF_JOB_LEASE_SECONDS", 20)
# How long a stopped job's process may take to write its checkpoint before it is killed.
JOB_STOP_GRACE_SECONDS = number("RLWHF_JOB_STOP_GRACE_SECONDS", 30)
# A running job that has not moved for this long is told of; and a machine with less free disk than this, in GiB.
STALL_SECONDS = number("RLWHF_STALL_SECONDS", 600)
DISK_LOW_GIB = number("RLWHF_DISK_LOW_GIB", 5)

# For how long everybody may be shown the same figures on the home page.
DASHBOARD_SECONDS = number("RLWHF_DASHBOARD_SECONDS", 2)

NINJA_PAGINATION_CLASS = "accounts.api_pages.Pages"
NINJA_PAGINATION_MAX_LIMIT = 1000

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("RLWHF_LOG_LEVEL", "INFO")},
    "loggers": {"axes": {"level": "WARNING"}, "httpx": {"level": "WARNING"}, "httpx2": {"level": "WARNING"}},
}
