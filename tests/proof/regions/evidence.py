"""Saves what is needed to analyse the faults of a campaign, before its databases are removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from bench.regions.rig import Region
from tests.proof.load.ledger import Sent
from tests.support.backends import Backend
from tests.support.documents import SOON
from zerglings.storage.base import StoreError

MAX_ZERGLINGS = 50

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def save(
    directory: Path, regions: Sequence[Region], faults: Sequence[str], sent: Iterable[Sent]
) -> None:
    """Write the faults, the services' logs, and a file for each zergling that a fault names.

    The file has the zergling's requests as clients know them, and in each region all its revisions
    and chunks.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "faults.txt").write_text("\n".join([*faults, ""]))
    for region in regions:
        (directory / f"{region.name}.log").write_text(region.service.log)
    ledger: dict[str, list[Sent]] = {}
    for each in sent:
        ledger.setdefault(each.life.id, []).append(each)
    ids = dict.fromkeys(_ID.findall("\n".join(faults)))
    for id_ in list(ids)[:MAX_ZERGLINGS]:
        content = {
            "requests": [_request(each) for each in ledger.get(id_, [])],
            "regions": {region.name: _documents(region, id_) for region in regions},
        }
        (directory / f"{id_}.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _request(sent: Sent) -> dict[str, Any]:
    return asdict(sent) | {"fate": sent.fate.value, "id": sent.request.id}


def _documents(region: Region, id_: str) -> dict[str, Any]:
    """Return all leaves of a zergling, and its chunks."""
    backend = Backend(region.environment)
    try:
        with closing(backend.open()) as store:
            page = store.history.page(f"{id_}:", 1000, until=f"{id_}:~", timeout=SOON)
        leaves = backend.server.ask("GET", region.database, id_, open_revs="all", revs="true")
        return {"leaves": leaves, "chunks": page.documents}
    except StoreError as error:
        return {"error": str(error)}
