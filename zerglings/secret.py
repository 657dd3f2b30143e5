"""A secret from the configuration, such as a password: given as a value, or as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_BYTE_ORDER_MARK = "\ufeff"
_LINE_ENDS = ("\r\n", "\n", "\r")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value given in a variable or in a file; from a file it is read anew each time."""

    name: str
    value: str = ""
    path: Path | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is one, wherever it is."""
        return bool(self.value) or self.path is not None

    def read(self) -> str:
        """Return the secret, "" when none is given.

        Raises:
            ImproperlyConfigured: the file cannot be read as UTF-8 text.
        """
        if self.path is None:
            return self.value
        try:
            return bare(self.path.read_bytes().decode())
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{self.name}_FILE: {self._complaint(error)}") from error

    def complaint(self) -> str | None:
        """Say why the secret cannot be read, None if it can."""
        try:
            if self.path is not None:
                self.path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            return self._complaint(error)
        return None

    def _complaint(self, error: Exception) -> str:
        return f"cannot read {str(self.path)!r} ({type(error).__name__})"

    def __repr__(self) -> str:
        return f"Secret({self.name})"


def bare(text: str) -> str:
    """Return a value without a byte order mark before it and one line end behind it.

    Editors and shells add them: ``echo password | kubectl create secret … --from-file`` does.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    for end in _LINE_ENDS:
        if text.endswith(end):
            return text.removesuffix(end)
    return text
