"""100,000 images of mixed size and health in one run: `python benchmarks/extract_health.py [--images N]`.

Encoded by the mean colour. One in fifty is bad in one of seven ways; which were set aside, and why, is
checked against what was planted, image by image; no file may stay open.
"""

import argparse
import collections
import tempfile
from pathlib import Path

from extraction import images
from extraction.measure import alone
from record import keep

COUNT = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=COUNT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        planted = images.mixed(Path(folder), options.images)
        job = {"folder": folder, "count": options.images, "weights": "pretrained", "seconds": 0}
        row = alone(**job, encoder="mean-colour", who="imbpipe")
    found = row.pop("set_aside")
    missed, wrong = planted.keys() - found.keys(), found.keys() - planted.keys()
    assert not missed, f"{len(missed)} bad images were taken, as {min(missed)} ({planted[min(missed)]})"
    assert not wrong, f"{len(wrong)} good images were set aside, as {min(wrong)} ({found[min(wrong)]})"
    other = {name: found[name] for name, reason in planted.items() if reason not in found[name]}
    assert not other, f"other reasons than planted: {list(other.items())[:3]}"
    assert row["left_open"] <= 0, f"{row['left_open']} files were left open"
    kinds = collections.Counter(planted.values())
    print(f"{options.images:,} images, {len(planted):,} of them bad: all of these set aside, and no other")
    for reason, count in kinds.items():
        print(f"{count:7,}  {reason}")
    print(
        f"{row['images_s']:.0f} images/s, {row['cpu_ms']:.2f} ms of CPU an image, at most "
        f"{row['own_megabytes']:.0f} MB, and {row['child_megabytes']:.0f} MB while packing"
    )
    keep("extract_health", {"images": options.images, "bad": len(planted), "reasons": kinds, **row})


if __name__ == "__main__":
    main()
