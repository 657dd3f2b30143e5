"""Access tokens for tests: one that may read, one that may write, and an unknown one."""

from __future__ import annotations

import hashlib
from pathlib import Path

READER, WRITER, STRANGER = "let-me-read", "let-me-write", "let-me-in"

Headers = dict[str, str]


def line(name: str, scope: str, token: str) -> str:
    """A line of the file, made by other means than those that are tested."""
    return f"{name}:{scope}:{hashlib.sha256(token.encode()).hexdigest()}"


READER_LINE, WRITER_LINE = line("viewer", "read", READER), line("pilot", "write", WRITER)
LINES = f"{READER_LINE},{WRITER_LINE}"
"""As the variable has them."""


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def file_of_tokens(directory: Path) -> Path:
    """Make a file that lets in who may read and who may write."""
    path = directory / "tokens"
    path.write_text(f"{READER_LINE}\n{WRITER_LINE}\n")
    return path
