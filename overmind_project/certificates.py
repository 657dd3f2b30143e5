"""Checks of files with certificates.

The ssl module could check more. But only the workers may load it, after the fork.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

_PEM_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----"
)


def problem_of_certificates(path: Path) -> str | None:
    """Return why the file does not hold certificates in PEM form, None if it does."""
    try:
        text = path.read_text("ascii", errors="replace")
    except OSError as error:
        return f"cannot read {str(path)!r} ({type(error).__name__})"
    blocks = _PEM_CERTIFICATE.findall(text)
    if not blocks or not all(map(_is_der, blocks)):
        return f"there is no PEM certificate in {str(path)!r}"
    return None


def _is_der(block: str) -> bool:
    """Return whether a block decodes to bytes that begin like a certificate: an ASN.1 sequence."""
    try:
        return base64.b64decode("".join(block.split()), validate=True)[:1] == b"\x30"
    except binascii.Error:
        return False
