"""Scores of two equally good settings, with the noise of splits, seeds and images, drawn anew each time."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from imbpipe.evaluation.scored import Scored
from imbpipe.evaluation.trial import Trial


@dataclass(frozen=True)
class World:
    """Latent scores: a step for the label, plus normal noise of these standard deviations.

    positives: expected a class in a test part of `images`. population: images of which splits test some;
        0: each split has images of its own. hard: an image's, for both settings alike. taste: a setting's of
        an image, in all its runs. run: a run's of an image. seed, split: of the step, for each run, and for
        each split of a setting. gain: added to our step.
    """

    positives: tuple[int, ...] = (20, 60, 200)
    images: int = 800
    seeds: int = 5
    splits: int = 1
    population: int = 0
    hard: float = 1.0
    taste: float = 0.7
    run: float = 0.5
    seed: float = 0.3
    split: float = 0.0
    gain: float = 0.0

    @property
    def train_images(self) -> int | None:
        """60-20-20."""
        return 3 * self.images if self.population else None

    def draw(self, rng: np.random.Generator) -> list[Trial]:
        """A trial a split. Splits of one population correlate in training as Nadeau & Bengio say."""
        classes = len(self.positives)
        population = self.population or self.images * self.splits
        labels = rng.random((population, classes)) < np.array(self.positives) / self.images
        base = rng.normal(0, self.hard, (population, classes)) + rng.normal(
            0, self.taste, (2, population, classes)
        )
        correlation = 0.25 if self.population else 0.0
        common = rng.normal(0, self.split * np.sqrt(correlation), (2, classes))
        trials = []
        for split in range(self.splits):
            rows = np.arange(split * self.images, (split + 1) * self.images)
            if self.population:
                rows = np.sort(rng.choice(population, self.images, replace=False))
            own = common + rng.normal(0, self.split * np.sqrt(1 - correlation), (2, classes))
            step = 2.0 + own[:, None] + rng.normal(0, self.seed, (2, self.seeds, classes))
            step[0] += self.gain
            shape = (2, self.seeds, self.images, classes)
            latent = base[:, None, rows] + step[:, :, None] * labels[rows] + rng.normal(0, self.run, shape)
            ours, theirs = (
                Scored(scores, labels[rows], np.full((self.seeds, classes), 0.4))
                for scores in expit(latent - 1.5)
            )
            trials.append(Trial(ours, theirs, rows, self.train_images))
        return trials


@dataclass(frozen=True)
class Trained:
    """Ridge heads trained on overlapping 60-20-20 splits of one data set, drawn anew each time.

    The two settings see other features of the same images, equally good ones. positives: expected a class
    among all images. A seed leaves out a tenth of the training images.
    """

    positives: tuple[int, ...] = (100, 200, 400)
    images: int = 2000
    features: int = 20
    seeds: int = 3
    splits: int = 3

    def draw(self, rng: np.random.Generator) -> list[Trial]:
        """A trial a split."""
        labels = rng.random((self.images, len(self.positives))) < np.array(self.positives) / self.images
        sides = [self._see(labels, rng) for _ in range(2)]
        trials = []
        for _ in range(self.splits):
            order = rng.permutation(self.images)
            train, test = order[: self.images * 3 // 5], np.sort(order[self.images * 4 // 5 :])
            banks = [self._heads(side, labels, train, rng)[:, test] for side in sides]
            thresholds = np.full((self.seeds, len(self.positives)), 0.6)
            ours, theirs = (Scored(bank, labels[test], thresholds) for bank in banks)
            trials.append(Trial(ours, theirs, test, len(train)))
        return trials

    def _see(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(images, features + 1) with a constant."""
        directions = rng.normal(size=(labels.shape[1], self.features))
        directions *= 1.2 / np.linalg.norm(directions, axis=1, keepdims=True)
        seen = rng.normal(size=(self.images, self.features)) + labels @ directions
        return np.column_stack([seen, np.ones(self.images)])

    def _heads(
        self, seen: np.ndarray, labels: np.ndarray, train: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """(seeds, images, classes) scores."""
        scores = []
        for _ in range(self.seeds):
            kept = rng.choice(train, len(train) * 9 // 10, replace=False)
            x = seen[kept]
            weights = np.linalg.solve(x.T @ x + 5 * np.eye(x.shape[1]), x.T @ labels[kept])
            scores.append(expit(4 * seen @ weights))
        return np.stack(scores)
