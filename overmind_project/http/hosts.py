"""Which ``Host`` headers are served: all that are well formed, unless a setting names some.

Django's own check refuses the underscore, which is no letter of a host name (RFC 952) but stands in
the names of Compose services and of nginx's upstreams.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import validate_host

_HOST = re.compile(r"(?P<name>[a-z0-9._~-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(?::[0-9]*)?")
"""Unreserved characters or an IPv6 address, then perhaps a port (RFC 3986, section 3.2.2)."""


def check_host(request: HttpRequest) -> None:
    """Return if a request is for a host that is served here.

    Raises:
        DisallowedHost: it is not, or what it names is no host.
    """
    given: str | None = request.META.get("HTTP_HOST")
    if given is None:  # HTTP/1.0: the address that was connected to
        name: str = request.META["SERVER_NAME"]
    elif match := _HOST.fullmatch(given.lower()):
        name = match["name"].removesuffix(".")
    else:
        raise DisallowedHost("The Host header is malformed.")
    if not validate_host(name, settings.ALLOWED_HOSTS):
        raise DisallowedHost("The Host header names none of DJANGO_ALLOWED_HOSTS.")
