"""The start page: the live map for browsers, the service's entry points as JSON for programs."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from zerglings.api.browsable import PAGE_CSP
from zerglings.api.renderers import CompactJSONRenderer
from zerglings.api.responses import PageView

ENTRY_POINTS = {
    "zerglings": "zergling-list",
    "swarmSpawn": "swarm-spawn",
    "swarmCommands": "swarm-commands",
    "events": "events",
    "regions": "regions",
    "schema": "schema",
    "docs": "docs",
    "health": "health",
    "healthz": "healthz",
    "readyz": "readyz",
    "metrics": "metrics",
}
"""Keys of the JSON document, and the name of the route that each one links to."""


def region(request: HttpRequest) -> dict[str, str]:
    """Context processor: the name of this region as `region`, empty if it has none."""
    return {"region": settings.OVERMIND_REGION}


class Home(PageView):
    """The live map for a browser, the list of entry points for other clients."""

    name = "Overmind"
    renderer_classes = (CompactJSONRenderer, TemplateHTMLRenderer)

    def get(self, request: Request) -> Response:
        """Return the start page in the negotiated format."""
        entry_points = {name: reverse(route) for name, route in ENTRY_POINTS.items()}
        response = Response(entry_points, template_name="zerglings/map.html")
        response["Content-Security-Policy"] = PAGE_CSP
        return response
