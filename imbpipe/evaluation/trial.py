"""Two settings on one split: their scores of the same test images, run beside run."""

from dataclasses import dataclass

import numpy as np

from imbpipe.errors import ResultsError
from imbpipe.evaluation.scored import Scored
from imbpipe.types import Rows


@dataclass(frozen=True, eq=False)
class Trial:
    """Test scores of r runs of either setting on one split; row k of both was trained with the same seed.

    ours, theirs: (r, n, c) each with its thresholds (r, c), and the same labels (n, c).
    images: (n,) row numbers in the data set, which tell the same image in several splits.
    groups: (n,) numbers of the groups that the images belong to, which count as one each; None: each image
        stands alone. They tell the same group in several splits.
    train_images: how many the runs were trained on; None where it is not known, or where splits share no
        image at all.

    Raises ResultsError: the two do not belong together; an image twice.
    """

    ours: Scored
    theirs: Scored
    images: Rows
    train_images: int | None = None
    groups: Rows | None = None

    def __post_init__(self) -> None:
        ours, theirs = self.ours.scores.shape, self.theirs.scores.shape
        if ours != theirs:
            raise ResultsError(
                f"scores of shape {ours} against {theirs}", "Pair runs by seed, over the same images"
            )
        if not np.array_equal(self.ours.labels, self.theirs.labels):
            raise ResultsError("the two settings were scored against other labels", "Compare the same images")
        if self.images.shape != ours[1:2]:
            raise ResultsError(f"{self.images.size} image numbers for {ours[1]} images", "Give one an image")
        if len(np.unique(self.images)) < len(self.images):
            raise ResultsError("an image stands twice in a test part", "Give each image a number of its own")
        if self.groups is not None and self.groups.shape != self.images.shape:
            raise ResultsError(f"{self.groups.size} groups for {ours[1]} images", "Give each image one")
        if self.groups is not None and len(np.unique(self.groups)) < 2:
            raise ResultsError("all test images are of one group", "Give smaller groups")
        if self.train_images is not None and self.train_images < 1:
            raise ResultsError(f"{self.train_images} training images", "Give the number of the split")

    @property
    def seeds(self) -> int:
        """r, the runs of either setting."""
        return self.ours.shape[0]
