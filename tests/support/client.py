"""Django's test client, that reads a streamed answer to its end as any client does."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client


class ReadingClient(Client):
    def request(self, **request: Any) -> Any:
        reply = super().request(**request)
        if not isinstance(reply, StreamingHttpResponse):
            return reply
        content = b"".join(part for part in reply if isinstance(part, bytes))
        whole: Any = HttpResponse(content, status=reply.status_code, headers=dict(reply.items()))
        whole.json = lambda: json.loads(content)
        whole.was_streamed = True
        return whole
