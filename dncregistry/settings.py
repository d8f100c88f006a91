"""All settings, for both profiles (docs/operations.md lists the variables).

`embedded` (the default) runs from one folder: SQLite, no servers, secrets made on first run under `var/`.
`production` takes everything from the environment and refuses to start without it.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from dncregistry import logs
from dncregistry.firstrun import secret_file

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# What the embedded profile keeps: database, keys, secrets. Ignored by git.
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()

PROFILE = env.str("DNC_PROFILE", default="embedded")
if PROFILE not in ("embedded", "production"):
    raise ImproperlyConfigured(f"DNC_PROFILE is {PROFILE!r}. Set it to embedded or production.")
EMBEDDED = PROFILE == "embedded"


def required_in_production(name: str, default: str = "") -> str:
    """A variable that production cannot do without; the embedded profile has a default for it."""
    value: str = env.str(name, default=default if EMBEDDED else "")
    if not value and not EMBEDDED:
        raise ImproperlyConfigured(f"{name} is not set. Set it in the environment (docs/operations.md).")
    return value


# --- who we are, and where ---------------------------------------------------------------------------

DEBUG = False
SECRET_KEY = required_in_production("SECRET_KEY") or (
    secret_file(VAR_DIR / "secret_key", lambda: secrets.token_urlsafe(48).encode()).decode()
)
ALLOWED_HOSTS = required_in_production("ALLOWED_HOSTS", default="*").split(",")
# The number keys and the receipt keys (record/keys.py); production mounts them read-only.
KEYS_DIR = Path(required_in_production("KEYS_DIR", default=str(VAR_DIR / "keys")))
# The keys that the number keys are wrapped by; best from another secret store.
OUTER_KEYS_DIR = Path(env.str("OUTER_KEYS_DIR", default=str(KEYS_DIR / "outer")))
# Stands in receipts as `iss`; test receipts carry it with "/test" behind.
# After a change of name the earlier ones follow, with commas between.
RECEIPT_ISSUERS = required_in_production("RECEIPT_ISSUER", default="https://registry.example").split(",")

# Who may read /metrics; in production nobody until it is set.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="") or (
    secret_file(VAR_DIR / "metrics_token", lambda: secrets.token_urlsafe(32).encode()).decode() if EMBEDDED else ""
)

ROOT_URLCONF = "dncregistry.urls"
WSGI_APPLICATION = "dncregistry.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "dncregistry",
    "record",
    "telemarketers",
    "consents",
]

MIDDLEWARE = [
    "dncregistry.middleware.database_deadline",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "dncregistry.middleware.no_keys_in_addresses",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

AUTH_USER_MODEL = "record.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- the record --------------------------------------------------------------------------------------


def database() -> dict[str, Any]:
    """SQLite in WAL mode unless DATABASE_URL says otherwise; production has no default."""
    url = required_in_production("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'registry.sqlite3'}")
    settings: dict[str, Any] = env.db_url_config(url)
    vendor = settings["ENGINE"].rpartition(".")[2]
    if vendor not in ("sqlite3", "postgresql"):
        raise ImproperlyConfigured(f"DATABASE_URL names {vendor}. The registry runs on postgres:// and sqlite:///.")
    settings["ENGINE"] = f"dncregistry.databases.{vendor}"  # Django's own, with a deadline
    if vendor == "sqlite3":
        Path(settings["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        settings["OPTIONS"] = {
            "timeout": 5,  # seconds to wait for another writer
            # A transaction that begins by reading must not find at its first write that it lost its turn.
            "transaction_mode": "IMMEDIATE",
            # FULL: every check promises that its record survives a power cut.
            # recursive_triggers: or `INSERT OR REPLACE` would delete without asking the delete triggers.
            # temp_store: or after one large statement, whose undo went to a file, every row of the transaction's other
            # statements writes its undo there too, which makes rows by the thousand three times as dear.
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON;"
                " PRAGMA temp_store=MEMORY;"
            ),
        }
        # A file: triggers and locks behave as in service only there, not in a shared memory cache.
        settings["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
    else:
        settings["CONN_MAX_AGE"] = None
        settings["CONN_HEALTH_CHECKS"] = True
        settings["OPTIONS"] = {"connect_timeout": 2}
    return settings


DATABASES = {"default": database()}
# The role that serves, where another owns the tables and migrates (record/roles.py); PostgreSQL only.
DATABASE_APP_ROLE = env.str("DATABASE_APP_ROLE", default="")
# Seconds that one request may wait for the database, all waits together; then it is answered `cannot_rule`.
DATABASE_DEADLINE = 1.0

REDIS_URL = required_in_production("REDIS_URL")
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 0.3, "socket_connect_timeout": 0.3},
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "shared"}
    ),
    # What a worker falls back on while Redis is down: its own share of a firm's limits.
    "worker": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "worker"},
}
WEB_WORKERS = env.int("WEB_WORKERS", default=1 if EMBEDDED else 4)

# --- owed work (dncregistry/celery.py) and the SMS gateway (record/gateway.py) ------------------------

# Messages only hurry what a row says is owed; the file, like Redis, may be wiped at any moment.
BROKER_FILE = VAR_DIR / "tasks.sqlite3" if EMBEDDED else None
CELERY_BROKER_URL = f"sqla+sqlite:///{BROKER_FILE}" if BROKER_FILE else REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = (
    # Redis that is frozen or dead must not hold anybody up.
    {} if EMBEDDED else {"socket_timeout": 0.3, "socket_connect_timeout": 0.3, "max_retries": 0}
)

# Without an address messages are shown in the terminal.
SMS_GATEWAY_URL = required_in_production("SMS_GATEWAY_URL")
SMS_GATEWAY_TOKEN = required_in_production("SMS_GATEWAY_TOKEN")
if SMS_GATEWAY_URL and not SMS_GATEWAY_URL.startswith("https://"):
    raise ImproperlyConfigured("SMS_GATEWAY_URL is no https address. Subscribers' numbers go there.")

# How many proxies of our own stand in front, each of which adds to X-Forwarded-For.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0 if EMBEDDED else 1)

# --- limits ------------------------------------------------------------------------------------------

# Per firm (or, for the public look-up, per address) and minute.
RATE_LIMITS = {
    "checks": env.int("RATE_LIMIT_CHECKS", default=6_000),
    "batch_numbers": env.int("RATE_LIMIT_BATCH_NUMBERS", default=600_000),
    "callers": env.int("RATE_LIMIT_CALLERS", default=60),
    "account": env.int("RATE_LIMIT_ACCOUNT", default=600),
}
# A batch of 1,000 numbers is about 30 KB; nothing that the API takes comes near this.
MAX_BODY_BYTES = 1_000_000

# --- language and time -------------------------------------------------------------------------------

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "dncregistry" / "locale"]
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

# --- static files: all from our own tree, nothing fetched at run time --------------------------------

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"  # filled by `manage.py collectstatic` in production
if EMBEDDED:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = EMBEDDED
WHITENOISE_AUTOREFRESH = False

# --- the HTTP API ------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["dncregistry.wire.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["dncregistry.wire.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "dncregistry.wire.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "dncregistry.rest.problem",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "iso-8601",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "谢绝来电与授权登记系统 · Do-not-call and consent registry",
    "TAGS": [{"name": "checks"}, {"name": "authorizations"}, {"name": "account"}, {"name": "public"}],
    "DESCRIPTION": (
        "拨号前先查询；未获裁定（503 或超时）的营销呼叫不得拨出。\n\n"
        "Ask before you dial. A marketing call that cannot be ruled on (503, a time-out) is not allowed; "
        "a service message needs no answer to go out. Every error is application/problem+json (RFC 9457)."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "ChannelEnum": ["voice", "robocall", "sms"],
        "SubmittedEnum": ["waiting", "approved", "withdrawn"],
        "ProposedEnum": ["proposed", "in_force", "ended"],
        "AuthorizationStatusEnum": "consents.terms.AuthorizationStatus",
    },
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "`dnc_live_…` or `dnc_test_…`"},
        }
    },
}

# --- logs and safety ---------------------------------------------------------------------------------

LOGGING = logs.configure(as_json=not EMBEDDED)

SECURE_CONTENT_TYPE_NOSNIFF = True
CSRF_COOKIE_SECURE = not EMBEDDED
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not EMBEDDED)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if not EMBEDDED else None
# Probes ask over plain HTTP, from inside.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 0 if EMBEDDED else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not EMBEDDED
SECURE_HSTS_PRELOAD = not EMBEDDED
# W008: where a proxy redirects already, SECURE_SSL_REDIRECT may be off.
SILENCED_SYSTEM_CHECKS = ["security.W008"]
