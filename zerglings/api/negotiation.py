"""What form of answer a client asks for: its ``Accept`` header (RFC 9110, section 12.5.1).

Of the parameters only the weight counts: none of the answers has another one, and the frameworks
look up the charset of an encoded parameter among Python's codecs, of which some are no charsets and
fail later, and which remember for ever each name that they did not know. A long header, which no
client needs, is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

LONGEST = 1024
"""Characters of an ``Accept`` header that is looked at."""

HTML, JSON = "text/html", "application/json"

_XHTML = "application/xhtml+xml"
_ANYTHING = {"*/*": 1.0}
_WEIGHT = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def chosen(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return the media type to answer with, None where none of those offered is acceptable.

    It is the one with the greatest weight, and of equals the first. HTML is for browsers: a program
    whose list merely has it, as Java's, gets JSON if it takes that at all.

    >>> chosen("text/html;q=0.5, */*;q=0.8", ("application/json", "text/html"))
    'application/json'
    """
    weights = _weights(accept)
    best = max(offered, key=lambda media_type: _weight(media_type, weights))
    if best == HTML and JSON in offered and _weight(JSON, weights) and not _is_browser(weights):
        best = JSON
    return best if _weight(best, weights) else None


def is_for_a_person(accept: str | None) -> bool:
    """Whether a client asks for a page rather than for JSON."""
    return chosen(accept, (JSON, HTML)) == HTML


def _weights(accept: str | None) -> Mapping[str, float]:
    """Return the weight of each media range; anything will do for a client that names none."""
    if not accept or len(accept) > LONGEST:
        return _ANYTHING
    weights: dict[str, float] = {}
    for element in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in element.split(";"))
        if media_range == "*":  # as Java writes it
            media_range = "*/*"
        if media_range:
            weights[media_range] = max(_q(parameters), weights.get(media_range, 0.0))
    return weights or _ANYTHING


def _q(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.rstrip() == "q" and _WEIGHT.fullmatch(value := value.lstrip()):
            return min(float(value), 1.0)
    return 1.0


def _weight(media_type: str, weights: Mapping[str, float]) -> float:
    """Return the weight of a media type: that of the most specific range that it is in."""
    kind = media_type.partition("/")[0]
    for media_range in (media_type, f"{kind}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0


def _is_browser(weights: Mapping[str, float]) -> bool:
    """Whether a client that prefers HTML to JSON means it.

    Browsers name XHTML, or nothing but texts; and whoever names JSON has compared the two.
    """
    named = {range_ for range_, weight in weights.items() if weight and range_ != "*/*"}
    return bool(named & {_XHTML, JSON}) or all(name.startswith("text/") for name in named)
