"""What views that have a page of their own for people share; knows nothing of the pages."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zerglings.renderers import CompactJSONRenderer


class PageView(APIView):
    """A view whose errors and OPTIONS are JSON, as only its good answers have a template."""

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Complete an answer, which may be a plain Django one too."""
        if isinstance(response, Response) and response.template_name is None:
            request.accepted_renderer = CompactJSONRenderer()
            request.accepted_media_type = CompactJSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)
