"""The project as an application, so that Django's checks include those of its settings."""

from __future__ import annotations

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Registers the checks when everything else is there."""

    name = "overmind_project"

    def ready(self) -> None:
        """Register the checks."""
        from overmind_project import checks

        checks.register_all()
