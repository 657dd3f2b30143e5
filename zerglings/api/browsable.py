"""The browsable API's HTML pages, with a Content-Security-Policy.

All output is escaped. The policy is a second line of defence against script injection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.forms import Form
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from zerglings.api.parsers import Body, required_fields

PAGE_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of a page: scripts, styles, images and connections of its origin only."""

_LINK = re.compile('<([^>]*)>; rel="next"')


class PageRenderer(BrowsableAPIRenderer):
    """DRF's browsable API renderer with ``PAGE_CSP``, and with forms that keep refused input."""

    renderer_context: Mapping[str, Any]

    def render(
        self,
        data: Any,  # noqa: ANN401 - any JSON
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - the framework's own
        """Return the HTML page for ``data``, and set the policy header."""
        if renderer_context:
            renderer_context["response"]["Content-Security-Policy"] = PAGE_CSP
        return super().render(data, accepted_media_type, renderer_context)

    def get_context(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the template's context, with the URL of the next page if there is one."""
        context: dict[str, Any] = super().get_context(*args, **kwargs)
        link = _LINK.match(context["response"].get("Link", ""))
        return context | {"next_page": link and link[1]}

    def render_form_for_serializer(self, serializer: BaseSerializer[Any]) -> Any:  # noqa: ANN401 - the framework's own
        """Return the HTML form, with the refused input and its errors if there are any."""
        body = self._refused_body()
        if body.fields is not None:
            serializer = type(serializer)(data=required_fields(body))
        return super().render_form_for_serializer(serializer)

    def get_raw_data_form(self, *args: Any, **kwargs: Any) -> Form | None:
        """Return the form for raw data, with the refused input if there is any."""
        form: Form | None = super().get_raw_data_form(*args, **kwargs)
        body = self._refused_body()
        if form is not None and body.raw:
            media_type = self.renderer_context["request"].content_type.partition(";")[0]
            content = body.raw.decode(errors="replace")
            form.initial = {"_content_type": media_type, "_content": content}
        return form

    def _refused_body(self) -> Body:
        """Return the body of a POST that was answered with 400, an empty one otherwise."""
        request: Request = self.renderer_context["request"]
        is_refused = (
            request.method == "POST" and self.renderer_context["response"].status_code == 400
        )
        return Body.of(request) if is_refused else Body()
