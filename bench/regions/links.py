"""TCP links between regions on the loopback interface, which can be cut and restored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self, TypeVar

HOST = "127.0.0.1"
CHUNK = 1 << 16
"""Bytes read at once."""

Result = TypeVar("Result")


class Links:
    """Forwards connections in a thread of its own. Its links end with the block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: list[Link] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def to(self, host: str, port: int) -> Link:
        """Return a new link to a server."""
        link = Link(self, host, port)
        self._links.append(link)
        return link

    def run(self, does: Callable[[], Result]) -> Result:
        """Call a function in the thread of the links and return its result."""

        async def call() -> Result:
            return does()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def listen(self, link: Link) -> asyncio.Server:
        """Accept connections for a link on a new port."""
        starting = asyncio.start_server(link.forward, HOST, 0)
        return asyncio.run_coroutine_threadsafe(starting, self._loop).result()

    async def _end(self) -> None:
        for link in self._links:
            link.close()
        forwarding = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*forwarding, return_exceptions=True)


class Link:
    """A port of this machine whose connections are forwarded to a server.

    While it is cut, it resets every new connection.
    """

    def __init__(self, links: Links, host: str, port: int) -> None:
        self._links = links
        self._target = (host, port)
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._server = links.listen(self)
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def is_cut(self) -> bool:
        """Whether the link forwards nothing now."""
        return self._is_cut

    def cut(self) -> None:
        """Reset all connections, and all new ones until the link is restored."""
        self._links.run(self._cut)

    def restore(self) -> None:
        """Forward new connections again."""
        self._is_cut = False

    def close(self) -> None:
        """End the link; only the thread of the links may call this."""
        self._server.close()
        self._cut()

    def _cut(self) -> None:
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side closes it."""
        with self._kept(writer), suppress(OSError):
            if self._is_cut:
                return
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            with self._kept(far_writer):
                if not self._is_cut:
                    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    @contextmanager
    def _kept(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Know a connection during the block; send what is left and close it at the end."""
        self._open.add(writer)
        try:
            yield
        finally:
            self._open.discard(writer)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction until its end; raises ``ConnectionError`` then, to end the other too."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError
