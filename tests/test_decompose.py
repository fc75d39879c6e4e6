"""Gains split into thresholds and ranking, by hand and by law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from imbpipe.errors import UsageError
from imbpipe.evaluation.counts import COUNTED
from imbpipe.evaluation.decompose import decompose
from imbpipe.evaluation.metrics import METRICS, Scored

TRUTH = np.array([[1], [0], [1], [0], [0]], bool)


def head(scores: list[float], threshold: float) -> Scored:
    return Scored(np.array(scores)[None, :, None], TRUTH, np.array([[threshold]]))


def parts(ours: Scored, theirs: Scored, metric: str) -> list[float]:
    gain = decompose(ours.confusion, theirs, metric)
    return [float(part[0, 0]) for part in (gain.total, gain.threshold, gain.ranking)]


def test_a_lower_threshold_alone_is_no_better_ranking() -> None:
    strict, loose = head([0.9, 0.8, 0.7, 0.2, 0.1], 0.85), head([0.9, 0.8, 0.7, 0.2, 0.1], 0.5)
    # 1 predicted, 1 of 2 found; then 3 predicted, 2 of 2 found
    assert parts(loose, strict, "recall") == [0.5, 0.5, 0]
    # F1: 2/3, then 4/5
    assert parts(loose, strict, "f1") == pytest.approx([2 / 15, 2 / 15, 0])


def test_another_order_at_the_same_number_of_predictions_is_ranking_alone() -> None:
    theirs, ours = head([0.9, 0.8, 0.7, 0.2, 0.1], 0.75), head([0.9, 0.7, 0.8, 0.2, 0.1], 0.75)
    assert parts(ours, theirs, "recall") == [0.5, 0, 0.5]
    # F2 of 1 of 2 positives by 2 predictions is 5/10; of 2 of 2 it is 1
    assert parts(ours, theirs, "f2") == [0.5, 0, 0.5]


def test_a_gain_of_both_is_divided_between_them() -> None:
    theirs = head([0.9, 0.8, 0.7, 0.2, 0.1], 0.95)  # nothing predicted; recall 1/2 with 2 predictions
    ours = head([0.9, 0.7, 0.8, 0.2, 0.1], 0.75)
    assert parts(ours, theirs, "recall") == [1, 0.5, 0.5]


def test_ties_are_broken_as_chance_would_on_average() -> None:
    tied = head([0.5, 0.5, 0.5, 0.5, 0.1], 0.6)  # 2 positives among 4 equal scores: 2 of them hold 1
    ours = head([0.9, 0.7, 0.8, 0.2, 0.1], 0.75)
    assert parts(ours, tied, "recall") == [1, 0.5, 0.5]


@given(st.integers(0, 2**32), st.sampled_from(COUNTED))
def test_the_parts_add_up_and_any_change_of_scores_that_keeps_their_order_is_threshold_alone(
    seed: int, metric: str
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random((20, 3)) < 0.4
    theirs = Scored(rng.random((2, 20, 3)), labels, rng.random((2, 3)))
    bent = Scored(theirs.scores**3, labels, rng.random((2, 3)))
    gain = decompose(bent.confusion, theirs, metric)
    assert_allclose(gain.total, METRICS[metric](bent) - METRICS[metric](theirs), atol=1e-12)
    assert_allclose(gain.threshold + gain.ranking, gain.total, atol=1e-12)
    assert_allclose(np.nan_to_num(gain.ranking), 0, atol=1e-12)


def test_a_metric_of_ranking_is_not_split() -> None:
    with pytest.raises(UsageError, match="no thresholds move 'ap'"):
        decompose(head([0.5] * 5, 0.5).confusion, head([0.5] * 5, 0.5), "ap")
