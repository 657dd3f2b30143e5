"""All URLs, each with and without its trailing slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, re_path

from overmind_project import health
from zerglings.urls import router

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^_health/?$", health.health, name="health"),
    re_path(r"^healthz/?$", health.healthz, name="healthz"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    re_path(r"^", include(router.urls)),
]

handler400 = "zerglings.exceptions.bad_request"
handler404 = "zerglings.exceptions.not_found"
handler500 = "zerglings.exceptions.server_error"
