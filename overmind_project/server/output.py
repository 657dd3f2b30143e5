"""The standard streams. Loads nothing, as process 1 of a container comes here first."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def print_anything() -> None:
    """Have what an encoding cannot express printed as an escape sequence.

    The encoding is the terminal's, or that of ``PYTHONIOENCODING``. Without this an account's name
    would end a command in the middle of its work.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
