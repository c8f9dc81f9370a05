"""Every setting, with its environment variable, unit and default.

Two ways to run share this file. *Embedded* (nothing set): one process, SQLite, everything in memory.
*Production*: DATABASE_URL, REDIS_URL and CELERY_BROKER_URL name PostgreSQL, Redis and RabbitMQ, and
FLEET_PRODUCTION is on. Nothing outside this file asks which of the two it is.
"""

import socket
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from fleet.env import encryption_key, env, generated, number, own_addresses, secret_key, whole, words

BASE_DIR = Path(__file__).resolve().parent.parent

# ── Where things are kept ──────────────────────────────────────────────────────────────────────────
# The one folder to back up: database, media, generated keys.
FLEET_DATA_DIR = Path(env.str("FLEET_DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
FLEET_DATA_DIR.mkdir(parents=True, exist_ok=True)
MEDIA_ROOT = FLEET_DATA_DIR / "media"

# On: secrets must come from the environment, and nothing meant for tests is accepted.
FLEET_PRODUCTION = env.bool("FLEET_PRODUCTION", default=False)

# Signs sessions and forms. Generated into the data folder when not given.
SECRET_KEY = generated("FLEET_SECRET_KEY", FLEET_DATA_DIR / "secrets" / "secret_key", secret_key)
# Encrypt the phones' passwords at rest (Fernet keys, comma-separated; the first encrypts, all decrypt:
# to change keys, put the new one in front).
FLEET_ENCRYPTION_KEYS = [
    key.strip()
    for key in generated("FLEET_ENCRYPTION_KEYS", FLEET_DATA_DIR / "secrets" / "encryption_keys", encryption_key).split(
        ","
    )
]

DEBUG = env.bool("DJANGO_DEBUG", default=False)

# ── Who may call, and where ────────────────────────────────────────────────────────────────────────
# The address and port that `up` and `web` listen on. 0.0.0.0 lets phones in the same network in.
HOST = env.str("HOST", default="127.0.0.1")
PORT = whole("PORT", 8000)
# The server URLs as typed into the phones, comma-separated, each compared to the letter because phones sign
# what was typed: "https://sms.example.org/gateway/". The URL as a request shows it is always accepted too.
FLEET_PUBLIC_URLS = words("FLEET_PUBLIC_URLS")
# Addresses or networks whose X-Forwarded-Proto, -Host and -For are believed: "10.0.0.0/8".
FLEET_TRUSTED_PROXIES = words("FLEET_TRUSTED_PROXIES")

_public_hosts = [urlsplit(url).hostname for url in FLEET_PUBLIC_URLS if urlsplit(url).hostname]
_own_hosts = [HOST] if HOST not in ("0.0.0.0", "::") else [*own_addresses(), socket.gethostname()]
# Browsers write IPv6 addresses in brackets.
_bracketed = [f"[{host}]" if ":" in host else host for host in (*_own_hosts, *_public_hosts)]
ALLOWED_HOSTS = sorted({"localhost", "127.0.0.1", "[::1]", *_bracketed})
CSRF_TRUSTED_ORIGINS = sorted(
    {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in FLEET_PUBLIC_URLS if urlsplit(url).netloc}
)
_behind_tls = bool(FLEET_PUBLIC_URLS) and all(url.startswith("https://") for url in FLEET_PUBLIC_URLS)
# Browsers then send cookies over TLS only. Off as soon as one public URL is plain http.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("FLEET_SECURE_COOKIES", default=_behind_tls)
if FLEET_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# ── The gateway ────────────────────────────────────────────────────────────────────────────────────
# Largest request taken from a phone, in bytes; a larger one is refused before it is read.
FLEET_MAX_REQUEST_BYTES = 32 * 1024 * 1024
# How much of the log text of one request is kept, in characters; its end is the part that is kept.
FLEET_MAX_LOG_CHARS = 64 * 1024
# How long an idle poll is held, in seconds. The app gives up after 60.
FLEET_LONG_POLL_SECONDS = number("FLEET_LONG_POLL_SECONDS", 45, above=0)
# Answers remembered for a repeated, byte-identical request, in seconds: the app repeats at once.
FLEET_ANSWER_MEMORY_SECONDS = 120
# A phone counts as late (offline) after 2.5 (6) times its usual poll gap, but not before this many seconds.
FLEET_LATE_SECONDS = number("FLEET_LATE_SECONDS", 60, above=0)
FLEET_OFFLINE_SECONDS = number("FLEET_OFFLINE_SECONDS", 180, above=0)

# ── Sending ────────────────────────────────────────────────────────────────────────────────────────
# Messages one phone may hold unresolved: most of a queue stays here, where it can be taken back.
FLEET_IN_FLIGHT = whole("FLEET_IN_FLIGHT", 6)
# How long a phone may keep a message without a word before we call it lost, in seconds.
FLEET_LEASE_SECONDS = number("FLEET_LEASE_SECONDS", 600, above=0)
# How long a message may wait for its outcome, in seconds, unless it says otherwise.
FLEET_VALID_SECONDS = number("FLEET_VALID_SECONDS", 24 * 3600, above=0)
# Country of numbers typed without one, ISO 3166 (e.g. TZ); empty: such numbers are kept as typed.
FLEET_REGION = env.str("FLEET_REGION", default="")
# Scales every duration of the protocol, for tests and virtual phones; timestamps stay real.
FLEET_CLOCK_SPEED = number("FLEET_CLOCK_SPEED", 1, above=0)
if FLEET_PRODUCTION and FLEET_CLOCK_SPEED != 1:
    raise ImproperlyConfigured("FLEET_CLOCK_SPEED is for tests: it must be 1 when FLEET_PRODUCTION is on")

# ── Django ─────────────────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "fleet",
    "dashboard",
    "channels",
    "django_htmx",
    "allauth",
    "allauth.account",
    "csp",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "fleet.urls"
ASGI_APPLICATION = "fleet.asgi.application"
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
                "dashboard.context.shell",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False

# Database, e.g. postgresql://user:password@host/name. Default: SQLite in the data folder.
DATABASES = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{FLEET_DATA_DIR / 'fleet.sqlite3'}"),
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # One writer at a time, known from its first statement: waiting 20 s beats failing half-way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL: what we acknowledged to a phone survives a power cut, also in WAL mode.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32000;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(FLEET_DATA_DIR / "test.sqlite3")}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 600
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["TEST"] = {"NAME": f"test_{DATABASES['default']['NAME']}"}

# Redis, for the channel layer and the cache of several processes. Default: this process's memory.
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # Without socket_timeout=None, redis-py 8 drops idle consumers every 5 seconds.
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "capacity": 1000},
        }
    }
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "fleet.live.EmbeddedLayer", "CONFIG": {"capacity": 1000}}}
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }

# RabbitMQ (amqp://user:password@host//) or Redis. Default: this process's memory; rows are the truth.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="memory://localhost//")
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.05} if CELERY_BROKER_URL.startswith("memory:") else {}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "fleet"
# Ticks that find nothing to do are worth nothing later: they expire instead of piling up.
CELERY_BEAT_SCHEDULE = {
    "assign": {"task": "fleet.assign", "schedule": 1.0, "options": {"expires": 5}},
    "sweep-phones": {
        "task": "fleet.sweep_phones",
        "schedule": 5.0 / min(FLEET_CLOCK_SPEED, 5),
        "options": {"expires": 10},
    },
    "sweep-messages": {
        "task": "fleet.sweep_messages",
        "schedule": 10.0 / min(FLEET_CLOCK_SPEED, 10),
        "options": {"expires": 20},
    },
    "forward-notes": {"task": "fleet.forward_notes", "schedule": 1.0, "options": {"expires": 5}},
}

# ── People ─────────────────────────────────────────────────────────────────────────────────────────
# Password of the user "admin" that the first run creates; generated and printed once when not given.
FLEET_ADMIN_PASSWORD = env.str("FLEET_ADMIN_PASSWORD", default="")
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_ADAPTER = "dashboard.accounts.ClosedSignup"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard:fleet"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
SESSION_COOKIE_AGE = int(timedelta(days=30).total_seconds())

# ── The browser's side ─────────────────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
# Zone of the times people see (IANA name).
TIME_ZONE = env.str("FLEET_TIME_ZONE", default="UTC")
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    # A stranger's Host header is answered with 400; a traceback for each would only fill the log.
    "loggers": {"django.security.DisallowedHost": {"handlers": [], "propagate": False}},
    "root": {"handlers": ["stderr"], "level": env.str("FLEET_LOG_LEVEL", default="WARNING")},
}
