"""A region: a site with peers, and the documents that its bootstrap writes for them."""

from __future__ import annotations

from typing import Any

from tests.support.site import Site, missing_is_fine
from zerglings.storage.bootstrap.accounts import user_id
from zerglings.storage.regions.replications import Peers

NOWHERE = "http://127.0.0.1:1"
ELSEWHERE = "http://127.0.0.1:2"
PASSWORD = "migrate"


class Region:
    """A site with peers, and what its bootstrap writes for them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.username = f"{site.username}-peer"

    def peers(self, password: str = PASSWORD, **urls: str) -> Peers | None:
        account = self.site.account(self.username, password, "COUCHDB_PEERS_PASSWORD")
        return Peers("north", urls, account) if urls else None

    def through(self, url: str) -> Region:
        return Region(self.site.through(url))

    def bootstrap(self, *, password: str = PASSWORD, **urls: str) -> list[str]:
        """Bootstrap the site with these peers, and return the lines about replication."""
        peers = self.peers(password, **urls)
        return about_replication(self.site.bootstrap(peers=peers))

    def check(self, start_limit: float = 0, /, **urls: str) -> list[str]:
        peers = self.peers(**urls)
        return about_replication(self.site.check(peers=peers, start_limit=start_limit))

    def id(self, peer: str, database: str | None = None) -> str:
        return f"overmind:{database or self.site.database}:{peer}"

    @property
    def documents(self) -> dict[str, Any]:
        rows = self.site.server.ask("GET", "_replicator", "_all_docs", include_docs="true")["rows"]
        return {row["id"]: row["doc"] for row in rows if self.site.database in row["id"]}

    def document(self, peer: str) -> dict[str, Any]:
        found: dict[str, Any] = self.site.server.ask("GET", "_replicator", self.id(peer))
        return found

    def write(self, document: dict[str, Any]) -> None:
        self.site.server.ask("PUT", "_replicator", document["_id"], body=document)

    def remove(self) -> None:
        for id_, document in self.documents.items():
            with missing_is_fine():
                self.site.server.ask("DELETE", "_replicator", id_, rev=document["_rev"])
        with missing_is_fine():
            user = self.site.server.ask("GET", "_users", user_id(self.username))
            self.site.server.ask("DELETE", "_users", user["_id"], rev=user["_rev"])


def about_replication(lines: list[str]) -> list[str]:
    """Leave out the other steps, and warnings that depend on the server's settings."""
    mine = [line.removeprefix("replicate ") for line in lines if line.startswith("replicate ")]
    return [line for line in mine if "[replicator]" not in line]
