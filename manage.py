#!/usr/bin/env python
"""Runs Django's and this project's management commands."""

import os
import signal
import sys

WRONG_CONFIGURATION = 2


def main() -> None:
    """Run the command. An invalid setting ends it with one line that names the variable."""
    # Process 1 of a container has no default signal handlers and would ignore these signals.
    # Install handlers before the imports, which take a moment.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))

    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from overmind_project.server.output import escape_unencodable_output

    escape_unencodable_output()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "overmind_project.settings")
    if os.environ.get("NO_COLOR"):  # Django only reads DJANGO_COLORS
        os.environ["DJANGO_COLORS"] = "nocolor"
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"overmind: {error}\n")
        sys.exit(WRONG_CONFIGURATION)


if __name__ == "__main__":
    main()
