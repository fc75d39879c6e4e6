"""The drawn data sets: labels as in the real data, pictures that show them, folders whole or absent."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imbpipe.datasets import sample as sample_module
from imbpipe.datasets import scenes as scenes_module
from imbpipe.datasets.dataset import DATASETS
from imbpipe.datasets.drawing.aerial import SCENES, draw_scene, scene_counts
from imbpipe.datasets.drawing.amazon import LAYERS, draw_chip
from imbpipe.datasets.drawing.label_sets import CLASS_NAMES, label_table, planet_label_sets
from imbpipe.datasets.folder import read_folder
from imbpipe.datasets.options import STRICT, ReadOptions
from imbpipe.datasets.sample import draw_sample
from imbpipe.datasets.scenes import draw_scenes
from imbpipe.errors import DatasetError

WEATHER = [CLASS_NAMES.index(name) for name in ("clear", "partly_cloudy", "haze", "cloudy")]


@pytest.fixture(scope="module")
def chips(tmp_path_factory):
    """The folder of 40 drawn chips; not to be changed."""
    return draw_sample(tmp_path_factory.mktemp("drawn"), chips=40)


@pytest.fixture(scope="module")
def real_sets(test_data):
    """How many real chips have each set of labels."""
    with open(test_data / "planet_train_v2.csv") as file:
        return Counter(frozenset(row["tags"].split()) for row in csv.DictReader(file))


def real_shares(real_sets):
    """(17, 17): the share of real chips that carry each two labels together; its diagonal, each alone."""
    has = np.array([[name in labels for name in CLASS_NAMES] for labels in real_sets], float)
    counts = np.array(list(real_sets.values()))
    return (has.T * counts) @ has / counts.sum()


def pixels(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)), np.float64)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_embedded_label_sets_are_the_real_ones(real_sets):
    labels, counts = planet_label_sets()
    embedded = {
        frozenset(name for name, has in zip(CLASS_NAMES, row, strict=True) if has): count
        for row, count in zip(labels, counts, strict=True)
    }
    assert embedded == {labels: n for labels, n in real_sets.items() if labels != {"water"}}


def test_labels_are_as_frequent_as_in_the_real_data_but_for_the_lifted_rare_ones(real_sets):
    real = np.diag(real_shares(real_sets))
    drawn = label_table(2400, seed=0).mean(axis=0)
    np.testing.assert_array_equal(np.argsort(drawn), np.argsort(real))
    common = real > 0.03
    assert common.sum() == 10
    np.testing.assert_allclose(drawn[common], real[common], atol=5 / 2400)


def test_labels_go_together_as_in_the_real_data(real_sets):
    real = real_shares(real_sets)
    labels = label_table(2400, seed=0).astype(float)
    drawn = labels.T @ labels / len(labels)
    common = np.diag(real) > 0.03
    np.testing.assert_allclose(drawn[np.ix_(common, common)], real[np.ix_(common, common)], atol=0.01)
    given_rare = [shares[~common][:, common] / np.diag(shares)[~common, None] for shares in (drawn, real)]
    np.testing.assert_allclose(*given_rare, atol=0.1)


def test_every_label_is_on_enough_chips_to_test_on_and_no_two_are_equally_frequent():
    counts = np.sort(label_table(2400, seed=0).sum(axis=0))
    assert counts[0] >= 50
    assert (np.diff(counts) > 0).all()


@given(st.integers(1, 5000), st.integers(0, 99))
def test_every_chip_has_one_weather_label_and_a_cloudy_one_nothing_else(chips, seed):
    labels = label_table(chips, seed)
    assert labels.shape == (chips, 17)
    assert (labels[:, WEATHER].sum(axis=1) == 1).all()
    assert (labels[labels[:, CLASS_NAMES.index("cloudy")]].sum(axis=1) == 1).all()


def test_a_seed_decides_which_chip_has_which_labels_and_not_how_many():
    one, other = label_table(2400, seed=0), label_table(2400, seed=1)
    assert (one != other).any()
    np.testing.assert_array_equal(one.sum(axis=0), other.sum(axis=0))


def test_labels_are_there_without_a_picture_being_drawn(tmp_path):
    data = DATASETS["sample"](tmp_path, ReadOptions(images_needed=False))
    assert len(data) == 2400
    assert data.class_names == tuple(sorted(data.class_names))
    assert data.images[7] == tmp_path / "sample/train-jpg/train_7.jpg"
    assert len(DATASETS["sample-scenes"](tmp_path, ReadOptions(images_needed=False))) == 1627
    assert not any(tmp_path.iterdir())


def test_pictures_are_rgb_jpegs_of_256_pixels(chips):
    files = list((chips / "train-jpg").iterdir())
    assert len(files) == 40
    for file in files:
        with Image.open(file) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 256))


def test_no_two_pictures_are_the_same(chips):
    assert len({file.read_bytes() for file in (chips / "train-jpg").iterdir()}) == 40


def test_the_reader_of_planet_reads_the_drawn_chips(chips, tmp_path):
    (tmp_path / "planet").symlink_to(chips, target_is_directory=True)
    data = DATASETS["planet"](tmp_path, STRICT)
    assert data.ids == tuple(f"train_{i}" for i in range(40))
    order = [data.class_names.index(name) for name in CLASS_NAMES]
    np.testing.assert_array_equal(data.labels[:, order], label_table(40, seed=0))


def test_pictures_do_not_depend_on_the_number_of_workers_and_change_with_the_seed(tmp_path):
    one = draw_sample(tmp_path / "one", chips=12, seed=3, workers=1)
    three = draw_sample(tmp_path / "three", chips=12, seed=3, workers=3)
    other = draw_sample(tmp_path / "other", chips=12, seed=4)
    assert contents(one) == contents(three)
    assert not set(contents(one).values()) & set(contents(other).values())


@pytest.mark.parametrize("label", CLASS_NAMES)
def test_each_label_can_be_seen_in_the_picture(label):
    others = {"primary", "clear"} - {label}
    for number in range(3):
        without, with_label = (pixels(draw_chip(tags, 0, number)) for tags in (others, others | {label}))
        changed = np.abs(with_label - without).max(axis=2) > 12
        assert changed.mean() > 0.001


def test_a_label_more_leaves_the_rest_of_the_picture_as_it_was():
    for number in range(3):
        without, mined = (
            pixels(draw_chip(tags, 0, number)) for tags in ({"primary"}, {"primary", "conventional_mine"})
        )
        unchanged = np.abs(mined - without).max(axis=2) < 12
        assert unchanged.mean() > 0.4


def test_sky_labels_differ_in_brightness_and_contrast():
    def looks(sky, numbers):
        shots = [
            pixels(draw_chip({sky} | ({"primary"} - {sky, "cloudy"}), 0, i)).mean(axis=2) for i in numbers
        ]
        return np.array([(shot.mean(), np.abs(np.diff(shot)).mean() / shot.mean()) for shot in shots])

    def chance_above(a, b):
        return (a[:, None] > b).mean()

    clear, haze, cloudy = (looks(sky, range(k, k + 16)) for k, sky in enumerate(("clear", "haze", "cloudy")))
    assert chance_above(cloudy[:, 0], clear[:, 0]) > 0.95
    assert chance_above(clear[:, 1], haze[:, 1]) > 0.9
    assert chance_above(haze[:, 0], clear[:, 0]) > 0.9
    assert chance_above(haze[:, 0], clear[:, 0]) < 1


def test_drawing_again_changes_nothing_and_reports_no_progress(chips):
    before = contents(chips)
    calls = []
    draw_sample(chips.parent, chips=40, progress=lambda done, total: calls.append((done, total)))
    assert contents(chips) == before
    assert calls == []


def test_progress_is_told_file_by_file(tmp_path):
    calls = []
    draw_sample(tmp_path, chips=5, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]


def test_an_interrupted_drawing_stops_at_once_and_leaves_nothing_behind(tmp_path, monkeypatch):
    drawn = []

    def draw_slowly(tags, seed, number):
        time.sleep(0.005)
        drawn.append(number)
        return b"a picture"

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("imbpipe.datasets.drawing.amazon.draw_chip", draw_slowly)
    with pytest.raises(KeyboardInterrupt):
        draw_sample(tmp_path, chips=400, workers=2, progress=stop)
    assert 4 <= len(drawn) < 200
    assert not any(tmp_path.iterdir())


def test_a_killed_drawing_leaves_no_half_data_set_and_the_next_one_completes(tmp_path):
    code = "import sys, pathlib, imbpipe.datasets.sample as s; s.draw_sample(pathlib.Path(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    try:
        for _ in range(600):
            if len(list(tmp_path.glob(".sample-*/train-jpg/*.jpg"))) > 3:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".part"
    an_hour_ago = time.time() - 3700
    os.utime(left, (an_hour_ago, an_hour_ago))
    draw_sample(tmp_path, chips=8)
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_two_who_draw_at_once_both_get_the_whole(tmp_path):
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: draw_sample(tmp_path, chips=8), range(2)))
    assert both == [tmp_path / "sample"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


@pytest.fixture
def copy(tmp_path):
    draw_sample(tmp_path, chips=4)
    return tmp_path


def assert_refused(root, fact, **other):
    with pytest.raises(DatasetError) as caught:
        draw_sample(root, **{"chips": 4, **other})
    assert fact in caught.value.fact
    assert "delete it" in caught.value.remedy


def test_a_lost_picture_is_named(copy):
    (copy / "sample/train-jpg/train_2.jpg").unlink()
    assert_refused(copy, "has lost train_2.jpg")


def test_a_shortened_picture_is_noticed(copy):
    os.truncate(copy / "sample/train-jpg/train_2.jpg", 100)
    assert_refused(copy, "have changed since they were drawn")


def test_a_changed_label_file_is_noticed(copy):
    with open(copy / "sample/train_v2.csv", "a") as file:
        file.write("train_4,haze\n")
    assert_refused(copy, "have changed since they were drawn")


def test_pictures_of_another_seed_are_not_taken_for_the_wanted_ones(copy):
    assert_refused(copy, "'seed': 0", seed=1)


def test_pictures_of_an_older_version_are_not_taken_for_the_wanted_ones(copy, monkeypatch):
    monkeypatch.setattr("imbpipe.datasets.drawing.amazon.VERSION", 0)
    assert_refused(copy, "'version': 1")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample/mine.txt").write_text("mine")
    assert_refused(tmp_path, "is not a folder drawn by this program")
    assert (tmp_path / "sample/mine.txt").read_text() == "mine"


def test_a_root_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=r"cannot draw .*Not a directory") as caught:
        draw_sample(tmp_path / "file", chips=4)
    assert "--root" in caught.value.remedy


def test_the_loaders_draw_on_first_use(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_module, "CHIPS", 6)
    monkeypatch.setattr(scenes_module, "IMAGES", 40)
    for name, size in (("sample", 6), ("sample-scenes", sum(scene_counts(40).values()))):
        data = DATASETS[name](tmp_path, STRICT)
        assert len(data) == len(set(data.ids)) == size
        assert all(path.is_file() for path in data.images)
        assert data.labels.shape == (size, len(data.class_names))


def test_scenes_stand_for_the_twenty_of_ade20k(test_data):
    text = (test_data / "ade20k_sceneCategories.txt").read_text()
    real = Counter(line.split()[1] for line in text.splitlines())
    assert {scene.stands_for: scene.ade20k for scene in SCENES.values()} == {
        name: n for name, n in real.most_common(21) if name != "misc"
    }


def test_scenes_keep_the_order_of_ade20k_and_its_long_tail():
    counts = scene_counts(1600)
    by_real_size = sorted(SCENES, key=lambda name: -SCENES[name].ade20k)
    drawn = [counts[name] for name in by_real_size]
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[-1] == 40
    assert drawn[0] == round(SCENES["forest"].ade20k / 7) == 320
    assert sum(drawn) == 1627


def test_drawn_scenes_are_read_as_a_folder_of_classes(tmp_path):
    folder = draw_scenes(tmp_path, images=40)
    read = read_folder(folder, STRICT)
    counts = scene_counts(40)
    assert read.class_names == tuple(counts) == tuple(sorted(SCENES))
    assert read.labels.sum(axis=0).tolist() == list(counts.values())
    assert read.notes == ()


def test_scenes_can_be_told_apart_by_colour_and_texture():
    def look(name, number):
        shot = pixels(draw_scene(name, 0, number))
        grey = shot.mean(axis=2)
        edges = [np.abs(grey[k:] - grey[:-k]).mean() for k in (1, 4, 16)]
        return [*shot.mean(axis=(0, 1)), *shot.std(axis=(0, 1)), *edges, *np.quantile(grey, [0.05, 0.95])]

    looks = np.array([look(name, number) for name in SCENES for number in range(8)])
    owners = np.repeat(np.arange(20), 8)
    scaled = (looks - looks.mean(axis=0)) / looks.std(axis=0)
    away = np.linalg.norm(scaled[:, None] - scaled, axis=2) + np.diag(np.full(len(looks), np.inf))
    assert (owners[away.argmin(axis=1)] == owners).mean() > 0.2  # one in twenty by chance


def test_every_label_of_planet_is_a_layer():
    assert set(LAYERS) == set(CLASS_NAMES)
