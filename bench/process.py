"""What processes of this machine use, from ``/proc``; sizes in MiB, time in seconds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PARENT, OWN_AND_CHILDREN = 1, slice(11, 15)
"""Fields of ``stat`` behind the name: the parent; user and system time, own and of the reaped."""

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
    """Return the time that a process, its descendants and those of them that ended have used."""
    fields = (_stat(member) for member in tree(pid))
    return sum(int(ticks) for stat in fields for ticks in stat[OWN_AND_CHILDREN]) / TICKS


def rss(pids: Iterable[int]) -> float:
    """Return the resident memory of processes; pages they share are counted for each."""
    return sum(_status(pid, "VmRSS") for pid in pids)


def pss(pids: Iterable[int]) -> float | None:
    """Return the memory of processes with shared pages counted once; None where not readable."""
    try:
        return sum(_kibibytes(PROC / str(pid) / "smaps_rollup", "Pss") for pid in pids)
    except OSError:
        return None


def peak_rss(pid: int) -> float:
    """Return the most resident memory since the start or ``reset_peak``."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Forget the peak of a process so far."""
    (PROC / str(pid) / "clear_refs").write_text(RESET_PEAK)


def descriptors(pid: int) -> list[str]:
    """Return what the open descriptors of a process are; none if it has gone."""
    held = []
    with suppress(OSError):
        for link in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                held.append(os.readlink(link))
    return held


def threads(pid: int) -> int:
    """Return how many threads a process has, 0 if it has gone."""
    with suppress(OSError):
        return sum(1 for _ in (PROC / str(pid) / "task").iterdir())
    return 0


def listener(port: int, name: str) -> int | None:
    """Return the process ``name`` that listens on a TCP port, None where it cannot be seen."""
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
    """Return the fields behind the name, which may hold anything; none if the process has gone."""
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
