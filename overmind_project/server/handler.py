"""Answers the requests of one connection: reads them, calls the WSGI application, sends responses.

`Connection` waits for the peer; this module knows what the bytes mean.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Protocol

import gevent

from overmind_project.server.connection import Connection, Phase
from overmind_project.server.errors import Disconnected, RequestError, failed
from overmind_project.server.request import Request, RequestParser
from overmind_project.server.response import Response

if TYPE_CHECKING:
    import logging

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from gunicorn.glogging import Logger

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Server(Protocol):
    """The part of the worker that a handler uses."""

    @property
    def application(self) -> WSGIApplication:
        """The WSGI application."""

    @property
    def log(self) -> logging.Logger | Logger:
        """The server's log."""

    def note_dropped(self, reason: str) -> None:
        """Count a connection that is closed for this reason."""


class Handler:
    """The requests of a connection, one after another.

    Args:
        connection: the connection, which is closed at the end.
        environ: the WSGI values that all of its requests share.
        server: the worker.
    """

    def __init__(self, connection: Connection, environ: WSGIEnvironment, server: Server) -> None:
        self._connection = connection
        self._environ = environ
        self._server = server
        self._parser = RequestParser()
        self._body_since = 0.0

    def serve(self) -> None:
        """Answer all requests; close the connection at the end."""
        request = None
        try:
            while (request := self._read_head()) is not None:
                # A copy of the context, so that no context variable outlives its request.
                if not copy_context().run(self._answer, request):
                    break
                request = None
        except RequestError as error:
            if error.is_malformed:
                log = self._server.log
                log.warning("Malformed request: %s", error)
            self._note(error)
            with suppress(Disconnected):
                has_body = request is None or request.method != "HEAD"
                self._connection.send(error.encoded(has_body=has_body))
            self._connection.drain()
        except Disconnected:
            pass
        finally:
            self._connection.close()
            self._parser.close()

    def _note(self, error: RequestError) -> None:
        if error.is_malformed:
            self._server.note_dropped("malformed")

    def read_body(self, request: Request, size: int) -> bytes:
        """Return the next bytes of a body: `size`, or fewer at its end.

        Raises:
            RequestError: the body is malformed or too slow, or the connection had to make room.
            Disconnected: the peer has disconnected.
        """
        try:
            while len(request.body) < size and not request.is_complete:
                if not self._parser.parse_body(request):
                    self._receive_body(request)
                elif request.is_chunked:
                    gevent.sleep(0)  # parsing the framing takes time
        except RequestError as error:
            self._note(error)
            raise
        finally:
            self._connection.phase = Phase.ANSWERING
        data = bytes(request.body[:size])
        del request.body[:size]
        return data

    def _receive_body(self, request: Request) -> None:
        if request.expects_continue and not request.framed:
            self._connection.send(_CONTINUE)
        self._connection.begin(Phase.BODY, received=request.framed, since=self._body_since)
        if not self._receive():
            raise Disconnected("the body broke off")

    def _read_head(self) -> Request | None:
        """Return the next request; None if the connection ends before it."""
        connection = self._connection
        while (request := self._parser.next_request()) is None:
            if connection.phase is Phase.ANSWERING:
                received = len(self._parser.buffer)
                connection.begin(Phase.HEAD if received else Phase.IDLE, received=received)
            if not self._receive():
                return None
        if connection.phase is Phase.ANSWERING:
            gevent.sleep(0)  # a client that sends many requests at once would starve the others
        connection.phase = Phase.ANSWERING
        self._body_since = time.monotonic()
        return request

    def _receive(self) -> bool:
        """Add received bytes to the parser's buffer; return False at the end of the connection."""
        data = self._connection.receive()
        self._parser.buffer += data
        return bool(data)

    def _answer(self, request: Request) -> bool:
        """Answer a request; return whether the connection is kept.

        Raises:
            RequestError: the request is rejected without a call of the application.
        """
        connection = self._connection
        environ = request.wsgi_environment(self._environ)
        environ["wsgi.input"] = Body(self, request)
        response = Response(request, connection.send, connection.must_close)
        try:
            response.run(self._server.application, environ)
        except Disconnected:
            return False
        except Exception:
            log = self._server.log
            log.exception("Error handling a request")
            if response.has_begun:
                return False
            connection.send(failed().encoded(has_body=request.method != "HEAD"))
            response.is_kept = False
        connection.phase = Phase.ANSWERING
        if not request.is_complete or (not response.is_kept and connection.has_data()):
            connection.drain()
        return response.is_kept


class Body:
    """The `wsgi.input` of a request."""

    def __init__(self, handler: Handler, request: Request) -> None:
        self._handler = handler
        self._request = request

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; see `Handler.read_body`. All of them if `size` is negative."""
        return self._handler.read_body(self._request, sys.maxsize if size < 0 else size)
