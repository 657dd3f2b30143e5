"""The API description over HTTP: for programs at /schema/, for people at /docs/."""

from __future__ import annotations

import hashlib
from functools import cache

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.renderers import OpenApiYamlRenderer
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from overmind_project.openapi.generator import Generator
from zerglings.api.caching import REVALIDATE
from zerglings.api.conditions import is_unmodified
from zerglings.api.renderers import CompactJSONRenderer
from zerglings.api.responses import PageView, not_modified

_CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # its icons are in its styles
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


class YAMLRenderer(OpenApiYamlRenderer):
    """YAML under its registered media type (RFC 9512)."""

    media_type = "application/yaml"
    format = "yaml"


class Schema(PageView):
    """The API description, as JSON unless YAML is asked for."""

    renderer_classes = (CompactJSONRenderer, YAMLRenderer)

    def get(self, request: Request) -> HttpResponseBase:
        """Return the description. Each process generates it once."""
        renderer = request.accepted_renderer
        body, tag = _document(renderer.format)
        headers = {"ETag": tag, "Cache-Control": REVALIDATE}
        if is_unmodified(request.META.get("HTTP_IF_NONE_MATCH"), tag):
            return not_modified(headers)
        return HttpResponse(body, content_type=renderer.media_type, headers=headers)


class Docs(PageView):
    """A page with the API description, on which people can try each call.

    It is Swagger UI. Scalar 1.76 and Redoc 3.0 need inline styles, which the policy above forbids,
    and Redoc cannot try calls. Of axe-core's rules Swagger UI breaks eight without the corrections
    in ``docs.js`` and ``docs.css``, Scalar seven and Redoc five.
    """

    renderer_classes = (TemplateHTMLRenderer,)

    def get(self, request: Request) -> Response:
        """Show the page."""
        headers = {"Content-Security-Policy": _CONTENT_POLICY}
        return Response(template_name="zerglings/docs.html", headers=headers)


@cache
def _document(form: str) -> tuple[bytes, str]:
    """Return the description in one format, and its entity tag."""
    renderer = YAMLRenderer() if form == YAMLRenderer.format else CompactJSONRenderer()
    body: bytes = renderer.render(Generator().get_schema(public=True), renderer_context={})
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
