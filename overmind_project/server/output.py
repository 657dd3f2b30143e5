"""The encoding of standard output.

This module imports nothing else of the project, because ``manage.py`` uses it before Django is set
up.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper


def escape_unencodable_output() -> None:
    """Escape characters that the output's encoding cannot represent.

    The encoding is the terminal's, or that of `PYTHONIOENCODING`. Without this, a user name
    could stop a command halfway with an encoding error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
