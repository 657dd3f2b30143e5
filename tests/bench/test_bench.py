"""Tests for the benchmark: parsing of wrk's output, comparison of rounds, missing data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import documents
from bench.cells import Cells, Sample
from bench.errors import BenchError
from bench.histories import Life, rival_of
from bench.kinds import KINDS
from bench.lists import ListCost
from bench.load import Figures, Load, combined, parse, run
from bench.plan import plan_from
from bench.results import (
    Results,
    cpu_over_base,
    over_base,
    over_baseline,
    over_one,
    over_raw,
    store_cpu_over_one,
)
from bench.shares import Spread, shares
from bench.table import as_json, markdown
from bench.targets import goals
from zerglings.domain.document_format import decode
from zerglings.domain.pose import replay

ROOT = Path(__file__).resolve().parents[2]
PRINTED = """\
Running 5s test @ http://127.0.0.1:8080/zerglings/
  2 threads and 64 connections
Requests/sec:   1234.56
figures {"good":980,"requests":1000,"refused":20,"socket_errors":3,"seconds":2.000000,\
"p50_ms":1.5000,"p99_ms":9.2500,"put_p50_ms":null}
"""


def sample(rate: float, cpu: float = 0.5, store_cpu: float | None = None) -> Sample:
    figures = Figures(int(rate), int(rate), 1, 1, 1.0, p50_ms=10.0, p99_ms=20.0)
    return Sample(figures, cpu=cpu, store_cpu=store_cpu)


def cells(**rates: list[float]) -> Cells:
    made = Cells()
    for kind, values in rates.items():
        for rate in values:
            made.add(kind.replace("_", "-"), 64, sample(rate))
    return made


def test_the_output_of_wrk_is_parsed() -> None:
    figures = parse(PRINTED)
    assert (figures.rate, figures.errors) == (490, 23)
    assert (figures.p50_ms, figures.p99_ms, figures.put_p50_ms) == (1.5, 9.25, None)


def test_an_error_of_wrk_is_repeated() -> None:
    with pytest.raises(BenchError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_pairs_get_one_thread_per_connection() -> None:
    load = Load("pair", "http://127.0.0.1:1/db", 256, 5, Path("paths"), thread_each=True)
    command = load.command("wrk")
    assert command[command.index("-t") + 1] == command[command.index("-c") + 1] == "256"


def test_a_missing_wrk_is_reported_with_the_install_command() -> None:
    environment = {**os.environ, "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", "bench"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "bench: wrk is missing: apt-get install wrk\n"


def test_ratios_compare_the_same_rounds() -> None:
    # Quotients 2, 2 and 4; the quotient of the medians would be 3.
    measured = cells(moves=[200, 600, 400], pairs=[100, 300, 100])
    assert over_raw(measured, "moves", 64) == 2
    assert over_baseline(measured, "moves", 64) is None


def test_a_checkout_is_compared_with_another_one() -> None:
    measured = cells(moves=[200, 600], base_moves=[100, 200])
    assert over_base(measured, "moves", 64) == 2.5
    assert cpu_over_base(measured, "moves", 64) == 1
    assert over_base(measured, "reads", 64) is None


def test_a_base_that_is_no_checkout_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="BASE"):
        plan_from({"BASE": str(tmp_path)})
    assert plan_from({"BASE": str(ROOT)}).base == ROOT


def test_replicas_are_compared_with_one_in_the_same_rounds() -> None:
    measured = Cells()
    for one, several in [
        ((100, 1.0), (90, 1.2)),
        ((200, 1.0), (100, 2.0)),
        ((100, 2.0), (80, 2.0)),
    ]:
        measured.add("replicas-one", 64, sample(one[0], store_cpu=one[1]))
        measured.add("replicas-random", 64, sample(several[0], store_cpu=several[1]))
    assert over_one(measured, "replicas-random", 64) == 0.8
    assert store_cpu_over_one(measured, "replicas-random", 64) == 1.2
    assert over_one(measured, "replicas-path", 64) is None
    assert over_one(measured, "replicas-one", 64) is None
    assert over_one(measured, "moves", 64) is None


def test_a_store_without_measurable_processor_time_gives_no_ratio() -> None:
    measured = cells(replicas_one=[100], replicas_random=[100])
    assert store_cpu_over_one(measured, "replicas-random", 64) is None


PATHS = [f"/zerglings/{number}/" for number in range(100)]


@pytest.mark.parametrize(("spread", "replicas"), [("one", 1), ("random", 3), ("path", 3)])
@pytest.mark.parametrize("connections", [3, 64, 192])
def test_the_replicas_together_get_all_connections_and_all_zerglings(
    spread: Spread, replicas: int, connections: int
) -> None:
    divided = shares(spread, 3, connections, PATHS)
    counts = [share.connections for share in divided]
    assert (len(counts), sum(counts)) == (replicas, connections)
    assert max(counts) - min(counts) <= 1
    assert {path for share in divided for path in share.paths} == set(PATHS)


def test_at_random_every_replica_gets_requests_for_every_zergling() -> None:
    assert [share.paths for share in shares("random", 3, 64, PATHS)] == [PATHS] * 3


def test_by_path_one_replica_gets_all_requests_for_a_zergling() -> None:
    requested = [path for share in shares("path", 3, 64, PATHS) for path in share.paths]
    assert sorted(requested) == sorted(PATHS)


WAITING_WRK = """\
#!/bin/sh
touch "{directory}/$$.started"
until [ "$(ls "{directory}" | grep -c started)" = 3 ]; do sleep 0.01; done
echo 'figures {figures}'
"""
"""Stands for wrk; ends only when three of them run."""


def test_loads_run_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = json.dumps(asdict(Figures(10, 11, 1, 0, 2.0, p50_ms=1.0, p99_ms=2.0)))
    (tmp_path / "wrk").write_text(WAITING_WRK.format(directory=tmp_path, figures=figures))
    (tmp_path / "wrk").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    loads = [Load("move", f"http://127.0.0.1:{port}/", 21, 1, tmp_path) for port in (1, 2, 3)]
    assert run(loads) == Figures(30, 33, 3, 0, 2.0, p50_ms=1.0, p99_ms=2.0)


def test_the_figures_of_simultaneous_loads_are_combined() -> None:
    parts = [
        Figures(100, 103, 2, 1, 2.0, p50_ms=10.0, p99_ms=50.0),
        Figures(120, 120, 0, 0, 2.1, p50_ms=12.0, p99_ms=40.0),
        Figures(200, 201, 1, 3, 2.0, p50_ms=30.0, p99_ms=45.0),
    ]
    assert combined(parts) == Figures(420, 424, 3, 4, 2.1, p50_ms=12.0, p99_ms=50.0)
    pair = Figures(1, 1, 0, 0, 1.0, p50_ms=2.0, p99_ms=2.0, put_p50_ms=1.0)
    assert combined([pair]) == pair


def test_the_mix_is_compared_with_four_gets_to_a_pair() -> None:
    measured = cells(mix=[500], gets=[1000], pairs=[250], baseline_mix=[125])
    assert over_raw(measured, "mix", 64) == pytest.approx(500 * (0.8 / 1000 + 0.2 / 250))
    assert over_baseline(measured, "mix", 64) == 4


def test_each_goal_reports_the_bound_it_reaches() -> None:
    results = Results(cells=cells(moves=[250], pairs=[100], hot=[150]))
    results.lives = [Life("100 commands", "a", [2.0]), Life("100,000 commands", "b", [2.1])]
    results.lists = [
        ListCost(1_000, 1, 1, 1, peak=60, growth=1),
        ListCost(100_000, 1, 1, 1, peak=100, growth=41),
    ]
    found = {goal.figure: (goal.got, goal.verdict) for goal in goals(results)}
    assert found["64 connections: moves over raw GET + PUT pairs"] == (2.5, "yes")
    assert found["64 connections: moves of a hot zergling over moves of 1,000"] == (0.6, "no")
    assert found["64 connections: p99 of a move over its p50"] == (2, "yes")
    assert found["64 connections: reads over raw GETs"] == (None, "-")
    assert found["a move after 100,000 commands over one after 100"] == (1.05, "hope")
    assert found["peak memory: a full list of 100,000 over one of 1,000"] == (40, "no")


def test_goals_of_replicas_and_of_processor_time_report_what_they_reach() -> None:
    measured = Cells()
    for kind, rate, cpu, store_cpu in [
        ("replicas-one", 1000, 0.3, 1.0),
        ("replicas-random", 950, 0.3, 1.4),
        ("moves", 1000, 0.3, 1.0),
        ("base-moves", 800, 0.5, 1.0),
    ]:
        measured.add(kind, 64, sample(rate, cpu, store_cpu))
    found = {goal.figure: (goal.got, goal.verdict) for goal in goals(Results(cells=measured))}
    assert found["64 connections: three replicas over one: moves"] == (0.95, "yes")
    assert found["64 connections: three replicas over one: store CPU of a move"] == (1.4, "no")
    assert found["64 connections: CPU of moves over that of the base"] == (0.6, "yes")
    assert found["64 connections: CPU of reads over that of the base"] == (None, "-")


def test_the_table_compares_replicas_with_one() -> None:
    measured = Cells()
    measured.add("replicas-one", 64, sample(1000, store_cpu=1.0))
    measured.add("replicas-path", 64, sample(980, store_cpu=1.5))
    text = markdown(Results(cells=measured))
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert [word.strip() for word in rows["moves, one replica"].split("|")[-3:-1]] == ["-", "-"]
    assert [word.strip() for word in rows["moves, three by path"].split("|")[-3:-1]] == [
        "0.98",
        "1.50",
    ]


def test_the_table_shows_rates_errors_and_ratios() -> None:
    results = Results(cells=cells(moves=[200, 200], pairs=[100, 100]), remarks=["a remark"])
    text = markdown(results)
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    words = [word.strip() for word in rows["moves"].split("|")[2:-1]]
    assert words == ["64", "200", "10.0", "20.0", "4", "0.50", "-", "2.00", *"-----"]
    assert "raw GET + PUT" in rows
    assert text.endswith("- a remark\n")
    assert len(as_json(results, {})["cells"][0]["rounds"]) == 2


def test_the_documents_are_valid_zerglings() -> None:
    zergling = decode({**documents.zergling(), "_rev": "1-a"})
    assert len(zergling.history) == documents.COMMANDS
    assert zergling.pose == replay(zergling.spawn, zergling.history)


@pytest.mark.parametrize("last", ["L", "R"])
def test_a_conflicting_revision_is_a_zergling_with_another_turn(last: str) -> None:
    document = documents.zergling(commands=1)
    document |= {"commandHistory": [last], "facing": {"L": "W", "R": "E"}[last]}
    document["location"] = {"x": 0, "y": 0}
    revisions = {"start": 2, "ids": ["b" * 32, "a" * 32]}
    rival = rival_of({**document, "_rev": f"2-{'b' * 32}", "_revisions": revisions})
    zergling = decode(rival)
    assert zergling.history == ("R",)
    assert zergling.pose == replay(zergling.spawn, zergling.history)
    assert rival["_rev"] != f"2-{'b' * 32}"
    assert rival["_revisions"]["ids"][1:] == ["a" * 32]
    assert rival["commandIds"] != document["commandIds"]


def test_a_quick_run_is_shorter_and_variables_override_it() -> None:
    quick = plan_from({"QUICK": "1", "BENCH_SECONDS": "7"})
    assert (quick.seconds, quick.rounds, quick.connections, quick.lists) == (7, 1, (1, 64), 4)
    assert plan_from({}).connections == (1, 8, 32, 64, 256)
    assert plan_from({"FULL": "1"}).lists == 6


def test_only_selects_kinds_and_parts() -> None:
    plan = plan_from({"ONLY": "moves, baseline"})
    assert [name for name in ("moves", "baseline-moves", "reads", "lists") if plan.has(name)] == [
        "moves",
        "baseline-moves",
    ]


def test_replicas_are_started_only_if_asked_for() -> None:
    def sides(only: str) -> set[str]:
        plan = plan_from({"ONLY": only})
        return {kind.side for kind in KINDS if plan.has(kind.name)}

    assert sides("moves,spawns,base") == {"service", "base"}
    assert sides("replicas") == sides("replicas-path") == {"replicas"}
    assert "replicas" in sides("")


@pytest.mark.parametrize(
    ("name", "value"),
    [("BENCH_SECONDS", "0"), ("ONLY", "mvoes"), ("LISTS", "7"), ("BENCH_CONNECTIONS", "1,x")],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(BenchError, match=name):
        plan_from({name: value})
