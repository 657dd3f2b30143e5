"""Resource use of this machine's processes, from ``/proc``. Sizes are in MiB, times in seconds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PARENT, OWN_AND_CHILDREN = 1, slice(11, 15)
"""Positions in ``stat`` after the name: the parent's pid; user and system time of the process, and
of its reaped children. See proc(5)."""

LISTENING = "0A"
RESET_PEAK = "5"


def tree(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    parents = {child: int(fields[PARENT]) for child, fields in _all_stats()}
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its living descendants.

    Descendants that have ended count once their parent has waited for them.
    """
    fields = (_stat(member) for member in tree(pid))
    return sum(int(ticks) for stat in fields for ticks in stat[OWN_AND_CHILDREN]) / TICKS


def rss(pids: Iterable[int]) -> float:
    """Return the resident memory of processes; shared pages count once per process."""
    return sum(_status(pid, "VmRSS") for pid in pids)


def pss(pids: Iterable[int]) -> float | None:
    """Return the memory of processes with shared pages counted once; None if not readable."""
    try:
        return sum(_kibibytes(PROC / str(pid) / "smaps_rollup", "Pss") for pid in pids)
    except OSError:
        return None


def peak_rss(pid: int) -> float:
    """Return the peak of resident memory since the start of the process or ``reset_peak``."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Reset the peak of a process's resident memory."""
    (PROC / str(pid) / "clear_refs").write_text(RESET_PEAK)


def descriptors(pid: int) -> list[str]:
    """Return the targets of a process's open descriptors; empty if the process has ended."""
    held = []
    with suppress(OSError):
        for link in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                held.append(os.readlink(link))
    return held


def threads(pid: int) -> int:
    """Return the number of a process's threads, 0 if it has ended."""
    with suppress(OSError):
        return sum(1 for _ in (PROC / str(pid) / "task").iterdir())
    return 0


def listener(port: int, name: str) -> int | None:
    """Return the pid of the process ``name`` that listens on a TCP port, None if not visible."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for pid, _ in _all_stats():
        try:
            held = {os.readlink(link) for link in (PROC / str(pid) / "fd").iterdir()}
            if sockets & held and (PROC / str(pid) / "comm").read_text().strip() == name:
                return pid
        except OSError:
            continue
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _all_stats() -> Iterator[tuple[int, list[str]]]:
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            yield int(entry.name), fields


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, or an empty list if the process has ended.

    The name may contain spaces and parentheses.
    """
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _status(pid: int, field: str) -> float:
    try:
        return _kibibytes(PROC / str(pid) / "status", field)
    except OSError:
        return 0.0


def _kibibytes(path: Path, field: str) -> float:
    match = re.search(rf"^{field}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0
