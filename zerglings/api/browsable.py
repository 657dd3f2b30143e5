"""The browsable API's HTML pages, with a Content-Security-Policy.

All output is escaped. The policy is a second line of defence against script injection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer

BROWSABLE_API_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",  # DRF separates form fields with inline styles
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy that allows only scripts, styles and connections of the same origin."""


class PageRenderer(BrowsableAPIRenderer):
    """DRF's browsable API renderer with ``BROWSABLE_API_CSP`` on every page."""

    def render(
        self,
        data: Any,  # noqa: ANN401 - any JSON
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - the framework's own
        """Return the HTML page for ``data``, and set the policy header."""
        if renderer_context:
            renderer_context["response"]["Content-Security-Policy"] = BROWSABLE_API_CSP
        return super().render(data, accepted_media_type, renderer_context)

    def get_context(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the template context without the code highlighting styles, which no page uses."""
        context: dict[str, Any] = super().get_context(*args, **kwargs)
        return context | {"code_style": None}
