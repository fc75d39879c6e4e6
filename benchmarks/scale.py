"""What the store costs a row, and what a lost node costs: `python benchmarks/scale.py`.

Store: a data set of 10^5 and of 10^6 rows whose encoder is free; each step in a process of its own.
Expected: seconds, bytes and memory in proportion to the rows, or less. `docs/scale.md` reckons with them.
Node: two Ray nodes on this machine, one killed with all of its workers in mid-run. Expected: the file of a
run by the local engine, byte by byte; encoded again at most the three batches that a worker has in hand.
`--json` keeps both in results/scale.json; `--only store` or `--only node` measures one.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DIM, BATCH, CLASSES, PIECES = 512, 256, 17, 128
SPEC = {"encoder": {"architecture": "free"}, "weights": "random", "dim": DIM, "dtype": "float16"}
SIZES = (100_000, 1_000_000)
STEPS = ("plan", "encode", "resume", "pack")


def step(name: str, rows: int, folder: Path) -> dict[str, float]:
    """One step of a run over `rows` rows, in this process."""
    import numpy as np

    from imbpipe.cache.layout import Folder
    from imbpipe.cache.pack import pack
    from imbpipe.cache.pieces import open_pieces
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.dataset import Dataset

    if name == "pack":
        started = time.perf_counter()
        pack(Folder.of(folder, "bench", "free", SPEC))
        return measured(started, rows)
    paths = tuple(folder / "images" / f"{row % 1000:09}.jpg" for row in range(rows))
    if name == "plan":
        paths[0].parent.mkdir()
        for path in paths[:1000]:
            path.write_bytes(b"")
    labels = np.random.default_rng(0).random((rows, CLASSES)) < 3 / CLASSES
    ids = tuple(f"{row:09}.jpg" for row in range(rows))
    classes = tuple(f"class{column}" for column in range(CLASSES))
    data = Dataset("bench", ids, paths, labels, classes, "multi-label")
    if name != "encode":
        started = time.perf_counter()
        open_pieces(folder, data, "free", SPEC, PIECES, batch_size=BATCH, rehash=False)
        return measured(started, rows)
    rng = np.random.default_rng(0)
    features = rng.standard_normal((BATCH, DIM)).astype(np.float32)
    digests = rng.integers(0, 256, (BATCH, 32), np.uint8)
    with FeatureStore(folder).writer(data, "free", SPEC, batch_size=BATCH) as sink:
        started = time.perf_counter()
        for batch in sink.pending:
            sink.write(np.array(batch.rows), digests[: len(batch.rows)], features[: len(batch.rows)])
        sink.commit()
        return measured(started, rows)


def measured(started: float, rows: int) -> dict[str, float]:
    """Microseconds and bytes of memory a row: the most that this process ever had, its libraries included."""
    seconds = time.perf_counter() - started
    most = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert most is not None
    return {"us": 1e6 * seconds / rows, "bytes_of_memory": 1024 * int(most[1]) / rows}


def store_costs(rows: int) -> dict[str, Any]:
    """Of each step, and bytes a row of each file, journals before packing."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in STEPS:
            done = subprocess.run(
                [sys.executable, __file__, "--step", name, str(rows), folder],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            found[name] = json.loads(done.stdout)
            for path in Path(folder).glob("*/*/*"):
                if path.suffix in (".jnl", ".json", ".h5"):
                    found.setdefault("files", {})[path.name] = path.stat().st_size / rows
    return found


def lose_a_node() -> dict[str, Any]:
    """Encode with two nodes, kill one; what was encoded how often."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from cluster.setting import Setting, kill_node, two_nodes, wait_until

    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder), 1000)
        setting.encode_here("local")
        with two_nodes(setting) as (address, raylet):
            setting.hold.touch()
            running = setting.begin("--engine", "ray", "--address", address)
            wait_until(lambda: len({process for process, _ in setting.told()}) == 2, running)
            setting.hold.unlink()
            wait_until(lambda: len(setting.told()) >= 60, running)
            started = time.perf_counter()
            lost = kill_node(raylet)
            _, error = running.communicate()
            seconds = time.perf_counter() - started
        if running.returncode:
            raise SystemExit(error)
        told = setting.told()
        batches = [batch for _, batch in told]
        return {
            "batches": len(set(batches)),
            "by_the_lost_node": sum(process in lost for process, _ in told),
            "encoded_again": len(batches) - len(set(batches)),
            "identical": setting.features() == setting.features("local"),
            "seconds_after_the_loss": seconds,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=["store", "node"])
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, rows, folder = options.step
        print(json.dumps(step(name, int(rows), Path(folder))))
        return
    found: dict[str, Any] = {}
    if options.only != "node":
        found["store"] = {str(rows): store_costs(rows) for rows in options.rows}
        print(f"{'a row, of':>12} {'rows':>10} {'us':>8} {'bytes of memory':>16}")
        for rows, costs in found["store"].items():
            for name in STEPS:
                cost = costs[name]
                print(f"{name:>12} {int(rows):>10,} {cost['us']:>8.2f} {cost['bytes_of_memory']:>16.0f}")
            print(
                "  bytes on disk:", ", ".join(f"{name} {size:.1f}" for name, size in costs["files"].items())
            )
    if options.only != "store":
        found["node"] = lose_a_node()
        print(
            "of {batches} batches the lost node encoded {by_the_lost_node}; {encoded_again} encoded again; "
            "file identical to the local engine's: {identical}; "
            "done {seconds_after_the_loss:.1f} s later".format(**found["node"])
        )
    if options.json:
        import record

        kept = Path(__file__).parent / "results" / "scale.json"
        before = json.loads(kept.read_text())["measured"] if kept.exists() else {}
        record.keep("scale", {**before, **found})


if __name__ == "__main__":
    main()
