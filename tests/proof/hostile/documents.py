"""Hypothesis strategies for stored documents that are malformed or nearly right."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

HUGE = (0, 1, -1, 2**53, 2**63, 2**64, -(2**70), 10**400, 1.0, 1e308, -0.0, True)
WORDS = (
    "M",
    "L",
    "R",
    "DIED",
    "",
    "x",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "é" * 50,
)


def _anything() -> SearchStrategy[Any]:
    leaves = st.none() | st.sampled_from(HUGE) | st.sampled_from(WORDS) | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )


def _nearly(right: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return right | right | right | right | _anything()


_number = _nearly(st.sampled_from(HUGE[:6]))
_facing = _nearly(st.sampled_from("NESW"))
_location = _nearly(st.fixed_dictionaries({"x": _number, "y": _number}))
_words = _nearly(st.lists(_nearly(st.sampled_from(WORDS)), max_size=5))
_pose = {"location": _location, "facing": _facing}
_base = st.fixed_dictionaries(_pose | {"count": _number, "chunk": _nearly(st.none())})
DOCUMENTS = st.fixed_dictionaries(
    _pose,
    optional={
        "id": _anything(),
        "commandHistory": _words,
        "commandIds": _words,
        "spawn": _nearly(st.fixed_dictionaries(_pose)),
        "base": _nearly(_base),
        "colour": _anything(),
    },
)
IDS = st.uuids(version=4).map(str) | _anything()
