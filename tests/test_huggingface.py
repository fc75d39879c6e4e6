"""Data sets of Hugging Face: what `datasets` writes is what is read, bytes and labels alike."""

import io
import json
import shutil
import time
from pathlib import Path

import datasets
import huggingface_hub.constants
import numpy as np
import pytest
from datasets import ClassLabel, DatasetDict, Features, Image, List, Value
from PIL import Image as Picture
from store_faults.command import in_one_process, paint, run

from imbpipe.datasets.huggingface import parse_address
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.splits import make_split
from imbpipe.errors import DatasetError, UsageError

NAMES = ["zebra", "golden retriever", "never seen", "ant"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with a cache of its own and a hub that does not answer."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    for module in (huggingface_hub.constants, datasets.config):
        name = "ENDPOINT" if module is huggingface_hub.constants else "HF_ENDPOINT"
        monkeypatch.setattr(module, name, "http://127.0.0.1:9")
    monkeypatch.delenv("IMBPIPE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    in_one_process(monkeypatch)
    datasets.disable_progress_bars()
    return tmp_path


def picture(number: int, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Picture.fromarray(np.full((8, 8, 3), number * 9 % 256, np.uint8)).save(file, form)
    return file.getvalue()


def rows(n: int, label: object, values: list, *, start: int = 0, names: bool = True) -> datasets.Dataset:
    images = [
        {"bytes": picture(row), "path": f"{row}.png" if names else None} for row in range(start, start + n)
    ]
    kinds = Features({"image": Image(), "label": label})
    return datasets.Dataset.from_dict({"image": images, "label": values}, features=kinds)


def saved() -> DatasetDict:
    """A division of 12 + 4 + 8 single-label rows as the folder `flowers`."""
    label = ClassLabel(names=NAMES)
    whole = {
        "train": rows(12, label, [0, 1, 3] * 4),
        "validation": rows(4, label, [0, 1, 3, 3], start=20),
        "test": rows(8, label, [3, 1, 0, 0] * 2, start=40),
    }
    DatasetDict(whole).save_to_disk("flowers")
    return DatasetDict(whole)


def bytes_of(rows: datasets.Dataset) -> list[bytes]:
    return [row["bytes"] for row in rows.cast_column("image", Image(decode=False))["image"]]


def test_a_saved_division_is_read_as_the_library_reads_it() -> None:
    whole = saved()
    data = load_dataset("flowers")
    assert data.class_names == ("zebra", "golden retriever", "ant")
    assert data.notes == ("left out: classes of flowers without an image: never seen",)
    assert data.task == "single-label"
    assert data.ids[:2] == ("train/0.png", "train/1.png")
    assert data.ids[12] == "validation/20.png"
    assert [path.read_bytes() for path in data.images] == [
        data for split in ("train", "validation", "test") for data in bytes_of(whole[split])
    ]
    wanted = [label for split in ("train", "validation", "test") for label in whole[split]["label"]]
    assert [data.class_names[column] for column in data.labels.argmax(axis=1)] == [NAMES[n] for n in wanted]
    split = make_split(data, 0, kind="official")
    assert (split.train.tolist(), split.test.tolist()) == (list(range(12)), list(range(16, 24)))


def test_one_split_alone_has_no_official_division() -> None:
    saved()
    data = load_dataset("hf:flowers:test")
    assert (data.name, len(data), data.official) == ("flowers-test", 8, None)
    with pytest.raises(DatasetError, match=r"no such split\. Known: train, validation, test"):
        load_dataset("hf:flowers:dev")


def test_a_parquet_file_with_images_in_it_is_a_data_set() -> None:
    found = rows(9, ClassLabel(names=NAMES), [0, 1, 3] * 3, names=False)
    found.to_parquet("flowers.parquet")
    data = load_dataset("flowers.parquet")
    assert data.name == "flowers"
    assert data.ids[8] == "0000008"
    assert [path.read_bytes() for path in data.images] == bytes_of(found)
    assert data.labels.argmax(axis=1).tolist() == [0, 1, 2] * 3


def test_images_are_unpacked_once_only_when_needed_and_are_the_same_files_afterwards() -> None:
    saved()
    labels = load_dataset("flowers", options=ReadOptions(images_needed=False))
    assert not Path("data").exists()
    data = load_dataset("flowers")
    assert data.images == labels.images
    before = [path.stat().st_mtime_ns for path in data.images]
    for path in Path("data").rglob(".fingerprint"):
        path.unlink()  # as after an interruption
    assert [path.stat().st_mtime_ns for path in load_dataset("flowers").images] == before


def test_an_image_that_changed_in_the_data_set_is_encoded_again_and_no_other() -> None:
    label = ClassLabel(names=NAMES)
    rows(9, label, [0, 1, 3] * 3).to_parquet("flowers.parquet")
    extract = ("extract", "--encoder", "mean-colour", "--dataset", "flowers.parquet")
    assert "9 images encoded" in run(*extract).stdout
    assert "0 images encoded" in run(*extract).stdout
    changed = rows(9, label, [0, 1, 3] * 3).to_dict()
    changed["image"][4]["bytes"] = picture(17)
    datasets.Dataset.from_dict(changed, features=Features({"image": Image(), "label": label})).to_parquet(
        "flowers.parquet"
    )
    assert "1 images encoded, 8 already there" in run(*extract).stdout
    result = run("train", "--dataset", "flowers.parquet", "--seeds", 1, "--epochs", 1)
    assert result.exit_code == 0, result.output


def test_a_list_of_class_labels_is_multi_label() -> None:
    values = [[0], [1, 3], [0, 3], [3], [1], [0, 1]]
    rows(6, List(ClassLabel(names=NAMES)), values).save_to_disk("tags")
    data = load_dataset("tags")
    assert data.task == "multi-label"
    assert data.class_names == ("zebra", "golden retriever", "ant")
    found = [[NAMES.index(data.class_names[column]) for column in np.flatnonzero(row)] for row in data.labels]
    assert found == values


def test_a_column_may_tell_which_images_belong_together() -> None:
    found = rows(6, ClassLabel(names=NAMES), [0, 1, 3] * 2).add_column("place", [7, 7, 8, 8, 9, None])
    found.select(range(5)).save_to_disk("places")
    data = load_dataset("places", options=ReadOptions(group_column="place"))
    assert data.groups == ("7", "7", "8", "8", "9")
    found.save_to_disk("hole")
    with pytest.raises(DatasetError, match=r"split 'train', row 5: no group in column 'place'"):
        load_dataset("hole", options=ReadOptions(group_column="place"))
    with pytest.raises(DatasetError, match=r"no column 'spot'. Pass --group-column with one of image"):
        load_dataset("hole", options=ReadOptions(group_column="spot"))


@pytest.mark.parametrize(
    ("kind", "values", "names"),
    [
        (Value("string"), ["sea", "land", "sea", "air"], ("air", "land", "sea")),
        (Value("int64"), [7, 3, 7, 3], ("3", "7")),
        (List(Value("string")), [["sea"], ["land", "sea"], ["air"], ["land"]], ("air", "land", "sea")),
    ],
    ids=["text", "numbers", "lists of text"],
)
def test_labels_of_text_and_numbers_are_read_as_in_a_table(kind, values, names) -> None:
    rows(4, kind, values).save_to_disk("plain")
    data = load_dataset("plain")
    assert data.class_names == names
    for row, value in zip(data.labels, values, strict=True):
        wanted = {str(each) for each in (value if isinstance(value, list) else [value])}
        assert {names[column] for column in np.flatnonzero(row)} == wanted


def test_hidden_test_labels_are_left_out_with_a_note_and_single_gaps_are_refused() -> None:
    label = ClassLabel(names=NAMES)
    hidden = {"train": rows(4, label, [0, 1, 0, 1]), "test": rows(2, label, [-1, -1], start=9)}
    DatasetDict(hidden).save_to_disk("hidden")
    data = load_dataset("hidden")
    assert (len(data), data.official) == (4, None)
    assert "left out: 2 of 2 images of hidden, split 'test', have no label (first row 0)" in data.notes
    rows(4, label, [0, 1, None, 1]).save_to_disk("gap")
    with pytest.raises(DatasetError, match=r"1 of 4 images of gap.* have no label \(first row 2\)"):
        load_dataset("gap")
    assert len(load_dataset("gap", options=ReadOptions(allow_missing=True))) == 3


def no_images() -> None:
    datasets.Dataset.from_dict({"image": ["a.png"], "label": [0]}).save_to_disk("odd")


def numbers_with_a_point() -> None:
    kinds = Features({"image": Image(), "label": {"x": Value("int32")}})
    images = [{"bytes": picture(1), "path": None}]
    datasets.Dataset.from_dict({"image": images, "label": [{"x": 1}]}, features=kinds).save_to_disk("odd")


def no_train() -> None:
    label = ClassLabel(names=NAMES)
    DatasetDict(a=rows(2, label, [0, 1]), b=rows(2, label, [0, 1])).save_to_disk("odd")


def damaged() -> None:
    rows(4, Value("string"), list("abab")).save_to_disk("odd")
    Path("odd/state.json").write_text("{")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_images, r"odd has no column of images; its columns are image \(Value\), label \(Value\)"),
        (numbers_with_a_point, "the column 'label' of odd holds .* which are no labels"),
        (no_train, "odd has the splits a, b, none of which is called 'train'. Name one: --dataset odd:a"),
        (damaged, "cannot read odd: "),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(make, message: str) -> None:
    make()
    with pytest.raises(DatasetError, match=message) as refused:
        load_dataset("odd")
    assert "\n" not in str(refused.value)


def test_a_hub_that_does_not_answer_is_known_within_seconds_and_costs_one_line() -> None:
    started = time.monotonic()
    result = run("labels", "--dataset", "hf:nobody/flowers")
    assert time.monotonic() - started < 15
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: http://127.0.0.1:9 does not answer, and the cache holds no 'nobody/flowers'. "
        "Load it once with network, or name a local copy: hf:PATH\n"
    )


def test_what_the_cache_holds_is_used_without_network_unless_another_revision_is_asked_for() -> None:
    rows(9, ClassLabel(names=NAMES), [0, 1, 3] * 3).to_parquet("flowers.parquet")
    load_dataset("flowers.parquet")
    cache = datasets.config.HF_DATASETS_CACHE
    made = next(cache.glob("parquet/*/*/*/*.arrow")).parent
    kept = cache / "nobody___flowers/default/0.0.0/0123abcd"
    shutil.copytree(made, kept)
    (kept / "parquet-train.arrow").rename(kept / "flowers-train.arrow")
    about = json.loads((kept / "dataset_info.json").read_text())
    about |= {"builder_name": "parquet", "dataset_name": "flowers", "config_name": "default"}
    (kept / "dataset_info.json").write_text(json.dumps(about))
    data = load_dataset("hf:nobody/flowers@0123abcd")
    assert data.name == "hf:nobody/flowers@0123abcd"
    assert data.labels.argmax(axis=1).tolist() == [0, 1, 2] * 3
    assert data.notes[0] == "http://127.0.0.1:9 does not answer: 'nobody/flowers' is taken from the cache"
    with pytest.raises(DatasetError, match="may hold another revision of 'nobody/flowers' than 'v2'"):
        load_dataset("hf:nobody/flowers@v2")


def test_addresses_say_config_revision_and_split_and_nonsense_is_refused() -> None:
    found = parse_address("hf:org/name.x#small@refs/pr/1:validation")
    assert (found.name, found.config, found.revision, found.split) == (
        "org/name.x", "small", "refs/pr/1", "validation",
    )  # fmt: skip
    for wrong in ("hf:", "hf:a/b/c", "hf:no such/thing", "hf:name:"):
        with pytest.raises(UsageError, match=r"Write hf:NAME\[#CONFIG\]\[@REVISION\]\[:SPLIT\], or hf:PATH"):
            parse_address(wrong)


def imagefolder(form: str, folder: str = "photos") -> Path:
    """Two parts with images and a metadata file each, as `imagefolder` wants them."""
    for part, labels in (("train", ["sea", "land", "sea"]), ("test", ["land", "air"])):
        names = [f"{part}-{row}.png" for row in range(len(labels))]
        for row, name in enumerate(names):
            paint(Path(folder, part, name), row * 20)
        lines = [{"file_name": name, "label": label} for name, label in zip(names, labels, strict=True)]
        file = Path(folder, part, f"metadata.{form}")
        if form == "csv":
            file.write_text(
                "file_name,label\n" + "".join(f"{line['file_name']},{line['label']}\n" for line in lines)
            )
        else:
            file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return Path(folder)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_imagefolder_with_metadata_is_read_as_the_library_reads_it(form: str) -> None:
    folder = imagefolder(form)
    data = load_dataset(str(folder))
    same = str(imagefolder("jsonl", "same"))  # of .csv the library leaves files open
    with_library = datasets.load_dataset(same)
    assert data.ids[2] == "train/train-0.png"
    assert data.class_names == ("air", "land", "sea")
    for part, number in (("train", 0), ("test", 2)):
        theirs = {np.asarray(row["image"]).tobytes(): row["label"] for row in with_library[part]}
        ours = {
            np.asarray(Picture.open(data.images[row])).tobytes(): data.class_names[data.labels[row].argmax()]
            for row in np.flatnonzero(data.official == number)
        }
        assert ours == theirs
    assert sorted(load_dataset(f"hf:{same}").ids) == sorted(data.ids)


def test_metadata_that_is_broken_or_missing_in_a_part_is_named_with_its_line() -> None:
    folder = imagefolder("jsonl")
    file = folder / "train/metadata.jsonl"
    file.write_text(file.read_text() + "{\n")
    with pytest.raises(DatasetError, match=r"photos/train/metadata\.jsonl, line 4: "):
        load_dataset("photos")
    file.unlink()
    with pytest.raises(DatasetError, match=r"photos/train holds none of metadata\.csv, .* Put one there"):
        load_dataset("photos")


def test_a_metadata_file_about_something_else_leaves_class_folders_what_they_are() -> None:
    for name in ("a", "b"):
        paint(Path("photos", name, "1.png"), 7)
    Path("photos/metadata.csv").write_text("camera,lens\nx,y\n")
    assert load_dataset("photos").class_names == ("a", "b")
