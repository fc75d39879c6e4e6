"""A map of the features: images that look alike to the encoder lie together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.report.pictures import Thumbnails
from imbpipe.report.study import Study

MOST = 300
"""Images shown of the training part, and of the test part."""


def embedding_map(study: Study, thumbnails: Thumbnails, kept: list[dict[str, Any]]) -> dict[str, Any]:
    """Some training and test images of the first split on the features' first two principal components.

    kept: of `distributions`.
    Returns columns over images, the training ones (`train` of them) first: x, y, image (thumbnail), id,
    labels (class numbers); scores: of the test images, the baseline's in thousandths of each class, means
    over seeds, and thresholds alike; kept: by setting, 1 where the plan draws the training image;
    explained: the share of the features' variance on each axis.
    """
    from sklearn.decomposition import PCA

    grid = study.grids[0]
    labels = study.dataset.labels
    rng = np.random.default_rng(0)
    places = [chosen(labels[rows], MOST, rng) for rows in (grid.split.train, grid.split.test)]
    rows = np.concatenate([grid.split.train[places[0]], grid.split.test[places[1]]])
    features = grid.material.features
    some = rng.permutation(len(features))[:5000]
    pca = PCA(2, svd_solver="randomized", random_state=0).fit(features[some])
    xy = pca.transform(features[rows])
    scores, thresholds = _baseline(study)
    return {
        "x": np.round(xy[:, 0], 3).tolist(),
        "y": np.round(xy[:, 1], 3).tolist(),
        "explained": np.round(pca.explained_variance_ratio_, 4).tolist(),
        "train": len(places[0]),
        "image": [thumbnails.number(study.dataset.images[row]) for row in rows],
        "id": [study.dataset.ids[row] for row in rows],
        "labels": [np.flatnonzero(labels[row]).tolist() for row in rows],
        "scores": np.round(1000 * scores[places[1]]).astype(int).tolist(),
        "thresholds": np.round(1000 * thresholds, 1).tolist(),
        "kept": {each["name"]: np.isin(places[0], each["kept"]).astype(int).tolist() for each in kept[1:]},
    }


def chosen(labels: NDArray[np.bool_], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """At most `most` positions of labels (n, c), the rarest classes' images first, then at random."""
    order = rng.permutation(len(labels))
    share = max(1, most // (2 * labels.shape[1]))
    taken = np.zeros(len(labels), bool)
    for column in np.argsort(labels.sum(axis=0), kind="stable"):
        own = order[labels[order, column]]
        taken[own[: max(0, share - int(taken[own].sum()))]] = True
    spare = order[~taken[order]][: max(0, most - int(taken.sum()))]
    taken[spare] = True
    return np.flatnonzero(taken)


def _baseline(study: Study) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, c) test scores of the first split and (c,) thresholds, means over seeds."""
    grid = study.grids[0]
    baseline = study.settings[0]
    runs = [study.store.scores(*grid.place, grid.keys[baseline, seed]).test for seed in grid.seeds]
    rows = study.results
    own = rows[(rows["strategy"] == baseline.strategy) & (rows["split"] == grid.split.name)]
    thresholds = own.groupby("class_name")["threshold"].mean().reindex(list(study.dataset.class_names))
    return np.mean(runs, axis=0, dtype=float), thresholds.to_numpy(float)
