"""Hook in a service under test that counts its greenlets and overrides its name resolution.

Python imports this module at its start when this directory is in PYTHONPATH. It works through
files in the directory that OVERMIND_TEST_HOOK names: `hosts` has lines of `name address` or
`name hang`; while `ask` exists, each forked process writes its number of greenlets to a file named
after its process id.
"""

import _socket
import _thread
import gc
import os
import time
from pathlib import Path
from typing import Any

_sleep = time.sleep  # gevent replaces it
_getaddrinfo = _socket.getaddrinfo
_place = Path(os.environ["OVERMIND_TEST_HOOK"])
POLL_SECONDS = 0.02


def _hosts() -> dict[str, str]:
    try:
        lines = (_place / "hosts").read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {line.split()[0]: line.split()[1] for line in lines}


def getaddrinfo(host: str | bytes | None, *arguments: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    while (address := _hosts().get(str(name), name)) == "hang":
        _sleep(POLL_SECONDS)
    return _getaddrinfo(address, *arguments, **options)


def _count() -> None:
    from greenlet import greenlet

    own = _place / str(os.getpid())
    while True:
        _sleep(POLL_SECONDS)
        if (_place / "ask").exists() and not own.exists():
            living = [each for each in gc.get_objects() if type(each).__mro__[-2] is greenlet]
            text = str(sum(not each.dead for each in living))
            own.with_suffix(".new").write_text(text)
            own.with_suffix(".new").rename(own)


_socket.getaddrinfo = getaddrinfo
os.register_at_fork(after_in_child=lambda: _thread.start_new_thread(_count, ()))
