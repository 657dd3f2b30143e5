"""Access tokens for tests: one that may read, one that may write, and an unknown one."""

from __future__ import annotations

import hashlib
from pathlib import Path

READER, WRITER, STRANGER = "let-me-read", "let-me-write", "let-me-in"

Headers = dict[str, str]


def line(name: str, scope: str, token: str) -> str:
    """Return a line of the token file, made without the code under test."""
    return f"{name}:{scope}:{hashlib.sha256(token.encode()).hexdigest()}"


READER_LINE, WRITER_LINE = line("viewer", "read", READER), line("pilot", "write", WRITER)
LINES = f"{READER_LINE},{WRITER_LINE}"
"""The lines in the format of OVERMIND_TOKENS."""


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def file_of_tokens(directory: Path) -> Path:
    """Write a token file with a read token and a write token; return its path."""
    path = directory / "tokens"
    path.write_text(f"{READER_LINE}\n{WRITER_LINE}\n")
    return path
