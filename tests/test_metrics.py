"""Metrics against scikit-learn, with ties as heavy as stored scores have them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.calibration import calibration_curve

from imbpipe.errors import ResultsError, UnknownNameError
from imbpipe.evaluation import curve
from imbpipe.evaluation.groups import group_means
from imbpipe.evaluation.metrics import METRICS, Scored, evaluate


def calibration_gap(truth: np.ndarray, scores: np.ndarray, _: np.ndarray) -> float:
    shares, means = calibration_curve(truth, scores, n_bins=15)
    bins = np.searchsorted(np.linspace(0, 1, 16)[1:-1], scores)
    images = np.unique(bins, return_counts=True)[1]
    return float((images * np.abs(shares - means)).sum() / len(truth))


ORACLES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], float]] = {
    "ap": lambda y, s, p: oracle.average_precision_score(y, s),
    "auroc": lambda y, s, p: oracle.roc_auc_score(y, s),
    "precision": lambda y, s, p: oracle.precision_score(y, p, zero_division=0),
    "recall": lambda y, s, p: oracle.recall_score(y, p),
    "f1": lambda y, s, p: oracle.f1_score(y, p),
    "f2": lambda y, s, p: oracle.fbeta_score(y, p, beta=2),
    "specificity": lambda y, s, p: oracle.recall_score(~y, ~p),
    "balanced_accuracy": lambda y, s, p: oracle.balanced_accuracy_score(y, p),
    "accuracy": lambda y, s, p: oracle.accuracy_score(y, p),
    "brier": lambda y, s, p: oracle.brier_score_loss(y, s, pos_label=True),
    "ece": calibration_gap,
    "predicted_negative_rate": lambda y, s, p: (
        oracle.confusion_matrix(y, p, labels=[False, True])[:, 0].sum() / len(y)
    ),
}
NEED_NEGATIVES = {"auroc", "specificity", "balanced_accuracy"}


def expected(name: str, scored: Scored) -> np.ndarray:
    """One class of one head after the other, by scikit-learn."""
    values = np.full(scored.thresholds.shape, np.nan)
    for head, column in np.ndindex(values.shape):
        truth = scored.labels[:, column]
        scores = scored.scores[head, :, column].astype(np.float64)
        if truth.any() and not (name in NEED_NEGATIVES and truth.all()):
            values[head, column] = ORACLES[name](truth, scores, scores > scored.thresholds[head, column])
    return values


@st.composite
def banks(draw: st.DrawFn) -> Scored:
    """Small banks: from all scores equal to hardly a tie, classes from no positive to all."""
    k, n, c = draw(st.integers(1, 3)), draw(st.integers(1, 60)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels = draw(st.sampled_from([1, 2, 3, 10, 15, 1000]))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    scores = (rng.integers(0, levels + 1, (k, n, c)) / levels).astype(dtype)
    labels = rng.random((n, c)) < draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    thresholds = np.where(rng.random((k, c)) < 0.5, scores[:, 0], rng.random((k, c))).astype(np.float64)
    return Scored(scores, labels, thresholds)


@given(banks())
def test_every_metric_equals_scikit_learn_whatever_the_ties(scored: Scored) -> None:
    values = evaluate(scored)
    assert values.keys() == ORACLES.keys()
    for name in ORACLES:
        assert values[name].dtype == np.float64
        assert_allclose(values[name], expected(name, scored), rtol=1e-12, atol=1e-12, err_msg=name)


def test_metrics_of_the_authors_saved_scores_equal_scikit_learn(test_data: Path) -> None:
    saved = np.load(test_data / "ade20k_saved_scores.npz")
    scores = np.stack([saved["scores_1.0"], saved["scores_10.0"]])
    for dtype in (np.float16, np.float32):
        scored = Scored(scores.astype(dtype), saved["labels"] == 1, np.full((2, 20), 0.2))
        for name, values in evaluate(scored).items():
            assert_allclose(values, expected(name, scored), rtol=1e-12, err_msg=name)


@given(banks(), st.integers(1, 200))
def test_a_large_bank_cut_into_blocks_has_the_values_of_a_whole_one(scored: Scored, size: int) -> None:
    whole = {name: METRICS[name](scored) for name in METRICS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve, "BLOCK", size)
        parts = evaluate(scored)
    for name in whole:
        assert_allclose(parts[name], whole[name], rtol=1e-13, atol=1e-15, err_msg=name)


def test_a_class_without_positives_has_no_value_in_any_metric_and_leaves_others_alone() -> None:
    labels = np.array([[False, True, True], [False, False, True]])
    values = evaluate(Scored(np.array([[[0.1, 0.9, 0.6], [0.2, 0.3, 0.7]]]), labels, np.full((1, 3), 0.5)))
    for name in METRICS:
        assert np.isnan(values[name][0, 0]), name
        assert not np.isnan(values[name][0, 1]), name
        assert np.isnan(values[name][0, 2]) == (name in NEED_NEGATIVES), name


def test_always_answering_no_has_high_accuracy_and_nothing_else() -> None:
    labels = np.arange(100)[:, None] < 2
    values = evaluate(Scored(np.zeros((1, 100, 1)), labels, np.full((1, 1), 0.5)))
    shown = {name: round(values[name].item(), 3) for name in values}
    assert shown["accuracy"] == 0.98
    assert shown["predicted_negative_rate"] == 1
    assert shown["balanced_accuracy"] == shown["auroc"] == 0.5
    assert shown["recall"] == shown["precision"] == shown["f2"] == 0
    assert shown["ap"] == shown["brier"] == shown["ece"] == 0.02


def test_a_threshold_between_two_neighbouring_scores_tells_them_apart() -> None:
    low = np.float16(0.3)
    high = np.nextafter(low, np.float16(1))
    scores = np.array([low, high], dtype=np.float16).reshape(1, 2, 1)
    threshold = np.full((1, 1), (float(low) + float(high)) / 2)
    values = evaluate(Scored(scores, np.array([[False], [True]]), threshold), ["accuracy"])
    assert values == {"accuracy": 1.0}


def test_a_score_on_the_edge_of_two_calibration_bins_belongs_to_the_lower_one() -> None:
    scores, labels = np.array([[[0.2], [0.15]]]), np.array([[True], [False]])  # 0.2 = 3/15
    together = abs(1 - (0.2 + 0.15)) / 2
    assert evaluate(Scored(scores, labels, np.zeros((1, 1))))["ece"].item() == pytest.approx(together)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_minus_zero_is_a_score_of_zero(dtype: type) -> None:
    scores = np.array([0.0, -0.0, 0.5], dtype=dtype).reshape(1, 3, 1)
    values = evaluate(Scored(scores, np.array([[True], [False], [False]]), np.zeros((1, 1))))
    assert values["auroc"] == 0.25
    assert values["predicted_negative_rate"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("bad", [-0.1, 1.001, 5.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_score_that_is_no_probability_is_refused_with_its_place(bad: float, dtype: type) -> None:
    scores = np.full((2, 4, 3), 0.5, dtype=dtype)
    scores[1, 3, 2] = bad
    with pytest.raises(ResultsError, match=r"head 1, image 3, class 2.*sigmoid"):
        Scored(scores, np.zeros((4, 3), dtype=bool), np.zeros((2, 3)))


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    scores, labels, thresholds = np.full((2, 4, 3), 0.5), np.zeros((4, 3), dtype=bool), np.zeros((2, 3))
    for broken, words in [
        ((scores[0], labels, thresholds), r"\(4, 3\) for labels of shape \(4, 3\)"),
        ((scores, labels[:3], thresholds), r"\(2, 4, 3\) for labels of shape \(3, 3\)"),
        ((scores, labels.astype(int), thresholds), "labels of type int64"),
        ((scores.astype(int), labels, thresholds), "scores of type int64"),
        ((scores[:, :0], labels[:0], thresholds), "no scores"),
        ((scores, labels, thresholds[:1]), r"thresholds of shape \(1, 3\)"),
        ((scores, labels, np.full((2, 3), np.nan)), "threshold of head 0, class 0 is NaN"),
    ]:
        with pytest.raises(ResultsError, match=words):
            Scored(*broken)


def test_a_metric_asked_for_by_a_wrong_name_is_answered_with_the_right_one() -> None:
    scored = Scored(np.full((1, 1, 1), 0.5), np.ones((1, 1), dtype=bool), np.zeros((1, 1)))
    with pytest.raises(UnknownNameError, match="Did you mean 'recall'"):
        evaluate(scored, ["recal"])


def test_every_metric_says_what_it_means_and_where_it_comes_from() -> None:
    for name in METRICS:
        assert METRICS.summary(name).endswith("."), name
        assert METRICS.facts(name)["Source"], name


def test_listing_the_metrics_loads_no_heavy_library() -> None:
    code = (
        "import sys; from imbpipe.evaluation.metrics import METRICS; list(METRICS); "
        "print([name for name in ('scipy', 'sklearn', 'torch', 'pandas') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "[]\n"


def test_the_mean_of_a_group_leaves_out_classes_without_a_value_and_says_so() -> None:
    values = np.array([[0.2, 0.4, np.nan, 0.9], [0.1, np.nan, np.nan, 0.5]])
    means = group_means(
        values,
        {
            "low-frequency": np.array([True, True, True, False]),
            "remaining": np.array([False, False, False, True]),
            "undefined": np.array([False, False, True, False]),
        },
    )
    assert_allclose(means["low-frequency"].mean, [0.3, 0.1])
    assert means["low-frequency"].classes.tolist() == [2, 1]
    assert_allclose(means["remaining"].mean, [0.9, 0.5])
    assert np.isnan(means["undefined"].mean).all()
    assert means["undefined"].classes.tolist() == [0, 0]


@pytest.mark.parametrize("mask", [np.array([True]), np.array([0, 1])])
def test_a_group_that_is_no_mask_over_the_classes_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ResultsError, match="the group 'few'"):
        group_means(np.zeros((3, 2)), {"few": mask})
