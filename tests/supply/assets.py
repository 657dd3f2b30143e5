"""Licences, versions and files of the browser assets in packages, which no metadata lists."""

from __future__ import annotations

from typing import NamedTuple


class Asset(NamedTuple):
    """A file that the service serves to browsers.

    ``package`` brings it along, ``files`` are patterns in ``staticfiles/``. ``npm`` is its name in
    that registry, None where it has none of its own; ``version`` None where it does not tell.
    """

    name: str
    version: str | None
    licence: str
    package: str
    files: tuple[str, ...]
    npm: str | None = None

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}" if self.version else self.name


ASSETS = (
    Asset(
        "google-code-prettify",
        None,
        "Apache-2.0",
        "djangorestframework",
        ("rest_framework/js/prettify-min.js",),
    ),
    Asset(
        "jQuery",
        "3.7.1",
        "MIT",
        "djangorestframework",
        ("rest_framework/js/jquery-3.7.1.min.js",),
        "jquery",
    ),
    Asset(
        "Django REST framework's own",
        None,
        "BSD-3-Clause",
        "djangorestframework",
        (
            "rest_framework/js/ajax-form.js",
            "rest_framework/js/load-ajax-form.js",
        ),
    ),
    Asset(
        "Swagger UI",
        "5.33.1",
        "Apache-2.0",
        "drf-spectacular-sidecar",
        ("drf_spectacular_sidecar/swagger-ui-dist/*",),
        "swagger-ui-dist",
    ),
)
