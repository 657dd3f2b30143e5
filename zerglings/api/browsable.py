"""The browsable API's pages, and what they may do in a browser.

Whatever they show is escaped; the policy is for the day when something is not.
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
        "style-src-attr 'unsafe-inline'",  # the framework draws a line between fields so
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: a page runs its own scripts alone and speaks to its own service."""


class PageRenderer(BrowsableAPIRenderer):
    """The framework's pages, which load and do nothing but their own."""

    def render(
        self,
        data: Any,  # noqa: ANN401 - any JSON
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - the framework's own
        """Return the page of an answer."""
        if renderer_context:
            renderer_context["response"]["Content-Security-Policy"] = BROWSABLE_API_CSP
        return super().render(data, accepted_media_type, renderer_context)

    def get_context(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what a page is made of, without styles for code, which no page shows."""
        context: dict[str, Any] = super().get_context(*args, **kwargs)
        return context | {"code_style": None}
