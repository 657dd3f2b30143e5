"""The cache headers of static files."""

from __future__ import annotations

from pathlib import Path
from wsgiref.headers import Headers


def add_headers(headers: Headers, path: str, _url: str) -> None:
    """Give a file a weak entity tag, and a lifetime of a minute.

    WhiteNoise sends the same tag with the plain and the compressed file. Strong tags of the two
    would have to differ (RFC 9110, section 8.8.3.3).
    """
    file = Path(path).stat()
    headers["ETag"] = f'W/"{int(file.st_mtime):x}-{file.st_size:x}"'
    headers["Cache-Control"] = "max-age=60"
