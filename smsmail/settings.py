"""Every setting, from the environment only; works with an empty one and fails loudly on nonsense.

DATABASE_URL empty: an SQLite file in DATA_DIR. REDIS_URL empty: no broker. .env.example names all.
"""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names; '' when neither is set."""
    path = env.str(f"{name}_FILE", default="")
    if not path:
        return str(env.str(name, default=""))
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {error}") from error


def positive(name: str, default: int) -> int:
    """A whole number above zero; ImproperlyConfigured otherwise."""
    raw = env.str(name, default=str(default))
    if not raw.isdigit() or int(raw) == 0:
        raise ImproperlyConfigured(f"{name}={raw} must be a whole number above zero")
    return int(raw)


def kept_key(name: str, make: Any) -> str:
    """A key made once into a 0600 file beside the SQLite database: the embedded shape only."""
    path = DATA_DIR / name
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(make())
    return path.read_text().strip()


# --- where things are -------------------------------------------------------------------------
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var")))
DATABASE_URL = secret("DATABASE_URL")
REDIS_URL = secret("REDIS_URL")
EMBEDDED = not DATABASE_URL

# The address people and providers reach us at: links, callbacks, allowed host, secure cookies.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in {"http", "https"} or not _public.hostname:
    raise ImproperlyConfigured(f"PUBLIC_URL={PUBLIC_URL} must look like https://sms.example.com")
SECURE = _public.scheme == "https"

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = [
    *env.list("ALLOWED_HOSTS", default=[]),
    _public.hostname,
    "localhost",
    "127.0.0.1",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]

# --- secrets ----------------------------------------------------------------------------------
if EMBEDDED:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
SECRET_KEY = secret("SECRET_KEY") or (
    kept_key("secret.key", lambda: secrets.token_urlsafe(50)) if EMBEDDED else ""
)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# Keys of encrypted fields: the first writes, all read.
FIELD_KEYS = [key for key in secret("FIELD_KEYS").split(",") if key] or (
    [kept_key("field.key", lambda: Fernet.generate_key().decode())] if EMBEDDED else []
)
if not SECRET_KEY or not FIELD_KEYS:
    raise ImproperlyConfigured("with DATABASE_URL set, SECRET_KEY and FIELD_KEYS must be set too")
for _key in FIELD_KEYS:
    try:
        Fernet(_key)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"FIELD_KEYS holds a key that is no Fernet key: {error}"
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
    "axes",
    "smsmail",
    "integrations",
    "users",
    "mailings",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "smsmail.middleware.SecurityHeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "smsmail.middleware.PersonalMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
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
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "smsmail.sqlite3",
            # Without IMMEDIATE, 165 of 600 parallel transactions failed with "database is locked".
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
            },
            # A file, not memory: workers' threads and processes must see the same rows.
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        }
    }
else:
    DATABASES = {"default": env.db_url_config(DATABASE_URL)}
    if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "DATABASE_URL must be a postgres:// address, or empty for SQLite"
        )
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people and sessions ----------------------------------------------------------------------
AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "sign-in"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = False  # the proxy in front does it; health checks come in plain
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_REFERRER_POLICY = "same-origin"
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    AXES_IPWARE_PROXY_COUNT = 1
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
# Named as Django 6 names it; smsmail.middleware sends it until then.
SECURE_CSP = {"default-src": ["'self'"], "frame-ancestors": ["'none'"], "base-uri": ["'none'"]}

# --- language, time, money --------------------------------------------------------------------
LANGUAGES = [("ru", _("Russian")), ("en", _("English"))]
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="ru")
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("TIME_ZONE", default="Europe/Moscow")
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
DEFAULT_COUNTRY = env.str("DEFAULT_COUNTRY", default="RU")  # for phones written without a country
CURRENCY = env.str("CURRENCY", default="RUB")

# --- static files -----------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = not STATIC_ROOT.exists()
WHITENOISE_AUTOREFRESH = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_ROOT.exists()
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- sending: seconds; the order of the first four is checked at start (mailings.checks) -------
LEASE = positive("LEASE", 300)  # a hand-over older than this is taken over by recover()
TASK_LIMIT = positive("TASK_LIMIT", 120)  # a worker's task is killed after this
LOT_DEADLINE = positive(
    "LOT_DEADLINE", 60
)  # no request of a lot starts later than this after its claim
READ_TIMEOUT = positive("READ_TIMEOUT", 30)
CONNECT_TIMEOUT = positive("CONNECT_TIMEOUT", 10)
RECEIPT_WAIT = positive(
    "RECEIPT_WAIT", 26 * 3600
)  # then "no receipt"; providers give up after 24 h
HAND_OVER_THREADS = positive("HAND_OVER_THREADS", 8)
# Other addresses than the providers' own: emulators on loopback. Never from the web interface.
PROVIDER_URLS = {"smsc": env.str("SMSC_URL", default="")}

# --- clock and broker -------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = TASK_LIMIT
CELERY_TASK_ACKS_LATE = False  # the database is the queue: a lost wake-up costs a second, no more
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- logs: no phones, texts or tokens in them --------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"axes": {"level": "WARNING"}, "urllib3": {"level": "WARNING"}},
}
