"""Tests for the benchmark: parsing of wrk's output, comparison of rounds, missing data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import documents
from bench.cells import Cells, Sample
from bench.errors import BenchError
from bench.histories import Life, rival_of
from bench.lists import ListCost
from bench.load import Figures, Load, parse
from bench.plan import plan_from
from bench.results import Results, cpu_over_base, over_base, over_baseline, over_raw
from bench.table import as_json, markdown
from bench.targets import goals
from zerglings.domain.document_format import decode
from zerglings.domain.zergling import replay

ROOT = Path(__file__).resolve().parents[2]
PRINTED = """\
Running 5s test @ http://127.0.0.1:8080/zerglings/
  2 threads and 64 connections
Requests/sec:   1234.56
figures {"good":980,"requests":1000,"refused":20,"socket_errors":3,"seconds":2.000000,\
"p50_ms":1.5000,"p99_ms":9.2500,"put_p50_ms":null}
"""


def sample(rate: float, p50: float = 10.0, p99: float = 20.0, put: float | None = None) -> Sample:
    return Sample(Figures(int(rate), int(rate), 1, 1, 1.0, p50, p99, put), cpu=0.5, store_cpu=None)


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


def test_the_mix_is_compared_with_four_gets_to_a_pair() -> None:
    measured = cells(mix=[500], gets=[1000], pairs=[250], baseline_mix=[125])
    assert over_raw(measured, "mix", 64) == pytest.approx(500 * (0.8 / 1000 + 0.2 / 250))
    assert over_baseline(measured, "mix", 64) == 4


def test_each_goal_reports_the_bound_it_reaches() -> None:
    results = Results(cells=cells(moves=[200], pairs=[100], hot=[150]))
    results.lives = [Life("100 commands", "a", [2.0]), Life("100,000 commands", "b", [2.1])]
    results.lists = [
        ListCost(1_000, 1, 1, 1, peak=60, growth=1),
        ListCost(100_000, 1, 1, 1, peak=100, growth=41),
    ]
    found = {goal.figure: (goal.got, goal.verdict) for goal in goals(results)}
    assert found["64 connections: moves over raw GET + PUT pairs"] == (2, "yes")
    assert found["64 connections: moves of a hot zergling over moves of 1,000"] == (0.75, "no")
    assert found["64 connections: p99 of a move over its p50"] == (2, "hope")
    assert found["64 connections: reads over raw GETs"] == (None, "-")
    assert found["a move after 100,000 commands over one after 100"] == (1.05, "hope")
    assert found["peak memory: a full list of 100,000 over one of 1,000"] == (40, "no")


def test_the_table_shows_rates_errors_and_ratios() -> None:
    results = Results(cells=cells(moves=[200, 200], pairs=[100, 100]), remarks=["a remark"])
    text = markdown(results)
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    words = [word.strip() for word in rows["moves"].split("|")[2:-1]]
    assert words == ["64", "200", "10.0", "20.0", "4", "0.50", "-", "2.00", "-", "-", "-"]
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


@pytest.mark.parametrize(
    ("name", "value"),
    [("BENCH_SECONDS", "0"), ("ONLY", "mvoes"), ("LISTS", "7"), ("BENCH_CONNECTIONS", "1,x")],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(BenchError, match=name):
        plan_from({name: value})
