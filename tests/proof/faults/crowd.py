"""Runs hundreds of concurrent clients in a child process, separate from the measuring test.

    python -m tests.proof.faults.crowd PORT PATH CONNECTIONS

Each client keeps one connection and waits about a second between requests, as a 503 asks for.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.proof.faults.beside import running_beside
from tests.support.service import Service

PAUSE = 1.0
ANSWER_DEADLINE = 20.0
REQUESTS = (
    ("POST", "", b"M"),
    ("GET", "", b""),
    ("GET", "/history", b""),
    ("GET", None, b""),
    ("POST", "", b"L"),
)


@dataclass
class Crowd:
    """The responses that the clients got: time, status and duration in seconds."""

    answers: list[tuple[float, int, float]] = field(default_factory=list)

    def between(self, began: float, ended: float) -> list[tuple[int, float]]:
        """Return status and seconds of the requests sent in a time span."""
        return [
            (status, seconds)
            for at, status, seconds in self.answers
            if began <= at - seconds and at <= ended
        ]

    @property
    def statuses(self) -> Counter[int]:
        return Counter(status for _, status, _ in self.answers)


@contextmanager
def crowd(service: Service, zergling_id: str, *, connections: int) -> Iterator[Crowd]:
    """Run a crowd of clients during the block; its results are available afterwards."""
    seen = Crowd()
    arguments = [str(service.port), f"/zerglings/{zergling_id}", str(connections)]
    with running_beside("tests.proof.faults.crowd", *arguments) as told:
        yield seen
    seen.answers = [(at, status, seconds) for at, status, seconds in told]


async def _visit(port: int, path: str, over: asyncio.Event, answers: list[object]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(random.uniform(0, PAUSE))
    while not over.is_set():
        method, suffix, body = random.choice(REQUESTS)
        target = "/zerglings/?limit=3" if suffix is None else path + suffix
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        began = time.monotonic()
        writer.write(head.encode() + body)
        status = await asyncio.wait_for(_status(reader), ANSWER_DEADLINE)
        answers.append((time.monotonic(), status, time.monotonic() - began))
        await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))
    writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    """Read one answer to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    status = int(head.split()[1])
    if "transfer-encoding: chunked" in head:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    else:
        length = head.partition("content-length: ")[2].split("\r\n")[0]
        await reader.readexactly(int(length))
    return status


async def _main(port: int, path: str, connections: int) -> None:
    answers: list[object] = []
    over = asyncio.Event()
    visits = [asyncio.create_task(_visit(port, path, over, answers)) for _ in range(connections)]
    await asyncio.sleep(PAUSE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # until it is closed
    over.set()
    await asyncio.gather(*visits)
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
