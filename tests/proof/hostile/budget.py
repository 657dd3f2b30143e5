"""The number of inputs per property test: few and fixed, or many and random for `make fuzz`."""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings

SECONDS = os.environ.get("OVERMIND_FUZZ_SECONDS")
"""Seconds that schemathesis is given; without it everything is tried in a small, fixed amount."""

ROUND = 20
"""How many times more is tried in one round of `make fuzz`."""

TRIED: Counter[str] = Counter()
"""Inputs tried so far, by what they were tried on."""


def tries(few: int) -> settings:
    """Return how a property is tried: ``few`` inputs, or many others each time while fuzzing."""
    return settings(
        max_examples=few * ROUND if SECONDS else few,
        derandomize=not SECONDS,
        database=None,
        deadline=None,  # what takes long is another test's affair
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
