"""All URLs, each with and without its trailing slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from overmind_project import exposition, health, sign_in
from zerglings.documents import Docs, Schema
from zerglings.entry import Entry
from zerglings.events import Events
from zerglings.swarm import SwarmCommands, SwarmSpawn
from zerglings.urls import router

urlpatterns: list[URLPattern | URLResolver] = [
    *reversed(router.urls),  # nearly all requests are for one zergling, which the router has last
    re_path(r"^events/?$", Events.as_view(), name="events"),
    re_path(r"^swarm/spawn/?$", SwarmSpawn.as_view(), name="swarm-spawn"),
    re_path(r"^swarm/commands/?$", SwarmCommands.as_view(), name="swarm-commands"),
    path("", Entry.as_view(), name="entry"),
    re_path(r"^schema/?$", Schema.as_view(), name="schema"),
    re_path(r"^docs/?$", Docs.as_view(), name="docs"),
    re_path(r"^sign-in/?$", sign_in.sign_in, name="sign-in"),
    re_path(r"^sign-out/?$", sign_in.sign_out, name="sign-out"),
    re_path(r"^_health/?$", health.health, name="health"),
    re_path(r"^healthz/?$", health.healthz, name="healthz"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    re_path(r"^metrics/?$", exposition.metrics, name="metrics"),
]

handler400 = "zerglings.exceptions.bad_request"
handler404 = "zerglings.exceptions.not_found"
handler500 = "zerglings.exceptions.server_error"
