"""What a user sees of the feature store: rows come back as they were written, and nothing stale is read."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_faults import toy

from imbpipe.cache import hdf5
from imbpipe.cache.layout import slug
from imbpipe.cache.reader import read_features
from imbpipe.cache.repair import repair
from imbpipe.cache.spec import extract_command, key_of
from imbpipe.encoders.resize import BY_BYTES, BY_LIBRARY
from imbpipe.errors import StoreError


@pytest.fixture(autouse=True)
def _no_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    toy.without_syncing(monkeypatch)


@pytest.fixture
def shelf(tmp_path: Path) -> toy.Shelf:
    return toy.shelf(tmp_path)


def test_features_come_back_as_they_were_encoded(shelf: toy.Shelf) -> None:
    shelf.fill()
    found = shelf.load()
    np.testing.assert_array_equal(found.features, toy.all_features(shelf.dataset, shelf.spec))
    np.testing.assert_array_equal(found.labels, shelf.dataset.labels)
    assert found.ids == shelf.dataset.ids
    assert found.class_names == toy.CLASSES
    assert (found.dataset, found.encoder, found.task) == ("toys", toy.ENCODER, "multi-label")
    assert found.spec == shelf.spec
    assert found.quarantined == {}


def test_a_second_extraction_encodes_nothing_and_leaves_the_file_alone(shelf: toy.Shelf) -> None:
    assert len(shelf.fill()) == 40
    before = shelf.folder.features.stat()
    assert shelf.extract() == []
    shelf.store.pack(shelf.dataset, toy.ENCODER, shelf.spec)
    assert os.path.samestat(shelf.folder.features.stat(), before)
    assert shelf.folder.journals() == []


def test_packing_runs_in_a_process_of_its_own(shelf: toy.Shelf) -> None:
    shelf.extract()
    shelf.store.pack(shelf.dataset, toy.ENCODER, shelf.spec)
    assert len(shelf.load().ids) == 40


def test_plain_h5py_reads_the_file_in_one_line(shelf: toy.Shelf) -> None:
    shelf.fill()
    np.testing.assert_array_equal(h5py.File(shelf.folder.features)["features"][:], shelf.load().features)


def test_the_result_is_read_only(shelf: toy.Shelf) -> None:
    shelf.fill()
    assert shelf.folder.features.stat().st_mode & 0o777 == 0o444


def test_float16_rows_take_half_the_room_and_come_back_as_float32(tmp_path: Path) -> None:
    half = toy.shelf(tmp_path, dtype="float16")
    half.fill()
    found = half.load().features
    exact = toy.all_features(half.dataset, half.spec)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, exact.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize(
    ("value", "dtype", "told"),
    [(np.nan, "float32", "weights"), (np.inf, "float32", "weights"), (1e6, "float16", "float32")],
)
def test_features_that_are_not_finite_are_refused_by_name(
    tmp_path: Path, value: float, dtype: str, told: str
) -> None:
    shelf = toy.shelf(tmp_path, dtype=dtype)
    features = np.zeros((3, 8), np.float32)
    features[1, 5] = value
    with (
        shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec) as sink,
        pytest.raises(StoreError, match=f"'image0007' are not finite as {dtype}.*{told}"),
    ):
        sink.write(np.array([6, 7, 8]), np.zeros((3, 32), np.uint8), features)


def test_features_of_another_dimension_are_refused(shelf: toy.Shelf) -> None:
    with (
        shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec) as sink,
        pytest.raises(StoreError, match=r"\(1, 9\) for 1 rows of 8 dimensions"),
    ):
        sink.write(np.array([0]), np.zeros((1, 32), np.uint8), np.zeros((1, 9), np.float32))


@pytest.mark.parametrize("field", [{"dim": 0}, {"dim": "8"}, {"dtype": "float64"}, {"note": "x" * 60_000}])
def test_a_spec_that_cannot_be_stored_is_refused(shelf: toy.Shelf, field: dict) -> None:
    with pytest.raises(StoreError, match="spec"):
        shelf.store.writer(shelf.dataset, toy.ENCODER, {**shelf.spec, **field})


def test_only_a_changed_image_is_encoded_again(shelf: toy.Shelf) -> None:
    shelf.fill()
    shelf.dataset.images[17].write_bytes(b"another image")
    assert shelf.fill() == ["image0017"]
    np.testing.assert_array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec))


def test_a_touched_image_with_the_same_bytes_is_not_encoded_again(shelf: toy.Shelf) -> None:
    shelf.fill()
    os.utime(shelf.dataset.images[3], ns=(1, 1))
    shelf.store.check_fresh(shelf.dataset, shelf.load())
    assert shelf.fill() == []


def test_rehash_finds_a_change_that_kept_size_and_mtime(shelf: toy.Shelf) -> None:
    shelf.fill()
    path = shelf.dataset.images[5]
    before = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shelf.extract() == []
    assert shelf.extract(rehash=True) == ["image0005"]
    shelf.pack()
    np.testing.assert_array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec))


@settings(max_examples=10)
@given(data=st.data())
def test_whatever_happens_to_a_data_set_exactly_the_new_images_are_encoded(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("changes")
    shelf = toy.shelf(folder, n=12, placeless=True)
    whole, stored = shelf.dataset, {}
    for step in range(3):
        rows = data.draw(st.lists(st.integers(0, 11), min_size=1, unique=True))
        for row in data.draw(st.sets(st.sampled_from(rows))):
            whole.images[row].write_bytes(f"image {row} of step {step}".encode())
        shelf.dataset = toy.rows_of(whole, rows)
        now = {whole.ids[row]: whole.images[row].read_bytes() for row in rows}
        assert set(shelf.fill()) == {name for name in now if stored.get(name) != now[name]}
        stored = now
        found = shelf.load()
        assert found.ids == shelf.dataset.ids
        np.testing.assert_array_equal(found.features, toy.all_features(shelf.dataset, shelf.spec))
    shutil.rmtree(folder)


def test_relabelling_encodes_nothing(shelf: toy.Shelf) -> None:
    shelf.fill()
    labels = ~shelf.dataset.labels
    shelf.dataset = replace(shelf.dataset, labels=labels, class_names=("common", "scarce"))
    assert shelf.extract() == []
    shelf.store.pack(shelf.dataset, toy.ENCODER, shelf.spec)
    np.testing.assert_array_equal(shelf.load().labels, labels)
    assert shelf.load().class_names == ("common", "scarce")


def test_relabelling_one_image_is_packed(shelf: toy.Shelf) -> None:
    shelf.fill()
    shelf.dataset.labels[7] = ~shelf.dataset.labels[7]
    shelf.store.pack(shelf.dataset, toy.ENCODER, shelf.spec)
    np.testing.assert_array_equal(shelf.load().labels, shelf.dataset.labels)


def test_rehash_replaces_a_row_that_only_a_journal_holds(shelf: toy.Shelf) -> None:
    shelf.extract()
    path = shelf.dataset.images[5]
    before = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shelf.extract(rehash=True) == ["image0005"]
    shelf.pack()
    np.testing.assert_array_equal(shelf.load().features, toy.all_features(shelf.dataset, shelf.spec))


def test_the_row_of_an_image_that_is_gone_serves_no_other(shelf: toy.Shelf) -> None:
    for path in (shelf.dataset.images[0], shelf.dataset.images[38]):
        path.write_bytes(b"twins")
        os.utime(path, ns=(1, 1))
    shelf.extract()
    shelf.dataset = toy.rows_of(shelf.dataset, range(1, 39))
    assert shelf.fill() == []
    twin = toy.encode(b"twins", 38 % 8, shelf.spec)
    np.testing.assert_array_equal(shelf.load().features[-1], twin)


def test_a_change_is_seen_while_its_extraction_is_under_way(shelf: toy.Shelf) -> None:
    shelf.fill()
    features = shelf.load()
    shelf.dataset.images[9].write_bytes(b"changed")
    shelf.store.writer(shelf.dataset, toy.ENCODER, shelf.spec).close()
    with pytest.raises(StoreError, match="'image0009'"):
        shelf.store.check_fresh(shelf.dataset, features)


def test_an_older_copy_of_the_file_is_not_taken_for_the_new_one(shelf: toy.Shelf, tmp_path: Path) -> None:
    whole = shelf.dataset
    shelf.dataset = toy.rows_of(whole, range(30))
    shelf.fill()
    shutil.copy(shelf.folder.features, tmp_path / "older.h5")
    shelf.dataset = whole
    whole.images[9].write_bytes(b"changed")
    shelf.fill()
    shelf.folder.features.unlink()
    shutil.copy(tmp_path / "older.h5", shelf.folder.features)
    with pytest.raises(StoreError, match=r"1 images of 'toys' changed \(first 'image0009'\)"):
        shelf.store.check_fresh(toy.rows_of(whole, range(30)), shelf.load())
    whole.images[0].write_bytes(b"changed too")
    with pytest.raises(StoreError, match=r"lacks rows that PLAN.json says it holds.*imbpipe cache repair"):
        shelf.fill()
    assert repair(shelf.folder.path).aside == (shelf.folder.path / "PLAN.json.aside-0",)
    assert set(shelf.fill()) == {"image0009", *whole.ids[30:]}
    np.testing.assert_array_equal(shelf.load().features, toy.all_features(whole, shelf.spec))


def test_a_file_that_does_not_read_back_as_written_is_not_published(
    shelf: toy.Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(path: Path, *rest: object) -> str:
        digest = write_file(path, *rest)
        with h5py.File(path, "r+") as file:
            file["features"][3, 3] += 1
        return digest

    shelf.fill()
    before = shelf.load().digest
    shelf.dataset.images[9].write_bytes(b"changed")
    shelf.extract()
    write_file = hdf5.write_file
    monkeypatch.setattr(hdf5, "write_file", careless)
    with pytest.raises(StoreError, match="damaged"):
        shelf.pack()
    assert read_features(shelf.folder.features).digest == before
    assert shelf.folder.temporaries() == []
    monkeypatch.setattr(hdf5, "write_file", write_file)
    shelf.pack()


@pytest.mark.parametrize("lost", ["PLAN.json", "SPEC.json"])
@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_a_lost_description_is_made_again_without_encoding(shelf: toy.Shelf, lost: str, how: str) -> None:
    shelf.fill()
    path = shelf.folder.path / lost
    data = path.read_bytes()
    path.unlink()
    if how == "damaged":
        path.write_bytes(data.replace(b"o", b"0"))
    assert shelf.fill() == []
    assert path.read_bytes() == data


def test_features_suffice_where_the_images_are_not_on_this_machine(shelf: toy.Shelf) -> None:
    shelf.fill()
    shutil.rmtree(shelf.dataset.images[0].parent)
    shelf.store.check_fresh(shelf.dataset, shelf.load())
    assert shelf.extract() == []


def test_a_changed_image_makes_the_features_stale(shelf: toy.Shelf) -> None:
    shelf.fill()
    for row in (9, 30):
        shelf.dataset.images[row].write_bytes(b"changed")
    with pytest.raises(
        StoreError, match=r"2 images of 'toys' changed \(first 'image0009'\).*imbpipe extract"
    ):
        shelf.store.check_fresh(shelf.dataset, shelf.load())


def test_a_change_is_seen_even_without_the_plan(shelf: toy.Shelf) -> None:
    shelf.fill()
    shelf.folder.plan.unlink()
    shelf.store.check_fresh(shelf.dataset, shelf.load())
    shelf.dataset.images[9].write_bytes(b"changed")
    with pytest.raises(StoreError, match="'image0009'"):
        shelf.store.check_fresh(shelf.dataset, shelf.load())


def test_images_without_features_are_counted(shelf: toy.Shelf) -> None:
    whole = shelf.dataset
    shelf.dataset = toy.rows_of(whole, range(38))
    shelf.fill()
    with pytest.raises(StoreError, match=r"2 images of 'toys' have no features \(first 'image0038'\)"):
        shelf.store.check_fresh(whole, shelf.load())


def test_changed_labels_make_the_copy_stale(shelf: toy.Shelf) -> None:
    shelf.fill()
    labels = shelf.dataset.labels.copy()
    labels[4] = ~labels[4]
    with pytest.raises(StoreError, match=r"labels of 1 images changed.*'image0004'"):
        shelf.store.check_fresh(replace(shelf.dataset, labels=labels), shelf.load())
    with pytest.raises(StoreError, match="classes of 'toys'"):
        shelf.store.check_fresh(replace(shelf.dataset, class_names=("a", "b")), shelf.load())


def test_features_that_are_not_there_are_told_with_the_command_that_makes_them(shelf: toy.Shelf) -> None:
    with pytest.raises(
        StoreError, match=r"no features of 'planet' by 'clip' in .*imbpipe extract --dataset planet"
    ):
        shelf.store.load(dataset="planet", encoder="clip")


def test_an_unfinished_extraction_is_told_with_its_counts(shelf: toy.Shelf) -> None:
    shelf.extract(workers=2)
    with pytest.raises(StoreError, match=r"partial 24 of 40.*imbpipe extract"):
        shelf.load()
    with pytest.raises(StoreError, match=r"16 of 40 images are not encoded yet \(first 'image0008'\)"):
        shelf.pack()


def test_a_folder_that_was_only_begun_is_told_with_the_command_that_fills_it(shelf: toy.Shelf) -> None:
    shelf.folder.path.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"not complete: .*SPEC.json is missing.*Run: imbpipe extract"):
        shelf.load()
    assert len(shelf.fill()) == 40


def test_features_of_another_spec_are_refused_by_the_field_that_differs(shelf: toy.Shelf) -> None:
    shelf.fill()
    other = toy.spec_of(size=336)
    with pytest.raises(StoreError, match=r"other encoder.size \(unset, now 336\).*imbpipe extract"):
        shelf.load(spec=other)


def test_every_field_of_the_spec_changes_the_key() -> None:
    base = toy.spec_of(size=224, interpolation="bicubic")
    others = [
        toy.spec_of(dim=9, size=224, interpolation="bicubic"),
        toy.spec_of(size=336, interpolation="bicubic"),
    ]
    others += [
        toy.spec_of(size=224, interpolation="bilinear"),
        {**base, "dtype": "float16"},
        {**base, "new": None},
    ]
    assert len({key_of(spec) for spec in (base, *others)}) == 6


def test_of_several_specs_under_one_name_one_has_to_be_named(shelf: toy.Shelf) -> None:
    shelf.fill()
    random = replace(shelf, spec=toy.spec_of(weights="random"))
    random.fill()
    with pytest.raises(StoreError, match=r"2 sets of features.*\(random weights, float32\).*--key"):
        shelf.load()
    assert shelf.load(key=key_of(random.spec)[:5]).spec == random.spec
    assert shelf.load(spec=shelf.spec).spec == shelf.spec


def test_what_tells_several_specs_under_one_name_apart_is_said(shelf: toy.Shelf) -> None:
    shelf.fill()
    replace(shelf, spec={**shelf.spec, "precision": "bfloat16"}).fill()
    with pytest.raises(StoreError, match=r"2 sets of features.*weights, float32, precision bfloat16\)"):
        shelf.load()


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ({"precision": "bfloat16"}, " --precision bfloat16"),
        ({"encoder": {"backend": "compiled"}}, " --backend compiled"),
        ({"encoder": {"backend": "openvino"}}, ""),
        ({"encoder": {"preprocess": {"resized_by": BY_LIBRARY}}}, " --preprocess exact"),
        ({"encoder": {"preprocess": {"resized_by": BY_BYTES}}, "precision": "float32"}, ""),
    ],
)
def test_a_remedy_encodes_as_the_features_were_encoded(tmp_path: Path, spec: dict, options: str) -> None:
    command = extract_command(
        tmp_path, "photos", "clip", {"weights": "pretrained", "dtype": "float32", **spec}
    )
    assert command == f"Run: imbpipe extract --dataset photos --encoder clip{options} --cache {tmp_path}"


def test_a_half_made_set_does_not_hide_the_finished_one(shelf: toy.Shelf) -> None:
    shelf.fill()
    replace(shelf, spec=toy.spec_of(version=2)).extract()
    assert shelf.load().spec == shelf.spec


def test_entries_say_what_there_is(shelf: toy.Shelf) -> None:
    shelf.dataset.images[2].write_bytes(b"broken")
    shelf.fill()
    replace(shelf, spec=toy.spec_of(weights="random")).extract(workers=2)
    found = {entry.weights: entry for entry in shelf.store.entries()}
    done, half = found["pretrained"], found["random"]
    assert (done.dataset, done.encoder, done.key) == ("toys", toy.ENCODER, key_of(shelf.spec))
    assert (done.rows, done.images, done.quarantined, done.dim, done.dtype) == (39, 40, 1, 8, "float32")
    assert (done.complete, done.state) == (True, "complete, 1 quarantined")
    assert (half.complete, half.state) == (False, "partial 23 of 40, 1 quarantined")
    assert done.path == shelf.folder.path
    assert done.bytes == sum(path.stat().st_size for path in done.path.iterdir())


@pytest.mark.parametrize(
    "name", ["open_clip:ViT-B-32/openai", "timm:hf-hub:a/b@c", "../../etc", "ä ö\n<script>", "."]
)
def test_any_encoder_name_can_be_stored(shelf: toy.Shelf, name: str) -> None:
    shelf.encoder = name
    shelf.fill()
    assert shelf.load().encoder == name
    assert shelf.folder.path.resolve().parent == (shelf.root / "toys").resolve()


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_names_never_share_a_folder(one: str, other: str) -> None:
    assert (slug(one).lower() == slug(other).lower()) == (one == other)
    assert slug(one) not in ("", ".", "..")
    assert not set(slug(one)) & set("/\\:\0\n")


@pytest.mark.parametrize("change", [{"ids": ("a\0b",)}, {"class_names": ("",)}, {"ids": (), "images": ()}])
def test_names_that_cannot_be_stored_are_refused(tmp_path: Path, change: dict) -> None:
    shelf = toy.shelf(tmp_path, n=1)
    with pytest.raises(StoreError, match=r"cannot name|no images"):
        shelf.store.writer(replace(shelf.dataset, **change), toy.ENCODER, shelf.spec)


def test_ids_in_any_script_and_with_bytes_that_are_no_text_come_back(tmp_path: Path) -> None:
    shelf = toy.shelf(tmp_path, n=3)
    shelf.dataset = replace(shelf.dataset, ids=("007", "ünï/cödé\n", os.fsdecode(b"raw\xff")))
    shelf.fill()
    assert shelf.load().ids == shelf.dataset.ids
