"""Unit tests for the page's modules: camera, swarm, list parser and search."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.browser.conftest import Run

EDGE = 2**53 - 1


@pytest.mark.parametrize("x", [0, 7, -EDGE, EDGE, EDGE - 1])
@pytest.mark.parametrize("scale", [0.5, 3, 40, 96])
def test_screen_coordinates_map_back_to_the_place(run: Run, x: int, scale: float) -> None:
    assert run(
        """([x, scale]) => {
            const camera = new modules.Camera();
            camera.resize(1280, 800);
            camera.lookAt(x, -x, scale);
            camera.pan(13.3, -7.9);
            const { x: foundX, y: foundY } =
                camera.locationAt(camera.screenX(x), camera.screenY(-x));
            return foundX === x && foundY === -x;
        }""",
        [x, scale],
    )


def test_zooming_keeps_the_place_under_the_pointer(run: Run) -> None:
    assert run(
        """() => {
            const camera = new modules.Camera();
            camera.resize(1000, 700);
            camera.lookAt(1e15, -1e15, 30);
            const before = [camera.screenX(1e15 + 7), camera.screenY(-1e15 - 3)];
            for (const factor of [1.5, 0.2, 2, 5]) camera.zoom(factor, ...before);
            const after = [camera.screenX(1e15 + 7), camera.screenY(-1e15 - 3)];
            return after.every((value, n) => Math.abs(value - before[n]) < 1e-6);
        }"""
    )


def test_fit_can_show_the_whole_grid(run: Run) -> None:
    corners = run(
        """edge => {
            const camera = new modules.Camera();
            camera.resize(390, 300);
            camera.fit({ minX: -edge, minY: -edge, maxX: edge, maxY: edge });
            return [camera.shows(-edge, -edge), camera.shows(edge, edge)];
        }""",
        EDGE,
    )
    assert corners == [True, True]


def test_the_index_finds_what_a_full_scan_finds(run: Run) -> None:
    assert (
        run(
            """edge => {
            const swarm = new modules.Swarm();
            let seed = 7;
            const random = (n) => (seed = (seed * 16807) % 2147483647) % n;
            const places = new Map();
            const id = () => crypto.randomUUID();
            const ids = Array.from({ length: 5000 }, id);
            const put = (id, count) => {
                const far = [0, 0, 0, edge - 300, -edge][random(5)];
                const x = far + random(300);
                const y = (far && -far) + random(300) * Math.sign(-far || 1);
                swarm.update(id, x, y, random(4), count);
                places.set(id, [x, y]);
            };
            ids.forEach((id) => put(id, 0));
            ids.forEach((id, n) => n % 3 || put(id, 1));
            ids.forEach((id, n) => n % 7 || (swarm.remove(id), places.delete(id)));
            for (let n = 0; n < 200; n += 1) {
                const [minX, minY] = [random(300), random(300)];
                const box = { minX, minY, maxX: minX + random(90), maxY: minY + random(90) };
                const { slots, count } = swarm.within(box);
                const found = [...slots.slice(0, count)].map((slot) => swarm.idOf(slot)).sort();
                const wanted = [...places].filter(([, [x, y]]) =>
                    x >= box.minX && x <= box.maxX && y >= box.minY && y <= box.maxY
                ).map(([id]) => id).sort();
                if (found.join() !== wanted.join()) return `${found.length} ${wanted.length}`;
            }
            return swarm.size === places.size;
        }""",
            EDGE,
        )
        is True
    )


def test_outdated_events_are_ignored(run: Run) -> None:
    assert run(
        """() => {
            const swarm = new modules.Swarm();
            const id = crypto.randomUUID();
            swarm.update(id, 0, 2, 0, 2);
            const answer = swarm.update(id, 0, 1, 0, 1);
            return answer === null && swarm.ys[swarm.find(id)] === 2;
        }"""
    )


def test_a_new_list_accepts_lower_counts(run: Run) -> None:
    assert (
        run(
            """() => {
            const swarm = new modules.Swarm();
            const id = crypto.randomUUID();
            swarm.update(id, 0, 9, 0, 9);
            swarm.beginList();
            swarm.updateFromList(id, 0, 1, 0);
            swarm.endList();
            swarm.update(id, 0, 2, 0, 2);
            return swarm.ys[swarm.find(id)];
        }"""
        )
        == 2
    )


def test_late_events_do_not_revive_dead_zerglings(run: Run) -> None:
    assert run(
        """() => {
            const swarm = new modules.Swarm();
            const id = crypto.randomUUID();
            swarm.update(id, 0, 0, 0, 0);
            swarm.remove(id);
            const answer = swarm.update(id, 0, 1, 0, 1);
            return answer === null && swarm.size === 0;
        }"""
    )


def test_ids_are_found_after_many_insertions_and_removals(run: Run) -> None:
    assert run(
        """() => {
            const swarm = new modules.Swarm();
            const stays = crypto.randomUUID();
            swarm.update(stays, 1, 2, 0, 0);
            for (let n = 0; n < 10_000; n += 1) {
                const id = crypto.randomUUID();
                swarm.update(id, n, n, 0, 0);
                if (swarm.find(id) < 0) return false;
                swarm.remove(id);
                if (swarm.find(id) >= 0) return false;
            }
            return swarm.size === 1 && swarm.ys[swarm.find(stays)] === 2;
        }"""
    )


def test_a_list_removes_zerglings_that_it_does_not_contain(run: Run) -> None:
    assert run(
        """() => {
            const swarm = new modules.Swarm();
            const [stays, goes, heard] = [1, 2, 3].map(() => crypto.randomUUID());
            for (const id of [stays, goes]) swarm.updateFromList(id, 0, 0, 0);
            swarm.beginList();
            swarm.updateFromList(stays, 1, 1, 2);
            swarm.update(heard, 5, 5, 1, 0);
            swarm.endList();
            return [stays, goes, heard].map((id) => swarm.find(id) >= 0);
        }"""
    ) == [True, False, True]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
@pytest.mark.parametrize("length", [0, 1, 40])
def test_a_list_is_parsed_however_it_is_split(run: Run, size: int, length: int) -> None:
    zerglings = [
        {"id": str(uuid.UUID(int=n)), "location": {"x": n, "y": -n}, "facing": "NESW"[n % 4]}
        for n in range(length)
    ]
    body = json.dumps({"zerglings": zerglings} if zerglings else {}, separators=(",", ":"))
    assert (
        run(
            """([body, size]) => {
                const parser = new modules.ListParser();
                const bytes = new TextEncoder().encode(body);
                const found = [];
                for (let at = 0; at < bytes.length; at += size)
                    found.push(...parser.push(bytes.slice(at, at + size)));
                return [...found, ...parser.end()];
            }""",
            [body, size],
        )
        == zerglings
    )


@pytest.mark.parametrize(
    "cut", ["", "{", '{"zerglings":[{"id":"a"},{"id', '{"zerglings":[{"id":"a"}']
)
def test_a_truncated_list_is_rejected(run: Run, cut: str) -> None:
    assert run(
        """cut => {
            const parser = new modules.ListParser();
            parser.push(new TextEncoder().encode(cut));
            try { parser.end(); } catch (error) { return error instanceof modules.IncompleteList; }
            return false;
        }""",
        cut,
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3,4", {"x": 3, "y": 4}),
        (" -3 , −4 ", {"x": -3, "y": -4}),
        (f"{EDGE} {-EDGE}", {"x": EDGE, "y": -EDGE}),
    ],
)
def test_coordinates_can_be_written_in_several_ways(
    run: Run, text: str, found: dict[str, int]
) -> None:
    assert run("text => modules.find(text, new modules.Swarm())", text) == found


@pytest.mark.parametrize("text", ["", "hello", f"{EDGE + 1}, 0", "abc,def", "3.5, 2"])
def test_search_text_that_is_neither_coordinates_nor_an_id_is_an_error(run: Run, text: str) -> None:
    assert set(run("text => modules.find(text, new modules.Swarm())", text)) == {"error"}


def test_a_million_ids_are_found(run: Run) -> None:
    assert (
        run(
            """() => {
            const swarm = new modules.Swarm();
            const id = (n) => `${n.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;
            for (let n = 0; n < 1e6; n += 1) swarm.updateFromList(id(n), n, -n, n % 4);
            for (let n = 0; n < 1e6; n += 997) {
                const slot = swarm.find(id(n));
                if (swarm.xs[slot] !== n || swarm.idOf(slot) !== id(n)) return n;
            }
            return swarm.size;
        }"""
        )
        == 1_000_000
    )
