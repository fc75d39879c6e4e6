"""The extraction loop, into a sink that keeps everything in memory."""

import hashlib
import os
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.mean_colour import MeanColour
from imbpipe.errors import DatasetError, StoreError, UsageError
from imbpipe.extract import batches as batching
from imbpipe.extract.loop import extract
from imbpipe.extract.sink import Batch

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (51, 102, 153), (0, 0, 0), (255, 255, 255), (204, 51, 0)]


class MemorySink:
    """A FeatureSink over `paths` in batches of `batch_size`; `have`: rows that need no encoding."""

    def __init__(self, paths: list[Path], batch_size: int = 3, have: frozenset[int] = frozenset()) -> None:
        self.batch_size = batch_size
        self.pending = tuple(self._batches(paths, have))
        self.features: dict[int, np.ndarray] = {}
        self.digests: dict[int, bytes] = {}
        self.refused: dict[int, tuple[str, bytes]] = {}
        self.committed = 0

    def _batches(self, paths, have):
        for number, start in enumerate(range(0, len(paths), self.batch_size)):
            rows = tuple(range(start, min(start + self.batch_size, len(paths))))
            wanted = tuple(row not in have for row in rows)
            if any(wanted):
                yield Batch(number, rows, tuple(paths[row] for row in rows), wanted)

    def write(self, rows, digests, features) -> None:
        assert digests.shape == (len(rows), 32)
        for row, digest, feature in zip(rows.tolist(), digests, features, strict=True):
            assert row not in self.features, "a row is written twice"
            self.features[row], self.digests[row] = feature, digest.tobytes()

    def quarantine(self, row: int, reason: str, digest: bytes) -> None:
        self.refused[row] = (reason, digest)

    def commit(self) -> None:
        self.committed = len(self.features) + len(self.refused)


@pytest.fixture
def paths(tmp_path) -> list[Path]:
    """Seven images of one colour each, of different sizes."""
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (8 + number, 5 + 2 * number), colour).save(tmp_path / f"{number}.png")
    return sorted(tmp_path.glob("*.png"))


@pytest.fixture(scope="module")
def resnet():
    return load_encoder("resnet18", weights="random")


def noise(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"noise-{number}.png")
    return sorted(folder.glob("noise-*.png"))


class Watched(MeanColour):
    """Mean colours, and the shape of every batch that was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, pixels):
        self.shapes.append(tuple(pixels.shape))
        return super().encode(pixels)


@pytest.mark.parametrize("workers", [None, 1, 5])
def test_every_image_gets_its_own_features_and_the_hash_of_its_bytes(paths, workers):
    sink = MemorySink(paths)
    summary = extract(MeanColour(), sink, workers=workers)
    assert [sink.features[row].tolist() for row in range(7)] == [
        pytest.approx([value / 255 for value in colour]) for colour in COLOURS
    ]
    assert sink.digests == {row: hashlib.sha256(paths[row].read_bytes()).digest() for row in range(7)}
    assert (summary.encoded, summary.quarantined, summary.stopped) == (7, (), False)
    assert sink.committed == 7


def test_every_batch_is_computed_at_its_full_size(paths):
    encoder = Watched()
    extract(encoder, MemorySink(paths, batch_size=3, have=frozenset({0, 1})))
    assert encoder.shapes == [(3, 3, 1, 1)] * 3, "also the first, of one wanted row, and the last, of one row"


def test_every_image_is_opened_once(paths, monkeypatch):
    opened = []
    original = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: opened.append(Path(path)) or original(path, *rest))
    extract(MeanColour(), MemorySink(paths))
    assert sorted(opened) == paths


def test_rows_that_are_not_wanted_are_not_even_opened(paths):
    paths[1].unlink()
    sink = MemorySink(paths, have=frozenset({1, 4}))
    assert extract(MeanColour(), sink).encoded == 5
    assert sorted(sink.features) == [0, 2, 3, 5, 6]


def test_a_bad_image_is_set_aside_with_its_reason_and_the_run_goes_on(paths):
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    paths[3].unlink()
    paths[4].write_text("<!DOCTYPE html><p>not found")
    sink = MemorySink(paths)
    summary = extract(MeanColour(), sink)
    assert sorted(sink.features) == [0, 1, 5, 6]
    assert sink.refused[3] == ("no such file", b"")
    assert sink.refused[4][0].startswith("an HTML page")
    assert sink.refused[4][1] == hashlib.sha256(paths[4].read_bytes()).digest()
    assert "damaged" in sink.refused[2][0]
    assert [path for path, _ in summary.quarantined] == [str(paths[row]) for row in (2, 3, 4)]
    assert dict(summary.quarantined)[str(paths[3])] == "no such file"
    assert (summary.encoded, sink.committed) == (4, 7)


def test_a_batch_of_bad_images_only_is_not_encoded(paths):
    for path in paths[:3]:
        path.write_bytes(b"")
    encoder = Watched()
    sink = MemorySink(paths)
    extract(encoder, sink)
    assert len(encoder.shapes) == 2
    assert {reason for reason, _ in sink.refused.values()} == {"an empty file (0 bytes)"}


def test_a_place_without_an_image_is_empty_whatever_was_encoded_there_before(tmp_path):
    for number in range(30):
        Image.new("RGB", (8, 8), (255, 255, 255)).save(tmp_path / f"{number:02}.png")
    paths = sorted(tmp_path.glob("*.png"))
    for path in paths[17::3]:
        path.write_bytes(b"")
    seen: list[np.ndarray] = []

    class Keeping(MeanColour):
        def encode(self, pixels):
            seen.append(pixels.flatten(1).mean(1).numpy())
            return super().encode(pixels)

    extract(Keeping(), MemorySink(paths, batch_size=4, have=frozenset(range(1, 30, 4))))
    empty = {*range(1, 30, 4), *range(17, 30, 3), 30, 31}
    assert np.concatenate(seen).tolist() == [0.0 if row in empty else 1.0 for row in range(32)]


def test_an_interrupted_run_that_goes_on_gives_the_bits_of_an_unbroken_one(tmp_path, resnet):
    paths = noise(tmp_path, 6)
    whole = MemorySink(paths, batch_size=4)
    extract(resnet, whole)
    for have in (frozenset({0, 1, 2, 3}), frozenset({1, 2, 5})):
        rest = MemorySink(paths, batch_size=4, have=have)
        extract(resnet, rest, workers=1)
        assert set(rest.features) == set(range(6)) - have
        for row, features in rest.features.items():
            assert features.tobytes() == whole.features[row].tobytes(), row


def test_a_bad_neighbour_does_not_change_a_bit(tmp_path, resnet):
    paths = noise(tmp_path, 4)
    whole = MemorySink(paths, batch_size=4)
    extract(resnet, whole)
    paths[1].write_bytes(b"")
    broken = MemorySink(paths, batch_size=4)
    extract(resnet, broken)
    for row in (0, 2, 3):
        assert broken.features[row].tobytes() == whole.features[row].tobytes()


@given(bad=st.sets(st.integers(0, 6)), have=st.frozensets(st.integers(0, 6)), batch_size=st.integers(1, 9))
@settings(max_examples=15)
def test_every_wanted_row_is_written_or_refused_once(tmp_path_factory, bad, have, batch_size):
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{row}.bmp" for row in range(7)]
    for row, path in enumerate(paths):
        if row not in bad:
            Image.new("RGB", (2, 2), COLOURS[row]).save(path)
    sink = MemorySink(paths, batch_size, have)
    summary = extract(MeanColour(), sink, workers=2)
    assert set(sink.features) == set(range(7)) - have - bad
    assert set(sink.refused) == bad - have
    assert summary.encoded == len(sink.features)


def test_images_are_read_while_others_are_encoded(paths):
    read = {path: threading.Event() for path in paths}

    class Slow(MeanColour):
        def encode(self, pixels):
            if not self.waited:
                assert read[paths[3]].wait(timeout=30), "the second batch waits for the first"
                self.waited = True
            return super().encode(pixels)

    encoder = Slow()
    encoder.waited = False
    with pytest.MonkeyPatch.context() as patch:
        original = batching.read_bytes
        patch.setattr(batching, "read_bytes", lambda path: (read[path].set(), original(path))[1])
        extract(encoder, MemorySink(paths))
    assert encoder.waited


def test_no_more_images_are_held_than_a_few_batches(tmp_path):
    for number in range(60):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{number:02d}.bmp")
    sink = MemorySink(sorted(tmp_path.glob("*.bmp")), batch_size=3)
    held = []

    class Counting(MeanColour):
        def preprocess(self, image):
            held.append(1 + sum(held_before) - len(sink.features))
            held_before.append(1)
            return super().preprocess(image)

    held_before: list[int] = []
    extract(Counting(), sink, workers=4)
    assert len(sink.features) == 60
    assert 3 < max(held) <= (batching.AHEAD + 2) * 3


def test_a_stop_commits_what_there_is_and_returns(paths):
    sink = MemorySink(paths)
    summary = extract(MeanColour(), sink, should_stop=lambda: len(sink.features) >= 3)
    assert (summary.stopped, summary.encoded, sink.committed) == (True, 3, 3)
    rest = MemorySink(paths, have=frozenset(sink.features))
    assert not extract(MeanColour(), rest, should_stop=lambda: False).stopped
    assert set(sink.features) | set(rest.features) == set(range(7))


def test_progress_counts_what_is_safe_and_ends_at_all(paths):
    paths[5].unlink()
    calls = []
    extract(MeanColour(), MemorySink(paths, have=frozenset({0})), progress=lambda *call: calls.append(call))
    assert calls[-1] == (6, 6)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_nothing_to_encode_is_done_at_once(paths):
    calls = []
    sink = MemorySink(paths, have=frozenset(range(7)))
    summary = extract(MeanColour(), sink, progress=lambda *call: calls.append(call))
    assert (summary.encoded, summary.stopped, calls) == (0, False, [(0, 0)])


@pytest.mark.parametrize(("max_bad", "images"), [(0.0, None), (0.14, None), (0.05, 20)])
def test_more_bad_images_than_allowed_end_the_run_with_the_first_named(paths, max_bad, images):
    paths[0].write_bytes(b"")
    paths[4].write_bytes(b"")
    sink = MemorySink(paths)
    with pytest.raises(DatasetError) as caught:
        extract(MeanColour(), sink, max_bad=max_bad, images=images)
    assert f"more than --max-bad {max_bad:g} allows (first {paths[0]}: an empty file" in str(caught.value)
    assert sink.committed == len(sink.features) + len(sink.refused) > 0, "what was encoded is kept"


@pytest.mark.parametrize(("max_bad", "images"), [(0.29, None), (1.0, None), (0.1, 20), (None, None)])
def test_as_many_bad_images_as_allowed_do_not_end_the_run(paths, max_bad, images):
    paths[0].write_bytes(b"")
    paths[4].write_bytes(b"")
    summary = extract(MeanColour(), MemorySink(paths), max_bad=max_bad, images=images)
    assert (summary.encoded, len(summary.quarantined)) == (5, 2)


@pytest.mark.parametrize("share", [-0.1, 1.5, 5, float("nan")])
def test_a_share_that_is_none_is_refused(paths, share):
    with pytest.raises(UsageError, match="is no share"):
        extract(MeanColour(), MemorySink(paths), max_bad=share)


def test_a_sink_that_cannot_write_ends_the_run_and_its_threads(paths):
    class Full(MemorySink):
        def write(self, *arguments):
            raise StoreError("the disk is full")

    class Slow(MeanColour):
        def preprocess(self, image):
            time.sleep(0.05)
            return super().preprocess(image)

    with pytest.raises(StoreError, match="disk is full"):
        extract(Slow(), Full(paths * 3, batch_size=7), workers=1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("imbpipe-decode")]


def test_a_mistake_in_the_program_is_not_taken_for_a_bad_image(paths):
    class Broken(MeanColour):
        def preprocess(self, image):
            if image.size != (64, 64):
                raise ZeroDivisionError
            return super().preprocess(image)

    sink = MemorySink(paths)
    with pytest.raises(ZeroDivisionError):
        extract(Broken(), sink)
    assert not sink.refused


def test_the_number_of_threads_of_torch_is_left_as_it_was(paths):
    before = torch.get_num_threads()
    seen = []

    class Asking(MeanColour):
        def encode(self, pixels):
            seen.append(torch.get_num_threads())
            return super().encode(pixels)

    extract(Asking(), MemorySink(paths), workers=3)
    assert {*seen, torch.get_num_threads()} == {before}
    fresh = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [before]


def test_odd_but_readable_images_pass_without_a_warning(tmp_path):
    odd = Image.new("RGB", (4, 4), (255, 0, 0))
    odd.save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        extract(MeanColour(), MemorySink([tmp_path / "odd.jpg"]))
    assert not heard


def test_real_chips_give_real_features(test_data, monkeypatch):
    monkeypatch.setenv("IMBPIPE_WEIGHTS", str(test_data / "weights"))
    chips = sorted((test_data / "planet_sample/train").glob("*.jpg"))[:8]
    sink = MemorySink(chips, batch_size=8)
    encoder = load_encoder("resnet18")
    assert extract(encoder, sink).encoded == 8
    features = np.stack([sink.features[row] for row in range(8)])
    with Image.open(chips[3]) as image:
        alone = encoder.encode(encoder.preprocess(image.convert("RGB")).unsqueeze(0))
    np.testing.assert_allclose(features[3], alone[0], rtol=1e-3, atol=1e-4)
    assert features.min() >= 0, "averages of what a ReLU let through"
    assert len(np.unique(features, axis=0)) == 8
