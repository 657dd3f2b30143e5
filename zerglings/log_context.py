"""The fields that every log line of a request carries: the ids of the request."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

NOTHING: Mapping[str, object] = MappingProxyType({})

CONTEXT: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=NOTHING)
"""Fields of every line that is logged now: the ids of the request, if there is one.

Each greenlet has its own, as each thread has.
"""
