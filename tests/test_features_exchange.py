"""Features for clip-retrieval and from it, and those that people have already."""

import json
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
import pytest
from store_faults import toy
from store_faults.command import in_one_process, photos, run

import imbpipe
from imbpipe.cache import clip_retrieval
from imbpipe.cache.export import export
from imbpipe.cache.importing import import_features
from imbpipe.cache.sources import read_source
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.load import load_dataset
from imbpipe.types import FeatureSet

IMPORT = ("cache", "import")
EXPORT = ("cache", "export", "--dataset", "photos")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 20 images in two classes and clip-retrieval's folder `cr` of their features."""
    in_one_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    photos(tmp_path)
    data = load_dataset("photos")
    (tmp_path / "cr/img_emb").mkdir(parents=True)
    (tmp_path / "cr/metadata").mkdir()
    values = vectors(20)
    order = np.random.default_rng(1).permutation(20)
    for shard, rows in enumerate(np.split(order, [13])):
        np.save(f"cr/img_emb/img_emb_{shard}.npy", values[rows])
        names = [str(Path("photos", data.ids[row]).resolve()) for row in rows]
        pd.DataFrame({"image_path": names}).to_parquet(f"cr/metadata/metadata_{shard}.parquet")
    return tmp_path


def vectors(n: int) -> np.ndarray:
    """(n, 6) float16 of length 1, as clip-retrieval makes them."""
    values = np.random.default_rng(0).standard_normal((n, 6)).astype(np.float32)
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


def features_of(values: np.ndarray, **spec: object) -> FeatureSet:
    labels = np.stack([np.arange(len(values)) % 3 == 0, np.arange(len(values)) % 2 == 0], axis=1)
    ids = tuple(f"{row:03}.jpg" for row in range(len(values)))
    about = {"dtype": "float32", "dim": values.shape[1], **spec}
    text = np.eye(2, values.shape[1], dtype=np.float32) * 3
    return FeatureSet(values, ids, labels, ("rare", "even"), "multi-label", "d", "e", about, "0", {}, text)


def test_an_export_for_clip_retrieval_is_what_it_writes_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.without_syncing(monkeypatch)
    monkeypatch.setattr(clip_retrieval, "SHARD_ROWS", 4)
    values = np.random.default_rng(0).normal(0, 5, (42, 6)).astype(np.float32)
    features = features_of(values)
    export(features, "clip-retrieval", tmp_path / "out")
    files = sorted((tmp_path / "out/img_emb").iterdir())
    assert [file.name for file in files][:2] == ["img_emb_00.npy", "img_emb_01.npy"]
    stored = np.concatenate([np.load(file) for file in files])
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, values / np.linalg.norm(values, axis=1, keepdims=True), atol=2**-11)
    names = pd.concat(map(pd.read_parquet, sorted((tmp_path / "out/metadata").iterdir())))
    assert tuple(names["image_path"]) == features.ids
    assert names["caption"].tolist()[:5] == ["rare, even", "", "even", "rare", "even"]
    classes = np.load(tmp_path / "out/classes/text_emb/text_emb_0.npy")
    np.testing.assert_array_equal(classes, np.eye(2, 6, dtype=np.float16))
    captions = pd.read_parquet(tmp_path / "out/classes/metadata/metadata_0.parquet")["caption"]
    assert captions.tolist() == ["rare", "even"]
    index = faiss.IndexFlatIP(6)
    index.add(stored.astype(np.float32))
    _, nearest = index.search(stored[7:8].astype(np.float32), 1)
    assert names.iloc[nearest[0, 0]]["image_path"] == "007.jpg"


def test_a_second_export_neither_overwrites_nor_mixes_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.without_syncing(monkeypatch)
    few, many = features_of(np.ones((3, 2), np.float32)), features_of(np.ones((9, 2), np.float32))
    monkeypatch.setattr(clip_retrieval, "SHARD_ROWS", 3)
    export(many, "clip-retrieval", tmp_path / "out")
    with pytest.raises(Exception, match="is there already"):
        export(many, "clip-retrieval", tmp_path / "out")
    with pytest.raises(Exception, match=r"img_emb_1\.npy would be taken for a part of this export"):
        export(few, "clip-retrieval", tmp_path / "out", force=True)
    export(many, "clip-retrieval", tmp_path / "out", force=True)


def test_clip_retrievals_features_are_joined_to_their_images_and_trained_on(here: Path) -> None:
    result = run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion")
    assert result.exit_code == 0, result.output
    assert " ".join(result.stdout.split()) == (
        "photos, imported:laion: 20 images have features of 6 dimensions (of length 1, float16 kept as "
        "float16), joined by path."
    )
    stored = FeatureStore("cache").load("photos", "imported:laion")
    assert stored.ids == load_dataset("photos").ids
    np.testing.assert_array_equal(stored.features, vectors(20).astype(np.float32))
    assert stored.spec["weights"] == "imported"
    assert stored.spec["normalised"] is True
    result = run("train", "--dataset", "photos", "--strategy", "oversample", "--seeds", 1, "--epochs", 1)
    assert "imported:laion (imported weights)" in result.stdout


def test_what_is_exported_and_imported_again_is_the_same(here: Path) -> None:
    run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion")
    for form, source in (("clip-retrieval", "again"), ("npy", "again.npy"), ("faiss", "again.vectors.npy")):
        run(
            "cache", "export", "--dataset", "photos", "--encoder", "imported:laion", "--format", form, "again"
        )
        result = run(*IMPORT, source, "--dataset", "photos", "--encoder", form)
        assert result.exit_code == 0, result.output
    store = FeatureStore("cache")
    first = store.load("photos", "imported:laion")
    for form in ("clip-retrieval", "npy", "faiss"):
        again = store.load("photos", f"imported:{form}")
        np.testing.assert_array_equal(again.features, first.features)
        assert again.ids == first.ids
        assert again.spec["normalised"]


@pytest.mark.parametrize(
    ("names", "way"),
    [
        (["a/00.png", "b/01.png"], "id"),
        (["photos/a/00.png", "photos/b/01.png"], "path"),
        (["a/00", "b/01"], "id without suffix"),
        (["s3://bucket/x/00.png", "s3://bucket/y/01.png"], "file name"),
        (["00", "01"], "file name without suffix"),
    ],
)
def test_rows_are_told_by_whatever_names_them_surely(here: Path, names: list[str], way: str) -> None:
    np.save("x.npy", np.array([[1, 2], [3, 4]], np.float64))
    Path("x.json").write_text(json.dumps(names))
    data = toy.rows_of(load_dataset("photos"), [0, 10])
    assert data.ids == ("a/00.png", "b/01.png")
    store = FeatureStore("cache")
    done = import_features(store, data, read_source(Path("x.npy")), "mine")
    assert done.joined_by == way
    np.testing.assert_array_equal(store.load("photos", "imported:mine").features, [[1, 2], [3, 4]])


def test_images_without_a_row_are_left_out_on_request_and_spare_rows_are_counted(
    here: Path,
) -> None:
    ids = [*load_dataset("photos").ids[1:], "strange.png"]
    np.save("x.npy", np.ones((20, 2), np.float32))
    Path("ids.csv").write_text("row,picture\n" + "".join(f"{row},{id_}\n" for row, id_ in enumerate(ids)))
    command = (*IMPORT, "x.npy", "--ids", "ids.csv", "--id-column", "picture", "--dataset", "photos")
    result = run(*command, "--encoder", "mine")
    assert result.exit_code == 1
    assert "1 of 20 images of 'photos' have no row in x.npy (first 'a/00.png'). Make them" in result.stderr
    result = run(*command, "--encoder", "mine", "--allow-missing")
    assert "19 images have features" in result.stdout
    assert "Left out: 1 images" in result.stderr
    assert "Not used: 1 rows" in result.stderr
    stored = FeatureStore("cache").load("photos", "imported:mine")
    assert len(stored.ids) == 19
    assert "no row in x.npy" in stored.quarantined["a/00.png"]


def test_other_numbers_under_the_same_name_are_never_taken_for_the_first(here: Path) -> None:
    Path("x.json").write_text(json.dumps(load_dataset("photos").ids))
    for value in (1, 2):
        np.save("x.npy", np.full((20, 2), value, np.float32))
        assert run(*IMPORT, "x.npy", "--dataset", "photos", "--encoder", "mine").exit_code == 0
    result = run("train", "--dataset", "photos", "--encoder", "imported:mine")
    assert result.exit_code == 1
    assert "2 sets of features of 'photos' by 'imported:mine'" in result.stderr


def test_an_image_that_changed_since_the_import_is_told_with_the_command_that_mends_it(here: Path) -> None:
    assert run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion").exit_code == 0
    Path("photos/a/00.png").write_bytes(Path("photos/a/02.png").read_bytes())
    result = run("train", "--dataset", "photos", "--encoder", "imported:laion")
    assert result.exit_code == 1
    assert "changed (first 'a/00.png'). Run: imbpipe cache import SOURCE --dataset photos" in result.stderr
    assert run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion").exit_code == 0
    assert run("train", "--dataset", "photos", "--encoder", "imported:laion", "--seeds", 1).exit_code == 0


def test_an_experiment_takes_imported_features_and_encodes_nothing(here: Path) -> None:
    run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion")
    Path("mine.toml").write_text(
        'datasets = ["photos"]\nencoders = ["imported:laion"]\nseeds = 1\n'
        '[protocol]\nepochs = 1\n[[strategies]]\nstrategy = "oversample"\n'
    )
    result = run("compare", "mine.toml")
    assert result.exit_code == 0, result.output
    assert "imported:laion (imported weights)" in result.stdout
    Path("photos/a/00.png").write_bytes(Path("photos/a/02.png").read_bytes())
    assert (
        "changed (first 'a/00.png'). Run: imbpipe cache import SOURCE" in run("compare", "mine.toml").stderr
    )


def test_imported_features_are_verified_but_not_encoded_again(here: Path) -> None:
    run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion")
    result = run("cache", "verify", "--images")
    assert "20 rows verified; 20 images compared, 0 not here; no problem" in result.stdout
    result = run("cache", "verify", "--recompute", 2)
    assert result.exit_code == 1
    assert "was imported, and nothing here can encode it again. Leave out --recompute" in result.stderr


def test_python_compares_on_imported_features(here: Path) -> None:
    run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion")
    found = imbpipe.compare(
        "photos", encoder="imported:laion", strategies=["oversample"], seeds=1, splits=1, progress=False
    )
    assert set(found.results["weights"]) == {"imported"}


def spoil(change: str) -> str:
    """Make `cr` unusable in one way; the message that it should get."""
    file, table = Path("cr/img_emb/img_emb_1.npy"), Path("cr/metadata/metadata_1.parquet")
    values, names = np.load(file), pd.read_parquet(table)
    if change == "rows":
        names.iloc[1:].to_parquet(table)
        return f"{file} holds 7 rows and {table} names 6. They have to be of the same run"
    if change == "no table":
        table.unlink()
        return f"there is no {table}. It says what the rows of img_emb/ are"
    if change == "columns":
        names.rename(columns={"image_path": "wo"}).to_parquet(table)
        return f"{table} has no column known to name images, only 'wo'. Pass --id-column NAME"
    if change == "strangers":
        for each in Path("cr/metadata").iterdir():
            strange = pd.read_parquet(each)["image_path"].str.replace(".png", "-x.png")
            strange.to_frame().to_parquet(each)
        return "no row of cr names an image of 'photos'"
    if change == "twice":
        names["image_path"] = names["image_path"].iloc[0]
        names.to_parquet(table)
        return f"cr names '{names['image_path'].iloc[0]}' twice. Keep one of the rows"
    bad = {
        "NaN": (np.where(np.arange(7)[:, None] == 3, np.nan, values).astype(np.float16), f"{file}, row 3 ("),
        "integers": (np.ones((7, 6), int), f"{file} holds int64, not numbers of floating point"),
        "other dimension": (values[:, :5], f"{file} holds 5 columns of float16, cr/img_emb/img_emb_0.npy 6"),
        "one column": (values[:, 0], f"{file} is of shape (7,). It holds a row of numbers an image"),
        "objects": (np.array([{}], object), f"cannot read {file}: "),
    }
    np.save(file, bad[change][0])
    return bad[change][1]


@pytest.mark.parametrize(
    "change",
    [
        "rows", "no table", "columns", "strangers", "twice", "NaN", "integers", "other dimension",
        "one column", "objects",
    ],
)  # fmt: skip
def test_a_folder_that_does_not_fit_is_refused_with_its_place(here: Path, change: str) -> None:
    message = spoil(change)
    result = run(*IMPORT, "cr", "--dataset", "photos", "--encoder", "laion")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("photos", "photos holds no img_emb/*.npy"),
        ("nowhere", "nowhere is not there. Name a .npy file, or a folder"),
        ("photos/a/00.png", "photos/a/00.png is no .npy file"),
        ("cr/img_emb/img_emb_0.npy", "cr/img_emb/img_emb_0.npy does not say which row is which image"),
    ],
)
def test_what_is_no_source_of_features_is_refused_by_name(here: Path, source: str, message: str) -> None:
    result = run(*IMPORT, source, "--dataset", "photos", "--encoder", "laion")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
