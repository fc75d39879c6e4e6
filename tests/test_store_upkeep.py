"""Verify, repair, export and clear: what `imbpipe cache` does with stored features."""

import json
import shutil
from pathlib import Path

import anndata
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from store_faults import toy

from imbpipe.cache.export import FORMATS, export
from imbpipe.cache.gc import collect
from imbpipe.cache.repair import repair
from imbpipe.cache.verify import verify
from imbpipe.errors import ImageError, StoreError


@pytest.fixture(autouse=True)
def _no_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    toy.without_syncing(monkeypatch)


@pytest.fixture
def shelf(tmp_path: Path) -> toy.Shelf:
    shelf = toy.shelf(tmp_path, n=600, placeless=True)
    shelf.dataset.images[2].write_bytes(b"broken")
    shelf.fill()
    return shelf


def damage(shelf: toy.Shelf, row: int = 300) -> None:
    """Flip a bit in the chunk that holds `row`."""
    path = shelf.folder.features
    with h5py.File(path) as file:
        place = file["features"].id.get_chunk_info(row // 256).byte_offset
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[place + 100] ^= 1
    path.write_bytes(data)


def same(shelf: toy.Shelf, paths: list[Path]) -> np.ndarray:
    """What the encoder gave and gives."""
    return np.stack([toy.encode(path.read_bytes(), 0, shelf.spec) for path in paths])


def test_sound_features_verify(shelf: toy.Shelf) -> None:
    found = verify(shelf.folder.path)
    assert found.ok
    assert (found.path, found.rows) == (shelf.folder.path, 599)


def test_verify_names_what_is_damaged(shelf: toy.Shelf) -> None:
    damage(shelf)
    (problem,) = verify(shelf.folder.path).problems
    assert "rows 256 to 511 (from 'image0257') cannot be read" in problem


def test_verify_compares_images_with_what_was_encoded(shelf: toy.Shelf) -> None:
    shelf.dataset.images[7].write_bytes(b"changed")
    shelf.dataset.images[8].unlink()
    found = verify(shelf.folder.path, images=True)
    assert (found.images, found.absent) == (598, 1)
    (problem,) = found.problems
    assert "image 'image0007'" in problem
    assert "is not the one that was encoded" in problem


def test_verify_encodes_rows_again(shelf: toy.Shelf) -> None:
    found = verify(shelf.folder.path, recompute=10, encode=lambda paths: same(shelf, paths))
    assert (found.ok, found.recomputed, found.difference) == (True, 10, 0.0)
    found = verify(shelf.folder.path, recompute=10, encode=lambda paths: same(shelf, paths) * 1.01)
    assert len(found.problems) == 10
    assert "row 0 ('image0000') encoded again differs by 0.01 of its largest value" in found.problems[0]
    found = verify(shelf.folder.path, recompute=3, encode=lambda paths: same(shelf, paths) * np.nan)
    assert len(found.problems) == 3


def test_verify_encodes_no_image_that_changed_or_is_not_here(shelf: toy.Shelf) -> None:
    shelf.dataset.images[0].write_bytes(b"changed")
    shelf.dataset.images[599].unlink()
    found = verify(shelf.folder.path, images=True, recompute=3, encode=lambda paths: same(shelf, paths))
    assert (found.recomputed, found.passed_over, found.difference) == (1, 1, 0.0)
    (problem,) = found.problems
    assert f"image 'image0000' at {shelf.dataset.images[0]} is not the one that was encoded" in problem


def test_verify_names_an_image_that_can_no_more_be_decoded(shelf: toy.Shelf) -> None:
    def encode(paths: list[Path]) -> np.ndarray:
        raise ImageError("too little memory to decode it")

    (problem,) = verify(shelf.folder.path, recompute=1, encode=encode).problems
    assert problem == f"image 'image0000' at {shelf.dataset.images[0]}: too little memory to decode it"


def test_verify_tells_of_a_damaged_journal_and_a_lost_plan(shelf: toy.Shelf) -> None:
    shelf.dataset.images[0].write_bytes(b"new")
    shelf.dataset.images[590].write_bytes(b"new")
    shelf.extract()
    journal = shelf.folder.part(0)
    data = bytearray(journal.read_bytes())
    data[len(data) // 2 - 20] ^= 1
    journal.write_bytes(data)
    (problem,) = verify(shelf.folder.path).problems
    assert "part-0000.jnl is damaged at bytes" in problem
    shelf.folder.plan.unlink()
    (problem,) = verify(shelf.folder.path).problems
    assert "PLAN.json is missing or damaged" in problem


def test_repair_keeps_the_sound_rows_so_that_only_the_rest_is_encoded_again(shelf: toy.Shelf) -> None:
    right = shelf.load()
    damage(shelf)
    with pytest.raises(StoreError, match=r"imbpipe cache repair --key [0-9a-f]{12} --cache "):
        shelf.load()
    done = repair(shelf.folder.path)
    assert (done.kept, len(done.lost), done.lost[0], done.needs_extraction) == (343, 256, "image0257", True)
    assert shelf.fill() == list(done.lost)
    assert shelf.load().digest == right.digest
    assert repair(shelf.folder.path).aside == ()


def test_repair_finds_a_row_that_hdf5_takes_for_sound(shelf: toy.Shelf) -> None:
    shelf.folder.features.chmod(0o644)
    with h5py.File(shelf.folder.features, "r+") as file:
        file["features"][17, 3] += 1
    assert repair(shelf.folder.path).lost == ("image0018",)


@pytest.mark.parametrize("lost", ["plan", "spec"])
def test_repair_manages_without_the_description(shelf: toy.Shelf, lost: str) -> None:
    damage(shelf)
    getattr(shelf.folder, lost).unlink()
    done = repair(shelf.folder.path)
    assert done.spec_restored == (lost == "spec")
    assert set(shelf.fill()) == set(done.lost) | ({"image0002"} if lost == "plan" else set())
    assert len(shelf.load().ids) == 599


def test_repair_restores_the_spec_from_a_journal(tmp_path: Path) -> None:
    shelf = toy.shelf(tmp_path, n=5)
    shelf.extract()
    shelf.folder.spec.write_bytes(b"{}")
    assert repair(shelf.folder.path).spec_restored
    assert shelf.fill() == []


def test_repair_gives_up_where_nothing_tells_the_spec(shelf: toy.Shelf) -> None:
    shelf.folder.spec.unlink()
    shelf.folder.features.unlink()
    with pytest.raises(StoreError, match=r"SPEC.json is lost.* Remove the folder and extract again"):
        repair(shelf.folder.path)


def test_repair_sets_foreign_files_aside(shelf: toy.Shelf, tmp_path: Path) -> None:
    other = toy.shelf(tmp_path / "other", n=5, version=2)
    other.extract()
    shutil.copy(other.folder.part(0), shelf.folder.part(1))
    other.pack()
    shelf.folder.features.unlink()
    shutil.copy(other.folder.features, shelf.folder.features)
    done = repair(shelf.folder.path)
    assert {path.name for path in done.aside} == {"part-0001.jnl.aside-0", "features.h5.aside-0"}
    assert len(shelf.fill()) == 599


def test_gc_removes_what_nothing_needs_and_nothing_else(shelf: toy.Shelf) -> None:
    folder = shelf.folder
    damage(shelf)
    repair(folder.path)
    shelf.extract()
    journals = shelf.folder.journals()
    needed = {path.name for path in folder.path.iterdir()}
    (folder.path / "features.h5.tmp-1").write_bytes(bytes(1000))
    assert collect(shelf.root, dry_run=True).bytes > 1000
    done = collect(shelf.root)
    assert {path.name for path in done.paths} == {"features.h5.tmp-1", "features.h5.aside-0"}
    assert {path.name for path in folder.path.iterdir()} == needed - {"features.h5.aside-0"}
    shelf.pack()
    shutil.copy(folder.spec, folder.path / "features.h5.aside-0")
    assert collect(shelf.root).paths == (folder.path / "features.h5.aside-0",)
    assert journals
    assert len(shelf.load().ids) == 599


def test_gc_leaves_alone_what_is_being_written(shelf: toy.Shelf) -> None:
    shelf.dataset.images[0].write_bytes(b"new")
    with shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec):
        done = collect(shelf.root, remove=shelf.store.entries())
        assert (done.paths, done.busy) == ((), (shelf.folder.part(0),))
    assert collect(shelf.root, remove=shelf.store.entries()).paths == (shelf.folder.path,)
    assert shelf.store.entries() == []


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"clip-retrieval"}))  # which keeps directions alone
def test_an_export_holds_the_same_numbers(shelf: toy.Shelf, tmp_path: Path, form: str) -> None:
    features = shelf.load()
    base = tmp_path / "out" / "toys"
    done = export(features, form, base)
    assert done.rows == 599
    assert [path.name for path in done.paths] == [f"toys{ending}" for ending in FORMATS[form](features)]
    vectors, ids, labels = READ[form](base)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_array_equal(vectors, features.features)
    assert tuple(ids) == features.ids
    if labels is not None:
        np.testing.assert_array_equal(labels, features.labels)
    assert {path.name for path in base.parent.iterdir()} == {path.name for path in done.paths}


def read_npy(base: Path) -> tuple:
    names = json.loads(base.with_name("toys.json").read_text())
    assert names["origin"]["spec"]["dim"] == 8
    return np.load(base.with_name("toys.npy")), names["ids"], np.load(base.with_name("toys.labels.npy"))


def read_parquet(base: Path) -> tuple:
    table = pq.read_table(base.with_name("toys.parquet"))
    assert json.loads(table.schema.metadata[b"imbpipe"])["encoder"] == toy.ENCODER
    labels = np.stack([table[f"label:{name}"].to_numpy() for name in toy.CLASSES], axis=1)
    vectors = table["features"].combine_chunks().values.to_numpy().reshape(-1, 8)
    return vectors, table["id"].to_pylist(), labels


def read_h5ad(base: Path) -> tuple:
    found = anndata.read_h5ad(base.with_name("toys.h5ad"))
    assert json.loads(found.uns["imbpipe"]["spec"])["dim"] == 8
    return found.X, found.obs_names, found.obs[list(toy.CLASSES)].to_numpy()


def read_safetensors(base: Path) -> tuple:
    with safe_open(base.with_name("toys.safetensors"), "np") as file:
        names = json.loads(file.metadata()["ids"])
        return file.get_tensor("features"), names, file.get_tensor("labels")


def read_projector(base: Path) -> tuple:
    """What TensorBoard serves to its page."""
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    config = base.with_name("projector_config.pbtxt")
    config.write_text(
        'embeddings { tensor_name: "toys" '
        'tensor_path: "toys.vectors.tsv" metadata_path: "toys.metadata.tsv" }'
    )
    pages = ProjectorPlugin(TBContext(logdir=str(base.parent))).get_plugin_apps()
    served = {
        name: Client(pages[f"/{name}"]).get("/?run=.&name=toys&num_rows=599")
        for name in ("tensor", "metadata")
    }
    config.unlink()
    header, *lines = [line.split("\t") for line in served["metadata"].text.splitlines()]
    assert header == ["id", *toy.CLASSES]
    vectors = np.frombuffer(served["tensor"].data, np.float32).reshape(-1, 8)
    return vectors, [line[0] for line in lines], np.array([line[1:] for line in lines]).astype(int)


def read_faiss(base: Path) -> tuple:
    """What an index holds and finds: each row is the nearest to itself."""
    import faiss

    index = faiss.IndexFlatL2(8)
    index.add(np.load(base.with_name("toys.vectors.npy")))
    vectors = index.reconstruct_n(0, index.ntotal)
    assert index.search(vectors, 1)[1][:, 0].tolist() == list(range(599))
    return vectors, base.with_name("toys.ids.txt").read_text().splitlines(), None


READ = {
    "npy": read_npy,
    "parquet": read_parquet,
    "h5ad": read_h5ad,
    "safetensors": read_safetensors,
    "projector": read_projector,
    "faiss": read_faiss,
}


def test_an_export_overwrites_nothing_unless_forced(shelf: toy.Shelf, tmp_path: Path) -> None:
    features = shelf.load()
    (tmp_path / "mine.labels.npy").write_text("precious")
    with pytest.raises(StoreError, match=r"mine.labels.npy is there already. .*--force"):
        export(features, "npy", tmp_path / "mine")
    assert (tmp_path / "mine.labels.npy").read_text() == "precious"
    assert not (tmp_path / "mine.npy").exists()
    export(features, "npy", tmp_path / "mine", force=True)
    assert np.load(tmp_path / "mine.labels.npy").shape == (599, 2)


def test_an_export_that_fails_leaves_nothing_behind(
    shelf: toy.Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, array: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StoreError, match="the disk is full"):
        export(shelf.load(), "npy", tmp_path / "out" / "mine")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_export_format_is_told_with_the_known_ones(shelf: toy.Shelf, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no export format 'csv'. Known: npy, parquet, h5ad"):
        export(shelf.load(), "csv", tmp_path / "mine")


def test_a_name_that_a_spreadsheet_would_compute_is_quoted(shelf: toy.Shelf, tmp_path: Path) -> None:
    features = shelf.load()
    names = ("=HYPERLINK(1)", "+1", "-1", "@a", "a=b", *features.ids[5:])
    odd = type(features)(**{**vars(features), "ids": names, "class_names": ("=2+3", "common")})
    export(odd, "projector", tmp_path / "odd")
    lines = (tmp_path / "odd.metadata.tsv").read_text().splitlines()
    assert lines[0] == "id\t'=2+3\tcommon"
    first = [line.split("\t")[0] for line in lines[1:6]]
    assert first == ["'=HYPERLINK(1)", "'+1", "'-1", "'@a", "a=b"]


def test_names_with_tabs_and_newlines_stay_one_line_each(shelf: toy.Shelf, tmp_path: Path) -> None:
    features = shelf.load()
    odd = type(features)(**{**vars(features), "ids": ("a\tb\nc", *features.ids[1:])})
    export(odd, "projector", tmp_path / "odd")
    export(odd, "faiss", tmp_path / "odd")
    assert (tmp_path / "odd.metadata.tsv").read_text().splitlines()[1].split("\t")[0] == r"a\tb\nc"
    assert (tmp_path / "odd.ids.txt").read_text().splitlines()[0] == r"a\tb\nc"
