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
        "Bootstrap with Glyphicons Halflings",
        "3.4.1",
        "MIT",
        "djangorestframework",
        ("rest_framework/*/bootstrap*", "rest_framework/*/glyphicons-halflings*"),
        "bootstrap",
    ),
    Asset(
        "Font Awesome",
        "4.0.3",
        "SIL OFL 1.1 (font), MIT (CSS)",
        "djangorestframework",
        ("rest_framework/fonts/fontawesome*", "rest_framework/css/font-awesome-4.0.3.css"),
        "font-awesome",
    ),
    Asset(
        "google-code-prettify",
        None,
        "Apache-2.0",
        "djangorestframework",
        ("rest_framework/*/prettify*",),
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
            "rest_framework/css/default.css",
            "rest_framework/img/grid.png",
            "rest_framework/js/ajax-form.js",
            "rest_framework/js/csrf.js",
            "rest_framework/js/default.js",
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
