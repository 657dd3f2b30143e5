"""Where people and programs begin: the live map, or the service's entry points as JSON."""

from __future__ import annotations

from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from zerglings.api.renderers import CompactJSONRenderer
from zerglings.api.responses import PageView

ENTRY_POINTS = {
    "zerglings": "zergling-list",
    "swarmSpawn": "swarm-spawn",
    "swarmCommands": "swarm-commands",
    "events": "events",
    "schema": "schema",
    "docs": "docs",
    "health": "health",
    "healthz": "healthz",
    "readyz": "readyz",
    "metrics": "metrics",
}
"""What a program may begin with, and the names of the routes that lead there."""

PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",  # to sign in and out
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of the map: it loads its own files and calls its own service."""


class Entry(PageView):
    """The live map for a browser, the entry points for everybody else."""

    name = "Overmind"
    renderer_classes = (CompactJSONRenderer, TemplateHTMLRenderer)

    def get(self, request: Request) -> Response:
        """Show where to begin."""
        entry_points = {name: reverse(route) for name, route in ENTRY_POINTS.items()}
        response = Response(entry_points, template_name="zerglings/map.html")
        response["Content-Security-Policy"] = PAGE_POLICY
        return response
