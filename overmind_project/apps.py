"""The project's applications: its system checks, and the static files that are collected."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.staticfiles.apps import StaticFilesConfig


class ProjectConfig(AppConfig):
    """Registers the checks when everything else is there."""

    name = "overmind_project"
    default = True

    def ready(self) -> None:
        """Register the checks."""
        from overmind_project import checks

        checks.register_all()


class StaticFiles(StaticFilesConfig):
    """Leaves out what no page asks for, which would make up most of the bytes."""

    ignore_patterns = [  # noqa: RUF012 - Django's own declaration is not a ClassVar
        *StaticFilesConfig.ignore_patterns,
        "redoc",
        "oauth2-redirect.*",
        "swagger-ui-standalone-preset.*",
        "*.map",
    ]
