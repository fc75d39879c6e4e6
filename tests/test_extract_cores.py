"""While images are encoded side by side, no thread computes on more cores than one."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from test_extract import MemorySink

from imbpipe.encoders.mean_colour import MeanColour
from imbpipe.extract.loop import extract


class TwoLanes(MeanColour):
    """Mean colours, and how many threads torch would use in whoever preprocesses and encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def lanes(self):
        return (self.encode, self.encode)

    def preprocess(self, image):
        self.seen.add(torch.get_num_threads())
        return super().preprocess(image)

    def encode(self, pixels):
        self.seen.add(torch.get_num_threads())
        return super().encode(pixels)


def test_reading_encoding_and_handing_out_take_one_core_each_and_what_was_set_before_comes_back(
    tmp_path: Path,
):
    """Helpers of a thread that hands batches out would wait for its next one at full speed."""
    for number in range(12):
        Image.fromarray(np.full((9, 9, 3), number, np.uint8)).save(tmp_path / f"{number:02d}.png")
    encoder, handing_out = TwoLanes(), []
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        sink = MemorySink(sorted(tmp_path.glob("*.png")), batch_size=3)
        extract(encoder, sink, progress=lambda done, total: handing_out.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert handing_out[:-1] == [1] * (len(handing_out) - 1)
    assert encoder.seen == {1}
