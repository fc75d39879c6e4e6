"""Several metrics' differences of one sort of the scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from simulated import World

from imbpipe.evaluation.effects import effect, effects
from imbpipe.evaluation.left_out import pulls
from imbpipe.evaluation.scored import Scored

TIED = st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.50048828125, 1.0])


@given(st.sampled_from(["float16", "float32", "float64"]), array_shapes(min_dims=3, max_dims=3), st.data())
def test_every_score_finds_itself_among_the_distinct_ones(kind, shape, data):
    scores = data.draw(arrays(kind, shape, elements=TIED))
    scored = Scored(scores, np.zeros(shape[1:], bool), np.full((shape[0], shape[2]), 0.5))
    np.testing.assert_array_equal(scored.curve.value[scored.place], scores)


def test_several_metrics_at_once_are_what_each_is_alone():
    trials = World(splits=2, seeds=2, images=120).draw(np.random.default_rng(0))
    metrics, masks = ["ap", "recall", "brier"], np.vstack([np.eye(3, dtype=bool), [True, True, False]])
    together = effects(trials, metrics, masks, margin=0.02)
    for metric in metrics:
        alone = effect(trials, metric, masks, margin=0.02)
        for name in ("estimate", "low", "high", "p", "equivalent_p", "detectable"):
            np.testing.assert_array_equal(getattr(together[metric], name), getattr(alone, name))


@pytest.mark.parametrize("metric", ["ap", "f1"])
def test_an_image_s_pull_does_not_depend_on_how_scores_lie_in_memory(metric):
    [trial] = World(images=300).draw(np.random.default_rng(0))
    own = trial.ours
    turned = Scored(np.asfortranarray(own.scores), np.asfortranarray(own.labels), own.thresholds)
    np.testing.assert_array_equal(pulls(turned, metric), pulls(own, metric))
