"""Settings that need a restart: environment in, read top to bottom.

What an operator changes at run time is a row with history (tongchou.core.settings_store).
Every variable here is documented in docs/en/settings.md and docs/zh/settings.md.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from tongchou.core.keys import load_or_create_key
from tongchou.core.log_lines import configuration, levels
from tongchou.core.registry import integrations


def _flag(name: str, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").strip().lower() in {"1", "true", "yes", "on"}


def _list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _path(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None


# --- where things are ---------------------------------------------------------------------------------------------
PACKAGE = Path(__file__).resolve().parent
DOCS = next(  # the user pages: of the checkout, or of the wheel
    (
        each
        for each in (PACKAGE.parent / "docs", Path(sys.prefix) / "share" / "doc" / "tongchou")
        if (each / "en").is_dir()
    ),
    PACKAGE.parent / "docs",
)
DATA = Path(os.environ.get("TONGCHOU_DATA", "data")).resolve()
DATA.mkdir(mode=0o700, parents=True, exist_ok=True)  # keys and both stores: for the owner only
BACKUP_FOLDER = Path(os.environ.get("TONGCHOU_BACKUP_FOLDER", DATA / "backups")).resolve()
FILES_PATH = Path(os.environ.get("TONGCHOU_FILES_PATH", DATA / "files"))  # of several processes: one shared folder
PORT = int(os.environ.get("TONGCHOU_PORT", "8420"))
HOST = os.environ.get("TONGCHOU_HOST", "127.0.0.1")
PUBLIC_URL = os.environ.get("TONGCHOU_PUBLIC_URL", f"http://127.0.0.1:{PORT}").rstrip("/")

# --- security -----------------------------------------------------------------------------------------------------
DEBUG = _flag("TONGCHOU_DEBUG", False)
SECRET_KEY = os.environ.get("TONGCHOU_SECRET_KEY") or load_or_create_key(DATA / "keys" / "django.key")
SECRETS_KEY_FILE = Path(os.environ.get("TONGCHOU_SECRETS_KEY_FILE", DATA / "keys" / "secrets.key"))
LEDGER_KEY_FILE = Path(os.environ.get("TONGCHOU_LEDGER_KEY_FILE", DATA / "keys" / "ledger.key"))
ALLOWED_HOSTS = [
    *_list("TONGCHOU_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]"),
    urlsplit(PUBLIC_URL).hostname or "localhost",
]
CSRF_TRUSTED_ORIGINS = _list("TONGCHOU_TRUSTED_ORIGINS", PUBLIC_URL)
HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "tongchou_session"
SESSION_COOKIE_AGE = 12 * 3600
# Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. None: a client could write its own address.
TRUSTED_PROXIES = _list("TONGCHOU_TRUSTED_PROXIES")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# Outgoing requests to loopback and link-local addresses are refused unless listed here (CIDRs or host names).
HTTP_ALLOW = _list("TONGCHOU_HTTP_ALLOW")
HTTP_DENY = _list("TONGCHOU_HTTP_DENY")

# --- applications -------------------------------------------------------------------------------------------------
INTEGRATIONS = integrations()
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "lucide",
    "ninja",  # so that its docs page loads nothing from a CDN
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "tongchou.core",
    "tongchou.inventory",
    "tongchou.telemetry",
    "tongchou.alerting",
    "tongchou.runbooks",
    "tongchou.usage",
    "tongchou.incidents",
    "tongchou.changes",
    "tongchou.assurance",
    *[each.app for each in INTEGRATIONS if each.app],
    "tongchou.web",
]
MIDDLEWARE = [
    "tongchou.middleware.request_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "tongchou.middleware.actor_middleware",
    "tongchou.web.middleware.person_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tongchou.web.session_gate.session_middleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tongchou.web.middleware.problem_middleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "tongchou.urls"
ASGI_APPLICATION = "tongchou.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "web" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "tongchou.web.shell.shell_context",
            ],
        },
    }
]

# --- databases ----------------------------------------------------------------------------------------------------
DATABASE_URL = os.environ.get("TONGCHOU_DATABASE_URL", "")
DATABASE_TIMEOUT_SECONDS = float(os.environ.get("TONGCHOU_DATABASE_TIMEOUT_SECONDS", "20"))
POSTGRES_OPTIONS = {"sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "target_session_attrs"}
if DATABASE_URL:
    _url = urlsplit(DATABASE_URL)
    DATABASES = {
        "default": {
            "ENGINE": "tongchou.core.postgres",
            "NAME": _url.path.lstrip("/"),
            "USER": unquote(_url.username or ""),
            "PASSWORD": unquote(_url.password or ""),
            "HOST": _url.hostname or "",
            "PORT": str(_url.port or ""),
            "CONN_MAX_AGE": 60,  # requests take turns on kept threads (tongchou.asgi), so a connection is used again
            "OPTIONS": {
                "connect_timeout": 5,
                # a host that vanished is noticed on both sides, and holds no lock for longer
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
                " -c idle_in_transaction_session_timeout=60000",
                **{name: value for name, value in parse_qsl(_url.query) if name in POSTGRES_OPTIONS},
            },
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "tongchou.core.sqlite",
            "NAME": DATA / "tongchou.sqlite3",
            "CONN_MAX_AGE": 60,  # requests take turns on kept threads (tongchou.asgi); opening anew took 2 ms of each
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "cached_statements": 64,  # of each of some forty connections; 128, Python's default, came to 50 MB
                "init_command": (
                    # the cache is of each of some forty connections; what is read is mapped, once for all
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-4000; "
                    "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=134217728;"
                ),
            },
            "TEST": {"NAME": os.environ.get("TONGCHOU_TEST_DATABASE", str(DATA / "test.sqlite3"))},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- telemetry ----------------------------------------------------------------------------------------------------
TELEMETRY_PATH = Path(os.environ.get("TONGCHOU_TELEMETRY_PATH", DATA / "telemetry"))
TELEMETRY_DATABASE = os.environ.get("TONGCHOU_TELEMETRY_DATABASE", "tongchou")
TELEMETRY_RETENTION_DAYS = int(os.environ.get("TONGCHOU_TELEMETRY_RETENTION_DAYS", "395"))
# The hour that charts show, and what a rate or a look back needs before it: less, and every chart asks the store too.
TELEMETRY_WINDOW_SECONDS = int(os.environ.get("TONGCHOU_TELEMETRY_WINDOW_SECONDS", "4200"))
TELEMETRY_WINDOW_MAX_BYTES = int(os.environ.get("TONGCHOU_TELEMETRY_WINDOW_MAX_BYTES", str(512 * 1024 * 1024)))
# Half hours that are over, kept as they were read: long ranges are asked for again and again.
TELEMETRY_CACHE_MAX_BYTES = int(os.environ.get("TONGCHOU_TELEMETRY_CACHE_MAX_BYTES", str(256 * 1024 * 1024)))
TELEMETRY_QUERY_THREADS = int(os.environ.get("TONGCHOU_TELEMETRY_QUERY_THREADS", "4"))
TELEMETRY_MAX_QUERY_SECONDS = float(os.environ.get("TONGCHOU_TELEMETRY_MAX_QUERY_SECONDS", "30"))
TELEMETRY_MAX_QUERY_SERIES = int(os.environ.get("TONGCHOU_TELEMETRY_MAX_QUERY_SERIES", "100000"))
TELEMETRY_MAX_QUERY_STEPS = int(os.environ.get("TONGCHOU_TELEMETRY_MAX_QUERY_STEPS", "11000"))
TELEMETRY_MAX_QUERIES = int(os.environ.get("TONGCHOU_TELEMETRY_MAX_QUERIES", "4"))
TELEMETRY_MAX_QUERY_BYTES = int(os.environ.get("TONGCHOU_TELEMETRY_MAX_QUERY_BYTES", "1000000000"))
TELEMETRY_MAX_SAMPLES = int(os.environ.get("TONGCHOU_TELEMETRY_MAX_SAMPLES", "50000000"))
TELEMETRY_MAX_SERIES = int(os.environ.get("TONGCHOU_TELEMETRY_MAX_SERIES", "2000000"))
SCRAPE_INTERVAL_SECONDS = float(os.environ.get("TONGCHOU_SCRAPE_INTERVAL_SECONDS", "15"))

# A ClickHouse server instead of the embedded store; with PostgreSQL it lets many processes be one platform.
CLICKHOUSE_URL = os.environ.get("TONGCHOU_CLICKHOUSE_URL", "")
CLICKHOUSE_CA_FILE = _path("TONGCHOU_CLICKHOUSE_CA_FILE")
CLICKHOUSE_CERTIFICATE_FILE = _path("TONGCHOU_CLICKHOUSE_CERTIFICATE_FILE")
CLICKHOUSE_KEY_FILE = _path("TONGCHOU_CLICKHOUSE_KEY_FILE")
CLICKHOUSE_VERIFY = _flag("TONGCHOU_CLICKHOUSE_VERIFY", True)
CLICKHOUSE_LINGER_SECONDS = float(os.environ.get("TONGCHOU_CLICKHOUSE_LINGER_SECONDS", "0.2"))

# A Prometheus-compatible server whose metrics are read beside our own.
PROMETHEUS_URL = os.environ.get("TONGCHOU_PROMETHEUS_URL", "").rstrip("/")
PROMETHEUS_USER = os.environ.get("TONGCHOU_PROMETHEUS_USER", "")
PROMETHEUS_PASSWORD_FILE = _path("TONGCHOU_PROMETHEUS_PASSWORD_FILE")
PROMETHEUS_TOKEN_FILE = _path("TONGCHOU_PROMETHEUS_TOKEN_FILE")
PROMETHEUS_CA_FILE = _path("TONGCHOU_PROMETHEUS_CA_FILE")
PROMETHEUS_CERTIFICATE_FILE = _path("TONGCHOU_PROMETHEUS_CERTIFICATE_FILE")
PROMETHEUS_KEY_FILE = _path("TONGCHOU_PROMETHEUS_KEY_FILE")
PROMETHEUS_TIMEOUT_SECONDS = float(os.environ.get("TONGCHOU_PROMETHEUS_TIMEOUT_SECONDS", "10"))

# --- processes beside us ------------------------------------------------------------------------------------------
# ansible-core is GPL: in an environment of its own (make tools), run as a process, never imported.
ANSIBLE_RUNNER = Path(
    os.environ.get("TONGCHOU_ANSIBLE_RUNNER", PACKAGE.parent / ".venv-tools" / "bin" / "ansible-runner")
)
# Terraform is BUSL, OpenTofu MPL: whoever wants them installs them; a path, or a name on the PATH.
TERRAFORM = os.environ.get("TONGCHOU_TERRAFORM", "terraform")
TOFU = os.environ.get("TONGCHOU_TOFU", "tofu")
TERRAFORM_CONFIG = os.environ.get("TONGCHOU_TERRAFORM_CONFIG", "")  # their CLI configuration: mirrors of providers
CHECKOV = os.environ.get("TONGCHOU_CHECKOV", "checkov")

# --- nodes --------------------------------------------------------------------------------------------------------
NODE_NAME = os.environ.get("TONGCHOU_NODE", "") or f"{platform.node()}-{PORT}"

# --- jobs ---------------------------------------------------------------------------------------------------------
JOB_THREADS = int(os.environ.get("TONGCHOU_JOB_THREADS", "4"))

# --- sign-in ------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "tongchou.core.password_policy.LengthValidator"},
    {"NAME": "tongchou.core.password_policy.CommonValidator"},
    {"NAME": "tongchou.core.password_policy.ReuseValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "tongchou.web.sign_in.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # before what guards an account is changed
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "login_failed": "20/m/ip,20/5m/key"}  # key: the name, from anywhere
SOCIALACCOUNT_ADAPTER = "tongchou.integrations.oidc.adapter.SocialAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # an address of mail proves nothing: accounts are connected by hand
SOCIALACCOUNT_STORE_TOKENS = False
# A directory: where it is. The password of the bind stands in a file, which the environment only names.
LDAP = {
    "uri": os.environ.get("TONGCHOU_LDAP_URI", ""),
    "start_tls": _flag("TONGCHOU_LDAP_START_TLS", os.environ.get("TONGCHOU_LDAP_URI", "").startswith("ldap://")),
    "ca_file": os.environ.get("TONGCHOU_LDAP_CA_FILE", ""),
    "bind_dn": os.environ.get("TONGCHOU_LDAP_BIND_DN", ""),
    "bind_password_file": os.environ.get("TONGCHOU_LDAP_BIND_PASSWORD_FILE", ""),
    "user_base": os.environ.get("TONGCHOU_LDAP_USER_BASE", ""),
    "user_filter": os.environ.get("TONGCHOU_LDAP_USER_FILTER", "(uid=%(user)s)"),
    "username_attribute": os.environ.get("TONGCHOU_LDAP_USERNAME_ATTRIBUTE", "uid"),
    "group_base": os.environ.get("TONGCHOU_LDAP_GROUP_BASE", ""),
    "group_filter": os.environ.get("TONGCHOU_LDAP_GROUP_FILTER", "(objectClass=groupOfNames)"),
    "group_type": os.environ.get("TONGCHOU_LDAP_GROUP_TYPE", "member"),
    "timeout_seconds": float(os.environ.get("TONGCHOU_LDAP_TIMEOUT_SECONDS", "5")),
}
if LDAP["uri"]:
    if find_spec("django_auth_ldap") is None:
        raise ImproperlyConfigured(
            "TONGCHOU_LDAP_URI is set, but the libraries of the directory are not installed:"
            " pip install --require-hashes -r requirements-ldap.txt (it needs libldap2-dev and libsasl2-dev to build),"
            " or unset TONGCHOU_LDAP_URI"
        )
    AUTHENTICATION_BACKENDS.append("tongchou.integrations.ldap.backend.LdapBackend")  # after the local accounts
OIDC_CLIENT_SECRET = os.environ.get("TONGCHOU_OIDC_CLIENT_SECRET", "")
MFA_ADAPTER = "tongchou.web.sign_in.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
# A browser offers passkeys only over https:// and on localhost; without TLS that leaves localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
MFA_TOTP_ISSUER = "Tongchou"
MFA_TOTP_TOLERANCE = 1  # of 30 s each: clocks of phones differ
AXES_FAILURE_LIMIT = int(os.environ.get("TONGCHOU_LOGIN_FAILURE_LIMIT", "8"))
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "tongchou.web.sign_in.locked_out"

# --- language and time --------------------------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = os.environ.get("TONGCHOU_LANGUAGE", "zh-hans")
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [PACKAGE / "locale"]
DEFAULT_USER_TIME_ZONE = os.environ.get("TONGCHOU_TIME_ZONE", "Asia/Shanghai")

# --- static files -------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- logs ---------------------------------------------------------------------------------------------------------
LOGGING = configuration(
    form=os.environ.get("TONGCHOU_LOG_FORMAT", "line"),
    level=os.environ.get("TONGCHOU_LOG_LEVEL", "INFO").upper(),
    root_level=os.environ.get("TONGCHOU_LOG_LEVEL", "WARNING").upper(),
    of_loggers=levels(os.environ.get("TONGCHOU_LOG_LEVELS", "")),
)
