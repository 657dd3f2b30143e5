"""Exports and imports in memory, without pauses and progress bars."""

from __future__ import annotations

import io
from collections.abc import Collection

from tests.support.lives import TAIL
from zerglings.storage.base import Store
from zerglings.transfer.exporting import Exporter
from zerglings.transfer.importing import Importer
from zerglings.transfer.lines import ExportWriter, entries
from zerglings.transfer.tally import KINDS, Tally


def no_progress(_: object) -> None:
    """Show nothing."""


def no_pause(_: float) -> None:
    """Wait for nothing."""


def exported(store: Store, after: Tally | None = None) -> bytes:
    stream = io.BytesIO()
    exporter = Exporter(store, TAIL, pause=no_pause)
    exporter.write(ExportWriter(stream, after or Tally()), no_progress)
    return stream.getvalue()


def imported(store: Store, file: bytes, kinds: Collection[str] = KINDS) -> Importer:
    importer = Importer(store, TAIL, pause=no_pause)
    wanted = (entry for entry in entries(io.BytesIO(file), Tally()) if entry.kind in kinds)
    importer.write(wanted, no_progress)
    return importer


def compare(store: Store, file: bytes) -> bool:
    importer = Importer(store, TAIL, pause=no_pause)
    return importer.compare(entries(io.BytesIO(file), Tally()), no_progress)
