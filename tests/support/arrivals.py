"""What another region has made of a zergling, delivered as replication does: in any order."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.backends import Backend
from tests.support.original import FIELDS, HISTORY
from tests.support.rivals import plant_document
from zerglings.documents import Document
from zerglings.domain.chunks import Chunk, shorten
from zerglings.domain.document_format import encode
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.repository.archive import Archive
from zerglings.storage.base import Store

TAIL = 100


def moved(zergling: Zergling, count: int, name: str) -> Zergling:
    for number in range(count):
        zergling = zergling.apply(CommandRequest(f"{name}{number}", ("M",)))
    return zergling


def other_region(
    spawn: Zergling, count: int = 350, name: str = "east"
) -> tuple[Document, list[Chunk]]:
    """Return what another region has made of a zergling: its document and its chunks."""
    shorter, chunks = shorten(moved(spawn, count, name), TAIL)
    assert chunks
    return encode(shorter), chunks


def as_the_original_writes(document: Document) -> Document:
    """Return a document with only the fields that the original keeps."""
    return {name: document[name] for name in (*FIELDS, HISTORY) if name in document}


def deliver(backend: Backend, document: Document, spawn: Zergling, generation: int = 400) -> None:
    """Deliver a document as a successor of the spawn, which is a rival if the spawn has another."""
    plant_document(backend, document, after=spawn.revision or "", generation=generation)


def deliver_chunks(store: Store, chunks: Sequence[Chunk]) -> None:
    store.history.put_many([chunk.encode() for chunk in chunks], timeout=5)


def all_ids(hive: Hive, zergling: Zergling) -> list[str]:
    found = hive.get(zergling.id)
    return list(Archive(hive._store.history).ids_since(found, 0, timeout=5))


def all_words(hive: Hive, zergling: Zergling) -> list[str]:
    return [word for part in hive.history(zergling.id).parts for word in part]
