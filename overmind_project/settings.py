"""All settings. This is the only module that reads the environment."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from overmind_project.auth.tokens import TokensError, tokens_of
from overmind_project.env import Environment
from overmind_project.http.client_address import Network, networks
from overmind_project.http.gcra import Rate
from overmind_project.http.origins import origins
from overmind_project.http.path_prefix import path_prefix
from overmind_project.http.static_headers import add_headers
from zerglings.secret import Secret

env = Environment()

BASE_DIR = Path(__file__).resolve().parent.parent

# The listen address, the number of processes, and the connections that each serves at once. Every
# connection has its own greenlet.
OVERMIND_HTTP_ADDR = env.listen_address("OVERMIND_HTTP_ADDR", "0.0.0.0:8080")
WEB_CONCURRENCY = env.number("WEB_CONCURRENCY", 1, least=1, most=256)
OVERMIND_THREADS = env.number("OVERMIND_THREADS", 2000, least=1, most=10_000)
# The number of these connections that may be event streams, which last for hours.
OVERMIND_STREAMS = env.number(
    "OVERMIND_STREAMS", min(500, OVERMIND_THREADS // 2), least=0, most=OVERMIND_THREADS - 1
)
# Seconds for which an idle connection is kept. A proxy in front must close it earlier.
OVERMIND_KEEP_ALIVE = env.number("OVERMIND_KEEP_ALIVE", 75, least=1, most=86_400)

# The rate limit of each caller, the proxies whose X-Forwarded-For is trusted, and the origins whose
# pages may read answers.
OVERMIND_RATE_LIMIT: Rate | None = env.parsed(
    "OVERMIND_RATE_LIMIT", Rate.parse, "a rate such as 100/s, 600/min or 100/s:20", None
)
OVERMIND_TRUSTED_PROXIES: tuple[Network, ...] = env.parsed(
    "OVERMIND_TRUSTED_PROXIES", networks, "networks such as 10.0.0.0/8,fd00::/8", ()
)
OVERMIND_CORS_ORIGINS: tuple[str, ...] = env.parsed(
    "OVERMIND_CORS_ORIGINS",
    origins,
    "origins such as https://example.org,http://localhost:3000, as browsers write them, or * alone",
    (),
)
# The path below which a proxy serves the service. Every URL in an answer begins with it.
OVERMIND_PATH_PREFIX: str = env.parsed(
    "OVERMIND_PATH_PREFIX",
    path_prefix,
    "a path such as /overmind, in letters, digits and ._~-, that begins with none of the service's"
    " own (/zerglings, /static, ...)",
    "",
)

# The store. Kubernetes injects COUCHDB_PORT and similar variables, which are ignored.
_COUCHDB_VARIABLES = (
    "COUCHDB_SERVICE_HOST",
    "COUCHDB_SERVICE_PORT",
    "COUCHDB_URL",
    "COUCHDB_USERNAME",
    "COUCHDB_PASSWORD",
    "COUCHDB_PASSWORD_FILE",
    "COUCHDB_ADMIN_USERNAME",
    "COUCHDB_ADMIN_PASSWORD",
    "COUCHDB_ADMIN_PASSWORD_FILE",
    "COUCHDB_CA_FILE",
    "COUCHDB_DATABASE",
    "COUCHDB_CLUSTER_NODES",
    "COUCHDB_Q",
    "COUCHDB_N",
    "COUCHDB_REVS_LIMIT",
    "COUCHDB_PEERS",
    "COUCHDB_PEERS_USERNAME",
    "COUCHDB_PEERS_PASSWORD",
    "COUCHDB_PEERS_PASSWORD_FILE",
)
OVERMIND_STORE = env.choice(
    "OVERMIND_STORE",
    ("couchdb", "sqlite"),
    default="couchdb" if env.given(*_COUCHDB_VARIABLES) else "sqlite",
)
OVERMIND_SQLITE_PATH = BASE_DIR / env.text("OVERMIND_SQLITE_PATH", "var/overmind.sqlite3")

# The minimum number of commands in a zergling's document; older ones move to the history database.
OVERMIND_HISTORY_TAIL = env.number("OVERMIND_HISTORY_TAIL", 100, least=100, most=10_000)
# Days for which deleted zerglings are kept before `manage.py heal` removes them.
OVERMIND_HEAL_GRACE = env.number("OVERMIND_HEAL_GRACE", 30, least=0, most=36_500)


def _couchdb_url() -> str:
    if env.given("COUCHDB_URL"):
        return env.base_url("COUCHDB_URL")
    if env.given("COUCHDB_SERVICE_HOST"):
        host = env.host("COUCHDB_SERVICE_HOST")
        port = env.number("COUCHDB_SERVICE_PORT", 5984, least=1, most=65535)
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if OVERMIND_STORE == "couchdb":
        env.report_problem(
            "COUCHDB_SERVICE_HOST",
            "not given, nor is COUCHDB_URL; set one of them, or OVERMIND_STORE=sqlite",
            "Give the host of CouchDB, or its URL in COUCHDB_URL.",
        )
    return ""


COUCHDB_URL = _couchdb_url()
COUCHDB_CA_FILE = env.certificates("COUCHDB_CA_FILE")
COUCHDB_DATABASE = env.matching(
    "COUCHDB_DATABASE",
    r"[a-z][a-z0-9_$()+/-]{0,200}",
    "a CouchDB database name: a lower-case letter, then lower-case letters, digits and _$()+-/",
    "zerglings",
)
COUCHDB_USERNAME = env.matching(
    "COUCHDB_USERNAME", r"[^:\x00-\x1f]+", "a name without ':'", "admin"
)
COUCHDB_PASSWORD = env.secret("COUCHDB_PASSWORD")
COUCHDB_ADMIN_USERNAME = env.matching(
    "COUCHDB_ADMIN_USERNAME",
    r"[^\s:=;#\[\]\x00-\x1f]+",
    "a name that CouchDB's configuration can hold: without white space and :=;#[]",
    COUCHDB_USERNAME,
)
COUCHDB_ADMIN_PASSWORD = env.secret("COUCHDB_ADMIN_PASSWORD", default=COUCHDB_PASSWORD)

# The layout of the databases for bootstrap_couch; None leaves the choice to the server.
COUCHDB_CLUSTER_NODES = env.number("COUCHDB_CLUSTER_NODES", 1, least=1, most=100)
COUCHDB_Q = env.integer("COUCHDB_Q", None, least=1, most=256)
COUCHDB_N = env.integer("COUCHDB_N", None, least=1, most=100)
COUCHDB_REVS_LIMIT = env.integer("COUCHDB_REVS_LIMIT", None, least=1, most=100_000)

# The CouchDBs of the other regions for bootstrap_couch, and the account for all of them, which has
# the same name and password in each region.
COUCHDB_PEERS = env.peers("COUCHDB_PEERS")
COUCHDB_PEERS_USERNAME = env.matching(
    "COUCHDB_PEERS_USERNAME", r"[^:\x00-\x1f]+", "a name without ':'", "overmind-peer"
)
COUCHDB_PEERS_PASSWORD = env.secret("COUCHDB_PEERS_PASSWORD")
if COUCHDB_PEERS and not COUCHDB_PEERS_PASSWORD.is_given:
    env.report_problem(
        "COUCHDB_PEERS_PASSWORD",
        "not given, although COUCHDB_PEERS is",
        "Give the password that the account has in every region, or its file in "
        "COUCHDB_PEERS_PASSWORD_FILE.",
    )
if COUCHDB_URL and COUCHDB_URL in COUCHDB_PEERS.values():
    env.report_problem(
        "COUCHDB_PEERS",
        "contains the URL of this region's own CouchDB",
        "Give the CouchDBs of the other regions only.",
    )
# The name of this region, under which the others list it in COUCHDB_PEERS.
OVERMIND_REGION = env.matching(
    "OVERMIND_REGION",
    r"([a-z0-9-]{1,63})?",
    "a name of up to 63 characters: lower-case letters, digits and -",
    "",
)
if OVERMIND_REGION and OVERMIND_STORE == "sqlite":
    env.report_problem(
        "OVERMIND_REGION",
        "given, but the embedded store has no regions",
        "Leave it empty, or use CouchDB.",
    )
if OVERMIND_REGION in COUCHDB_PEERS:
    env.report_problem(
        "OVERMIND_REGION",
        "COUCHDB_PEERS lists another region of this name",
        "Give each region a name of its own.",
    )

# The options of bootstrap_couch; the command line takes precedence.
OVERMIND_BOOTSTRAP_TIMEOUT = env.number("OVERMIND_BOOTSTRAP_TIMEOUT", 300, least=0, most=10**8)
OVERMIND_BOOTSTRAP_CHECK = env.boolean("OVERMIND_BOOTSTRAP_CHECK", default=False)
OVERMIND_BOOTSTRAP_ONLY = env.words("OVERMIND_BOOTSTRAP_ONLY")
OVERMIND_BOOTSTRAP_RETIRE = env.text("OVERMIND_BOOTSTRAP_RETIRE")
OVERMIND_BOOTSTRAP_REFETCH = env.boolean("OVERMIND_BOOTSTRAP_REFETCH", default=False)
OVERMIND_BOOTSTRAP_FORMAT = env.choice("OVERMIND_BOOTSTRAP_FORMAT", ("text", "json"), "text")


def _tokens() -> Secret:
    """Return the source of the tokens after checking them all."""
    source = env.secret("OVERMIND_TOKENS")
    try:
        if source.is_given:
            tokens_of(source)
    except TokensError as error:
        env.report_problem(
            "OVERMIND_TOKENS_FILE" if source.path else "OVERMIND_TOKENS",
            str(error),
            "Give lines of name:scope:sha256-of-token, as manage.py make_token prints them.",
        )
    return source


# The access tokens. Without tokens, the service is open to everybody.
OVERMIND_TOKENS = _tokens()
# Whether /metrics is open to everybody even if tokens are configured.
OVERMIND_OPEN_METRICS = env.boolean("OVERMIND_OPEN_METRICS", default=False)

# Django.
SECRET_KEY = env.secret("DJANGO_SECRET_KEY").read() or secrets.token_urlsafe(50)
DEBUG = env.boolean("DJANGO_DEBUG", default=False)
ALLOWED_HOSTS = env.words("DJANGO_ALLOWED_HOSTS") or ["*"]
INSTALLED_APPS = [
    "overmind_project",
    "overmind_project.apps.StaticFiles",
    "zerglings",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "overmind_project.middleware.every_request.EveryRequest",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # last, so that the middleware above completes its answers
    "overmind_project.middleware.authentication.Authentication",
]
if OVERMIND_RATE_LIMIT is not None:
    MIDDLEWARE.append(
        "overmind_project.middleware.every_request.CallerRateLimit"
    )  # after the authentication, which identifies the caller
ROOT_URLCONF = "overmind_project.urls"
WSGI_APPLICATION = "overmind_project.wsgi.application"
APPEND_SLASH = False  # every URL works in both forms; a redirect would lose a POST's body
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "overmind_project.auth.credentials.signed_in",
                "overmind_project.home.region",
            ]
        },
    }
]
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORCE_SCRIPT_NAME = OVERMIND_PATH_PREFIX or None
STATIC_PATH = "/static/"
STATIC_URL = f"{OVERMIND_PATH_PREFIX}{STATIC_PATH}"
STATIC_ROOT = BASE_DIR / "staticfiles"
# OVERMIND_CORS_ORIGINS decides which other sites may read answers.
WHITENOISE_ALLOW_ALL_ORIGINS = False
WHITENOISE_ADD_HEADERS_FUNCTION = add_headers
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"}}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": [
        "zerglings.api.renderers.CompactJSONRenderer",
        "zerglings.api.browsable.PageRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "zerglings.api.parsers.JSONBodyParser",
        "zerglings.api.parsers.MultipartBodyParser",
        "zerglings.api.parsers.FormBodyParser",
        "zerglings.api.parsers.TextBodyParser",
        "zerglings.api.parsers.BinaryBodyParser",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "zerglings.api.negotiation.LenientNegotiation",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "zerglings.api.exceptions.handle",
    "VIEW_DESCRIPTION_FUNCTION": "zerglings.api.responses.describe",
}

SPECTACULAR_SETTINGS = {
    "DEFAULT_GENERATOR_CLASS": "overmind_project.openapi.generator.Generator",
}

# The log format: text for people, JSON for log collectors.
OVERMIND_LOG_FORMAT = env.choice("OVERMIND_LOG_FORMAT", ("text", "json"), "text")
_FORMATTERS = {"text": "TextFormatter", "json": "JSONFormatter"}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        # Store outages are logged where they are detected; do not log the resulting 503 as well.
        "not_503": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(record, "status_code", None) != 503,
        }
    },
    "formatters": {"line": {"()": f"overmind_project.logs.{_FORMATTERS[OVERMIND_LOG_FORMAT]}"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "gunicorn.error": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # Client errors are in the access log already.
        "django.request": {"level": "ERROR", "filters": ["not_503"]},
        "django.security": {"level": "CRITICAL"},
        "pycouchdb": {"level": "WARNING"},
    },
}

# Recommendations of `manage.py check --deploy` that do not apply here.
SILENCED_SYSTEM_CHECKS = [
    # The EveryRequest middleware sets the headers of these two.
    "security.W001",
    "security.W002",
    # CSRF middleware: the Authentication middleware checks the origin of requests with the cookie.
    "security.W003",
    # HSTS and the redirect to TLS belong to the ingress, which terminates TLS. A redirect would
    # lose a POST's body, and there is no TLS inside the cluster.
    "security.W004",
    "security.W008",
]

# The results of reading the environment, for `manage.py check`. All other programs that load these
# settings stop at the first problem.
VARIABLES = frozenset(env.names)
UNREAD_VARIABLES = env.unread()
PROBLEMS = tuple(env.problems)
if sys.argv[1:2] != ["check"]:
    env.raise_first()
