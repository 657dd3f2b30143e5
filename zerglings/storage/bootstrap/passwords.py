"""CouchDB's password hashes: comparing them, and creating them for new admins.

CouchDB's schemes are: PBKDF2 (RFC 8018) over the salt as text, with SHA-1 by default; a salted
SHA-1 in old databases; and PBKDF2 over that SHA-1, since 3.5.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

ITERATIONS = 600_000
"""Default of CouchDB 3.4. CouchDB caches verified passwords, so the cost occurs once."""

OLD_ITERATIONS = 10
"""Default before CouchDB 3.4. These servers hash the password with every request."""


MAX_ITERATIONS = 10_000_000
"""Maximum number of iterations for a comparison. No server needs more, and a comparison with far
more would take minutes."""


def admin_entry(password: str, version: str) -> str:
    """Return the hash of a new admin's password, in the form of the server's ``version``.

    CouchDB stores a plain-text password first and hashes it later. Until then no sign-in works.
    """
    salt = secrets.token_hex(16)
    if _is_3_4_or_later(version):
        return f"-pbkdf2:sha256-{_pbkdf2('sha256', password, salt, ITERATIONS)},{salt},{ITERATIONS}"
    return f"-pbkdf2-{_pbkdf2('sha1', password, salt, OLD_ITERATIONS)},{salt},{OLD_ITERATIONS}"


def password_matches(user: dict[str, Any], password: str) -> bool | None:
    """Whether an account of ``_users`` has this password, None if the scheme is unknown."""
    salt = str(user.get("salt", ""))
    scheme = user.get("password_scheme")
    if scheme in ("pbkdf2", "simple+pbkdf2"):
        prf = user.get("pbkdf2_prf", "sha")
        digest = "sha1" if prf == "sha" else str(prf)
        if digest not in hashlib.algorithms_available:
            return None
        iterations = user.get("iterations")
        if not isinstance(iterations, int) or not 0 < iterations <= MAX_ITERATIONS:
            return False  # no sign-in works with this; setting the password again repairs it
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
