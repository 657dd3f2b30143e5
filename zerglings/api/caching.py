"""What caches may keep of an answer, and what proxies may do to it: ``Cache-Control`` (RFC 9111).

An answer without it is one to which a cache may give a lifetime of its own, and then it serves a
position that has changed and a zergling that has died.
"""

NOT_KEPT = "no-store"
"""Of everything that says nothing else."""

AS_IT_COMES = f"{NOT_KEPT}, no-transform"
"""Of what is sent while it is made: a proxy that compresses it would hold it back."""

ASKED_AGAIN = "no-cache, no-transform"
"""Of what has an entity tag: it may be kept, but each time the service is asked whether it still
holds. A proxy that compresses it would make the tag one that ``If-Match`` cannot name.
"""
