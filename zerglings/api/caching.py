"""Values of ``Cache-Control`` (RFC 9111).

Every response has one of them. For a response without the header, a cache may choose a lifetime and
then serve outdated positions and dead zerglings.
"""

NO_STORE = "no-store"
"""The default."""

STREAMED = f"{NO_STORE}, no-transform"
"""For streamed responses. ``no-transform`` forbids compression, which would make a proxy buffer."""

REVALIDATE = "no-cache, no-transform"
"""For responses with an ``ETag``: a cache may store them but must revalidate before each use.

``no-transform`` keeps the entity tag usable in ``If-Match``: a proxy that compresses changes it.
"""
