"""What happens when an extraction is stopped, fails, or meets another one."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from store_faults import toy

from imbpipe.cache import disk, part, writer
from imbpipe.cache.journal import HEADER_BYTES
from imbpipe.cache.journals import read_journals
from imbpipe.cache.layout import Folder
from imbpipe.errors import StoreError


@pytest.fixture
def shelf(tmp_path: Path) -> toy.Shelf:
    return toy.shelf(tmp_path)


class StoppedError(Exception):
    """The run was interrupted."""


def stop_after(batches: int) -> Callable[[writer.Writer, list[int]], None]:
    """Interrupts an extraction."""

    def seen(sink: writer.Writer, rows: list[int]) -> None:
        if len(rows) >= 8 * batches:
            raise StoppedError

    return seen


def test_an_interrupted_extraction_resumes_without_encoding_a_row_twice(
    shelf: toy.Shelf, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        shelf.extract(seen=stop_after(3))
    assert shelf.extract() == list(shelf.dataset.ids[24:])
    assert shelf.pack().read_bytes() == toy.unbroken(tmp_path / "unbroken", shelf.dataset, shelf.spec)


def test_the_number_of_workers_may_change_on_resume(shelf: toy.Shelf, tmp_path: Path) -> None:
    first = shelf.extract(worker=2, workers=3)
    assert first == list(shelf.dataset.ids[16:24])
    assert not set(first) & set(shelf.extract())
    assert shelf.pack().read_bytes() == toy.unbroken(tmp_path / "unbroken", shelf.dataset, shelf.spec)


def test_a_row_left_over_is_encoded_at_its_old_place_of_its_old_batch(shelf: toy.Shelf) -> None:
    shelf.fill()
    shelf.dataset.images[11].write_bytes(b"changed")
    with shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8) as sink:
        (batch,) = sink.pending
    assert (batch.number, batch.rows) == (1, tuple(range(8, 16)))
    assert batch.paths == shelf.dataset.images[8:16]
    assert batch.wanted == tuple(row == 11 for row in batch.rows)


def test_a_torn_tail_is_cut_off(shelf: toy.Shelf) -> None:
    with pytest.raises(StoppedError):
        shelf.extract(seen=stop_after(2))
    journal = shelf.folder.part(0)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-1])
    assert shelf.extract() == list(shelf.dataset.ids[8:])
    assert [scan.damaged for scan in read_journals(shelf.folder, shelf.spec).scans] == [[]]
    shelf.pack()


def test_damage_in_the_middle_of_a_journal_costs_only_the_rows_it_hit(shelf: toy.Shelf) -> None:
    with pytest.raises(StoppedError):
        shelf.extract(seen=stop_after(3))
    journal = shelf.folder.part(0)
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    assert shelf.extract() == list(shelf.dataset.ids[8:16] + shelf.dataset.ids[24:])
    assert (shelf.folder.path / "salvage-0000.jnl").exists()
    shelf.pack()
    assert shelf.folder.journals() == []
    np.testing.assert_array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec))


def test_a_second_extractor_on_one_part_gets_a_clear_error(shelf: toy.Shelf) -> None:
    with (
        shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec),
        pytest.raises(StoreError, match=r"another process is writing .*part-0000.jnl. Wait"),
    ):
        shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec)
    shelf.fill()


@pytest.mark.parametrize(
    ("options", "told"),
    [({"workers": 3}, "workers 2, not 3"), ({"workers": 2, "batch_size": 4}, "batch_size 8, not 4")],
)
def test_workers_that_would_share_the_images_differently_are_refused(
    shelf: toy.Shelf, options: dict, told: str
) -> None:
    with (
        shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8, workers=2),
        pytest.raises(StoreError, match=rf"process {os.getpid()} on .* is writing .* with {told}"),
    ):
        shelf.store.writer(
            shelf.dataset, toy.ENCODER, shelf.spec, **{"batch_size": 8, "worker": 1, **options}
        )


def test_two_workers_write_side_by_side(shelf: toy.Shelf, tmp_path: Path) -> None:
    sinks = [
        shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8, worker=worker, workers=2)
        for worker in range(2)
    ]
    for sink in sinks:
        with sink:
            for batch in sink.pending:
                toy.encode_batch(sink, batch, shelf.spec)
    assert shelf.pack().read_bytes() == toy.unbroken(tmp_path / "unbroken", shelf.dataset, shelf.spec)


def test_a_child_of_a_killed_extraction_does_not_keep_its_lock(shelf: toy.Shelf) -> None:
    script = """
import os, signal, sys, time
from pathlib import Path
from store_faults import toy
shelf = toy.shelf(Path(sys.argv[1]))
sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec)
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(shelf.root.parent)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        check=False,
    )
    try:
        assert done.returncode == -signal.SIGKILL
        assert len(shelf.fill()) == 40
    finally:
        os.kill(int(done.stdout), signal.SIGKILL)


def test_rows_count_only_once_they_are_synced(shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = threading.Event()
    monkeypatch.setattr(writer, "SYNC_BATCHES", 1)
    sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8)
    monkeypatch.setattr(disk, "sync_data", lambda fd: allowed.wait())
    for batch in sink.pending:
        toy.encode_batch(sink, batch, shelf.spec)
    assert sink.committed == 0
    allowed.set()
    sink.commit()
    assert sink.committed == 40
    sink.close()


def test_rows_handed_over_during_a_sync_wait_for_the_next(
    shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, allowed = threading.Semaphore(0), threading.Semaphore(0)

    def sync(fd: int) -> None:
        asked.release()
        allowed.acquire()

    monkeypatch.setattr(writer, "SYNC_BATCHES", 1)
    sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8)
    monkeypatch.setattr(disk, "sync_data", sync)
    toy.encode_batch(sink, sink.pending[0], shelf.spec)
    asked.acquire()
    for batch in sink.pending[1:]:
        toy.encode_batch(sink, batch, shelf.spec)
    allowed.release()
    asked.acquire()
    assert sink.committed == 8
    allowed.release(10)
    sink.close()
    assert sink.committed == 40


def test_the_encoder_may_use_its_array_again(shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = threading.Event()
    monkeypatch.setattr(writer, "SYNC_BATCHES", 1)
    shelf.dataset = toy.rows_of(shelf.dataset, range(4))
    sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec)
    monkeypatch.setattr(disk, "sync_data", lambda fd: allowed.wait())
    features = np.empty((1, 8), np.float32)
    for row in range(4):
        features[:] = row
        sink.write(np.array([row]), np.zeros((1, 32), np.uint8), features)
    allowed.set()
    sink.close()
    shelf.pack()
    assert shelf.load().features[:, 0].tolist() == [0, 1, 2, 3]


def test_rows_are_synced_after_a_while_without_being_asked(
    shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SYNC_SECONDS", 0.01)
    with shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8) as sink:
        synced = threading.Event()
        monkeypatch.setattr(disk, "sync_data", lambda fd: synced.set())
        toy.encode_batch(sink, sink.pending[0], shelf.spec)
        assert synced.wait(10)


def test_rows_that_cannot_be_synced_are_given_up_and_encoded_again(
    shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8)
    for batch in sink.pending[:2]:
        toy.encode_batch(sink, batch, shelf.spec)
    sink.commit()
    monkeypatch.setattr(disk, "sync_data", fail)
    toy.encode_batch(sink, sink.pending[2], shelf.spec)
    with pytest.raises(StoreError, match=r"Input/output error \(16 rows of this run are safe\)"):
        sink.commit()
    with pytest.raises(StoreError, match="Input/output error"):
        toy.encode_batch(sink, sink.pending[3], shelf.spec)
    with pytest.raises(StoreError, match="Input/output error"):
        sink.close()
    monkeypatch.undo()
    assert shelf.fill() == list(shelf.dataset.ids[16:])


@pytest.mark.parametrize("short", [False, True])
def test_a_full_disk_at_any_write_is_a_clear_error_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    toy.without_syncing(monkeypatch)
    real = os.writev
    for good in range(100):
        shelf = toy.shelf(tmp_path / str(good), n=24)
        left = [good]

        def writev(fd: int, buffers: list, left: list = left) -> int:
            left[0] -= 1
            if left[0] >= 0:
                return real(fd, buffers)
            if short:
                return real(fd, [buffers[0][:7]])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "writev", writev)
        safe: set[int] = set()
        failure = None
        try:
            shelf.extract(
                commit_every=1, seen=lambda sink, rows, safe=safe: safe.update(rows[: sink.committed])
            )
        except StoreError as error:
            failure = str(error)
        monkeypatch.setattr(os, "writev", real)
        if failure is None:
            break
        assert "the disk is full at" in failure
        assert "Free space and run the same command again" in failure
        assert set(shelf.fill()) == set(shelf.dataset.ids) - {shelf.dataset.ids[row] for row in safe}
    assert good > 5


def test_a_full_disk_says_how_many_rows_are_kept(shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, buffers: list) -> int:
        raise OSError(errno.ENOSPC, "no")

    sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8)
    toy.encode_batch(sink, sink.pending[0], shelf.spec)
    sink.commit()
    monkeypatch.setattr(os, "writev", full)
    toy.encode_batch(sink, sink.pending[1], shelf.spec)
    for attempt in (sink.commit, lambda: toy.encode_batch(sink, sink.pending[2], shelf.spec), sink.close):
        with pytest.raises(StoreError, match=r"part-0000.jnl \(8 rows of this run are safe\)"):
            attempt()
    assert sink.committed == 8


def test_rows_appended_before_the_disk_filled_up_are_kept(
    shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.writev, [2]

    def writev(fd: int, buffers: list) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "no")
        return real(fd, buffers)

    sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8)
    monkeypatch.setattr(os, "writev", writev)
    with pytest.raises(StoreError, match=r"\(16 rows of this run are safe\)"):  # noqa: PT012
        for batch in sink.pending:
            toy.encode_batch(sink, batch, shelf.spec)
        sink.commit()
    with pytest.raises(StoreError):
        sink.close()
    monkeypatch.undo()
    assert shelf.extract() == list(shelf.dataset.ids[16:])


def test_a_slow_disk_makes_the_encoder_wait_instead_of_filling_memory(
    shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = threading.Event()
    monkeypatch.setattr(writer, "MOST_QUEUED", 2)
    monkeypatch.setattr(writer, "SYNC_BATCHES", 1)
    sink = shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=2)
    monkeypatch.setattr(disk, "sync_data", lambda fd: allowed.wait())
    encoder = threading.Thread(target=lambda: [toy.encode_batch(sink, b, shelf.spec) for b in sink.pending])
    encoder.start()
    encoder.join(0.3)
    assert encoder.is_alive()
    allowed.set()
    encoder.join()
    sink.close()
    assert shelf.fill() == []
    right = toy.all_features(shelf.dataset, shelf.spec, batch_size=2)
    np.testing.assert_array_equal(shelf.load().features, right)


def test_a_packing_process_that_is_killed_is_told_and_loses_nothing(
    shelf: toy.Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.extract()
    suicide = tmp_path / "python"
    suicide.write_text("#!/bin/sh\nkill -9 $$\n")
    suicide.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(suicide))
    with pytest.raises(StoreError, match=r"killed by SIGKILL; nothing is lost. Run the same command again"):
        shelf.store.pack(shelf.dataset, toy.ENCODER, shelf.spec)
    monkeypatch.undo()
    assert shelf.fill() == []


def test_what_goes_wrong_in_the_packing_process_is_told(shelf: toy.Shelf) -> None:
    shelf.extract(workers=2)
    with pytest.raises(StoreError, match=r"16 of 40 images are not encoded yet.*Run: imbpipe extract"):
        shelf.store.pack(shelf.dataset, toy.ENCODER, shelf.spec)


def test_a_bad_image_is_set_aside_with_its_reason(shelf: toy.Shelf) -> None:
    shelf.dataset.images[3].write_bytes(b"broken")
    shelf.fill()
    found = shelf.load()
    assert found.quarantined == {"image0003": "broken on purpose"}
    assert len(found.ids) == len(found.features) == 39
    assert "image0003" not in found.ids
    (line,) = shelf.folder.quarantine.read_text().splitlines()
    assert '"reason":"broken on purpose"' in line
    assert str(shelf.dataset.images[3]) in line
    shelf.store.check_fresh(shelf.dataset, found)


def test_a_bad_image_is_tried_again_once_it_changed_or_when_asked(shelf: toy.Shelf) -> None:
    shelf.dataset.images[3].write_bytes(b"broken")
    shelf.fill()
    assert shelf.fill() == []
    assert shelf.extract(rehash=True) == ["image0003"]
    shelf.dataset.images[3].write_bytes(b"mended")
    with pytest.raises(StoreError, match="'image0003'"):
        shelf.store.check_fresh(shelf.dataset, shelf.load())
    assert shelf.fill() == ["image0003"]
    assert shelf.load().quarantined == {}
    assert not shelf.folder.quarantine.exists()


def test_an_image_that_could_not_be_opened_is_tried_at_every_run(shelf: toy.Shelf) -> None:
    shelf.dataset = toy.rows_of(shelf.dataset, range(2))
    with shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec) as sink:
        sink.quarantine(0, "no permission", b"")
        sink.write(np.array([1]), np.zeros((1, 32), np.uint8), np.zeros((1, 8), np.float32))
    shelf.pack()
    assert shelf.load().quarantined == {"image0000": "no permission"}
    assert shelf.fill() == ["image0000"]
    assert shelf.load().quarantined == {}


def test_a_data_set_without_a_readable_image_is_an_error(tmp_path: Path) -> None:
    shelf = toy.shelf(tmp_path, n=2)
    for path in shelf.dataset.images:
        path.write_bytes(b"broken")
    with pytest.raises(
        StoreError, match=r"no image of 'toys' could be read \(first 'image0000': broken on purpose\)"
    ):
        shelf.fill()


def test_a_mended_image_is_not_packed_before_it_is_encoded(shelf: toy.Shelf) -> None:
    shelf.dataset.images[3].write_bytes(b"broken")
    shelf.fill()
    shelf.dataset.images[3].write_bytes(b"mended")
    with pytest.raises(StoreError, match=r"1 of 40 images are not encoded yet \(first 'image0003'\)"):
        shelf.store.pack(shelf.dataset, toy.ENCODER, shelf.spec)


def test_a_record_that_stands_twice_counts_once(shelf: toy.Shelf) -> None:
    shelf.extract()
    journal = shelf.folder.part(0)
    (found,) = read_journals(shelf.folder, shelf.spec).scans
    record, data = found.records[2], journal.read_bytes()
    copy = data[record.offset - HEADER_BYTES : record.offset + record.length]
    journal.write_bytes(data[: record.offset + record.length] + copy + data[record.offset + record.length :])
    journals = read_journals(shelf.folder, shelf.spec)
    assert len(journals.rows.heads) == 40
    assert [end - start for start, end in journals.scans[0].damaged] == [len(copy)]


def test_a_lock_on_a_file_that_was_removed_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, calls = tmp_path / "LOCK", disk.try_lock, []

    def removed_before_it_is_locked(fd: int) -> bool:
        if not calls:
            path.unlink()
            path.touch()
        calls.append(fd)
        return real(fd)

    monkeypatch.setattr(disk, "try_lock", removed_before_it_is_locked)
    with disk.locked(path, patience=60):
        assert not disk.is_idle(path)


def test_a_journal_that_is_packed_away_while_it_is_looked_for_is_no_error(
    shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.fill()
    real, calls = Folder.journals, []

    def one_too_many(folder: Folder) -> list[Path]:
        calls.append(folder)
        return [folder.part(0)] if len(calls) < 3 else real(folder)

    monkeypatch.setattr(Folder, "journals", one_too_many)
    assert len(shelf.load().ids) == 40


def test_a_lock_that_is_held_too_long_is_told(tmp_path: Path) -> None:
    with (
        disk.locked(tmp_path / "LOCK", patience=60),
        pytest.raises(StoreError, match=r"another process holds .*LOCK"),
        disk.locked(tmp_path / "LOCK", patience=0.05),
    ):
        pass


def test_a_writer_that_is_done_refuses_more_rows(shelf: toy.Shelf) -> None:
    with shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec, batch_size=8) as sink:
        batches = sink.pending
    with pytest.raises(ValueError, match="closed"):
        toy.encode_batch(sink, batches[0], shelf.spec)
    assert not part._open_parts
