"""The URL configuration. Every URL works with and without its trailing slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from overmind_project.auth import sign_in
from overmind_project.home import Home
from overmind_project.monitoring import metrics, probes
from overmind_project.openapi.views import Docs, Schema
from zerglings.api.bulk_views import SwarmCommands, SwarmSpawn
from zerglings.api.urls import router
from zerglings.feed.views import Events
from zerglings.regions.views import Regions

urlpatterns: list[URLPattern | URLResolver] = [
    # The routes of most requests come first. The router begins with the list of zerglings, but
    # nearly all requests are for one zergling.
    *reversed(router.urls),
    re_path(r"^healthz/?$", probes.healthz, name="healthz"),
    re_path(r"^readyz/?$", probes.readyz, name="readyz"),
    re_path(r"^_health/?$", probes.health, name="health"),
    re_path(r"^events/?$", Events.as_view(), name="events"),
    re_path(r"^swarm/spawn/?$", SwarmSpawn.as_view(), name="swarm-spawn"),
    re_path(r"^swarm/commands/?$", SwarmCommands.as_view(), name="swarm-commands"),
    re_path(r"^regions/?$", Regions.as_view(), name="regions"),
    path("", Home.as_view(), name="entry"),
    re_path(r"^schema/?$", Schema.as_view(), name="schema"),
    re_path(r"^docs/?$", Docs.as_view(), name="docs"),
    re_path(r"^sign-in/?$", sign_in.sign_in, name="sign-in"),
    re_path(r"^sign-out/?$", sign_in.sign_out, name="sign-out"),
    re_path(r"^metrics/?$", metrics.metrics, name="metrics"),
]

handler400 = "zerglings.api.exceptions.bad_request"
handler404 = "zerglings.api.exceptions.not_found"
handler500 = "zerglings.api.exceptions.server_error"
