"""Checks the `Host` header: any well-formed name, unless DJANGO_ALLOWED_HOSTS restricts the names.

Django's own check rejects underscores. They are invalid in host names (RFC 952), but common in
the names of Compose services and of nginx upstreams.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import validate_host

_HOST = re.compile(r"(?P<name>[a-z0-9._~-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(?::[0-9]*)?")
"""A name of unreserved characters or an IPv6 address, with an optional port.

See RFC 3986, section 3.2.2.
"""


def check_host(request: HttpRequest) -> None:
    """Check that this service may answer for the request's host.

    Raises:
        DisallowedHost: the header is malformed, or DJANGO_ALLOWED_HOSTS does not list the name.
    """
    given: str | None = request.META.get("HTTP_HOST")
    if given is None:  # HTTP/1.0 without a Host: use the address that the client connected to
        name: str = request.META["SERVER_NAME"]
    elif match := _HOST.fullmatch(given.lower()):
        name = match["name"].removesuffix(".")
    else:
        raise DisallowedHost("The Host header is malformed.")
    if not validate_host(name, settings.ALLOWED_HOSTS):
        raise DisallowedHost("The Host header is not in DJANGO_ALLOWED_HOSTS.")
