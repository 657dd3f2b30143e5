"""Unit tests for the page's model of a history and its path, against the service's own rules."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest

from tests.browser.conftest import Run
from zerglings.domain.pose import FACINGS, Pose

EDGE = 2**53 - 1


@pytest.mark.parametrize("start", [Pose(), Pose(EDGE - 3000, -EDGE + 3000, "W")], ids=str)
@pytest.mark.parametrize("split", [0, 1, 1024, 2000, 2999, 3000])
def test_every_step_has_the_pose_that_a_replay_gives(run: Run, start: Pose, split: int) -> None:
    dice = random.Random(split)
    words = dice.choices(["M", "M", "L", "R", "jump"], k=3000)
    poses = list(accumulate(words, Pose.after, initial=start))
    found = run(
        """([words, split, part, whole]) => {
            const middle = Math.floor(split / 2);
            const history = new modules.History(words.slice(middle, split), split, part);
            if (!history.append(words.slice(split - 5 > 0 ? split - 5 : 0), words.length, whole))
                return "not appended";
            if (!history.prepend(words.slice(0, middle + 3), 0)) return "not prepended";
            const poses = Array.from({ length: words.length + 1 }, (_, n) => history.poseAt(n));
            const kept = words.map((_, n) => history.wordAt(n + 1));
            return { first: history.first, count: history.count, poses, kept };
        }""",
        [words, split, _encoded(poses[split]), _encoded(poses[-1])],
    )
    assert found["kept"] == words
    assert (found["first"], found["count"]) == (0, 3000)
    assert found["poses"] == [_encoded(pose) for pose in poses]


@pytest.mark.parametrize(
    ("words", "pose", "why"),
    [
        (["M", "L", "M"], Pose(-1, 1, "W"), "another command than the known"),
        (["M", "M", "M", "M"], Pose(0, 4, "E"), "another pose at the end"),
    ],
)
def test_a_history_that_changed_is_not_continued(
    run: Run, words: list[str], pose: Pose, why: str
) -> None:
    assert not run(
        """([words, pose]) => {
            const history = new modules.History(["M", "M"], 2, { x: 0, y: 2, facing: 0 });
            return history.append(words, words.length, pose);
        }""",
        [words, _encoded(pose)],
    ), why


def test_older_commands_that_disagree_are_refused(run: Run) -> None:
    assert run(
        """() => {
            const history = new modules.History(["M", "M"], 4, { x: 0, y: 2, facing: 0 });
            const answers = [
                history.prepend(["L", "R", "M", "L"], 0),
                history.prepend(["L"], 0),
                history.prepend(["L", "R"], 0),
            ];
            return [...answers, history.poseAt(0).y];
        }"""
    ) == [False, False, True, 0]


def test_the_path_has_every_walked_line_once(run: Run) -> None:
    words = random.Random(5).choices("MMLR", k=20_000)
    walked = set()
    for before, after in zip(
        poses := list(accumulate(words, Pose.after, initial=Pose())), poses[1:], strict=False
    ):
        if (before.x, before.y) != (after.x, after.y):
            walked.add(tuple(sorted([(before.x, before.y), (after.x, after.y)])))
    lines = run(
        """([words, pose]) => {
            const { path, origin } = new modules.History(words, words.length, pose);
            const lines = [];
            for (let n = 0; n < path.size; n += 1) {
                const { xs, ys, facings, lengths, steps } = path;
                lines.push([origin.x + xs[n], origin.y + ys[n], facings[n], lengths[n], steps[n]]);
            }
            return lines;
        }""",
        [words, _encoded(poses[-1])],
    )
    edges = []
    for x, y, facing, length, step in lines:
        pose = Pose(x, y, FACINGS[facing])
        assert poses[step] == pose
        for _ in range(length):
            beyond = pose.after("M")
            edges.append(tuple(sorted([(pose.x, pose.y), (beyond.x, beyond.y)])))
            pose = beyond
    assert len(edges) == len(set(edges))
    assert set(edges) == walked
    assert len(lines) < len(walked)


def _encoded(pose: Pose) -> dict[str, int]:
    return {"x": pose.x, "y": pose.y, "facing": FACINGS.index(pose.facing)}
