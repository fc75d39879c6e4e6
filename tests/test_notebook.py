"""What a notebook shows of the things that people leave on a cell's last line."""

import numpy as np

from imbpipe.datasets.dataset import Dataset
from imbpipe.figures.page import page
from imbpipe.types import FeatureSet


def test_a_figure_is_a_picture_without_pyplot():
    figure, _ = page("Title", ["footer"], [("", 1.0)])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_features_and_data_sets_say_what_they_are_in_a_line():
    ids, labels = tuple(map(str, range(1200))), np.zeros((1200, 2), bool)
    features = FeatureSet(
        np.zeros((1200, 4), np.float32), ids, labels, ("a", "b"), "multi-label", "photos", "clip", {}, "", {}
    )
    assert repr(features) == (
        "<FeatureSet of 'photos' by 'clip': 1,200 images x 4 features, 2 classes, multi-label>"
    )
    data = Dataset("photos", ids, (), labels, ("a", "b"), "single-label")
    assert repr(data) == "<Dataset 'photos': 1,200 images, 2 classes, single-label>"
