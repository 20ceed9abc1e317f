"""Every setting, read from the environment only. An empty environment works; an invalid value
raises ImproperlyConfigured.

Without DATABASE_URL, an SQLite file in DATA_DIR is used; without REDIS_URL, no broker. .env.example
lists all settings.
"""

import ipaddress
import os
import secrets
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from .environment import days, flag, is_loopback, positive, secret, text, words
from .private import private

BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env")  # the environment itself takes precedence


def stored_key(name: str, make: Callable[[], str]) -> str:
    """Return a key that is made once, in a 0600 file beside the SQLite database. Used on SQLite
    only.
    """
    path = DATA_DIR / name
    if not path.exists():
        # Written aside and linked: another process that starts at this moment sees a whole key or
        # none.
        draft = DATA_DIR / f".{name}.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was first
        finally:
            draft.unlink()
    private(path)
    return path.read_text().strip()


# --- where things are -------------------------------------------------------------------------
DATA_DIR = Path(text("DATA_DIR", str(BASE_DIR / "var")))
# Where the epoch file is kept: any place that is not restored together with the database.
STATE_DIR = Path(text("STATE_DIR", str(DATA_DIR)))
DATABASE_URL = secret("DATABASE_URL")
REDIS_URL = secret("REDIS_URL")
EMBEDDED = not DATABASE_URL
if REDIS_URL and urlsplit(REDIS_URL).scheme not in {"redis", "rediss", "unix"}:
    raise ImproperlyConfigured("REDIS_URL must look like redis://127.0.0.1:6379/0, or be empty")

# How many complete requests one web process answers at once (front.py).
WEB_THREADS = positive("WEB_THREADS", 12)
# Where `manage.py serve` listens.
HOST = text("HOST", "127.0.0.1")
PORT = positive("PORT", 8000)
if PORT > 65535:
    raise ImproperlyConfigured(f"PORT={PORT} must be at most 65535")
# The URL at which people and providers reach us: used for links, callbacks, the allowed host and
# secure cookies.
_host = "127.0.0.1" if HOST in {"0.0.0.0", "::"} else HOST  # noqa: S104 - compared, not bound
PUBLIC_URL = text(
    "PUBLIC_URL", f"http://[{_host}]:{PORT}" if ":" in _host else f"http://{_host}:{PORT}"
).rstrip("/")
# The URL of short links in messages: a short domain leaves more space for the text.
SHORT_URL = text("SHORT_URL", PUBLIC_URL).rstrip("/")
_public, _short = urlsplit(PUBLIC_URL), urlsplit(SHORT_URL)
for _name, _url, _parts in (("PUBLIC_URL", PUBLIC_URL, _public), ("SHORT_URL", SHORT_URL, _short)):
    if _parts.scheme not in {"http", "https"} or not _parts.hostname or _parts.path:
        raise ImproperlyConfigured(f"{_name}={_url} must look like https://sms.example.com")
SECURE = _public.scheme == "https"
# The contact for security reports: an e-mail or a URL (security.txt).
SECURITY_CONTACT = text("SECURITY_CONTACT")
# True if these settings let others reach us. Then publicly known passwords do not work.
_names = [HOST, _public.hostname or "", _short.hostname or "", *words("ALLOWED_HOSTS")]
REACHABLE = not all(is_loopback(_name) for _name in _names)
# Whether the first start of `manage.py serve` makes a school of made-up people or an empty one.
DEMO = flag("DEMO", "yes")

DEBUG = flag("DEBUG")
ALLOWED_HOSTS = [
    *words("ALLOWED_HOSTS"),
    *{_public.hostname, _short.hostname},
    *("localhost", "127.0.0.1", "[::1]"),
]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
# Addresses or networks whose X-Forwarded-For and -Proto are trusted (forwarded.py).
TRUSTED_PROXIES = words("TRUSTED_PROXIES")
for _proxy in TRUSTED_PROXIES:
    try:
        ipaddress.ip_network(_proxy)
    except ValueError as error:
        raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}") from error

# --- secrets ----------------------------------------------------------------------------------
if EMBEDDED:
    DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
SECRET_KEY = secret("SECRET_KEY") or (
    stored_key("secret.key", lambda: secrets.token_urlsafe(50)) if EMBEDDED else ""
)
SECRET_KEY_FALLBACKS = [key for key in secret("SECRET_KEY_FALLBACKS").split(",") if key]
# Keys of encrypted fields: the first writes, all of them read.
FIELD_KEYS = [key for key in secret("FIELD_KEYS").split(",") if key] or (
    [stored_key("field.key", lambda: Fernet.generate_key().decode())] if EMBEDDED else []
)
if not SECRET_KEY or not FIELD_KEYS:
    raise ImproperlyConfigured("with DATABASE_URL set, SECRET_KEY and FIELD_KEYS must be set too")
for _key in FIELD_KEYS:
    try:
        Fernet(_key)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"FIELD_KEYS holds a key that is not a Fernet key: {error}"
        ) from error

# --- the application --------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "django_htmx",
    "smsmail",
    "integrations",
    "users",
    "mailings",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "smsmail.web.middleware.SecurityHeadersMiddleware",
    "smsmail.web.outages.OutageMiddleware",
    "mailings.tracking.redirect.ShortLinkMiddleware",
    "integrations.webhooks.views.ReceiptDoorMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "users.access.link_sessions.LinkSessionMiddleware",
    "users.access.session_ages.SessionAgeMiddleware",
    "smsmail.web.middleware.PersonalMiddleware",
    "users.access.password_views.MustChangePasswordMiddleware",
    "users.people.last_seen.LastSeenMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "users.access.waiting.WaitMiddleware",
]
ROOT_URLCONF = "smsmail.urls"
WSGI_APPLICATION = "smsmail.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
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
                "django.template.context_processors.i18n",
                "django.template.context_processors.tz",
            ],
        },
    }
]

# --- database ---------------------------------------------------------------------------------
if EMBEDDED:
    DATABASES: dict[str, dict[str, Any]] = {
        "default": {
            "ENGINE": "smsmail.sqlite",
            "NAME": DATA_DIR / "smsmail.sqlite3",
            # Without IMMEDIATE, 165 of 600 parallel transactions failed with "database is locked".
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
            },
            # A file instead of memory: threads and processes of workers must see the same rows.
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        }
    }
else:
    if urlsplit(DATABASE_URL).scheme not in {"postgres", "postgresql"}:
        # The error does not show the URL, because it holds a password.
        raise ImproperlyConfigured(
            "DATABASE_URL must be a postgres:// address, or empty for SQLite"
        )
    DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    # Limits for a server that does not answer at all (s, ms): otherwise a click on a link would
    # wait for minutes.
    _silent = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
    DATABASES["default"]["OPTIONS"] = _silent | DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# For counts and figures that are not essential. Without Redis they are in files that all processes of this
# machine share; they are not in the database, where a write waits while the database is locked. What must be
# counted exactly is in a table then (rate_limit.py).
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "smsmail.web.cache.Files",
        "LOCATION": str(DATA_DIR / "cache"),
        "OPTIONS": {"MAX_ENTRIES": 1000},  # then it begins anew
    }
}
if REDIS_URL:
    CACHES["default"] = {
        "BACKEND": "smsmail.web.cache.Redis",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "smsmail",
        "OPTIONS": {
            "serializer": "smsmail.web.cache.Plain",
            "socket_connect_timeout": 1,
            "socket_timeout": 1,
        },
    }

# --- people and sessions ----------------------------------------------------------------------
AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "users.access.public_password.RefusesElsewhere",
    "users.access.sign_in_limits.PasswordBackend",
    "django.contrib.auth.backends.ModelBackend",  # for sessions that did not begin with a password
]
PASSWORD_HASHERS = ["users.access.hashing.Scrypt", "users.access.hashing.PBKDF2"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
] + [{"NAME": "users.access.public_password.NotThisOne"}]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "sign-in"
# A browser accepts a cookie with this prefix only from this very host, and only over TLS: a sibling
# host cannot set one.
_only_ours = "__Host-" if SECURE else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_only_ours}sessionid", f"{_only_ours}csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = positive("SESSION_DAYS", 14) * 86400
# After this, the password is always asked for.
STAFF_SESSION_DAYS = positive("STAFF_SESSION_DAYS", 7)
STAFF_IDLE_HOURS = positive("STAFF_IDLE_HOURS", 12)  # an unused session of staff ends after this
SECURE_SSL_REDIRECT = False  # the proxy redirects; health checks use plain HTTP
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_REFERRER_POLICY = "same-origin"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains: they may belong to others
    "security.W008",  # see SECURE_SSL_REDIRECT
    "security.W021",  # HSTS preload: the domain's owner decides that
    "models.W040",  # SQLite ignores the included columns of an index
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
# Has the name that Django 6 uses; until then smsmail.web.middleware sends it.
SECURE_CSP = {
    "default-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
    "object-src": ["'none'"],
}

# --- language, time, money --------------------------------------------------------------------
LANGUAGES = [("ru", _("Russian")), ("en", _("English"))]
LANGUAGE_CODE = text("LANGUAGE_CODE", "ru")
if LANGUAGE_CODE not in dict(LANGUAGES):
    raise ImproperlyConfigured(f"LANGUAGE_CODE={LANGUAGE_CODE} must be ru or en")
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = text("TIME_ZONE", "Europe/Moscow")
if TIME_ZONE not in zoneinfo.available_timezones():
    raise ImproperlyConfigured(f"TIME_ZONE={TIME_ZONE} must look like Europe/Moscow")
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
DEFAULT_COUNTRY = text("DEFAULT_COUNTRY", "RU")  # for phones written without a country code
if len(DEFAULT_COUNTRY) != 2 or not DEFAULT_COUNTRY.isupper():
    raise ImproperlyConfigured(f"DEFAULT_COUNTRY={DEFAULT_COUNTRY} must be two capitals, like RU")
CURRENCY = text("CURRENCY", "RUB")

# --- static files -----------------------------------------------------------------------------
STATIC_URL = "static/"
# Set in the image, where collectstatic has put the files, hashed and compressed. If empty, they are
# served from the source folders.
STATIC_ROOT = text("STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = not STATIC_ROOT
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "smsmail.web.static_files.HashedFiles"
        if STATIC_ROOT
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- sending: seconds; the order of the first four is checked at start (mailings.checks) -------
LEASE = positive("LEASE", 300)  # recover() takes over a submission older than this
TASK_LIMIT = positive("TASK_LIMIT", 120)  # a Celery task is killed after this
# No request of a batch starts later than this after the claim.
BATCH_DEADLINE = positive("BATCH_DEADLINE", 60)
READ_TIMEOUT = positive("READ_TIMEOUT", 30)
CONNECT_TIMEOUT = positive("CONNECT_TIMEOUT", 10)
# After this the status is "no receipt"; providers stop trying after 24 h.
RECEIPT_WAIT = positive("RECEIPT_WAIT", 26 * 3600)
# The cooldown of an account after an error; longer while errors go on.
PROVIDER_COOLDOWN = positive("PROVIDER_COOLDOWN", 30)
# A submission is looked up after this if receipts are missing.
LOOK_UP_AFTER = positive("LOOK_UP_AFTER", 600)
LOOK_UP_PAUSE = positive("LOOK_UP_PAUSE", 120)  # pause between two look-ups of one unknown batch
HAND_OVER_THREADS = positive("HAND_OVER_THREADS", 8)
# URLs that replace the providers' own: emulators on loopback. They never come from the web
# interface. Each registered provider reads NAME_URL from the environment (integrations.apps).
PROVIDER_URLS: dict[str, str] = {}

# A periodic job without a heartbeat for this long counts as not running, and pages say so.
SILENT_AFTER = positive("SILENT_AFTER", 60)

# The messages and clicks of mailings that ended so many days ago are removed; 0: kept for ever. No fewer than
# receipts are kept for, because a service may still report on them.
KEEP_MESSAGES_DAYS = days("KEEP_MESSAGES_DAYS", least=90)

# --- clock and broker -------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "memory://"
# A nudge happens inside a user's request: a broker that is away may delay it only for a moment.
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 3,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker never stops waiting for its broker
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = TASK_LIMIT
CELERY_TASK_ACKS_LATE = False  # the database is the queue, so a lost wake-up costs a second at most
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Separate queues, so that a slow provider never delays the processing of receipts, and a mailing never delays
# a notification. A worker takes from all in turn, unless it is told to take from one (as in
# docker-compose.yml).
CELERY_TASK_DEFAULT_QUEUE = "rows"
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {"rows": {}, "network": {}, "lane": {}}
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # in memory: nothing to store, no file to share

# --- logs: no phones, texts or tokens in them --------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "smsmail.logs.Formatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO")},
    "loggers": {
        "django": {"handlers": [], "propagate": True},  # without Django's own formatter
        "urllib3": {"level": "WARNING"},
        # Otherwise every job logs several lines a second: received, succeeded, due.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}
