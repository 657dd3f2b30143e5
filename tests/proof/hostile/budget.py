"""The number of inputs per property test: few and fixed, or many and random for `make fuzz`."""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings

SECONDS = os.environ.get("OVERMIND_FUZZ_SECONDS")
"""Seconds for schemathesis; without it, all tests run a small, fixed number of inputs."""

ROUND = 20
"""Factor of the inputs per round of `make fuzz`."""

TRIED: Counter[str] = Counter()
"""Number of inputs so far, by their target."""


def tries(few: int) -> settings:
    """Return the settings of a property: ``few`` inputs, or many random ones while fuzzing."""
    return settings(
        max_examples=few * ROUND if SECONDS else few,
        derandomize=not SECONDS,
        database=None,
        deadline=None,  # what takes long is another test's affair
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
