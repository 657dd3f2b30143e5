"""What a command does when whoever reads its output has had enough, as ``head`` has."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_STATUS = 128 + signal.SIGPIPE
"""What a shell shows of a program that a closed pipe has ended."""


@contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """End the process quietly when its output is read no longer."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_STATUS)
