"""``manage.py import_zerglings``: imports an export into the configured store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from zerglings.storage import configured_store
from zerglings.storage.base import NotBootstrapped, StoreError
from zerglings.transfer.files import STANDARD, opened
from zerglings.transfer.importing import Different, Importer, Progress
from zerglings.transfer.lines import BadFile, Entry, entries
from zerglings.transfer.tally import CHUNK, KINDS, Tally, describe_counts

READY_TIMEOUT = 5.0

HELP = """\
Imports the zerglings of an export into the configured store, and verifies each by reading it back.
Zerglings that the store already has are skipped, so an interrupted import can be run again. Nothing
in the store is changed: if it has another zergling, or a dead one, under an id of the file, the
import fails. Before anything is written the whole file is checked, unless it is the standard input.
"""


class Command(BaseCommand):
    """Imports an export."""

    help = HELP
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", help="the export, compressed or not; - is the standard input")
        parser.add_argument(
            "--check",
            action="store_true",
            help="check only that the file is complete and undamaged; needs no store",
        )
        parser.add_argument(
            "--histories",
            action="store_true",
            help="import only the parts of histories that the store lacks, for zerglings that it "
            "already has",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check or import the file, and print how much was done."""
        name: str = options["file"]
        try:
            if options["check"]:
                self._check(name)
            else:
                self._import(name, (CHUNK,) if options["histories"] else KINDS)
        except BadFile as error:
            raise CommandError(f"{name}, {error}") from error
        except Different as error:
            ids = "".join(f"\n  {id_}" for id_ in error.ids)
            raise CommandError(
                f"{error}; none of those was changed. The first are:{ids}"
            ) from error
        except NotBootstrapped as error:
            raise CommandError(f"the store is not ready: {error}") from error
        except (StoreError, OSError) as error:
            raise CommandError(f"the import stopped: {error}; run it again to continue") from error

    def _check(self, name: str) -> None:
        tally = Tally()
        with _read(name, tally, "checking") as (lines, progress):
            for entry in lines:
                progress(entry.size)
        self._succeed(f"{name} is complete: {tally}")

    def _import(self, name: str, kinds: Collection[str]) -> None:
        began = time.monotonic()
        store = configured_store()
        store.check_ready(timeout=READY_TIMEOUT)
        importer = Importer(store, settings.OVERMIND_HISTORY_TAIL)
        if name != STANDARD:
            tally = Tally()
            with _read(name, tally, "checking") as (lines, progress):
                is_complete = importer.compare(_of_kinds(lines, kinds), progress)
            if is_complete:
                wanted = describe_counts(Counter({kind: tally.counts[kind] for kind in kinds}))
                self._succeed(f"nothing to do: the store has all of {wanted}, each equal")
                return
        tally = Tally()
        with _read(name, tally, "importing") as (lines, progress):
            importer.write(_of_kinds(lines, kinds), progress)
        self._succeed(
            f"imported {describe_counts(importer.written)}, each read back and equal, in "
            f"{time.monotonic() - began:.1f} s; {importer.skipped.total()} documents were there "
            f"already; the file holds {tally}"
        )

    def _succeed(self, line: str) -> None:
        self.stdout.write(line, self.style.SUCCESS)


def _of_kinds(lines: Iterable[Entry], kinds: Collection[str]) -> Iterator[Entry]:
    return (entry for entry in lines if entry.kind in kinds)


@contextmanager
def _read(name: str, tally: Tally, what: str) -> Iterator[tuple[Iterator[Entry], Progress]]:
    """Yield a file's documents, and the function that moves the progress bar."""
    size = None if name == STANDARD else Path(name).stat().st_size
    with (
        opened(name) as (stream, file),
        tqdm(desc=what, total=size, unit="B", unit_scale=True, disable=None) as bar,
    ):

        def show(done: int) -> None:
            bar.update(done if size is None else file.tell() - bar.n)

        yield entries(stream, tally), show
