"""``manage.py serve``: replaces this process with gunicorn, after Django has read the settings."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

GUNICORN = ("-m", "gunicorn", "-c", "python:overmind_project.gunicorn_conf")


class Command(BaseCommand):
    """Starts the server."""

    help = "Serves on OVERMIND_HTTP_ADDR with gunicorn, which replaces this process."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace this process with gunicorn."""
        # gunicorn reads this variable itself, before its configuration, and crashes if it is empty
        # or not a number.
        os.environ["WEB_CONCURRENCY"] = str(settings.WEB_CONCURRENCY)
        # glibc gives each thread its own malloc arena. Memory that one thread allocates for SQLite
        # and another frees makes the arenas grow by megabytes per minute. One arena does not.
        os.environ.setdefault("MALLOC_ARENA_MAX", "1")
        os.execv(sys.executable, [sys.executable, *GUNICORN])  # nosec B606 # noqa: S606 - no shell is the point
