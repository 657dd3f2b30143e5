"""Secrets from the configuration, such as passwords: given as a value or as the name of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_BYTE_ORDER_MARK = "\ufeff"
_LINE_ENDS = ("\r\n", "\n", "\r")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that an environment variable gives, either directly or as the path of a file.

    Args:
        name: the name of the variable, for messages.
        value: the secret itself, or "".
        path: the file that holds it, if any. It is read again on every ``read``, so that a changed
            file takes effect without a restart.
    """

    name: str
    value: str = ""
    path: Path | None = None

    @property
    def is_given(self) -> bool:
        """Whether the configuration gives a value or a file."""
        return bool(self.value) or self.path is not None

    def read(self) -> str:
        """Return the secret, or "" if none is configured.

        Raises:
            ImproperlyConfigured: the file cannot be read, or is not UTF-8 text.
        """
        if self.path is None:
            return self.value
        try:
            return strip_bom_and_newline(self.path.read_bytes().decode())
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{self.name}_FILE: {self._describe(error)}") from error

    def read_error(self) -> str | None:
        """Return why the file cannot be read, or None if it can."""
        try:
            if self.path is not None:
                self.path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            return self._describe(error)
        return None

    def _describe(self, error: Exception) -> str:
        return f"cannot read {str(self.path)!r} ({type(error).__name__})"

    def __repr__(self) -> str:
        return f"Secret({self.name})"


def strip_bom_and_newline(text: str) -> str:
    """Remove a leading byte order mark and one final line end.

    Editors and shells add them, for example ``echo password | kubectl create secret …
    --from-file``.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    for end in _LINE_ENDS:
        if text.endswith(end):
            return text.removesuffix(end)
    return text
