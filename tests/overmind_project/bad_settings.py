"""Variables with values that stop the start, by the variable that the error names."""

from __future__ import annotations

BAD = {
    "OVERMIND_HTTP_ADDR": {"OVERMIND_HTTP_ADDR": "tcp://1.2.3.4:80"},
    "OVERMIND_STORE": {"OVERMIND_STORE": "mongodb"},
    "WEB_CONCURRENCY": {"WEB_CONCURRENCY": "many"},
    "OVERMIND_THREADS": {"OVERMIND_THREADS": "many"},
    "COUCHDB_SERVICE_HOST": {"COUCHDB_SERVICE_HOST": "http://couchdb"},
    "COUCHDB_SERVICE_PORT": {"COUCHDB_SERVICE_HOST": "h", "COUCHDB_SERVICE_PORT": "h:1"},
    "COUCHDB_URL": {"COUCHDB_URL": "couchdb"},
    "COUCHDB_DATABASE": {"COUCHDB_URL": "http://h", "COUCHDB_DATABASE": "_users"},
    "COUCHDB_USERNAME": {"COUCHDB_URL": "http://h", "COUCHDB_USERNAME": "a:b"},
    "COUCHDB_PASSWORD_FILE": {"COUCHDB_URL": "http://h", "COUCHDB_PASSWORD_FILE": "/nowhere"},
    "COUCHDB_ADMIN_USERNAME": {"COUCHDB_URL": "http://h", "COUCHDB_ADMIN_USERNAME": "a b"},
    "COUCHDB_ADMIN_PASSWORD_FILE": {
        "COUCHDB_URL": "http://h",
        "COUCHDB_ADMIN_PASSWORD_FILE": "/nowhere",
    },
    "COUCHDB_CA_FILE": {"COUCHDB_URL": "https://h", "COUCHDB_CA_FILE": "/nowhere"},
    "COUCHDB_CLUSTER_NODES": {"COUCHDB_URL": "http://h", "COUCHDB_CLUSTER_NODES": "-1"},
    "COUCHDB_Q": {"COUCHDB_URL": "http://h", "COUCHDB_Q": "x"},
    "COUCHDB_N": {"COUCHDB_URL": "http://h", "COUCHDB_N": "0"},
    "COUCHDB_REVS_LIMIT": {"COUCHDB_URL": "http://h", "COUCHDB_REVS_LIMIT": "0"},
    "OVERMIND_BOOTSTRAP_TIMEOUT": {"OVERMIND_BOOTSTRAP_TIMEOUT": "soon"},
    "OVERMIND_BOOTSTRAP_CHECK": {"OVERMIND_BOOTSTRAP_CHECK": "perhaps"},
    "OVERMIND_BOOTSTRAP_FORMAT": {"OVERMIND_BOOTSTRAP_FORMAT": "yaml"},
    "OVERMIND_HISTORY_TAIL": {"OVERMIND_HISTORY_TAIL": "99"},
    "OVERMIND_HEAL_GRACE": {"OVERMIND_HEAL_GRACE": "-1"},
    "OVERMIND_STREAMS": {"OVERMIND_STREAMS": "-1"},
    "OVERMIND_OPEN_METRICS": {"OVERMIND_OPEN_METRICS": "perhaps"},
    "OVERMIND_LOG_FORMAT": {"OVERMIND_LOG_FORMAT": "yaml"},
    "OVERMIND_TOKENS": {"OVERMIND_TOKENS": "a:read:b"},
    "OVERMIND_TOKENS_FILE": {"OVERMIND_TOKENS_FILE": "/nowhere"},
    "OVERMIND_RATE_LIMIT": {"OVERMIND_RATE_LIMIT": "0/s"},
    "OVERMIND_TRUSTED_PROXIES": {"OVERMIND_TRUSTED_PROXIES": "10.0.0.1/8"},
    "OVERMIND_CORS_ORIGINS": {"OVERMIND_CORS_ORIGINS": "https://example.org/"},
    "DJANGO_DEBUG": {"DJANGO_DEBUG": "perhaps"},
    "DJANGO_SECRET_KEY_FILE": {"DJANGO_SECRET_KEY_FILE": "/nowhere"},
}

NEVER_BAD = {
    "COUCHDB_PASSWORD",
    "COUCHDB_ADMIN_PASSWORD",
    "DJANGO_ALLOWED_HOSTS",
    "DJANGO_SECRET_KEY",
    "OVERMIND_BOOTSTRAP_ONLY",
    "OVERMIND_BOOTSTRAP_RETIRE",
    "OVERMIND_SQLITE_PATH",
}
"""Variables that take any text; a step that does not exist is refused by ``bootstrap_couch``."""
