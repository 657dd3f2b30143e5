"""Tests that export and import lose nothing, overwrite nothing and revive nothing."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import replace

import orjson
import pytest

from tests.support.backends import Backend
from tests.support.documents import leaves, read, write
from tests.support.faulty_store import FaultyStore
from tests.support.lives import TAIL, everything, of_the_original, populate
from tests.support.rivals import plant
from tests.zerglings.transfer.transfers import compare, exported, imported, no_progress
from zerglings.domain.document_format import decode, encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import KeyReused, NoSuchZergling
from zerglings.storage.base import Store
from zerglings.storage.regions.heartbeats import Heartbeat
from zerglings.transfer.exporting import Exporter
from zerglings.transfer.importing import Different
from zerglings.transfer.lines import ExportWriter, entries
from zerglings.transfer.tally import CHUNK, KEY, ZERGLING, Tally


def test_an_import_reproduces_the_export(store: Store, embedded: Store) -> None:
    ids = populate(store)
    file = exported(store)
    importer = imported(embedded, file)
    assert importer.written[ZERGLING] == 5
    assert importer.written[CHUNK] > 5
    assert importer.written[KEY] == 1
    assert importer.skipped.total() == 0
    assert exported(embedded) == file
    theirs, ours = everything(embedded), everything(store)
    plain = {id_ for id_ in ids if "base" not in ours[id_]}
    assert len(plain) == 1
    assert {k: v for k, v in theirs.items() if k not in plain} == {
        k: v for k, v in ours.items() if k not in plain
    }


def test_both_stores_accept_the_same_export(store: Store, embedded: Store) -> None:
    populate(embedded)
    file = exported(embedded)
    assert imported(store, file).written[ZERGLING] == 5
    assert exported(store) == file


def test_revisions_and_other_documents_are_not_exported(store: Store) -> None:
    populate(store)
    write(store, {"_id": "notes", "text": "no zergling"})
    stream = io.BytesIO()
    exporter = Exporter(store, TAIL)
    exporter.write(ExportWriter(stream, Tally()), no_progress)
    assert exporter.skipped == 1
    assert b"_rev" not in stream.getvalue()
    assert b"notes" not in stream.getvalue()


def test_heartbeats_of_regions_are_not_exported(store: Store) -> None:
    populate(store)
    before = exported(store)
    write(store.history, Heartbeat("east", 1.0).encode())
    assert exported(store) == before


def test_imported_zerglings_accept_further_commands(store: Store, embedded: Store) -> None:
    populate(store)
    original = of_the_original(["M"] * 3)
    write(store, original)
    imported(embedded, exported(store))
    hive, before = Hive(embedded, tail=TAIL), Hive(store, tail=TAIL)
    for seen in before.list().zerglings:
        zergling = hive.get(seen.id)
        assert zergling.pose == seen.pose
        words = [word for part in hive.history(seen.id).parts for word in part]
        assert words == [word for part in before.history(seen.id).parts for word in part]
        assert hive.command(seen.id, CommandRequest.command("L")).command_count == len(words) + 1
    assert decode(read(embedded, original["_id"])).spawn == Pose(2, 6, "E")


def test_a_document_rewritten_by_the_original_keeps_its_older_history(
    store: Store, embedded: Store
) -> None:
    hive = Hive(store, tail=TAIL)
    zergling = hive.spawn(Pose(2, 3, "S"))
    for _ in range(40):
        zergling = hive.command(zergling.id, CommandRequest.command("MR"))
    document = read(store, zergling.id)
    kept = ("_id", "_rev", "id", "location", "facing", "commandHistory")
    write(store, {name: document[name] for name in kept})
    imported(embedded, exported(store))
    found = decode(read(embedded, zergling.id))
    assert found.base == zergling.base
    assert (found.spawn, found.pose) == (zergling.spawn, zergling.pose)
    assert Hive(embedded, tail=TAIL).get(zergling.id).command_count == 80


def test_keys_are_known_after_an_import(store: Store, embedded: Store) -> None:
    populate(store)
    imported(embedded, exported(store))
    hive = Hive(embedded, tail=TAIL)
    zergling = hive.spawn(Pose(), "a key")
    assert zergling.command_count == 4
    assert (
        hive.command(zergling.id, CommandRequest.command("MMRM", "another key")).command_count == 4
    )


def test_keys_of_bulk_calls_are_known_after_an_import(store: Store, embedded: Store) -> None:
    populate(store)
    list(Hive(store).bulk.spawn(3, Pose(), "a swarm's key"))
    imported(embedded, exported(store))
    hive = Hive(embedded)
    before = set(everything(embedded))
    list(hive.bulk.spawn(3, Pose(), "a swarm's key"))
    assert set(everything(embedded)) == before
    with pytest.raises(KeyReused):
        list(hive.bulk.spawn(2, Pose(), "a swarm's key"))


def test_conflicting_revisions_are_merged_before_the_export(
    couch: Backend, embedded: Store
) -> None:
    with closing(couch.open()) as store:
        hive = Hive(store)
        zergling = hive.command(hive.spawn(Pose()).id, CommandRequest.command("M"))
        hive.command(zergling.id, CommandRequest.command("L"))
        plant(couch, zergling.apply(CommandRequest("rival", ("R",))), after=zergling.revision or "")
        assert len(leaves(store, zergling.id) or []) == 2
        assert imported(embedded, exported(store)).written[ZERGLING] == 1
    assert sorted(Hive(embedded).get(zergling.id).history) == ["L", "M", "R"]


def test_a_repeated_import_changes_nothing(store: Store, embedded: Store) -> None:
    populate(embedded)
    file = exported(embedded)
    imported(store, file)
    before = everything(store)
    again = imported(store, file)
    assert again.written.total() == 0
    assert again.skipped[ZERGLING] == 5
    assert everything(store) == before


def test_documents_of_the_original_equal_their_export(store: Store) -> None:
    populate(store)
    file = exported(store)
    assert imported(store, file).skipped[ZERGLING] == 5


def test_a_comparison_reports_missing_documents(store: Store, embedded: Store) -> None:
    populate(embedded)
    file = exported(embedded)
    assert compare(store, file) is False
    imported(store, file)
    assert compare(store, file) is True


def test_different_documents_are_rejected_and_nothing_is_changed(
    store: Store, embedded: Store
) -> None:
    ids = populate(embedded)
    file = exported(embedded)
    other = decode(read(embedded, ids[0])).apply(CommandRequest.command("L"))
    write(store, encode(replace(other, revision=None)))
    before = everything(store)
    with pytest.raises(Different) as caught:
        compare(store, file)
    assert caught.value.ids == [ids[0]]
    with pytest.raises(Different):
        imported(store, file)
    assert everything(store) == before


def test_an_import_does_not_revive_dead_zerglings(store: Store, embedded: Store) -> None:
    hive = Hive(store)
    dead = hive.spawn(Pose(), "key")
    file = exported(store)
    hive.kill(dead.id)
    with pytest.raises(Different):
        compare(store, file)
    buried = read(store, dead.id)
    write(store, {"_id": dead.id, "_rev": buried["_rev"], "_deleted": True})
    with pytest.raises(Different):
        imported(store, file)
    assert leaves(store, dead.id) == []


def test_dead_zerglings_are_imported_as_dead(store: Store, embedded: Store) -> None:
    hive = Hive(store)
    dead = hive.spawn(Pose(), "key")
    hive.kill(dead.id)
    file = exported(store)
    imported(embedded, file)
    with pytest.raises(NoSuchZergling):
        Hive(embedded).spawn(Pose(), "key")
    buried = read(embedded, dead.id)
    write(embedded, {"_id": dead.id, "_rev": buried["_rev"], "_deleted": True})
    assert imported(embedded, file).skipped[ZERGLING] == 1


def test_each_zergling_is_exported_consistently_under_load(store: Store) -> None:
    """The zerglings get commands between the reads of document and chunks."""
    ids = populate(store)
    hive = Hive(store, tail=TAIL)
    living = [seen.id for seen in hive.list().zerglings]
    faulty = FaultyStore(store)

    def moves() -> None:
        for id_ in living:
            hive.command(id_, CommandRequest.command("M" * 30))

    faulty.history.before_page = moves
    tally = Tally()
    found = [e.id for e in entries(io.BytesIO(exported(faulty)), tally) if e.zergling is not None]
    assert found == ids


def test_a_very_long_history_is_transferred_in_order(store: Store, embedded: Store) -> None:
    hive = Hive(store, tail=TAIL)
    zergling = hive.spawn(Pose())
    for number in range(25):
        hive.command(zergling.id, CommandRequest.command("MRML"[number % 4] * 1000))
    file = exported(store)
    chunks = [orjson.loads(line).get("chunk") for line in file.splitlines()]
    assert len([chunk for chunk in chunks if chunk]) > 20
    assert imported(embedded, file).written[ZERGLING] == 1
    assert everything(embedded) == everything(store)
