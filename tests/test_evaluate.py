"""`imbpipe evaluate`: anyone's saved scores, and the authors' own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.metrics import average_precision_score, fbeta_score, recall_score

from imbpipe.cli import main
from imbpipe.evaluation.ap_interval import ap_intervals
from imbpipe.evaluation.crossfit import crossfitted
from imbpipe.evaluation.metrics import METRICS, Scored
from imbpipe.evaluation.thresholds import best_thresholds

NAMES = ["cat", "dog", "newt"]
PLOTTED = ("1.0", "1.5", "2.0", "2.5", "3.0", "5.0", "10.0")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(
        main, ["evaluate", *(str(argument) for argument in arguments)], catch_exceptions=False
    )
    assert "Traceback" not in result.output
    return result


def document(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def drawn(images: int = 300, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random((images, 3)) < [0.5, 0.2, 0.05]
    scores = [rng.beta(1 + 2 * labels, 3).astype(np.float32) for _ in range(2)]
    return {
        "labels": labels.astype(int),
        "class_names": np.array(NAMES),
        "scores_one": scores[0],
        "scores_two": scores[1],
    }


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return drawn()


@pytest.fixture
def saved(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path = tmp_path / "scores.npz"
    np.savez(path, **arrays)
    return path


def as_table(arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    columns = {
        f"{key}:{name}": arrays[key][:, at]
        for key in ("labels", "scores_one", "scores_two")
        for at, name in enumerate(NAMES)
    }
    return pd.DataFrame({"image": [f"{row}.jpg" for row in range(len(arrays["labels"]))], **columns})


def searched_as_described(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Thresholds by the authors' search in its own words; equal predictions are not scored twice."""
    thresholds = np.full(labels.shape[1], 0.2)
    for column in range(labels.shape[1]):
        highest, tried, trial = -1.0, set(), thresholds.copy()
        for step in range(100):
            trial[column] = step / 100
            predicted = scores > trial
            if (count := int(predicted[:, column].sum())) in tried:
                continue
            tried.add(count)
            f2 = fbeta_score(labels, predicted, beta=2, average="samples", zero_division=0)
            if f2 > highest:
                highest, thresholds[column] = f2, step / 100
    return thresholds


def test_all_140_values_that_the_authors_plot_are_found_again(test_data: Path) -> None:
    path = test_data / "ade20k_saved_scores.npz"
    file = np.load(path)
    found = {one["run"]: one["classes"] for one in document(path)["runs"]}
    compared = 0
    for factor in PLOTTED:
        scores = file[f"scores_{factor}"].astype(np.float64)
        thresholds = searched_as_described(file["labels"], scores)
        plotted = (scores <= thresholds).mean(axis=0)
        for column, value in enumerate(plotted):
            theirs = found[factor][column]
            assert theirs["class"] == file["class_names"][column]
            assert theirs["paper"]["threshold"] == thresholds[column]
            assert theirs["paper"]["predicted_negative_rate"] == pytest.approx(value, abs=1e-9)
            compared += 1
    assert compared == 140


def test_what_the_plotted_values_hide_is_said(test_data: Path) -> None:
    result = run(test_data / "ade20k_saved_scores.npz", "--run", "10.0")
    lines = {
        line.split()[0]: line.split() for line in result.stdout.partition("plotted")[2].splitlines() if line
    }
    assert lines["street"][2:4] == ["0.722", "0.973"]
    assert "Plotted highest: home_office" in result.stdout
    assert "for these heads; seed noise is not covered" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_table_gives_scikit_learns_values_with_intervals_around_them(saved: Path, arrays) -> None:
    labels, scores = arrays["labels"], arrays["scores_one"].astype(np.float64)
    [first, _] = document(saved, "--threshold", 0.4)["runs"]
    for column, found in enumerate(first["classes"]):
        truth, predicted = labels[:, column], scores[:, column] > 0.4
        assert found["ap"] == pytest.approx(average_precision_score(truth, scores[:, column]))
        assert found["recall"] == pytest.approx(recall_score(truth, predicted))
        assert found["f2"] == pytest.approx(fbeta_score(truth, predicted, beta=2))
        assert found["threshold"] == 0.4
        for metric in ("ap", "precision", "recall"):
            low, high = found[f"{metric}_interval"]
            assert 0 <= low < found[metric] < high <= 1
    shown = run(saved, "--threshold", 0.4).stdout
    assert f"{average_precision_score(labels[:, 0], scores[:, 0]):.2f}" in shown
    assert "Thresholds: 0.4 for every class, as given" in shown


def test_tables_say_the_same_as_arrays(saved: Path, arrays, tmp_path: Path) -> None:
    table = as_table(arrays)
    table.to_csv(tmp_path / "scores.csv", index=False)
    table.astype({f"labels:{name}": bool for name in NAMES}).to_parquet(tmp_path / "scores.parquet")
    from_arrays = document(saved)
    assert document(tmp_path / "scores.parquet") == from_arrays
    from_csv = document(tmp_path / "scores.csv")
    for ours, theirs in zip(from_csv["runs"], from_arrays["runs"], strict=True):
        for one, other in zip(ours["classes"], theirs["classes"], strict=True):
            assert one["ap"] == pytest.approx(other["ap"])


def test_class_numbers_serve_as_labels(saved: Path, arrays, tmp_path: Path) -> None:
    numbers = np.arange(300) % 3
    np.savez(tmp_path / "numbers.npz", **arrays | {"labels": numbers})
    np.savez(tmp_path / "bits.npz", **arrays | {"labels": np.eye(3, dtype=int)[numbers]})
    assert document(tmp_path / "numbers.npz") == document(tmp_path / "bits.npz")


def test_logits_become_probabilities_by_the_function_asked_for(saved: Path, arrays, tmp_path: Path) -> None:
    logits = {
        key: np.log(value / (1 - value)).astype(float) for key, value in arrays.items() if "scores" in key
    }
    np.savez(tmp_path / "logits.npz", **arrays | logits)
    refused = run(tmp_path / "logits.npz")
    assert refused.exit_code == 1
    assert "pass --logits sigmoid" in refused.stderr
    by_sigmoid = document(tmp_path / "logits.npz", "--logits", "sigmoid")["runs"][0]["classes"][2]
    same = document(saved)["runs"][0]["classes"][2]
    assert by_sigmoid["ap"] == pytest.approx(same["ap"])
    assert by_sigmoid["brier"] == pytest.approx(same["brier"], rel=1e-4)
    by_softmax = document(tmp_path / "logits.npz", "--logits", "softmax")["runs"][0]["classes"][2]
    assert by_softmax["brier"] != pytest.approx(same["brier"], rel=1e-2)


def test_thresholds_come_from_validation_images_where_there_are_some(saved: Path, tmp_path: Path) -> None:
    other = drawn(seed=5)
    np.savez(tmp_path / "validation.npz", **other)
    found = document(saved, "--validation", tmp_path / "validation.npz", "--beta", 1)
    assert "F1 on 300 validation images" in found["thresholds"]
    expected = best_thresholds(other["labels"] == 1, other["scores_two"][None].astype(float), 1)[0]
    assert [one["threshold"] for one in found["runs"][1]["classes"]] == pytest.approx(list(expected))


def test_crossfitted_decisions_are_not_flattered_by_noise_as_thresholds_of_the_scored_images_are() -> None:
    rng = np.random.default_rng(1)
    labels = rng.random((100, 80)) < 0.1
    scores = rng.random((1, 100, 80))
    best = best_thresholds(labels, scores, 1)
    flattered = METRICS["f1"](Scored(scores, labels, best)).mean()
    predicted, medians = crossfitted(labels, scores, rng, 1)
    honest = METRICS["f1"](Scored(predicted.astype(float), labels, np.full((1, 80), 0.5))).mean()
    chance = 2 * 0.1 / 1.1  # of predicting every image
    assert honest < chance + 0.01 < flattered - 0.04
    assert ((medians >= 0) & (medians < 1)).all()


def test_the_first_run_is_what_others_are_compared_with(saved: Path, arrays, tmp_path: Path) -> None:
    better = np.where(arrays["labels"] == 1, 0.2 + 0.8 * arrays["scores_one"], arrays["scores_one"] * 0.8)
    np.savez(tmp_path / "better.npz", **arrays | {"scores_two": better})
    [rival] = document(tmp_path / "better.npz")["against_the_first"]
    assert rival["verdict"] == "better"
    assert rival["low"] > 0
    assert rival["run"] == "two"
    for one in rival["classes"]:
        assert one["adjusted_p"] >= one["p"]
        assert one["f2"]["total"] == pytest.approx(one["f2"]["threshold"] + one["f2"]["ranking"])
        assert one["f2"]["ranking"] > 0
    [in_recall] = document(tmp_path / "better.npz", "--metric", "recall")["against_the_first"]
    assert in_recall["estimate"] != rival["estimate"]
    assert "better" in run(tmp_path / "better.npz").stdout


def test_a_run_beside_itself_and_classes_of_one_image_give_no_number_that_is_not_known(
    arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    np.savez(tmp_path / "same.npz", **arrays | {"scores_two": arrays["scores_one"]})
    [rival] = document(tmp_path / "same.npz")["against_the_first"]
    assert (rival["estimate"], rival["p"], rival["detectable"]) == (0, 1, None)
    assert "chance of 80 %" not in run(tmp_path / "same.npz").stdout
    arrays["labels"][:] = 0
    arrays["labels"][[3, 4, 5], [0, 1, 2]] = 1
    np.savez(tmp_path / "ones.npz", **arrays)
    shown = run(tmp_path / "ones.npz").stdout
    assert "nan" not in shown
    assert "not in the mean: cat, dog, newt" in shown


def test_a_class_without_positives_is_named_and_left_blank(arrays, tmp_path: Path) -> None:
    arrays["labels"][:, 2] = 0
    np.savez(tmp_path / "none.npz", **arrays)
    assert "not in the mean: newt" in run(tmp_path / "none.npz").stdout
    assert document(tmp_path / "none.npz")["runs"][0]["classes"][2]["ap"] is None


def share_of_intervals_that_hold(positives: int, step: float) -> float:
    """The true average precision, of 400 classes with about so many positives among 800 images."""
    from scipy.special import expit

    rng = np.random.default_rng(positives)

    def draw(images: int, share: float, classes: int) -> Scored:
        labels = rng.random((images, classes)) < share
        return Scored(
            expit(rng.normal(size=labels.shape) + step * labels)[None], labels, np.full((1, classes), 0.5)
        )

    true = METRICS["ap"](draw(200_000, positives / 800, 1)).item()
    scored = draw(800, positives / 800, 400)
    low, high = ap_intervals(scored).classes
    known = ~np.isnan(low)
    return float(((low <= true) & (true <= high))[known].mean())


@pytest.mark.parametrize(("positives", "step"), [(10, 1.5), (10, 5), (20, 3), (60, 3)])
def test_intervals_of_average_precision_hold_the_truth_also_of_few_and_of_perfect_classes(
    positives: int, step: float
) -> None:
    assert share_of_intervals_that_hold(positives, step) >= 0.92


def test_a_perfect_order_of_ten_positives_is_not_certain_to_stay_perfect() -> None:
    labels = np.arange(100)[:, None] < 10
    scored = Scored(np.where(labels, 0.9, 0.1)[None], labels, np.full((1, 1), 0.5))
    found = ap_intervals(scored)
    low, high = found.classes
    assert low == pytest.approx(0.722, abs=0.001)  # Wilson's for 10 of 10
    assert high == 1
    assert found.mean[0] == low


def test_the_interval_of_the_mean_is_narrower_than_those_of_its_classes_and_holds_it(saved: Path) -> None:
    for one in document(saved)["runs"]:
        low, high = one["mean_ap_interval"]
        values = [found["ap"] for found in one["classes"]]
        assert low < np.mean(values) < high
        assert high - low < np.mean([np.ptp(found["ap_interval"]) for found in one["classes"]])


BAD: dict[str, tuple[str, np.ndarray, str]] = {
    "labels of another shape": ("labels", np.zeros((300, 2)), "labels of shape (300, 2) for 3 class names"),
    "scores of another shape": ("scores_two", np.zeros((299, 3)), "scores_two of shape (299, 3)"),
    "scores of three axes": ("scores_two", np.zeros((1, 300, 3)), "scores_two of shape (1, 300, 3)"),
    "no image": ("labels", np.zeros((0, 3)), "labels of shape (0, 3)"),
    "a label of 2": ("labels", np.full((300, 3), 2), "the label 2 of image 0, class 'cat', is not 0 or 1"),
    "text for labels": ("labels", np.full((300, 3), "yes"), "the label yes of image 0"),
    "a class number too high": ("labels", np.arange(300), "labels from 0 to 299 for 3 class names"),
    "one class only": ("labels", np.tile([1, 1, 0], (300, 1)), "no class with both positive and negative"),
    "text for scores": ("scores_two", np.full((300, 3), "0.5"), "scores_two of type <U3"),
    "names twice": ("class_names", np.array(["a", "b", "a"]), "names the class 'a' twice"),
    "an empty name": ("class_names", np.array(["a", "b", ""]), "a class without a name"),
    "numbers for names": ("class_names", np.arange(3), "class_names of"),
    "objects for names": ("class_names", np.array(NAMES, object), "numpy.array(names, dtype=str)"),
}


@pytest.mark.parametrize(("key", "value", "says"), BAD.values(), ids=BAD.keys())
def test_arrays_that_cannot_be_meant_are_answered_in_one_line(
    arrays: dict[str, np.ndarray], tmp_path: Path, key: str, value: np.ndarray, says: str
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays | {key: value})
    result = run(tmp_path / "bad.npz")
    assert (result.exit_code, says in result.stderr) == (1, True), result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_named_with_its_place(arrays, tmp_path: Path, value: float) -> None:
    arrays["scores_two"][7, 1] = value
    np.savez(tmp_path / "bad.npz", **arrays)
    assert f"scores_two of image 7, class 'dog', is {value}" in run(tmp_path / "bad.npz").stderr


@pytest.mark.parametrize("missing", ["labels", "class_names", "scores"])
def test_an_array_that_is_missing_is_named_beside_those_that_are_there(arrays, tmp_path, missing) -> None:
    np.savez(tmp_path / "bad.npz", **{key: a for key, a in arrays.items() if not key.startswith(missing)})
    result = run(tmp_path / "bad.npz")
    assert result.exit_code == 1
    assert f"holds no {missing}, only " in result.stderr
    assert "It needs labels, class_names and scores" in result.stderr


def test_tables_that_cannot_be_meant_are_answered_with_their_line(arrays, tmp_path: Path) -> None:
    table = as_table(arrays).astype(object)
    for changed, says in (
        (table.drop(columns="scores_two:dog"), "no column 'scores_two:dog'"),
        (table.drop(columns="labels:dog"), "no column 'labels:dog'"),
        (table[["image"]], "no column of labels, only 'image'"),
        (
            table.assign(**{"scores_two:dog": "high"}),
            "line 2: 'high' in column 'scores_two:dog' is no number",
        ),
        (table.assign(**{"labels:cat": 3}), "the label 3.0 of image 0, class 'cat'"),
    ):
        changed.to_csv(tmp_path / "bad.csv", index=False)
        result = run(tmp_path / "bad.csv")
        assert (result.exit_code, says in result.stderr) == (1, True), result.stderr


def test_files_and_options_that_cannot_be_meant_are_refused(saved: Path, arrays, tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not an archive")
    (tmp_path / "text.npz").write_text("labels")
    np.save(tmp_path / "one.npy", arrays["labels"])
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    (tmp_path / "scores.h5").write_text("")
    (tmp_path / "folder.npz").mkdir()
    other = arrays | {"class_names": np.array(["cat", "dog", "eel"])}
    np.savez(tmp_path / "other.npz", **other)
    for arguments, status, says in (
        ([tmp_path / "none.npz"], 1, "there is no file"),
        ([tmp_path], 2, "is no .npz, .csv, .tsv or .parquet file"),
        ([tmp_path / "broken.npz"], 1, "is no archive of arrays"),
        ([tmp_path / "text.npz"], 1, "is no archive of arrays"),
        ([tmp_path / "one.npz"], 1, "is no archive of arrays"),
        ([tmp_path / "folder.npz"], 1, "cannot read"),
        ([tmp_path / "scores.h5"], 2, "is no .npz, .csv, .tsv or .parquet file"),
        ([saved, "--run", "three"], 2, "no run 'three'. Its runs: one, two"),
        ([saved, "--metric", "recal"], 2, "Did you mean 'recall'?"),
        ([saved, "--metric", "ece"], 2, "no variance over images is known for 'ece'"),
        ([saved, "--threshold", 0.5, "--validation", saved], 2, "both --threshold and --validation"),
        ([saved, "--threshold", 2], 2, "--threshold"),
        ([saved, "--logits", "sigmoid"], 2, "are probabilities already"),
        ([saved, "--validation", tmp_path / "other.npz"], 1, "the classes cat, dog, eel in the place of"),
    ):
        result = run(*arguments)
        assert (result.exit_code, says in result.stderr) == (status, True), result.stderr
