"""Strategies that change how much a loss counts."""

import numpy as np
import pytest
from strategies_by_hand import drawn, read_planet, training_set

from imbpipe.errors import UsageError
from imbpipe.strategies.strategy import STRATEGIES

PLANET_LOW = {"artisinal_mine", "blooming", "slash_burn", "blow_down", "conventional_mine"}


@pytest.fixture(scope="module")
def planet_labels(request):
    return read_planet(request.getfixturevalue("test_data"))


def test_upweighting_an_image_multiplies_all_its_outputs_where_it_holds_a_rare_label(planet_labels):
    names, labels = planet_labels
    plan = STRATEGIES["upweight"](training_set(labels), np.random.default_rng(0), factor=3.0)
    weight = plan.phases[0].weight
    rare = labels[:, [names.index(name) for name in PLANET_LOW]].any(axis=1)
    np.testing.assert_array_equal(weight, np.where(rare, 3, 1))
    assert labels[rare, names.index("primary")].mean() == pytest.approx(0.98, abs=0.005)


def test_upweighting_a_label_multiplies_its_own_output_on_every_image(planet_labels):
    names, labels = planet_labels
    plan = STRATEGIES["upweight"](training_set(labels), np.random.default_rng(0), factor=3.0, per="label")
    weight = plan.phases[0].weight
    assert weight.shape == labels.shape
    assert {name for name, column in zip(names, weight.T, strict=True) if (column == 3).all()} == PLANET_LOW
    assert (weight[:, [name not in PLANET_LOW for name in names]] == 1).all()


@pytest.mark.parametrize("factor", [-1.0, np.nan, np.inf])
def test_a_factor_that_is_no_weight_is_refused(factor):
    with pytest.raises(UsageError, match="Factors are numbers from 0 up"):
        drawn("upweight", training_set(np.eye(3)), factor=factor)
