"""Starts gunicorn in this process's place, once the settings have proved good."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

GUNICORN = ("-m", "gunicorn", "-c", "python:overmind_project.gunicorn_conf")


class Command(BaseCommand):
    """Serve on OVERMIND_HTTP_ADDR."""

    help = "Serves on OVERMIND_HTTP_ADDR with gunicorn, which takes this process's place."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace this process by gunicorn."""
        # gunicorn reads this one itself, before any configuration, and fails badly where it is
        # empty or no number.
        os.environ["WEB_CONCURRENCY"] = str(settings.WEB_CONCURRENCY)
        # glibc gives each thread that calls SQLite an arena of its own, and what is allocated in
        # one thread and freed in another keeps them growing: megabytes a minute in a long run.
        os.environ.setdefault("MALLOC_ARENA_MAX", "1")
        os.execv(sys.executable, [sys.executable, *GUNICORN])  # nosec B606 # noqa: S606 - no shell is the point
