"""Reading labels from tables, whatever is wrong with them."""

import contextlib
import os
import re
import unicodedata
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from store_faults.command import in_one_process, paint, run

from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.cells import separator_of
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.labels import rare_class_notes
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.errors import DatasetError

LABELS_ONLY = ReadOptions(images_needed=False)
CSV = "image,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat\n"


def write(folder: Path, content: str | bytes, name: str = "labels.csv") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read(folder: Path, content: str | bytes, name: str = "labels.csv", **options) -> Dataset:
    return load_dataset(write(folder, content, name), options=ReadOptions(images_needed=False, **options))


def tags(data: Dataset) -> dict[str, list[str]]:
    return {
        image: [name for name, has in zip(data.class_names, row, strict=True) if has]
        for image, row in zip(data.ids, data.labels, strict=True)
    }


def refusal(folder: Path, content: str | bytes, name: str = "labels.csv", **options) -> str:
    """What is told of a file that cannot be meant: by the reader and, with exit status 1, by the command."""
    with pytest.raises(DatasetError) as error:
        read(folder, content, name, **options)
    message = str(error.value)
    assert "\n" not in message
    assert str(folder / name) in message
    assert error.value.remedy
    flags = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
    cache = folder / "cache"
    command = ["extract", "--encoder", "mean-colour", "--dataset", folder / name, "--cache", cache, *flags]
    result = run(*command)
    assert (result.exit_code, result.stderr) == (1, f"Error: {message}\n")
    assert not cache.exists()
    return message.replace(f"{folder}/", "")


def test_one_label_a_cell_is_a_single_label_set(tmp_path):
    data = read(tmp_path, CSV)
    assert data.task == "single-label"
    assert data.name == "labels"
    assert tags(data) == {"a.jpg": ["cat"], "b.jpg": ["dog"], "c.jpg": ["cat"]}
    assert data.images[0] == tmp_path / "a.jpg"
    assert data.labels.dtype == bool


def test_ids_and_classes_stay_text(tmp_path):
    data = read(tmp_path, "image,label\n007,None\n1e5,NA\n1.0,nan\n2,1\n")
    assert tags(data) == {"007": ["None"], "1e5": ["NA"], "1.0": ["nan"], "2": ["1"]}


@pytest.mark.parametrize("mark", [";", "|", ",", " ", "; "])
def test_several_labels_in_a_cell_make_a_multi_label_set(tmp_path, mark):
    cells = ["sky", f"sky{mark}sea", f"sea{mark}sand{mark}sky", "sand", f"sand{mark}sea", f"sky{mark}sand"]
    rows = "".join(f'{i}.jpg,"{cell}"\n' for i, cell in enumerate(cells))
    data = read(tmp_path, f"image,label\n{rows}")
    assert data.task == "multi-label"
    assert data.class_names == ("sand", "sea", "sky")
    assert [set(found) for found in tags(data).values()] == [set(re.split(r"\W+", cell)) for cell in cells]


def test_names_with_spaces_stay_one_class_where_no_word_recurs(tmp_path):
    data = read(tmp_path, "image,label\na,golden retriever\nb,tabby cat\nc,golden retriever\n")
    assert data.class_names == ("golden retriever", "tabby cat")
    assert data.task == "single-label"


def test_words_that_may_be_names_or_labels_are_asked_about(tmp_path):
    content = "image,label\na,polar bear\nb,brown bear\nc,tabby cat\n"
    message = refusal(tmp_path, content)
    assert "'brown bear' in column 'label' could be one label or several" in message
    assert "--label-separator ' ' for several, or --label-separator '' for one" in message
    assert read(tmp_path, content, label_separator="").class_names == (
        "brown bear",
        "polar bear",
        "tabby cat",
    )
    assert read(tmp_path, content, label_separator=" ").class_names == (
        "bear",
        "brown",
        "cat",
        "polar",
        "tabby",
    )


def test_a_column_called_tags_speaks_for_several_labels(tmp_path):
    assert read(tmp_path, "image,tags\na,haze primary\nb,clear primary\n").task == "multi-label"


def test_planets_file_is_understood_without_its_name(test_data):
    data = load_dataset(str(test_data / "planet_train_v2.csv"), options=LABELS_ONLY)
    assert (len(data), len(data.class_names), data.task) == (40_479, 17, "multi-label")


@given(st.lists(st.sets(st.sampled_from("abcdefg"), min_size=1), min_size=1), st.sampled_from(";|"))
def test_any_sets_of_labels_written_with_a_sure_mark_are_read_back(sets, mark):
    cells = [mark.join(sorted(found)) for found in sets]
    separator = separator_of(cells, "label", "labels.csv")
    assert [set(cell.split(separator)) if separator else {cell} for cell in cells] == sets


def test_a_label_named_twice_in_a_cell_counts_once(tmp_path):
    data = read(tmp_path, "image,labels\na,x;y;x\nb,y\n")
    assert data.labels.astype(int).tolist() == [[1, 1], [0, 1]]


def test_one_column_a_class_of_zeros_and_ones(tmp_path):
    data = read(tmp_path, "image,MEL,NV,BCC\nISIC_1,1.0,0.0,0.0\nISIC_2,0,1,0\nISIC_3,0,1,1\n")
    assert data.class_names == ("MEL", "NV", "BCC")
    assert data.task == "multi-label"
    assert tags(data) == {"ISIC_1": ["MEL"], "ISIC_2": ["NV"], "ISIC_3": ["NV", "BCC"]}


def test_one_column_a_class_is_single_label_where_every_row_has_one(tmp_path):
    assert read(tmp_path, "image,x,y\na,1,0\nb,0,1\n").task == "single-label"
    assert read(tmp_path, "image,x,y\na,1,0\nb,0,0\n").task == "multi-label"


def test_the_index_column_that_pandas_writes_is_no_class(tmp_path):
    pd.DataFrame({"image": ["a", "b"], "x": [1, 0], "y": [0, 1]}).to_csv(tmp_path / "t.csv")
    assert load_dataset(str(tmp_path / "t.csv"), options=LABELS_ONLY).class_names == ("x", "y")


def test_a_column_that_is_neither_label_nor_bit_is_named(tmp_path):
    message = refusal(tmp_path, "image,lesion,dx\na,1,mel\nb,0,nv\n")
    assert "labels.csv, line 2: 'mel' in column 'dx', which should hold 0 or 1" in message
    assert "--label-column (lesion, dx)" in message
    assert read(tmp_path, "image,lesion,dx\na,1,mel\nb,0,nv\n", label_column="dx").class_names == (
        "mel",
        "nv",
    )


@pytest.mark.parametrize(
    "content",
    [
        CSV.encode("utf-8-sig"),
        CSV.replace("\n", "\r\n").encode(),
        CSV.replace("\n", "\r").encode(),
        CSV.replace(",", ";").encode(),
        CSV.replace(",", "\t").encode(),
        CSV.replace("image,label", '"image","label"').replace(",", ";").encode(),
        CSV.replace(",", ", ").encode(),
        CSV.replace(",", ', "').replace("\n", '"\n').encode(),
        CSV.replace("\n", "\n\n").encode(),
        CSV.upper().replace("JPG", "jpg").replace("CAT", "cat").replace("DOG", "dog").lower().encode(),
        CSV.encode() + b",\n,\n",
    ],
    ids=[
        "bom",
        "crlf",
        "cr",
        "semicolon",
        "tab",
        "quoted header",
        "spaces",
        "quotes",
        "blank lines",
        "case",
        "excel",
    ],
)
def test_what_other_programs_write_is_read_the_same(tmp_path, content):
    assert tags(read(tmp_path, content)) == {"a.jpg": ["cat"], "b.jpg": ["dog"], "c.jpg": ["cat"]}


def test_a_tsv_file_keeps_commas_in_its_cells(tmp_path):
    data = read(tmp_path, "image\tlabel\na\tx,y\nb\ty\nc\tx\nd\tx, y\n", name="t.tsv", label_separator=",")
    assert tags(data) == {"a": ["x", "y"], "b": ["y"], "c": ["x"], "d": ["x", "y"]}


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (CSV.encode("utf-16"), "UTF-16"),
        (CSV.encode("utf-16-le"), "UTF-16LE"),
        (CSV.encode("utf-16-be"), "UTF-16BE"),
        (CSV.encode("utf-32"), "UTF-32"),
    ],
)
def test_another_encoding_is_named_with_the_command_that_mends_it(tmp_path, content, encoding):
    message = refusal(tmp_path, content)
    assert f"labels.csv is written in {encoding}, not in UTF-8. Run: iconv -f {encoding} -t UTF-8" in message


def test_the_command_that_mends_an_encoding_does(tmp_path):
    path = write(tmp_path, CSV.replace("cat", "chaton dodu à naître").encode("latin-1"), "it's.csv")
    with pytest.raises(
        DatasetError, match="line 2: byte 0xe0 is not UTF-8; the file may be in Latin-1"
    ) as error:
        load_dataset(path, options=LABELS_ONLY)
    command = error.value.remedy.removeprefix("Run: ").replace("labels-utf8.csv", str(tmp_path / "new.csv"))
    assert os.system(command) == 0
    assert (
        "chaton dodu à naître"
        in load_dataset(
            str(tmp_path / "new.csv"), options=ReadOptions(images_needed=False, label_separator="")
        ).class_names
    )


def test_composed_and_decomposed_letters_are_one_class(tmp_path):
    data = read(tmp_path, "image,label\na,caf\u00e9\nb,cafe\u0301\nc,bar\n")
    assert data.class_names == ("bar", "caf\u00e9")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "labels.csv is empty. It needs a row an image"),
        ("\ufeff \n,,\n", "labels.csv is empty"),
        ("image,label\n", "labels.csv has a header (image, label) and no row"),
        ("image,label\na\0b,x\n", "labels.csv holds NUL bytes: it is no text file"),
        ("image,label\na,x\nb,y,z\n", "labels.csv, line 3: 3 cells for the 2 columns image, label"),
        ("image,label\na,x\nb\n", "labels.csv, line 3: 1 cells for the 2 columns image, label"),
        ("image,label,label\na,x,y\n", "labels.csv names the column 'label' twice"),
        ('image,label\na,x\nb,"y\nc,x\n', "labels.csv, line 3: a quotation mark is not closed"),
        ('image,label\na,x\nb,"y\nc,x"\n', "labels.csv, line 3: a quotation mark opens a cell that goes on"),
        ('image,label\na,x\n"b"c,y\n', "labels.csv, line 3: a quotation mark is not closed, or stands alone"),
        ('image,label\na,"' + 200_000 * "x", "labels.csv, line 2: a quotation mark is not closed"),
        ("image,label\na,x\n,y\n", "labels.csv, line 3: '' names no image"),
        ("image,label\na,x\nb,y\na,y\n", "'a' is labelled twice: labels.csv, line 2, and "),
        ("image,label\na,x\nb,\nc,y\nd, \n",
         "labels.csv, line 3: no label (and 1 more). Add one, or pass --empty-tags negative"),
        ("image,x,y\na,1,0\nb,,1\n", "labels.csv, line 3: '' in column 'x', which should hold 0 or 1"),
        ("image,x,y\na,1,0\nb,-1,1\n", "labels.csv, line 3: '-1' in column 'x'"),
        ("image\na\n", "labels.csv has no column known to name the labels, only 'image'. Pass --label-"),
        ("a.jpg,cat\nb.jpg,dog\n", "labels.csv has no column known to name the images, only 'a.jpg', 'cat'"),
        ("image,label\na,x\nb,x\n", "labels.csv names one class only: x"),
        ("image,label\n../a,x\nb,y\n", "labels.csv, line 2: '../a' leads out of the images' folder"),
        ("image,label\na,x\nsub/../../b,y\n", "labels.csv, line 3: 'sub/../../b' leads out"),
        ("image,label\n/etc/passwd,x\nb,y\n", "labels.csv, line 2: '/etc/passwd' leads out"),
        ("image,label\nC:\\a.jpg,x\nb,y\n", "labels.csv, line 2: 'C:\\\\a.jpg' leads out"),
        ("image,label\n..\\a.jpg,x\nb,y\n", "leads out of the images' folder"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_meant_is_refused_with_its_row(tmp_path, content, message):
    assert message in refusal(tmp_path, content)


def test_a_missing_or_differently_cased_column_is_named_with_those_found(tmp_path):
    message = refusal(tmp_path, CSV, label_column="Label")
    assert "labels.csv has no column 'Label'; its columns are 'image', 'label'" in message
    assert message.endswith("Rename one, or pass --label-column label")
    assert "no column 'photo'" in refusal(tmp_path, CSV, image_column="photo")


def test_a_column_may_tell_which_images_belong_together(tmp_path):
    table = "image,label,place\na,cat,quay\nb,dog,yard\nc,cat,quay\n"
    data = read(tmp_path, table, group_column="place")
    assert data.groups == ("quay", "yard", "quay")
    assert data.group_numbers().tolist() == [0, 1, 0]
    assert data.notes == ("2 groups of images by 'place': each is kept together",)
    assert read(tmp_path, table).groups == ()


def test_a_column_of_groups_is_no_class(tmp_path):
    data = read(tmp_path, "image,warm,place,cold\na,1,1,0\nb,0,0,1\n", group_column="place")
    assert data.class_names == ("warm", "cold")


def test_groups_stay_with_their_images_where_some_are_left_out(tmp_path):
    for name in ("b.jpg", "c.jpg"):
        paint(tmp_path / name, 1)
    table = "image,label,place\na.jpg,cat,1\nb.jpg,dog,2\nc.jpg,cat,3\n"
    options = ReadOptions(allow_missing=True, group_column="place")
    data = load_dataset(write(tmp_path, table), options=options)
    assert dict(zip(data.ids, data.groups, strict=True)) == {"b.jpg": "2", "c.jpg": "3"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,label,place\na,cat,x\nb,dog,\n", "labels.csv, line 3: no group in column 'place'. Give an "),
        ("image,label,Place\na,cat,x\nb,dog,x\n", "Rename one, or pass --group-column Place"),
    ],
)  # fmt: skip
def test_a_column_of_groups_that_cannot_be_meant_is_refused(tmp_path, table, message):
    assert message in refusal(tmp_path, table, group_column="place")


def test_a_folder_has_no_column_of_groups(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        paint(tmp_path / name / "0.png", 1)
    result = run("labels", "--dataset", tmp_path, "--group-column", "place")
    assert result.exit_code == 2
    assert "has no column 'place', as it has no columns. Leave out --group-column" in result.stderr


def test_rows_without_labels_can_be_negatives(tmp_path):
    data = read(tmp_path, "image,label\na,x\nb,\nc,y\n", empty_tags="negative")
    assert data.labels.astype(int).tolist() == [[1, 0], [0, 0], [0, 1]]
    assert data.task == "multi-label"


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    content = 'image,label,caption\na,x,"two\nlines"\n\nb,,none\n'
    assert "labels.csv, line 5: no label" in refusal(tmp_path, content)


def test_no_file_no_regular_file_and_no_permission_are_errors(tmp_path):
    with pytest.raises(DatasetError, match=r"there is no file .*absent\.csv"):
        load_dataset(str(tmp_path / "absent.csv"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DatasetError, match=r"pipe.csv is not a regular file"):
        load_dataset(str(tmp_path / "pipe.csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_error(tmp_path):
    path = Path(write(tmp_path, CSV))
    path.chmod(0)
    with pytest.raises(DatasetError, match=r"cannot read .*labels\.csv: Permission denied"):
        load_dataset(str(path))


def parquet(folder: Path, **columns) -> str:
    pd.DataFrame(columns).to_parquet(folder / "t.parquet")
    return str(folder / "t.parquet")


def test_a_parquet_table_reads_as_its_csv_does(tmp_path):
    table = pd.DataFrame({"image": ["007", "b", "c"], "label": pd.Categorical(["None", "dog", "None"])})
    table.to_parquet(tmp_path / "t.parquet")
    table.to_csv(tmp_path / "t.csv", index=False)
    one, other = (
        load_dataset(str(tmp_path / f"t.{kind}"), options=LABELS_ONLY) for kind in ("parquet", "csv")
    )
    assert one.ids == other.ids
    assert one.class_names == other.class_names
    assert np.array_equal(one.labels, other.labels)


def test_parquet_numbers_bits_and_lists_are_labels(tmp_path):
    bits = load_dataset(parquet(tmp_path, image=[7, 8], x=[True, False], y=[0.0, 1.0]), options=LABELS_ONLY)
    assert tags(bits) == {"7": ["x"], "8": ["y"]}
    lists = load_dataset(
        parquet(tmp_path, image=["a", "b"], tags=[["red car"], ["red car", "sky"]]), options=LABELS_ONLY
    )
    assert tags(lists) == {"a": ["red car"], "b": ["red car", "sky"]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": ["a", None, "b"], "label": ["x", "y", "y"]}, "t.parquet, row 2: '' names no image"),
        ({"image": ["a", "b", "c"], "label": ["x", None, "y"]}, "t.parquet, row 2: no label"),
        (
            {"image": [b"\xff", b"\xd8"], "label": ["x", "y"]},
            "no column known to name the images, only 'label'",
        ),
        ({"image": [], "label": []}, "t.parquet has no row"),
    ],
)
def test_a_parquet_table_that_cannot_be_meant_is_refused_with_its_row(tmp_path, columns, message):
    with pytest.raises(DatasetError, match=message):
        load_dataset(parquet(tmp_path, **columns), options=LABELS_ONLY)


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    assert "cannot read t.parquet as Parquet" in refusal(tmp_path, CSV, name="t.parquet")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a table lies beside eight images, 1.png to 8.png."""
    in_one_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for row in range(1, 9):
        paint(tmp_path / f"{row}.png", 20 * row)
    return tmp_path / "labels.csv"


EXTRACT = ("extract", "--encoder", "mean-colour", "--dataset", "labels.csv")


def test_labels_without_image_and_images_without_label_end_the_command_or_are_left_out(table):
    rows = "".join(f"{row},{'xy'[row % 2]}\n" for row in (1, 2, 3, 4, *range(10, 16)))
    table.write_text(f"image,label\n{rows}")
    result = run(*EXTRACT)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: 6 of 10 labels have no image in .: 10, 11, 12, 13, 14, …. "
        "Put the images there, or pass --allow-missing to leave such labels out\n",
    )
    table.write_text("image,label\n1,x\n2.png,y\n")
    result = run(*EXTRACT)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: 6 images in . have no label: 3.png, 4.png, 5.png, 6.png, 7.png, …. "
        "Label them, move them away, or pass --allow-missing to leave them out\n",
    )
    result = run(*EXTRACT, "--allow-missing")
    assert (result.exit_code, "2 images encoded" in result.stdout) == (0, True)
    assert "left out: 6 images in . have no label: 3.png" in result.stderr


def test_ids_classes_and_repeated_tags_reach_the_features_as_they_stand_in_the_file(table):
    for row in range(1, 9):
        (table.parent / f"{row}.png").rename(table.parent / f"00{row}.png")
    cells = ["None", "NA;None", "None;NA;None", "", "NA", "None", "NA", "nan"]
    rows = "".join(f"00{row},{cell}\n" for row, cell in enumerate(cells, start=1))
    table.write_text(f"image,label\n{rows}")
    refused = run(*EXTRACT)
    assert refused.exit_code == 1
    assert "labels.csv, line 5: no label. Add one, or pass --empty-tags negative" in refused.stderr
    assert run(*EXTRACT, "--empty-tags", "negative").exit_code == 0
    found = FeatureStore("cache").load("labels", "mean-colour")
    assert found.ids == tuple(f"00{row}" for row in range(1, 9))
    assert found.class_names == ("NA", "None", "nan")
    assert found.labels.astype(int).tolist()[:4] == [[0, 1, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_classes_with_less_than_two_positives_are_named(tmp_path):
    data = read(tmp_path, "image,x,y,z\na,1,0,0\nb,1,0,1\nc,1,0,0\n")
    assert rare_class_notes(data) == [
        "class 'y' of 'labels' has no positive image: its metrics are null and left out of means",
        "class 'z' of 'labels' has 1 positive image: its metrics are null and left out of means",
    ]
    assert rare_class_notes(read(tmp_path, "image,label\na,x\nb,y\nc,x\nd,y\n")) == []


names = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters=",;|/\\."), min_size=1, max_size=8
)


@given(st.dictionaries(names.map(lambda name: unicodedata.normalize("NFC", name)), names, max_size=30))
def test_any_names_written_by_pandas_are_read_back(tmp_path_factory, rows):
    rows = {"first image": "cat", "second image": "dog", **rows}
    path = tmp_path_factory.mktemp("round") / "t.csv"
    pd.DataFrame({"image": rows.keys(), "label": rows.values()}).to_csv(path, index=False)
    data = load_dataset(str(path), options=LABELS_ONLY)
    assert tags(data) == {image: [unicodedata.normalize("NFC", label)] for image, label in rows.items()}


pieces = st.sampled_from(
    [b"image,label\n", b"a,x\n", b"b,y\n", b'"', b",", b";", b"\n", b"\r", b"\t", b"../", b"\xff"]
)


@given(st.one_of(st.binary(max_size=60), st.lists(pieces | st.binary(max_size=3), max_size=12).map(b"".join)))
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_whatever_bytes_a_table_holds_it_is_read_or_refused(tmp_path_factory, name, content):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(DatasetError):
        data = read(folder, content, name)
        assert data.labels.shape == (len(data.ids), len(data.class_names))
        assert data.labels.any(axis=0).all() or data.class_names == ()
