"""Files that are not what the store wrote: each is refused by name before its data is touched."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from store_faults import toy
from store_faults.command import run

from imbpipe.cache.hdf5 import Digest
from imbpipe.cache.reader import read_content, read_features, verify_file
from imbpipe.errors import StoreError


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> toy.Shelf:
    shelf = toy.shelf(tmp_path_factory.mktemp("good"), n=300)
    shelf.fill()
    return shelf


@pytest.fixture
def copy(good: toy.Shelf, tmp_path: Path) -> Path:
    """Of features.h5, in a cache of its own."""
    root = tmp_path / "cache"
    shutil.copytree(good.root, root)
    path = root / good.folder.features.relative_to(good.root)
    path.chmod(0o644)
    return path


def refused(path: Path, told: str) -> None:
    """The file is refused with that reason and a remedy, by the reader and by a command."""
    with pytest.raises(StoreError, match=told) as caught:
        read_features(path)
    assert str(path) in caught.value.fact
    assert caught.value.remedy
    at = ("--cache", path.parents[2], "--dataset", "toys", "--encoder", "toy")
    result = run("cache", "export", *at, "--format", "npy", path.parent / "out")
    assert (result.exit_code, result.stderr) == (1, f"Error: {caught.value}\n")
    assert run("cache", "verify", *at[:2]).exit_code == 1


def replaced(name: str, make: Callable[[h5py.File, np.ndarray], object]) -> Callable[[Path], None]:
    """Puts something else where the data set `name` was."""

    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            data = file[name][...]
            del file[name]
            make(file, data)

    return change


def external_link(file: h5py.File, data: np.ndarray) -> None:
    other = Path(file.filename).with_name("other.h5")
    with h5py.File(other, "w") as elsewhere:
        elsewhere["features"] = data
    file["features"] = h5py.ExternalLink(str(other), "features")


def soft_link(file: h5py.File, data: np.ndarray) -> None:
    file["elsewhere"] = data
    file["features"] = h5py.SoftLink("/elsewhere")


def virtual(file: h5py.File, data: np.ndarray) -> None:
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    layout[:] = h5py.VirtualSource("missing.h5", "features", data.shape)
    file.create_virtual_dataset("features", layout)


def external_storage(file: h5py.File, data: np.ndarray) -> None:
    raw = Path(file.filename).with_name("raw")
    raw.write_bytes(data.tobytes())
    file.create_dataset("features", data.shape, data.dtype, external=[(str(raw), 0, data.nbytes)])


def huge(file: h5py.File, data: np.ndarray) -> None:
    file.create_dataset("features", (1 << 40, 8), "<f4", chunks=(256, 8), fletcher32=True)


def unknown_filter(file: h5py.File, data: np.ndarray) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((256, 8))
    properties.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL, ())
    space, kind = h5py.h5s.create_simple(data.shape), h5py.h5t.IEEE_F32LE
    h5py.h5d.create(file.id, b"features", kind, space, properties)


def compressed(file: h5py.File, data: np.ndarray) -> None:
    file.create_dataset("features", data=data, chunks=(256, 8), compression="gzip")


def unchecked(file: h5py.File, data: np.ndarray) -> None:
    file.create_dataset("features", data=data)


def group(file: h5py.File, data: np.ndarray) -> None:
    file.create_group("features")


def chunked(name: str, data: np.ndarray) -> Callable[[h5py.File, np.ndarray], object]:
    """A data set that is right but for its values' type or shape."""
    chunks = (min(256, len(data)), *data.shape[1:])
    return lambda file, _: file.create_dataset(name, data=data, chunks=chunks, fletcher32=True)


def objects(file: h5py.File, data: np.ndarray) -> None:
    file.create_dataset("ids", data=[f"id{row}" for row in range(300)], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replaced("features", external_link), "features in .* is a link to somewhere else"),
        (replaced("features", soft_link), "features in .* is a link to somewhere else"),
        (replaced("features", virtual), "features in .* is a virtual data set"),
        (replaced("features", external_storage), "features in .* keeps its data in another file"),
        (
            replaced("features", huge),
            r"features in .* claims shape \(1099511627776, 8\) in a file of \d+ bytes",
        ),
        (replaced("features", unknown_filter), r"features in .* passes through filters \[32015\]"),
        (replaced("features", compressed), r"features in .* passes through filters \[1\]"),
        (replaced("features", unchecked), "features in .* is not stored in checksummed chunks"),
        (replaced("features", group), "features in .* is not a data set"),
        (replaced("features", lambda file, data: None), "has no 'features'"),
        (
            replaced("features", chunked("features", np.zeros((300, 9), "<f4"))),
            r"shape \(300, 9\), not \(300, 8\)",
        ),
        (
            replaced("features", chunked("features", np.zeros((299, 8), "<f4"))),
            r"shape \(299, 8\), not \(300, 8\)",
        ),
        (
            replaced("features", chunked("features", np.zeros((300, 8), "<f8"))),
            "features in .* is of type float64",
        ),
        (
            replaced("features", chunked("features", np.zeros((300, 8), "<f2"))),
            "features in .* are <f2, not float32",
        ),
        (
            replaced("features", chunked("features", np.zeros((300, 8), "<i4"))),
            "features in .* is of type int32",
        ),
        (replaced("ids", objects), "ids in .* is of type object"),
        (
            replaced("labels", chunked("labels", np.zeros((300, 3), "u1"))),
            r"labels in .* has shape \(300, 3\)",
        ),
        (
            replaced("row_crc32", chunked("row_crc32", np.zeros(300, "<i8"))),
            "row_crc32 in .* is of type int64",
        ),
    ],
)
def test_a_foreign_structure_is_refused_by_name(
    copy: Path, change: Callable[[Path], None], told: str
) -> None:
    change(copy)
    refused(copy, told)


@pytest.mark.parametrize("value", ["text of any length", np.arange(3), 2, None])
def test_an_attribute_of_another_type_is_refused_before_it_is_read(copy: Path, value: object) -> None:
    with h5py.File(copy, "r+") as file:
        del file.attrs["spec"]
        if value is not None:
            file.attrs["spec"] = value
    refused(copy, "attribute 'spec'")


def test_a_format_of_the_future_is_refused(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file.attrs["format"] = np.int64(2)
    refused(copy, "is of format 2, not 1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html>Not found</html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        bytes(5000),
    ],
)
def test_a_file_that_is_no_hdf5_is_damaged(copy: Path, data: bytes) -> None:
    copy.write_bytes(data)
    refused(copy, r"is damaged: .*Run: imbpipe cache repair")


def test_a_file_cut_short_anywhere_is_damaged(copy: Path) -> None:
    data = copy.read_bytes()
    for length in range(0, len(data), 997):
        copy.write_bytes(data[:length])
        with pytest.raises(StoreError, match=r"damaged|cannot read|claims"):
            read_features(copy)


def test_a_damaged_row_is_named(copy: Path, good: toy.Shelf) -> None:
    """As if HDF5's own checksum had been made to fit: the row's is left."""
    with h5py.File(copy, "r+") as file:
        file["features"][211, 3] += 1
    refused(copy, r"1 rows do not match their checksums \(first row 211, 'image0211'\)")
    with pytest.raises(StoreError, match="first row 211"):
        verify_file(copy)


def test_a_file_that_this_process_has_open_already_is_read_all_the_same(copy: Path, good: toy.Shelf) -> None:
    with h5py.File(copy):
        assert read_features(copy).digest == good.load().digest


def test_a_row_checksum_that_fits_no_row_is_not_published(copy: Path) -> None:
    """Though everything else, the digest over all of it too, is as it should be."""
    with h5py.File(copy, "r+") as file:
        file["row_crc32"][7] ^= 1
        digest = Digest()
        digest.add(file["features"][...])
    seal = digest.finish(read_content(copy))
    with h5py.File(copy, "r+") as file:
        file.attrs["digest"] = np.bytes_(seal)
    assert read_features(copy).digest == seal
    with pytest.raises(StoreError, match=r"1 rows do not match their checksums \(first row 7, 'image0007'\)"):
        verify_file(copy)


def test_a_chunk_that_hdf5_cannot_read_is_named(copy: Path, good: toy.Shelf) -> None:
    with h5py.File(copy) as file:
        place = file["features"].id.get_chunk_info(1).byte_offset
    data = bytearray(copy.read_bytes())
    data[place + 5] ^= 4
    copy.write_bytes(data)
    refused(copy, r"rows 256 to 299 \(from 'image0256'\) cannot be read")


@pytest.mark.parametrize("name", ["labels", "ids", "class_names", "image_digest", "quarantined", "row_crc32"])
def test_a_changed_value_outside_the_features_is_noticed(copy: Path, name: str) -> None:
    with h5py.File(copy, "r+") as file:
        data = file[name][...]
        data.view(np.uint8).reshape(-1)[0] ^= 1
        file[name][...] = data
    with pytest.raises(StoreError, match="damaged"):
        read_features(copy)


@pytest.mark.parametrize("name", ["dataset", "encoder", "task", "spec"])
def test_a_changed_text_is_noticed(copy: Path, name: str) -> None:
    with h5py.File(copy, "r+") as file:
        text = bytes(file.attrs[name])
        file.attrs[name] = np.bytes_(text.replace(b"oy", b"0y").replace(b"label", b"labe1"))
    with pytest.raises(StoreError, match="damaged"):
        read_features(copy)


def test_a_pipe_or_a_folder_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "features.h5"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(StoreError, match="is not a regular file"):
            read_features(path)
    with pytest.raises(StoreError, match="No such file"):
        read_features(tmp_path / "missing.h5")


def test_features_of_another_data_set_or_encoder_in_the_folder_are_refused(
    tmp_path: Path, good: toy.Shelf
) -> None:
    shelf = toy.shelf(tmp_path, n=5, version=2)
    shelf.fill()
    shelf.folder.features.unlink()
    shutil.copy(good.folder.features, shelf.folder.features)
    with pytest.raises(
        StoreError, match=r"holds features of 'toys' by 'toy' with key .*, not those .*cache repair"
    ) as caught:
        shelf.load()
    at = ("--cache", shelf.root, "--dataset", "toys", "--encoder", "toy")
    result = run("cache", "export", *at, "--format", "npy", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (1, f"Error: {caught.value}\n")


def test_a_journal_of_another_spec_is_refused(tmp_path: Path) -> None:
    shelf, other = toy.shelf(tmp_path / "one", n=5), toy.shelf(tmp_path / "other", n=5, version=2)
    shelf.extract()
    other.extract()
    shutil.copy(other.folder.part(0), shelf.folder.part(1))
    with pytest.raises(StoreError, match=r"part-0001.jnl was written for another spec.*imbpipe cache repair"):
        shelf.extract()
    other.pack()
    shutil.copy(shelf.folder.part(0), other.folder.part(1))
    with pytest.raises(StoreError, match=r"part-0001.jnl was written for another spec.*imbpipe cache repair"):
        other.load()
