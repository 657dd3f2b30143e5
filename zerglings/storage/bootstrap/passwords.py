"""Passwords in the forms in which CouchDB stores them: to compare them, and to set them at once.

The schemes are CouchDB's: PBKDF2 (RFC 8018) over the salt as it is written, with SHA-1 unless said
otherwise, a plain salted SHA-1 in old databases, and the former of the latter, which 3.5 knows.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

ITERATIONS = 600_000
"""What CouchDB 3.4 takes by default; it remembers good passwords, so this is paid once."""

OLD_ITERATIONS = 10
"""What servers before 3.4 take by default, which pay it at every request."""


MOST_ITERATIONS = 10_000_000
"""More than any server asks for; beyond it, comparing would take minutes."""


def admin_entry(password: str, version: str) -> str:
    """Return a password as a server of this version keeps it among its admins.

    One given as it is would be stored as it is and hashed some time after, and until then nobody
    could sign in with it.
    """
    salt = secrets.token_hex(16)
    if _is_3_4_or_later(version):
        return f"-pbkdf2:sha256-{_pbkdf2('sha256', password, salt, ITERATIONS)},{salt},{ITERATIONS}"
    return f"-pbkdf2-{_pbkdf2('sha1', password, salt, OLD_ITERATIONS)},{salt},{OLD_ITERATIONS}"


def password_matches(user: dict[str, Any], password: str) -> bool | None:
    """Whether an account of ``_users`` has this password; None if its scheme is not known."""
    salt = str(user.get("salt", ""))
    scheme = user.get("password_scheme")
    if scheme in ("pbkdf2", "simple+pbkdf2"):
        prf = user.get("pbkdf2_prf", "sha")
        digest = "sha1" if prf == "sha" else str(prf)
        if digest not in hashlib.algorithms_available:
            return None
        iterations = user.get("iterations")
        if not isinstance(iterations, int) or not 0 < iterations <= MOST_ITERATIONS:
            return False  # nobody can sign in with that, and writing it anew mends it
        hashed = password if scheme == "pbkdf2" else _simple(password, salt)
        key = _pbkdf2(digest, hashed, salt, iterations)
        return hmac.compare_digest(key, str(user.get("derived_key", "")))
    if "password_sha" in user:
        return hmac.compare_digest(_simple(password, salt), str(user["password_sha"]))
    return None


def _simple(password: str, salt: str) -> str:
    return hashlib.sha1((password + salt).encode(), usedforsecurity=False).hexdigest()


def _pbkdf2(digest: str, password: str, salt: str, iterations: int) -> str:
    return hashlib.pbkdf2_hmac(digest, password.encode(), salt.encode(), iterations).hex()


def _is_3_4_or_later(version: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (3, 4)
