"""Opens export files: plain or gzip, on disk or as a standard stream (``-``).

A file to read is treated as compressed if it begins with gzip's magic number. A file to write is
compressed if its name ends in ``.gz``.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

STANDARD = "-"
COMPRESSED = ".gz"

_MAGIC = b"\x1f\x8b"
"""The first bytes of a gzip file (RFC 1952, section 2.3.1)."""


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yield a stream of the uncompressed lines, and the file, whose position shows the progress."""
    with _source(name) as file:
        if not file.peek(len(_MAGIC)).startswith(_MAGIC):
            yield file, file
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as lines:
            yield cast("BinaryIO", lines), file


def _source(name: str) -> AbstractContextManager[BufferedReader]:
    if name == STANDARD:
        return nullcontext(cast("BufferedReader", sys.stdin.buffer))
    return Path(name).open("rb")


@contextmanager
def created(name: str) -> Iterator[BinaryIO]:
    """Yield a stream to standard output or to a new file, which is synced to disk at the end.

    Raises:
        FileExistsError: the file exists already.
    """
    if name == STANDARD:
        # With PYTHONUNBUFFERED, which the image sets, sys.stdout would write each line separately.
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as output:
            yield output
        return
    with Path(name).open("xb") as file:
        if name.endswith(COMPRESSED):
            with gzip.GzipFile(fileobj=file, mode="wb") as lines:
                yield cast("BinaryIO", lines)
        else:
            yield file
        _sync(file)


@contextmanager
def continued(name: str, size: int) -> Iterator[BinaryIO]:
    """Yield a stream that appends after a file's first ``size`` bytes; the rest is cut off."""
    with Path(name).open("r+b") as file:
        file.truncate(size)
        file.seek(size)
        yield file
        _sync(file)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
