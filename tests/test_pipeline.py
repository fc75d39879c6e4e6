"""The pipeline as a whole: lanes side by side, threads that are added, health of many images, memory."""

import io
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_extract import MemorySink

from imbpipe.cache.fill import fill
from imbpipe.cache.layout import Folder
from imbpipe.cache.plan import read_plan
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.encoders.compute import Compute
from imbpipe.encoders.load import load_encoder
from imbpipe.encoders.mean_colour import MeanColour
from imbpipe.extract import batches, workers
from imbpipe.extract.loop import extract
from imbpipe.extract.spec import spec_of
from imbpipe.extract.workers import Workers


def chips(folder: Path, count: int, **options: object) -> list[Path]:
    """JPEGs of one grey each, of several sizes."""
    for number in range(count):
        grey = (number * 37) % 256
        size = (8 + number % 5, 9 + number % 3)
        Image.new("RGB", size, (grey,) * 3).save(folder / f"{number:04d}.jpg", quality=100, **options)
    return sorted(folder.glob("*.jpg"))


def dataset(paths: list[Path]) -> Dataset:
    labels = np.arange(len(paths))[:, None] % 2 == np.arange(2)
    return Dataset(
        "chips", tuple(path.stem for path in paths), tuple(paths), labels, ("a", "b"), "single-label"
    )


class Lanes(MeanColour):
    """Mean colours on several lanes, and how many of them computed at the same time."""

    def __init__(self, count: int, seconds: float = 0.0) -> None:
        super().__init__()
        self.count, self.seconds = count, seconds
        self.most = self.now = 0
        self.lock = threading.Lock()

    def lanes(self):
        return (self.encode,) * self.count

    def encode(self, pixels):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return super().encode(pixels)


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_batches_are_encoded_at_once_as_the_encoder_has_lanes(tmp_path, count):
    paths = chips(tmp_path, 30)
    encoder, sink = Lanes(count, seconds=0.05), MemorySink(paths, batch_size=3)
    extract(encoder, sink)
    assert encoder.most == count
    for row in range(30):
        assert sink.features[row] == pytest.approx([(row * 37) % 256 / 255] * 3, abs=1e-6)


def test_features_do_not_depend_on_the_number_of_lanes_or_threads(tmp_path, monkeypatch):
    paths = chips(tmp_path, 12)
    found = []
    for lanes, threads in ((1, 1), (3, 4)):
        monkeypatch.setattr("imbpipe.encoders.torch_backend.usable_cores", lambda lanes=lanes: lanes)
        encoder = load_encoder("timm:test_vit", weights="random", device="cpu", compute=Compute("torch"))
        if lanes == 1:
            monkeypatch.setattr(encoder, "lanes", lambda encoder=encoder: (single_core(encoder),))
        sink = MemorySink(paths, batch_size=4)
        extract(encoder, sink, workers=threads)
        found.append(np.stack([sink.features[row] for row in range(12)]).tobytes())
    assert found[0] == found[1]


def single_core(encoder):
    def lane(pixels):
        torch.set_num_threads(1)
        return encoder.encode(pixels)

    return lane


def test_a_lane_that_fails_ends_the_run_with_its_error_and_leaves_no_thread(tmp_path):
    class Failing(Lanes):
        def encode(self, pixels):
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        extract(Failing(2), MemorySink(chips(tmp_path, 30)))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("imbpipe-")]


def test_the_summary_says_how_long_the_encoder_waited(tmp_path, monkeypatch):
    original = batches.read_bytes
    monkeypatch.setattr(batches, "read_bytes", lambda path: (time.sleep(0.02), original(path))[1])
    slow = extract(MeanColour(), MemorySink(chips(tmp_path, 12)), workers=1)
    assert 0.5 * slow.seconds < slow.waiting <= slow.seconds


# how many threads


def watched(
    monkeypatch, *, cores: int, shares: bool, wanted: int | None = None
) -> tuple[Workers, list[float]]:
    """Workers with a clock in their hands: [seconds, seconds of CPU time]."""
    clock = [0.0, 0.0]
    monkeypatch.setattr(workers, "usable_cores", lambda: cores)
    monkeypatch.setattr(workers.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(workers.time, "process_time", lambda: clock[1])
    return Workers(wanted, shares_cores=shares), clock


def test_one_thread_begins_beside_an_encoder_on_the_cpu_and_one_a_core_beside_a_gpu(monkeypatch):
    assert watched(monkeypatch, cores=4, shares=True)[0].count == 1
    assert watched(monkeypatch, cores=4, shares=False)[0].count == 4
    assert watched(monkeypatch, cores=4, shares=True, wanted=7)[0].count == 7


def test_threads_double_while_the_encoder_waits_up_to_the_cores(monkeypatch):
    crew, clock = watched(monkeypatch, cores=4, shares=True)
    counts = []
    for second in range(1, 5):
        clock[:] = [second * 1.1, second * 1.1 * 4]  # no core is idle
        crew.look(waited=second * 0.5)
        counts.append(crew.count)
    assert counts == [2, 4, 4, 4]


def test_more_threads_than_cores_run_only_while_cores_are_idle(monkeypatch):
    crew, clock = watched(monkeypatch, cores=4, shares=False)
    counts = []
    for second in range(1, 5):
        clock[:] = [second * 1.1, second * 1.1]  # three of four idle: the threads wait for the disk
        crew.look(waited=second * 0.5)
        counts.append(crew.count)
    assert counts == [8, 16, 32, 32], "at most eight a core"


def test_no_thread_is_added_while_the_encoder_is_busy_or_a_number_was_given(monkeypatch):
    crew, clock = watched(monkeypatch, cores=4, shares=True)
    given, _ = watched(monkeypatch, cores=4, shares=True, wanted=2)
    clock[0] = 5.0
    crew.look(waited=0.1)
    given.look(waited=5.0)
    assert (crew.count, given.count) == (1, 2)


def test_no_more_threads_work_than_there_are_slots(tmp_path, monkeypatch):
    lock, now, most = threading.Lock(), [0], [0]
    original = batches.read_bytes

    def counted(path):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1
        return original(path)

    monkeypatch.setattr(batches, "read_bytes", counted)
    extract(MeanColour(), MemorySink(chips(tmp_path, 60), batch_size=20), workers=3)
    assert most[0] == 3


# the batch size, once chosen, stays


def test_a_store_keeps_the_batch_size_that_it_began_with(tmp_path, monkeypatch):
    data, store = dataset(chips(tmp_path, 5)), FeatureStore(tmp_path / "cache")
    encoder = MeanColour()
    monkeypatch.setattr("imbpipe.extract.batch_size.best_batch_size", lambda encoder: 3)

    def planned(**how: object) -> int:
        fill(store, data, encoder, **how)
        return read_plan(Folder.of(store.root, "chips", encoder.name, spec_of(encoder)).plan).batch_size

    assert planned(batch_size="auto") == 3
    monkeypatch.setattr("imbpipe.extract.batch_size.best_batch_size", lambda encoder: 4)
    assert planned(batch_size="auto") == 3
    assert planned() == 3
    assert planned(batch_size=2) == 2, "unless another is asked for"


def test_a_new_store_takes_the_devices_usual_batch(tmp_path):
    data, store, encoder = dataset(chips(tmp_path, 5)), FeatureStore(tmp_path / "cache"), MeanColour()
    fill(store, data, encoder)
    assert read_plan(Folder.of(store.root, "chips", "mean-colour", spec_of(encoder)).plan).batch_size == 16


# many images of mixed health


def spoil(paths: list[Path]) -> dict[int, str]:
    """Every seventh image is bad in one of four ways; the reasons by row."""
    reasons = {}
    for turn, row in enumerate(range(3, len(paths), 7)):
        data = paths[row].read_bytes()
        bad, reason = [
            (b"", "empty file"),
            (data[:100], "no image|truncated"),
            (b"<!doctype html><p>", "HTML page"),
            (data[: len(data) - 40], "truncated"),
        ][turn % 4]
        paths[row].write_bytes(bad)
        reasons[row] = reason
    return reasons


def test_of_many_images_of_mixed_health_each_is_encoded_or_set_aside_once(tmp_path):
    paths = chips(tmp_path, 700)
    reasons = spoil(paths)
    sink = MemorySink(paths, batch_size=16)
    summary = extract(Lanes(2), sink)
    assert set(sink.refused) == set(reasons)
    assert set(sink.features) == set(range(700)) - set(reasons)
    assert len(summary.quarantined) == 100
    for row, feature in sink.features.items():
        assert feature == pytest.approx([(row * 37) % 256 / 255] * 3, abs=1e-6), row


def test_what_is_held_does_not_grow_with_the_number_of_images(tmp_path):
    """Of the pixels that were encoded, no more are alive than a few batches'."""
    made: list[weakref.ref] = []
    most = [0]

    class Buffers(Lanes):
        def encode(self, pixels):
            made.append(weakref.ref(pixels))
            most[0] = max(most[0], len({id(ref()) for ref in made if ref() is not None}))
            return super().encode(pixels)

    class Forgetful(MemorySink):
        def write(self, rows, digests, features):
            self.committed += len(rows)

        def commit(self):
            pass

    buffer = io.BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, "JPEG")
    for number in range(400):
        (tmp_path / f"{number}.jpg").write_bytes(buffer.getvalue())
    sink = Forgetful(sorted(tmp_path.glob("*.jpg")), batch_size=4)
    extract(Buffers(2), sink)
    assert sink.committed == 400
    assert len(made) == 100
    assert most[0] <= 2 + batches.AHEAD
