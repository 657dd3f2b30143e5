"""Django application configurations: registers the system checks and filters the static files."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.staticfiles.apps import StaticFilesConfig


class ProjectConfig(AppConfig):
    """Registers the system checks once Django is set up."""

    name = "overmind_project"
    default = True

    def ready(self) -> None:
        """Register the system checks."""
        from overmind_project import checks

        checks.register_all()


class StaticFiles(StaticFilesConfig):
    """Excludes files that no page loads from the static files; they are most of the bytes."""

    ignore_patterns = [  # noqa: RUF012 - Django's own declaration is not a ClassVar
        *StaticFilesConfig.ignore_patterns,
        "redoc",
        "oauth2-redirect.*",
        "swagger-ui-standalone-preset.*",
        "*.map",
        # Of Django REST framework's pages; this project's template replaces them.
        "rest_framework/css/*",
        "rest_framework/fonts/*",
        "rest_framework/img/*",
        "rest_framework/js/bootstrap*",
        "rest_framework/js/csrf.js",
        "rest_framework/js/default.js",
    ]
