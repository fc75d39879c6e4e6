"""Every fault of the feature store in full: `python benchmarks/faults.py`. Expect zeros.

Kills are SIGKILL at random moments over extraction by two writers and over packing; a power cut is replayed
from the recorded writes; a bit flip is one of every bit of a small file, read by the store's reader and by
plain h5py; torn sectors are zeros, noise or another sector's bytes, or the file's end missing; the full
disk is a tmpfs with F bytes free, for every F in pages (needs root). `--json` keeps the table in
results/faults.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import record

TESTS = Path(__file__).resolve().parent.parent / "tests"
COLUMNS = ("fault", "done", "rows lost", "rows wrong", "rows twice", "hangs", "manual steps", "seconds")


def run(folder: Path, module: str, *arguments: object) -> dict[str, float]:
    """One fault in a process of its own; its counts, and the seconds it took."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"store_faults.{module}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        cwd=TESTS,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=True,
    )
    return {**json.loads(done.stdout), "seconds": time.perf_counter() - started}


def kills(folder: Path, extraction: int, packing: int) -> list[object]:
    found = run(folder, "kills", folder, extraction, packing, 0)
    done = f"{found['kills']} kills of writers, {found['kills_in_pack']} of packing, {found['runs']} results"
    wrong = f"{found['wrong']} (files that differ: {found['differ']})"
    return ["kill -9", done, found["lost"], wrong, found["twice"], 0, found["steps"], found["seconds"]]


def power(folder: Path, states: int) -> list[object]:
    found = run(folder, "power", folder, states, 0)
    wrong = f"{found['differ']} files differ"
    return [
        "power cut",
        f"{found['states']} states",
        found["lost"],
        wrong,
        found["lost"],
        0,
        found["errors"],
        found["seconds"],
    ]


def damage(folder: Path, kind: str, what: str) -> list[object]:
    halves = range(2)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda half: run(folder, "flips", kind, folder / str(half), half, 2), halves))
    total = {name: sum(one[name] for one in found) for name in found[0]}
    done = f"{total['flips']}: {total['detected']} detected, {total['harmless']} harmless"
    return [
        what,
        done,
        0,
        total["silent"],
        0,
        total["hang"],
        total["unexplained"],
        found[0]["seconds"],
    ]


def full(folder: Path) -> list[object]:
    found = run(folder, "full_disk", folder, 4096)
    done = f"{found['runs']} sizes, {found['full']} told as full, {found['signals']} signals"
    wrong = f"{found['differ']} files differ"
    return ["disk full", done, found["lost"], wrong, 0, 0, found["unclear"], found["seconds"]]


def readers(folder: Path, versions: int) -> list[object]:
    found = run(folder, "republish", folder, versions // 2)
    done = f"{found['reads']} reads over {found['published']} versions"
    return ["republishing", done, 0, f"{found['mixed']} mixed", 0, 0, found["errors"], found["seconds"]]


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=850, help="of the two writers")
    parser.add_argument("--in-pack", type=int, default=150, help="kills of packing")
    parser.add_argument("--states", type=int, default=1000, help="power cuts")
    parser.add_argument("--versions", type=int, default=200, help="published under readers")
    parser.add_argument("--json", action="store_true", help="keep the table in results/faults.json")
    options = parser.parse_args()
    print(" | ".join(COLUMNS))
    table = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row in (
            lambda: kills(folder / "kills", options.kills, options.in_pack),
            lambda: power(folder / "power", options.states),
            lambda: damage(folder / "reader", "reader", "bit flip, features.h5, our reader"),
            lambda: damage(folder / "plain", "plain", "bit flip, features.h5, plain h5py"),
            lambda: damage(folder / "torn", "torn", "torn sectors, features.h5"),
            lambda: damage(folder / "journal", "journal", "bit flip, journal"),
            lambda: damage(folder / "plan", "plan", "bit flip, PLAN.json"),
            lambda: damage(folder / "spec", "spec", "bit flip, SPEC.json"),
            lambda: full(folder / "full"),
            lambda: readers(folder / "readers", options.versions),
        ):
            *cells, seconds = row()
            table.append([*map(str, cells), f"{seconds:.0f}"])
            print(" | ".join(table[-1]), flush=True)
    if options.json:
        record.keep("faults", {"columns": COLUMNS, "rows": table})


if __name__ == "__main__":
    main()
