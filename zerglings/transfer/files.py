"""Where an export is: a file, or a standard stream (``-``); each may be compressed with gzip.

What is read is recognised by its first bytes, whatever its name; what is written is compressed if
its name ends in ``.gz``.
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
"""What gzip begins with: RFC 1952, section 2.3.1."""


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give a stream of an export's lines, and the one whose position tells how far it was read."""
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
    """Give a stream to write an export to, on disk at the end; a file must not exist yet."""
    if name == STANDARD:
        # Python's own stream has no buffer where it was told so, as in the image.
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
    """Give a stream that goes on after the first ``size`` bytes of a file, and drops the rest."""
    with Path(name).open("r+b") as file:
        file.truncate(size)
        file.seek(size)
        yield file
        _sync(file)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
