"""Kills, stops and restarts the processes under a crash test: workers, masters and the store.

It waits until all of them respond again, and knows nothing of their data.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from tests.support.peer import Peer
from tests.support.ports import free_port
from tests.support.service import Service, processes, workers
from tests.support.site import CouchDBServer
from tests.support.waiting import wait_until

DEADLINE = 120.0
"""Seconds within which every process has to answer again."""

PROBE_TIMEOUT = 1.0
PAUSES = (0.5, 3.0)
"""Minimum and maximum seconds for which a process is stopped."""

ACCOUNT = ("admin", "relax")


class Server(Protocol):
    """The process of a store."""

    def start(self) -> None:
        """Start the process on the same port and data, and return once it answers."""

    def kill(self) -> None:
        """End the process with SIGKILL and return once it has ended."""

    def stop(self) -> None:
        """End the process at the end of the run."""

    @property
    def pid(self) -> int:
        """The process id."""


class CouchDBProcess:
    """A CouchDB that a command starts.

    The command gets a port, a data directory, and `name:password`
    of its admin. It prints the process id first and returns once the server answers.
    """

    def __init__(self, command: str, directory: Path) -> None:
        self._command = command
        self._directory = directory
        self._port = free_port()
        self.server = CouchDBServer(f"http://127.0.0.1:{self._port}", *ACCOUNT)

    @property
    def pid(self) -> int:
        """The process id that the command printed, even if it is still running."""
        return int(self._said()[0])

    def _said(self) -> list[str]:
        return self._output.read_text().split()

    @property
    def _output(self) -> Path:
        return self._directory / "started.txt"

    def start(self) -> None:
        """Run the command."""
        arguments = [str(self._port), str(self._directory / "couchdb"), ":".join(ACCOUNT)]
        with self._output.open("w") as said:
            subprocess.run(
                ["sh", "-c", f'{self._command} "$@"', "sh", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                check=True,
            )

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process with SIGTERM."""
        self._end(signal.SIGTERM)

    def _end(self, by: signal.Signals) -> None:
        if not self._said():
            return  # it did not come so far
        if is_living(self.pid):
            os.kill(self.pid, by)
        wait_until(lambda: not is_living(self.pid), "the server has gone", DEADLINE)


class PeerProcess:
    """The peer, with its data on disk."""

    def __init__(self, directory: Path) -> None:
        self._peer = Peer.start(directory / "peer", persistent=True, admin=ACCOUNT)
        self.server = CouchDBServer(self._peer.url, *ACCOUNT)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._peer.pid is not None
        return self._peer.pid

    def start(self) -> None:
        """Restart the process."""
        self._peer.restart()

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._peer.kill()

    def stop(self) -> None:
        """End it."""
        self._peer.stop()


class Ground:
    """Services over one store, whose workers, masters and store can be struck.

    Args:
        services: those that are struck, each with as many workers.
        workers: of each service.
        server: the store's process; None if the store is in the workers.
        dice: chooses the victims and how long they are stopped.
    """

    def __init__(
        self, services: Sequence[Service], workers: int, server: Server | None, dice: random.Random
    ) -> None:
        self.services = services
        self._workers = workers
        self._server = server
        self._dice = dice
        self.strikes: dict[str, Callable[[], float]] = {
            "a worker killed": self.kill_a_worker,
            "all workers killed": self.kill_all_workers,
            "a master killed": self.kill_a_master,
            "everything killed": self.kill_everything,
            "a worker stopped for a while": self.stop_a_worker,
        }
        if server is not None:
            self.strikes["the store killed"] = self.kill_the_store
            self.strikes["the store stopped for a while"] = self.stop_the_store
        self._probe = self.services[0].spawn()
        self.probes = 0

    def kill_a_worker(self) -> float:
        """Kill one worker; return the time of the strike."""
        return _kill([self._a_worker()])

    def kill_all_workers(self) -> float:
        """Kill all workers of all services at once."""
        return _kill(self._all_workers())

    def kill_a_master(self) -> float:
        """Kill a service's main process, and restart it once its workers have ended."""
        service = self._dice.choice(self.services)
        at = time.monotonic()
        service.stop(signal.SIGKILL)
        self._start_again([service])
        return at

    def kill_everything(self) -> float:
        """Kill every process, as a failing host does; then start them all."""
        at = _kill(self._all_workers())
        for service in self.services:
            service.stop(signal.SIGKILL)
        if self._server is not None:
            self._server.kill()
            self._server.start()
        self._start_again(self.services)
        return at

    def stop_a_worker(self) -> float:
        """Stop one worker for a while; return the time when it continues."""
        return self._stop_for_a_while([self._a_worker()])

    def kill_the_store(self) -> float:
        """Kill the store and start it again."""
        assert self._server is not None
        at = time.monotonic()
        self._server.kill()
        time.sleep(self._dice.uniform(0, 2))  # until somebody notices
        self._server.start()
        return at

    def stop_the_store(self) -> float:
        """Stop the store for a while; return the time when it continues."""
        assert self._server is not None
        return self._stop_for_a_while([self._server.pid])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop every worker at any point for the duration of the block."""
        pids = self._all_workers()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: all(state_of(pid) == "T" for pid in pids), "all stand still")
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def wait_until_all_answer(self) -> None:
        """Return when every service has all its workers and acknowledges a new command."""
        wait_until(self._is_complete, "all workers are there", DEADLINE)
        for service in self.services:
            wait_until(partial(self._acknowledges, service), "a command counts", DEADLINE)

    def _is_complete(self) -> bool:
        return all(len(workers(service)) == self._workers for service in self.services)

    def _acknowledges(self, service: Service) -> bool:
        talk = service.connect()
        talk.timeout = PROBE_TIMEOUT
        try:
            reply = service.call("POST", f"/zerglings/{self._probe}", "L", connection=talk)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            talk.close()
        self.probes += reply.status == 200
        return reply.status == 200

    def _a_worker(self) -> int:
        return self._dice.choice(sorted(workers(self._dice.choice(self.services))))

    def _all_workers(self) -> list[int]:
        return [pid for service in self.services for pid in workers(service)]

    def _stop_for_a_while(self, pids: Sequence[int]) -> float:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(self._dice.uniform(*PAUSES))  # the fault itself
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        return time.monotonic()

    def _start_again(self, services: Sequence[Service]) -> None:
        """Restart a service that has ended, as a supervisor does."""
        for service in services:
            wait_until(partial(has_ended, service), "the workers went, too", DEADLINE)
            service.start()


def has_ended(service: Service) -> bool:
    return not processes(service)


def _kill(pids: Sequence[int]) -> float:
    at = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_living, pids)), "the killed have gone", DEADLINE)
    return at


def state_of(pid: int) -> str | None:
    """Return the kernel's letter for the state of a process, or None if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def is_living(pid: int) -> bool:
    """Whether a process is running; zombies are not."""
    return state_of(pid) not in (None, "Z", "X")
