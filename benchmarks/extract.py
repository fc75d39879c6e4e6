"""Images encoded a second, ours beside others', in one run: `python benchmarks/extract.py [--quick]`.

All encode the same JPEG files with the same weights, each in a process of its own, in turn, on all cores;
peers with as many DataLoader processes as cores and with none, and the faster counts. Ours is the whole
pipeline into the store on disk, journals synced, features.h5 packed; "without pack" is up to the last
synced row. The ceiling is our encoder alone, on pixels in memory, right before and after in the same
process. The bound is what is left of the cores for the encoder while they also decode. Peers' features must
be ours (smallest cosine). Images are real chips where IMBPIPE_TEST_DATA names them, else drawn; weights of
ResNet-18 are the published ones where they are to be had, else random, those of ViT-B/32 random.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from extraction import images
from extraction.cosine import smallest_cosine
from extraction.measure import alone
from extraction.peers import PEERS, write_weights
from record import keep_part

COUNT = {"resnet18": 1600, "clip": 640}
OURS = {
    "imbpipe": {},
    "imbpipe, torch": {"backend": "torch"},
}
LEAST_COSINE = 0.9999


def turn(encoder: str, folder: Path, count: int, weights: str) -> dict[str, dict[str, Any]]:
    """Everyone once."""
    where = {"folder": str(folder), "encoder": encoder, "count": count, "weights": weights}
    found = {
        name: alone(**where, who="imbpipe", features=str(folder / f"{name}.npy"), **how)
        for name, how in OURS.items()
    }
    for who in PEERS[encoder]:
        job = {**where, "who": who, "features": str(folder / "peer.npy")}
        both = [alone(**job, workers=workers) for workers in (os.cpu_count() or 1, 0)]
        found[who] = max(both, key=lambda each: each["images_s"])
        found[who]["cosine"] = smallest_cosine(np.load(folder / "imbpipe.npy"), np.load(folder / "peer.npy"))
        assert found[who]["cosine"] >= LEAST_COSINE, (who, found[who]["cosine"])
    for who in found:
        found[who]["ours_is_times"] = found["imbpipe"]["images_s"] / found[who]["images_s"]
        found[who]["loop_is_times"] = found["imbpipe"]["loop_images_s"] / found[who]["images_s"]
    return found


def compare(encoder: str, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of the rounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images.write(folder, images.jpegs("256x256"), count)
        weights = write_weights(encoder, folder)
        turns = [turn(encoder, folder, count, weights) for _ in range(rounds)]
    return {who: median([each[who] for each in turns]) for who in turns[0]}


def median(rows: list[dict[str, Any]]) -> dict[str, float]:
    numbers = [name for name, value in rows[0].items() if isinstance(value, float)]
    return {name: statistics.median(row[name] for row in rows) for name in numbers}


def show(encoder: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{encoder:26} images/s  ours is x  without pack x  CPU ms/image    MB  smallest cosine")
    for who, row in rows.items():
        cosine = f"{row['cosine']:16.6f}" if "cosine" in row else ""
        print(
            f"{who:26} {row['images_s']:8.1f} {row['ours_is_times']:10.2f} {row['loop_is_times']:15.2f} "
            f"{row['cpu_ms']:13.1f} {row['megabytes']:5.0f} {cosine}"
        )
    for who in OURS:
        row = rows[who]
        print(
            f"{who}: {row['loop_images_s']:.1f} images/s without pack of {row['ceiling']:.1f} of the encoder "
            f"alone, {row['share']:.1%}; decoding takes {row['decode_ms']:.2f} ms of a core an image, so at "
            f"most {row['bound']:.1%}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", choices=list(COUNT), help="this one alone")
    parser.add_argument("--quick", action="store_true", help="a quarter of the images, once")
    parser.add_argument("--rounds", type=int, help="how often all take turns (3)")
    parser.add_argument("--images", type=int)
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 3)
    for encoder in [options.encoder] if options.encoder else COUNT:
        count = options.images or COUNT[encoder] // (4 if options.quick else 1)
        rows = compare(encoder, count, rounds)
        show(encoder, rows)
        keep_part("extract", encoder, {"images": images.kind(), "count": count, "rounds": rounds, **rows})


if __name__ == "__main__":
    main()
