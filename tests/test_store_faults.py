"""Faults done on purpose, in small; benchmarks/faults.py does them in full."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from store_faults import full_disk, power

HERE = Path(__file__).parent


def run(module: str, *arguments: object) -> dict:
    """A fault that forks, in a process of its own; its counts."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"store_faults.{module}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        cwd=HERE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=True,
    )
    return json.loads(done.stdout)


def test_a_hundred_kills_lose_no_committed_row_and_leave_the_result_of_an_unbroken_run(
    tmp_path: Path,
) -> None:
    counts = run("kills", tmp_path, 85, 15, 1)
    assert counts["kills"] >= 85
    assert counts["kills_in_pack"] >= 15
    assert counts["committed"] > 100
    assert {counts[name] for name in ("lost", "wrong", "twice", "differ", "steps")} == {0}


@pytest.mark.parametrize(
    ("kind", "step"),
    [("reader", 97), ("plain", 41), ("torn", 16), ("journal", 11), ("plan", 29), ("spec", 2)],
)
def test_no_flipped_bit_or_torn_sector_gives_wrong_numbers_or_hangs(
    tmp_path: Path, kind: str, step: int
) -> None:
    counts = run("flips", kind, tmp_path, 0, step)
    assert counts["flips"] > 200
    assert counts["detected"] > counts["flips"] / 4
    assert {counts[name] for name in ("silent", "unexplained", "hang")} == {0}, (
        f"damage {counts['first_bad']}"
    )


def test_a_power_cut_loses_no_committed_row(tmp_path: Path) -> None:
    counts = power.replay(tmp_path, states=40, seed=2)
    assert counts == power.Counts(states=40)


def test_a_disk_that_fills_up_anywhere_is_a_clear_error_and_the_same_command_then_finishes(
    tmp_path: Path,
) -> None:
    try:
        counts = full_disk.fill_up(tmp_path, step=24 * 1024)
    except OSError as error:
        pytest.skip(str(error))
    assert counts.full == counts.runs - 1 > 3
    assert (counts.unclear, counts.signals, counts.lost, counts.differ) == (0, 0, 0, 0)


def test_readers_during_republishing_see_one_whole_version(tmp_path: Path) -> None:
    counts = run("republish", tmp_path, 5)
    assert counts["published"] == 10
    assert counts["reads"] > 10
    assert (counts["errors"], counts["mixed"]) == (0, 0)
