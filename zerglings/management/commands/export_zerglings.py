"""``manage.py export_zerglings``: exports the configured store to a file."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from zerglings.management.pipes import exit_on_broken_pipe
from zerglings.storage import configured_store
from zerglings.storage.base import StoreError
from zerglings.transfer.exporting import Exporter
from zerglings.transfer.files import COMPRESSED, STANDARD, continued, created
from zerglings.transfer.lines import BadFile, ExportWriter, whole_part
from zerglings.transfer.tally import ZERGLING, Tally

READY_TIMEOUT = 5.0

HELP = """\
Writes every zergling, dead ones too, with its whole history to a file of JSON Lines, which
import_zerglings reads into any store. The service may be running: each zergling is exported as it
was at some moment during the export. The file has no revisions, settings or accounts, and no dead
zerglings that heal has removed.
"""


class Command(BaseCommand):
    """Exports the store."""

    help = HELP
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "file",
            help="a new file, compressed if its name ends in .gz; - is the standard output",
        )
        parser.add_argument(
            "--resume",
            action="store_true",
            help="continue an interrupted export; the lines that the file already has are checked",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Export, and print how much was exported."""
        name: str = options["file"]
        try:
            tally = self._start(name, is_resumed=options["resume"])
            if tally is None:
                self.stdout.write(f"{name} is already complete")
                return
            is_continued = options["resume"] and Path(name).exists()
            target = continued(name, tally.size) if is_continued else created(name)
            with exit_on_broken_pipe():
                self._export(name, target, tally)
        except BadFile as error:
            raise CommandError(f"{name} cannot be resumed: {error}; begin a new one") from error
        except FileExistsError as error:
            raise CommandError(
                f"{name} exists already: continue it with --resume, or give another name"
            ) from error
        except (StoreError, OSError) as error:
            raise CommandError(f"the export stopped: {error}{_advice(name)}") from error

    def _start(self, name: str, *, is_resumed: bool) -> Tally | None:
        """Return the tally of what the file already has, None if the export is complete."""
        if not is_resumed:
            return Tally()
        if name == STANDARD or name.endswith(COMPRESSED):
            raise CommandError("--resume: only an uncompressed file can be continued")
        try:
            with Path(name).open("rb") as file:
                return whole_part(file)
        except FileNotFoundError:
            return Tally()

    def _export(self, name: str, target: AbstractContextManager[BinaryIO], tally: Tally) -> None:
        began, before = time.monotonic(), tally.counts[ZERGLING]
        store = configured_store()
        store.check_ready(timeout=READY_TIMEOUT)
        exporter = Exporter(store, settings.OVERMIND_HISTORY_TAIL)
        with target as stream, _Bar() as bar:
            writer = ExportWriter(stream, tally)
            exporter.write(writer, bar.show)
        new = tally.counts[ZERGLING] - before
        say = self.stderr if name == STANDARD else self.stdout
        say.write(
            f"exported {new} zerglings in {time.monotonic() - began:.1f} s; {name} holds {tally}; "
            f"{exporter.skipped} other documents were skipped",
            self.style.SUCCESS,
        )
        if exporter.damaged:
            raise CommandError(
                f"{exporter.damaged} zerglings are damaged and were not exported: see above"
            )


class _Bar:
    """A progress bar, which is shown only on a terminal."""

    def __init__(self) -> None:
        self._bar = tqdm(desc="exporting", unit=" zerglings", disable=None, dynamic_ncols=True)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, tally: Tally) -> None:
        """Update the bar. Ids are random, so the last one shows which share is done."""
        if tally.last_id:
            share = (int(tally.last_id[:8], 16) + 1) / 2**32
            self._bar.total = round(tally.counts[ZERGLING] / share)
        self._bar.update(tally.counts[ZERGLING] - self._bar.n)


def _advice(name: str) -> str:
    if name == STANDARD or name.endswith(COMPRESSED):
        return "; remove what was written and run it again"
    return "; run it again with --resume"
