"""Fields that are added to every log line of a request, such as its id."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

NOTHING: Mapping[str, object] = MappingProxyType({})

CONTEXT: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=NOTHING)
"""The current request's log fields; empty outside requests. Each thread or greenlet has its own."""
