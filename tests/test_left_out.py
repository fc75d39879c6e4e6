"""Values without each image, against the metric worked out anew on the images that are left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from imbpipe.errors import UnknownNameError, UsageError
from imbpipe.evaluation.left_out import values_left_out
from imbpipe.evaluation.metrics import METRICS, Scored

BY_IMAGE = [name for name in METRICS if name != "ece"]


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    n, c = draw(st.integers(2, 12)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels = draw(st.sampled_from([1, 3, 1000]))  # few: many images share a score
    labels = rng.random((n, c)) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    scores = np.floor(rng.random((2, n, c)) * (levels + 1)).clip(0, levels) / levels
    return Scored(scores.astype(draw(st.sampled_from([np.float16, np.float64]))), labels, rng.random((2, c)))


@pytest.mark.parametrize("metric", BY_IMAGE)
@given(scored())
def test_a_value_without_an_image_is_the_metric_of_the_other_images(metric: str, whole: Scored) -> None:
    left = values_left_out(whole, metric)
    for image in range(len(whole.labels)):
        others = np.arange(len(whole.labels)) != image
        rest = Scored(whole.scores[:, others], whole.labels[others], whole.thresholds)
        assert_allclose(left[:, image], METRICS[metric](rest), atol=1e-12)


def test_a_metric_that_no_single_image_moves_by_itself_is_refused() -> None:
    whole = Scored(np.full((1, 2, 1), 0.5), np.array([[True], [False]]), np.full((1, 1), 0.5))
    with pytest.raises(UsageError, match=r"no variance over images is known for 'ece'\. Choose one of ap"):
        values_left_out(whole, "ece")
    with pytest.raises(UnknownNameError, match="recal"):
        values_left_out(whole, "recal")
