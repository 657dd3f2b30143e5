"""Hypothesis strategies for poses, commands and histories."""

from __future__ import annotations

from hypothesis import strategies as st

from zerglings.domain.pose import COMMANDS, FACINGS, Pose
from zerglings.domain.zergling import DIED

coordinates = st.integers(-(10**6), 10**6)
poses = st.builds(Pose, coordinates, coordinates, st.sampled_from(FACINGS))
commands = st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=40)
histories = st.lists(st.sampled_from((*COMMANDS, "X", "", DIED, "MM")), max_size=60)
