"""From a file's bytes to the network's pixels on one core: `python benchmarks/extract_decode.py`.

Images a second by Pillow and the library's own transform, and by ours.
"""

import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from extraction import images
from PIL import Image
from record import keep

from imbpipe.encoders.compute import Compute
from imbpipe.encoders.load import load_encoder
from imbpipe.extract.pixels import pixels_of

SECONDS = 0.5


def rate(load: Callable[[bytes], Any], contents: Sequence[bytes]) -> float:
    """The best of three."""
    best = 0.0
    for _ in range(3):
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            load(contents[count % len(contents)])
            count += 1
        best = max(best, count / (time.perf_counter() - started))
    return best


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"images": images.kind()}
    for name in ("resnet18", "clip"):
        encoder = load_encoder(name, weights="random", device="cpu", compute=Compute("torch"))

        def own(data: bytes, encoder: Any = encoder) -> Any:
            return encoder.preprocess(Image.open(io.BytesIO(data)).convert("RGB"))

        def fast(data: bytes, encoder: Any = encoder) -> Any:
            return pixels_of(encoder, data)

        for size in images.SIZES:
            contents = images.jpegs(size)
            theirs, ours = rate(own, contents), rate(fast, contents)
            found[f"{name}, {size}"] = {"own": theirs, "imbpipe": ours, "times": ours / theirs}
            line = f"{name:9} {size:13} own {theirs:6.0f}/s  imbpipe {ours:6.0f}/s  x{ours / theirs:.2f}"
            print(line, flush=True)
    keep("extract_decode", found)


if __name__ == "__main__":
    main()
