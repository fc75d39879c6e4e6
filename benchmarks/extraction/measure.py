"""One measurement in a process of its own: `python -m extraction.measure JOB`, JOB and result being JSON."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from extraction.memory import MemoryWatch

BENCHMARKS = Path(__file__).parent.parent


def alone(**job: Any) -> dict[str, Any]:
    """`measure` in a new process, with the memory that it and its children took."""
    command = [sys.executable, "-m", "extraction.measure", json.dumps(job)]
    with subprocess.Popen(command, cwd=BENCHMARKS, stdout=subprocess.PIPE, text=True) as process:
        watch = MemoryWatch(process.pid)
        output, _ = process.communicate()
        memory = watch.stop()
    if process.returncode:
        raise SystemExit(f"{job} failed")
    return json.loads(output.splitlines()[-1]) | memory


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """What became of the `count` images in `folder`, by `who` and the network `encoder`.

    images_s: from the first file to the last byte on disk. cpu_ms: of all cores, an image.
    """
    paths = sorted(Path(job["folder"]).glob("*.jpg"))[: job["count"]]
    if job["who"] == "imbpipe":
        return ours(job, paths)
    from extraction.peers import PEERS

    run = PEERS[job["encoder"]][job["who"]](paths, job["workers"], job["weights"])
    found, features = timed(run, len(paths))
    assert len(features) == len(paths)
    np.save(job["features"], features)
    return found


def ours(job: dict[str, Any], paths: list[Path]) -> dict[str, Any]:
    """Also loop_images_s: up to the last synced row, without packing; ceiling: images/s of the encoder alone.

    The ceiling is taken right before and after, from pixels in memory on all lanes; its share is the loop's.
    decode_ms: of one core, from a file to the network's pixels. bound: the share that is left of the cores
    beside that.
    """
    from imbpipe.cache.fill import fill
    from imbpipe.cache.store import FeatureStore
    from imbpipe.datasets.dataset import Dataset
    from imbpipe.encoders.compute import Compute
    from imbpipe.encoders.cores import usable_cores
    from imbpipe.encoders.load import load_encoder
    from imbpipe.extract.batch_size import encoding_rate, usual_batch_size

    compute = Compute(job.get("backend"), job.get("precision", "float32"))
    encoder = load_encoder(job["encoder"], weights=job["weights"], device="cpu", compute=compute)
    labels = np.ones((len(paths), 1), dtype=bool)
    data = Dataset("bench", tuple(p.name for p in paths), tuple(paths), labels, ("all",), "multi-label")
    size, seconds = usual_batch_size(encoder), job.get("seconds", 3.0)
    with tempfile.TemporaryDirectory(dir=job["folder"]) as cache:
        ceilings = [encoding_rate(encoder, size, seconds)] if seconds else []
        opened = len(os.listdir("/proc/self/fd"))
        found, summary = timed(lambda: fill(FeatureStore(cache), data, encoder, workers=job.get("workers")),
                               len(paths))  # fmt: skip
        found["left_open"] = len(os.listdir("/proc/self/fd")) - opened
        if seconds:
            ceilings.append(encoding_rate(encoder, size, seconds))
        if job.get("features"):
            np.save(job["features"], FeatureStore(cache).load("bench", encoder.name).features)
    found["loop_images_s"] = len(paths) / summary.seconds
    found["set_aside"] = {Path(path).name: reason for path, reason in summary.quarantined}
    if ceilings:
        core_ms = _decoding(encoder, paths)
        alone_ms = 1e3 * usable_cores() / (ceiling := statistics.mean(ceilings))
        found |= {"ceiling": ceiling, "share": found["loop_images_s"] / ceiling,
                  "decode_ms": core_ms, "bound": alone_ms / (alone_ms + core_ms)}  # fmt: skip
    return found


def _decoding(encoder: Any, paths: list[Path], seconds: float = 1.0) -> float:
    """Milliseconds of one core an image, files read and hashed."""
    import hashlib

    import torch

    from imbpipe.extract.decode import read_bytes
    from imbpipe.extract.pixels import pixels_of

    torch.set_num_threads(1)
    started, count = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < seconds:
        data = read_bytes(paths[count % len(paths)])
        hashlib.sha256(data)
        pixels_of(encoder, data)
        count += 1
    return 1e3 * spent / count


def timed(run: Callable[[], Any], count: int) -> tuple[dict[str, Any], Any]:
    """What `run` of `count` images took, and what it returned."""
    before, started = _cpu_seconds(), time.perf_counter()
    result = run()
    seconds, cpu = time.perf_counter() - started, _cpu_seconds() - before
    return {"images_s": count / seconds, "cpu_ms": 1e3 * cpu / count}, result


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
