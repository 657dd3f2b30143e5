"""Divides the load of a cell among replicas, as a load balancer divides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Spread = Literal["one", "random", "path"]
"""The replicas that get requests for a zergling.

- ``one``: only the first replica gets requests.
- ``random``: each replica gets requests for every zergling, as behind a Service.
- ``path``: one replica gets all requests for a zergling, as with consistent hashing on the path.
"""


@dataclass(frozen=True, slots=True)
class Share:
    """The load of one replica: the number of connections, and the paths to choose from."""

    connections: int
    paths: Sequence[str]


def shares(spread: Spread, replicas: int, connections: int, paths: Sequence[str]) -> list[Share]:
    """Divide a load; return one share for each replica that gets requests, in their order.

    The numbers of connections differ by one at most. ``connections`` must not be less than
    ``replicas``, except with ``one``.
    """
    if spread == "one":
        return [Share(connections, paths)]
    least, rest = divmod(connections, replicas)
    return [
        Share(
            connections=least + (1 if number < rest else 0),
            paths=paths[number::replicas] if spread == "path" else paths,
        )
        for number in range(replicas)
    ]
