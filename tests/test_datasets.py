"""Data sets by name and by path, and the images that belong to them."""

import inspect
import os
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from imbpipe.datasets.dataset import DATASETS, TEST, TRAIN, VALIDATION, Dataset
from imbpipe.datasets.frequency import class_counts
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.datasets.planet import TAGS
from imbpipe.errors import DatasetError, UnknownNameError

LABELS_ONLY = ReadOptions(images_needed=False)
ALLOW_MISSING = ReadOptions(allow_missing=True)

PLANET_COUNTS = {
    "primary": 37_513, "clear": 28_431, "agriculture": 12_315, "road": 8_071, "water": 7_411,
    "partly_cloudy": 7_261, "cultivation": 4_477, "habitation": 3_660, "haze": 2_697, "cloudy": 2_089,
    "bare_ground": 862, "selective_logging": 340, "artisinal_mine": 339, "blooming": 332, "slash_burn": 209,
    "conventional_mine": 100, "blow_down": 98,
}  # fmt: skip
ADE20K_COUNTS = {
    "street": 2_241, "bedroom": 1_528, "living_room": 767, "bathroom": 738, "kitchen": 728,
    "dining_room": 454, "skyscraper": 351, "highway": 325, "building_facade": 251, "conference_room": 184,
    "hotel_room": 176, "office": 145, "mountain_snowy": 143, "corridor": 137, "airport_terminal": 118,
    "game_room": 109, "waiting_room": 106, "home_office": 105, "poolroom_home": 105, "art_studio": 98,
}  # fmt: skip


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def counts(data: Dataset) -> dict[str, int]:
    return dict(zip(data.class_names, class_counts(data.labels).tolist(), strict=True))


def classes(data: Dataset) -> dict[str, str]:
    return {name: data.class_names[row.argmax()] for name, row in zip(data.ids, data.labels, strict=True)}


def planet(root: Path, rows: str, *images: str, header: str = "image_name,tags\n") -> Path:
    touch(root / "planet/train-jpg", *images)
    (root / "planet/train_v2.csv").write_text(header + rows)
    return root


def table(folder: Path, rows: str, *images: str) -> str:
    touch(folder, *images)
    (folder / "labels.csv").write_text("image,label\n" + rows)
    return str(folder / "labels.csv")


def refusal(name: str | Path, **arguments) -> str:
    with pytest.raises(DatasetError) as error:
        load_dataset(str(name), **arguments)
    assert error.value.remedy
    return str(error.value)


def test_planets_label_counts_are_those_of_the_paper(real_root):
    data = load_dataset("planet", root=real_root, options=LABELS_ONLY)
    assert counts(data) == PLANET_COUNTS
    assert (len(data), data.task, data.official) == (40_479, "multi-label", None)
    assert list(data.class_names) == sorted(PLANET_COUNTS)
    assert data.images[0] == real_root / "planet/train-jpg/train_0.jpg"


def test_ade20ks_label_counts_are_those_of_the_paper(real_root):
    data = load_dataset("ade20k", root=real_root, options=LABELS_ONLY)
    assert counts(data) == ADE20K_COUNTS
    assert list(data.class_names) == sorted(ADE20K_COUNTS)
    assert data.task == "single-label"
    assert (data.labels.sum(1) == 1).all()
    assert Counter(data.official.tolist()) == {TRAIN: 8_007, VALIDATION: 802}
    for name, image, part in zip(data.ids, data.images, data.official, strict=True):
        folder = "validation" if part == VALIDATION else "training"
        assert image == real_root / f"ADEChallengeData2016/images/{folder}/{name}.jpg"


def test_planets_real_chips_are_found(planet_sample_root):
    data = load_dataset("planet", root=planet_sample_root)
    assert len(data) == 1000
    assert all(image.is_file() for image in data.images)
    assert data.class_names == TAGS
    assert counts(data)["blow_down"] == 1


def test_labels_alone_are_the_same_as_labels_with_images(planet_sample_root):
    full, labels = (
        load_dataset("planet", root=planet_sample_root, options=o) for o in (ReadOptions(), LABELS_ONLY)
    )
    assert (full.ids, full.images, full.class_names) == (labels.ids, labels.images, labels.class_names)
    assert np.array_equal(full.labels, labels.labels)


def test_the_root_comes_from_the_environment_and_else_is_data(planet_sample_root, tmp_path, monkeypatch):
    monkeypatch.setenv("IMBPIPE_DATA", str(planet_sample_root))
    assert len(load_dataset("planet")) == 1000
    monkeypatch.delenv("IMBPIPE_DATA")
    monkeypatch.chdir(tmp_path)
    assert refusal("planet").startswith("there is no data/planet/train_v2.csv")


def test_planet_is_also_read_from_train_classes(tmp_path):
    planet(tmp_path, "a,clear\n", "a.jpg")
    (tmp_path / "planet/train_v2.csv").rename(tmp_path / "planet/train_classes.csv")
    assert counts(load_dataset("planet", root=tmp_path))["clear"] == 1


def test_a_tag_named_twice_counts_once_and_ids_may_end_in_jpg(tmp_path):
    planet(tmp_path, "a.jpg,clear primary clear\nb,primary\n", "a.jpg", "b.jpg")
    data = load_dataset("planet", root=tmp_path)
    assert data.ids == ("a", "b")
    assert class_counts(data.labels).sum() == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a,clear\nb,primry\n",
            "train_v2.csv, line 3: unknown tag 'primry'. Did you mean 'primary'? Known: agri",
        ),
        ("a,clear\nb,Clear\n", "line 3: unknown tag 'Clear'. Did you mean 'clear'?"),
        ("a,clear\nb,\n", "train_v2.csv, line 3: no label. Add one, or pass --empty-tags negative"),
        ("a,clear\na.jpg,clear\n", "'a' is labelled twice: "),
        ("a,clear\n../b,clear\n", "train_v2.csv, line 3: '../b' leads out"),
    ],
)
def test_planet_refuses_rows_that_cannot_be_meant(tmp_path, rows, message):
    assert message in refusal("planet", root=planet(tmp_path, rows, "a.jpg", "b.jpg"))


def test_planet_names_a_differently_cased_column_and_takes_the_remedy(tmp_path):
    planet(tmp_path, "a,clear\n", "a.jpg", header="Image_Name,Tags\n")
    message = refusal("planet", root=tmp_path)
    assert "train_v2.csv has no column 'image_name'; its columns are 'Image_Name', 'Tags'" in message
    assert "pass --image-column Image_Name" in message
    renamed = ReadOptions(image_column="Image_Name", label_column="Tags")
    assert len(load_dataset("planet", root=tmp_path, options=renamed)) == 1


@pytest.mark.parametrize("name", ["planet", "ade20k"])
def test_an_absent_data_set_says_where_to_get_it(tmp_path, name):
    message = refusal(name, root=tmp_path)
    assert message.startswith(f"there is no {tmp_path}/")
    assert "Get it from http" in message
    assert "--root or $IMBPIPE_DATA" in message


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_registered_data_set_says_what_it_is_where_from_and_on_what_terms(name):
    assert DATASETS.summary(name).endswith(".")
    assert DATASETS.facts(name).keys() >= {"Source", "Terms"}
    assert list(inspect.signature(DATASETS[name]).parameters)[:2] == ["root", "options"]


def ade20k(root: Path, rows: str, *images: str) -> Path:
    (root / "ADEChallengeData2016").mkdir()
    touch(root / "ADEChallengeData2016/images", *images)
    (root / "ADEChallengeData2016/sceneCategories.txt").write_text(rows)
    return root


def test_ade20k_keeps_twenty_scenes_ties_in_alphabetical_order_and_no_misc(tmp_path):
    scenes = [f"scene_{letter}" for letter in "zyxwvutsrqponmlkjihgfedcba"] + [
        "misc",
        "misc",
        "misc",
        "scene_z",
    ]
    rows = "".join(f"ADE_train_{i:08} {scene}\n" for i, scene in enumerate(scenes))
    data = load_dataset("ade20k", root=ade20k(tmp_path, rows), options=LABELS_ONLY)
    assert data.class_names == (*(f"scene_{letter}" for letter in "abcdefghijklmnopqrs"), "scene_z")
    assert len(data) == 21


def test_ade20k_finds_its_images_and_minds_no_other_scene(tmp_path):
    rows = "ADE_train_00000001 street\nADE_train_00000002 misc\nADE_val_00000001 bedroom\n"
    images = [
        "training/ADE_train_00000001.jpg",
        "training/ADE_train_00000002.jpg",
        "validation/ADE_val_00000001.jpg",
    ]
    data = load_dataset("ade20k", root=ade20k(tmp_path, rows, *images))
    assert data.ids == ("ADE_train_00000001", "ADE_val_00000001")
    assert all(image.is_file() for image in data.images)
    assert data.official.tolist() == [TRAIN, VALIDATION]
    touch(tmp_path / "ADEChallengeData2016/images", "training/ADE_train_00000003.jpg")
    assert "1 images in" in (message := refusal("ade20k", root=tmp_path))
    assert "have no label: training/ADE_train_00000003.jpg" in message


def test_ade20k_names_the_line_whatever_lines_it_leaves_out(tmp_path):
    rows = "ADE_train_1 misc\nADE_train_2 street\n"
    images = ["training/ADE_train_2.jpg", "training/ADE_train_2.png"]
    assert "sceneCategories.txt, line 2: " in refusal("ade20k", root=ade20k(tmp_path, rows, *images))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("ADE_train_1 street\nADE_train_2\n", "sceneCategories.txt, line 2: 1 words. Write the image, a"),
        ("ADE_train_1 street\nADE_test_2 street\n", "line 2: 'ADE_test_2' belongs to neither part"),
        ("ADE_train_1 street\nADE_train_1 street\n", "'ADE_train_1' is labelled twice"),
    ],
)  # fmt: skip
def test_ade20k_refuses_lines_that_cannot_be_meant(tmp_path, rows, message):
    assert message in refusal("ade20k", root=ade20k(tmp_path, rows))


def test_an_unknown_name_is_answered_with_the_right_ones_and_with_paths():
    with pytest.raises(UnknownNameError) as error:
        load_dataset("plant")
    assert str(error.value).startswith("no data set named 'plant'. Did you mean 'planet'? Known: ")
    assert str(error.value).endswith(
        "or a path: a folder with one subfolder a class, or a .csv, .tsv, .parquet file"
    )
    with pytest.raises(UnknownNameError):
        load_dataset("")


def test_a_path_to_nothing_or_to_another_file_is_refused(tmp_path):
    assert "there is no folder or file" in refusal(tmp_path / "nothing")
    touch(tmp_path, "labels.xlsx")
    assert "cannot read labels from" in refusal(tmp_path / "labels.xlsx")
    assert "there is no folder or file" in refusal("./" + 300 * "x")


def test_a_path_wins_over_a_name_when_it_is_written_as_one(tmp_path, monkeypatch):
    touch(tmp_path, "planet/a/1.jpg", "planet/b/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert load_dataset("./planet").class_names == ("a", "b")


def test_a_folder_of_classes_is_read_as_torchvision_reads_it(tmp_path):
    from torchvision.datasets import ImageFolder

    touch(
        tmp_path,
        "dog/1.jpg",
        "dog/deep/er/2.PNG",
        "cat/1.webp",
        "cat/10.jpg",
        "cat/2.jpg",
        "Ape/1.tif",
        "Ape/x.txt",
    )
    data, theirs = load_dataset(str(tmp_path)), ImageFolder(str(tmp_path))
    assert list(data.class_names) == theirs.classes
    found = zip(map(str, data.images), data.labels.argmax(1).tolist(), strict=True)
    assert sorted(found) == sorted(theirs.samples)
    assert data.ids[:2] == ("Ape/1.tif", "cat/1.webp")
    assert (data.task, data.name, data.official) == ("single-label", tmp_path.name, None)


def test_hidden_files_of_a_folder_are_ignored_and_files_that_are_no_images_are_noted(tmp_path):
    touch(
        tmp_path, "a/1.jpg", "a/.2.jpg", "b/1.jpg", ".c/1.jpg", "b/Thumbs.db", "README.txt", "b/deep/notes.md"
    )
    data = load_dataset(str(tmp_path))
    assert data.ids == ("a/1.jpg", "b/1.jpg")
    assert data.notes == (
        f"left out: 3 files in {tmp_path} are no images: README.txt, b/Thumbs.db, b/deep/notes.md",
    )


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "testing")])
def test_train_and_test_folders_are_the_official_division(tmp_path, names):
    for part in names:
        touch(tmp_path, f"{part}/cat/1.jpg", f"{part}/dog/1.jpg")
    data = load_dataset(str(tmp_path))
    assert data.class_names == ("cat", "dog")
    parts = {name.split("/")[0]: part for name, part in zip(data.ids, data.official.tolist(), strict=True)}
    assert parts == dict(zip(names, (TRAIN, VALIDATION, TEST), strict=True))


def test_a_class_called_train_is_a_class(tmp_path):
    touch(tmp_path, "train/1.jpg", "bus/1.jpg", "car/1.jpg")
    data = load_dataset(str(tmp_path))
    assert (data.class_names, data.official) == (("bus", "car", "train"), None)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.jpg", "2.jpg"], "holds no class folder. Put the images of each class into a subfolder"),
        (["a/1.jpg"], "holds only one class folder, 'a'"),
        (["a/1.jpg", "b/1.jpg", "c/x.txt"], "/c holds no image. Put images there or remove it"),
        (
            ["a/1.jpg", "b/1.jpg", "3.jpg"],
            "1 images in {} have no label: 3.jpg. Label them, move them away, or pass",
        ),
        (["train/a/1.jpg", "val/a/1.jpg", "train/b/1.jpg", "extra/1.jpg"], "holds extra beside train, val"),
        (["train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"], "1 images in {} have no label: test/1.jpg"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused(tmp_path, files, message):
    touch(tmp_path, *files)
    assert message.format(tmp_path) in refusal(tmp_path)


def test_images_outside_the_classes_can_be_left_out(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "3.jpg")
    data = load_dataset(str(tmp_path), options=ALLOW_MISSING)
    assert data.ids == ("a/1.jpg", "b/1.jpg")
    assert data.notes == (f"left out: 1 images in {tmp_path} have no label: 3.jpg",)


def test_a_folder_that_contains_itself_is_refused(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a/again").symlink_to(tmp_path / "a")
    assert "a/again contains itself. Remove the link" in refusal(tmp_path)


def test_names_that_are_no_text_become_printable_ids_and_still_open(tmp_path):
    touch(tmp_path, "b/1.jpg")
    os.makedirs(os.fsencode(tmp_path) + b"/a\xff")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff/new\nline.jpg")).touch()
    data = load_dataset(str(tmp_path))
    assert data.ids == ("a\\udcff/new\\nline.jpg", "b/1.jpg")
    assert data.class_names == ("a\\udcff", "b")
    assert all(image.exists() for image in data.images)


def test_a_tables_images_lie_beside_it_under_their_name_or_stem(tmp_path):
    path = table(
        tmp_path, "007,x\n./b.png,y\nsub/c,x\nsub/d.v2,y\n", "007.jpg", "b.png", "sub/c.JPEG", "sub/d.v2.jpg"
    )
    data = load_dataset(path)
    assert [str(image.relative_to(tmp_path)) for image in data.images] == [
        "007.jpg",
        "b.png",
        "sub/c.JPEG",
        "sub/d.v2.jpg",
    ]
    assert data.ids == ("007", "b.png", "sub/c", "sub/d.v2")
    assert data.notes == ()


def test_an_image_whose_name_the_disk_spells_decomposed_is_found(tmp_path):
    decomposed = unicodedata.normalize("NFD", "é.jpg")
    data = load_dataset(table(tmp_path, "\u00e9,x\nb,y\n", decomposed, "b.jpg"))
    assert data.images[0].name == decomposed
    assert data.ids[0] == "\u00e9"


def test_labels_without_image_and_images_without_label_are_counted_and_named(tmp_path):
    rows = "".join(f"im{i},{'xy'[i % 2]}\n" for i in range(10))
    path = table(tmp_path, rows, "im0.jpg", "im1.jpg")
    message = refusal(path)
    assert (
        f"8 of 10 labels have no image in {tmp_path}: im2, im3, im4, im5, im6, …. Put the images there, or"
        in message
    )
    assert "pass --allow-missing" in message
    touch(tmp_path, *(f"im{i}.jpg" for i in range(2, 10)), "p.jpg", "q.png", "notes.txt")
    message = refusal(path)
    assert (
        f"2 images in {tmp_path} have no label: p.jpg, q.png. Label them, move them away, or pass --allow-m"
        in message
    )


def test_what_is_missing_can_be_left_out_and_is_noted(tmp_path):
    path = table(tmp_path, "a,x\nb,y\nc,z\n", "a.jpg", "c.jpg", "d.jpg")
    data = load_dataset(path, options=ALLOW_MISSING)
    assert classes(data) == {"a": "x", "c": "z"}
    assert data.class_names == ("x", "y", "z")
    assert data.notes == (
        f"left out: 1 of 3 labels have no image in {tmp_path}: b",
        f"left out: 1 images in {tmp_path} have no label: d.jpg",
    )


def test_labels_without_any_image_are_refused_whatever_is_allowed(tmp_path):
    path = table(tmp_path, "a,x\nb,y\n")
    assert "2 of 2 labels have no image" in refusal(path, options=ALLOW_MISSING)
    planet(tmp_path, "a,clear\n", "a.jpg")
    (tmp_path / "planet/train-jpg").rename(tmp_path / "elsewhere")
    assert f"there is no folder {tmp_path}/planet/train-jpg" in refusal(
        "planet", root=tmp_path, options=ALLOW_MISSING
    )


def test_an_id_that_fits_two_files_and_two_ids_for_one_file_are_refused(tmp_path):
    path = table(tmp_path, "a,x\nb,y\n", "a.jpg", "a.png", "b.jpg")
    assert "labels.csv, line 2: 'a' fits a.jpg and a.png. Write the file's whole name" in refusal(path)
    path = table(tmp_path, "a.jpg,x\na.png,y\nb,x\n./b.jpg,y\n")
    message = refusal(path)
    assert message.startswith("'b.jpg' is labelled twice: ")
    assert "labels.csv, line 4, and " in message
    assert "labels.csv, line 5. Keep one" in message


def test_images_are_not_looked_for_where_labels_are_enough(tmp_path):
    data = load_dataset(table(tmp_path, "a,x\nb.png,y\n"), options=LABELS_ONLY)
    assert data.images == (tmp_path / "a.jpg", tmp_path / "b.png")


def test_a_folder_is_listed_once_however_many_images_it_holds(tmp_path, monkeypatch):
    path = table(
        tmp_path, "".join(f"{i},{'xy'[i % 2]}\n" for i in range(50)), *(f"{i}.jpg" for i in range(50))
    )
    listed, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(folder) or listdir(folder))
    assert len(load_dataset(path)) == 50
    assert len(listed) == 1


def test_the_name_of_a_path_is_its_last_component(tmp_path, monkeypatch):
    touch(tmp_path, "my.set/a/1.jpg", "my.set/b/1.jpg")
    monkeypatch.chdir(tmp_path / "my.set")
    assert load_dataset(".").name == load_dataset(str(tmp_path / "my.set") + "/").name == "my.set"
    assert load_dataset(table(tmp_path, "1,x\n2,y\n"), options=LABELS_ONLY).name == "labels"
