#!/usr/bin/env python
"""Runs Django's commands and this project's own."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run the command; a wrong setting ends it with one line that names the variable."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "overmind_project.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"overmind: {error}")


if __name__ == "__main__":
    main()
