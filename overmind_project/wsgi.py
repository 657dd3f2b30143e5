"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django import db
from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application

from overmind_project.http.client_address import TrustedProxies
from overmind_project.http.gcra import limiters
from overmind_project.http.path_prefix import PathPrefix
from overmind_project.middleware.access_log import AccessLog
from overmind_project.middleware.body import BoundedBody
from overmind_project.middleware.cors import CrossOriginHeaders
from overmind_project.middleware.rate_limit import AddressRateLimit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "overmind_project.settings")

# Before and after each request, Django checks its database connections and caches. There are none.
# It also resets the URL configuration, which is the same for all requests.
request_started.disconnect(db.reset_queries)
request_started.disconnect(db.close_old_connections)
request_finished.disconnect(db.close_old_connections)
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)


def _build_application() -> WSGIApplication:
    """Wrap Django in the enabled WSGI middleware."""
    inner: WSGIApplication = get_wsgi_application()
    if settings.OVERMIND_RATE_LIMIT is not None:
        inner = AddressRateLimit(inner, *limiters(settings.OVERMIND_RATE_LIMIT))
    inner = BoundedBody(inner)
    if settings.OVERMIND_CORS_ORIGINS:
        inner = CrossOriginHeaders(inner, settings.OVERMIND_CORS_ORIGINS)
    if settings.OVERMIND_PATH_PREFIX:
        inner = PathPrefix(inner, settings.OVERMIND_PATH_PREFIX)
    trusted = settings.OVERMIND_TRUSTED_PROXIES
    return AccessLog(inner, TrustedProxies(trusted) if trusted else None)


application = _build_application()
