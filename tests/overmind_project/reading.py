"""Reloads the settings module in this process with a test's environment."""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any
from unittest.mock import patch

from overmind_project import settings
from tests.support.service import clean_environment

OURS = ("OVERMIND_", "COUCHDB_", "WEB_", "ALLOWED", "DEBUG", "PROBLEMS", "UNREAD_", "VARIABLES")


def read_settings(command: str = "serve", **environment: str) -> dict[str, Any]:
    """Return this project's own settings by name, as ``manage.py COMMAND`` would find them.

    Raises:
        ImproperlyConfigured: a value stops the start.
    """
    with (
        patch.dict(os.environ, clean_environment() | environment, clear=True),
        patch.object(sys, "argv", ["manage.py", command]),
    ):
        found = runpy.run_path(settings.__file__)
    return {name: value for name, value in found.items() if name.startswith(OURS)}
