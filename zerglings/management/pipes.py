"""Exit without a traceback when the reader of the output, such as ``head``, closes the pipe."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_STATUS = 128 + signal.SIGPIPE
"""Exit status that a shell reports for a program ended by SIGPIPE."""


@contextmanager
def exit_on_broken_pipe() -> Iterator[None]:
    """Exit with ``EXIT_STATUS`` when writing to a closed pipe, without a message."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout again at exit, and would report the error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_STATUS)
