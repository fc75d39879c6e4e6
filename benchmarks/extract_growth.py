"""How extraction grows with image size, reading threads, and the number of images:
`python benchmarks/extract_growth.py [--part sizes|workers|numbers]`.

Sizes and workers by ResNet-18 with random weights; numbers by the mean colour, over small files one in
fifty of which is bad, so that what is seen is the cost of files, journals and packing. own and child are
the most that the process and its packing child held resident.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from extraction import images
from extraction.measure import alone
from record import keep_part

SIDES = (64, 128, 256, 512, 1024, 2048)
COUNTS = (100, 1000, 10_000, 100_000)


def sizes(count: int) -> dict[str, Any]:
    found = {}
    for side in SIDES:
        with tempfile.TemporaryDirectory() as folder:
            images.write(Path(folder), images.jpegs((side, side), 32), count)
            found[f"{side} x {side}"] = alone(
                folder=folder, encoder="resnet18", count=count, who="imbpipe", weights="random", seconds=2.0
            )
    return found


def workers(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        images.write(Path(folder), images.jpegs("256x256"), count)
        job = {"folder": folder, "encoder": "resnet18", "count": count, "who": "imbpipe", "weights": "random"}
        return {
            str(threads or "auto"): alone(**job, workers=threads, seconds=2.0)
            for threads in (None, 1, 2, 4, 8)
        }


def numbers(most: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for count in (each for each in COUNTS if each <= most):
        with tempfile.TemporaryDirectory() as folder:
            planted = images.mixed(Path(folder), count)
            job = {"folder": folder, "count": count, "weights": "pretrained", "seconds": 0}
            row = alone(**job, encoder="mean-colour", who="imbpipe")
        assert set(row.pop("set_aside")) == set(planted)
        found[f"{count:,}"] = row
    few, many = list(found)[-2:]
    for process in ("own", "child"):
        grown = found[many][f"{process}_megabytes"] - found[few][f"{process}_megabytes"]
        found[many][f"{process}_bytes_an_image"] = 2**20 * grown / (most - most // 10)
    return found


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    print(f"\n{title:14} images/s  CPU ms/image  own MB  child MB  share of the encoder alone, at most")
    for name, row in rows.items():
        share = f"{row['share']:12.1%} {row['bound']:9.1%}" if "share" in row else ""
        print(
            f"{name:14} {row['images_s']:8.1f} {row['cpu_ms']:13.2f} {row['own_megabytes']:7.0f} "
            f"{row['child_megabytes']:9.0f} {share}",
            flush=True,
        )
    last = rows[list(rows)[-1]]
    if "own_bytes_an_image" in last:
        print(
            f"An image more takes {last['own_bytes_an_image']:.0f} bytes, "
            f"and {last['child_bytes_an_image']:.0f} of the packing process."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", choices=["sizes", "workers", "numbers"], help="this one alone")
    parser.add_argument("--images", type=int, default=600, help="for sizes and workers")
    parser.add_argument("--most", type=int, default=100_000, choices=COUNTS[1:], help="for numbers")
    options = parser.parse_args()
    parts = {
        "sizes": lambda: sizes(options.images),
        "workers": lambda: workers(options.images),
        "numbers": lambda: numbers(options.most),
    }
    for part in [options.part] if options.part else parts:
        rows = parts[part]()
        show(part, rows)
        keep_part("extract_growth", part, {"images": images.kind(), **rows})


if __name__ == "__main__":
    main()
