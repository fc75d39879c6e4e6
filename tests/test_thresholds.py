"""Thresholds against brute force and against the authors' search written out plainly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.metrics import fbeta_score

from imbpipe.errors import ResultsError, UsageError
from imbpipe.evaluation import curve
from imbpipe.evaluation.metrics import Scored, evaluate
from imbpipe.evaluation.thresholds import best_thresholds, paper_thresholds


@st.composite
def validation(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    k, n, c = draw(st.integers(1, 3)), draw(st.integers(1, 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    labels = rng.random((n, c)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    told = np.where(labels & (rng.random((n, c)) < 0.7), levels / 2, 0)
    scores = np.floor(rng.uniform(0, levels / 2 + 1, (k, n, c)) + told).clip(0, levels) / levels
    return labels, scores.astype(dtype)


def by_brute_force(truth: np.ndarray, scores: np.ndarray, beta: float) -> float:
    """Try every cut from the lowest on; a later one must be better to be taken."""
    if not truth.any():
        return 0.5
    scores = scores.astype(np.float64)
    distinct = np.unique(scores)
    below = 0.0 if distinct[0] > 0 else -1.0
    cuts = (np.concatenate([[below], distinct[:-1]]) + distinct) / 2
    merits = [fbeta_score(truth, scores > cut, beta=beta) for cut in cuts]
    return float(cuts[np.argmax(merits)])


@settings(max_examples=60)
@given(validation(), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_best_threshold_is_that_of_brute_force(data: tuple[np.ndarray, np.ndarray], beta: float) -> None:
    labels, scores = data
    expected = [
        [by_brute_force(labels[:, column], head[:, column], beta) for column in range(labels.shape[1])]
        for head in scores
    ]
    assert_array_equal(best_thresholds(labels, scores, beta), expected)


@given(validation(), st.integers(1, 100))
def test_thresholds_do_not_depend_on_how_the_bank_is_cut_into_blocks(
    data: tuple[np.ndarray, np.ndarray], size: int
) -> None:
    whole = best_thresholds(*data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve, "BLOCK", size)
        assert_array_equal(best_thresholds(*data), whole)


def test_of_equally_good_cuts_the_lowest_is_taken() -> None:
    labels = np.array([1, 0, 1, 0, 0], dtype=bool)[:, None]
    scores = np.array([0.9, 0.7, 0.5, 0.3, 0.1])[None, :, None]
    # beta 0: precision is 1, 1/2, 2/3, 2/4, 2/5 from the top; beta 1: F1 is 2/3, 1/2, 4/5, 2/3, 4/7
    assert best_thresholds(labels, scores, beta=0).item() == pytest.approx(0.8)
    assert best_thresholds(labels, scores, beta=1).item() == pytest.approx(0.4)
    # one positive at 0.9 and one at 0.1 of four: F1 is 2/3 with the first alone and with all
    assert best_thresholds(np.array([[1], [0], [0], [1]], dtype=bool), scores[:, :4], beta=1).item() == 0.15


def test_where_everything_should_be_predicted_a_score_of_zero_is_too() -> None:
    labels, scores = np.ones((3, 1), dtype=bool), np.array([0.0, 0.5, 1.0])[None, :, None]
    thresholds = best_thresholds(labels, scores)
    assert thresholds.item() < 0
    assert evaluate(Scored(scores, labels, thresholds), ["f2"])["f2"].item() == 1


def test_a_threshold_between_neighbouring_float64_scores_still_cuts_between_them() -> None:
    low = np.nextafter(0.7, 0)
    scores = np.array([low, 0.7, np.nextafter(0.7, 1)])[None, :, None]
    for first in (1, 2):
        labels = (np.arange(3) >= first)[:, None]
        scored = Scored(scores, labels, best_thresholds(labels, scores))
        assert evaluate(scored, ["f2"])["f2"].item() == 1


def test_a_class_without_positives_gets_one_half() -> None:
    assert best_thresholds(np.zeros((4, 1), dtype=bool), np.full((2, 4, 1), 0.1)).tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf")])
def test_a_beta_that_means_nothing_is_refused(beta: float) -> None:
    with pytest.raises(UsageError, match="a beta of"):
        best_thresholds(np.ones((1, 1), dtype=bool), np.full((1, 1, 1), 0.5), beta)


@pytest.mark.parametrize("search", [best_thresholds, paper_thresholds])
def test_scores_that_are_no_probabilities_are_refused(search: Callable[..., np.ndarray]) -> None:
    with pytest.raises(ResultsError, match=r"a score of 1\.5"):
        search(np.ones((1, 1), dtype=bool), np.full((1, 1, 1), 1.5))


def by_plain_search(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The authors' search as it is described, one call of scikit-learn for each candidate."""
    thresholds = np.full(labels.shape[1], 0.2)
    for column in range(labels.shape[1]):
        best, trial = -1.0, thresholds.copy()
        for step in range(100):
            trial[column] = step / 100
            f2 = fbeta_score(labels, scores > trial, beta=2, average="samples", zero_division=0)
            if f2 > best:
                best, thresholds[column] = f2, step / 100
    return thresholds


@pytest.mark.parametrize(("share", "levels", "seed"), [(0.02, 10, 2), (0.1, 1000, 1), (0.3, 1000, 5)])
def test_the_papers_search_equals_the_plain_one_also_where_images_have_no_label(
    share: float, levels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)  # seeds for which a class's search depends on the classes before it
    labels = rng.random((60, 4)) < share
    draws = [rng.beta(0.5 + 2 * labels, 2) for _ in range(2)]
    scores = (np.floor(np.stack(draws) * levels) / levels).astype(np.float32)
    expected = [by_plain_search(labels, head.astype(np.float64)) for head in scores]
    assert_array_equal(paper_thresholds(labels, scores), expected)


def test_the_papers_search_equals_the_plain_one_on_the_authors_scores(test_data: Path) -> None:
    saved = np.load(test_data / "ade20k_saved_scores.npz")
    labels, scores = saved["labels"][:, :5] == 1, saved["scores_10.0"][:, :5]
    expected = by_plain_search(labels, scores.astype(np.float64))
    assert_array_equal(paper_thresholds(labels, scores[None])[0], expected)


def test_the_value_plotted_for_street_is_found_again_and_is_no_accuracy(test_data: Path) -> None:
    saved = np.load(test_data / "ade20k_saved_scores.npz")
    labels, scores = saved["labels"] == 1, saved["scores_10.0"][None]
    values = evaluate(Scored(scores, labels, paper_thresholds(labels, scores)))
    street = saved["class_names"].tolist().index("street")
    assert round(values["predicted_negative_rate"][0, street], 3) == 0.722
    assert round(values["accuracy"][0, street], 3) == 0.973
