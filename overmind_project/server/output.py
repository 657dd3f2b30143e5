"""Standard output. It imports nothing of ours: process 1 of a container runs it first."""

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
