"""Where an export is: a file, a compressed file (``.gz``), or a standard stream (``-``)."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

STANDARD = "-"
COMPRESSED = ".gz"


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give a stream of an export's lines, and the one whose position tells how far it was read."""
    if name == STANDARD:
        yield sys.stdin.buffer, sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        if not name.endswith(COMPRESSED):
            yield file, file
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as lines:
            yield cast("BinaryIO", lines), file


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
