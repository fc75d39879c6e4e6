"""What the scores on one (data set, encoder) say of a claim."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbpipe.evaluation.adjust import holm
from imbpipe.evaluation.effects import Effect
from imbpipe.experiments.claims.claim import Classes, Hypothesis, Kind

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
LEVEL = 0.025
"""Of one-sided tests: a 95 % interval lies wholly on one side."""


@dataclass(frozen=True)
class Found:
    """One test of a hypothesis: ours - theirs on one class or mean of classes.

    says: what is compared. setting, class_name: which of several, empty where there is one.
    estimate, low, high: with the 95 % interval.
    detectable: the least true effect that would have been found with a chance of 80 %.
    p_for: that the hypothesis is false and the scores still look so well; p_against: that it is true and
    they look so badly; NaN where nothing is known.
    """

    says: str
    setting: str
    class_name: str
    kind: Kind
    margin: float
    estimate: float
    low: float
    high: float
    detectable: float
    p_for: float
    p_against: float

    @property
    def verdict(self) -> str:
        return word(self.p_for, self.p_against)

    @property
    def what(self) -> str:
        return ", ".join(filter(None, (self.says, self.setting, self.class_name)))


@dataclass(frozen=True)
class Answer:
    """found: every test. deciding: the one that the word hangs on. p_for, p_against: of the claim."""

    found: tuple[Found, ...]
    deciding: Found
    p_for: float
    p_against: float

    @property
    def verdict(self) -> str:
        return word(self.p_for, self.p_against)


def word(p_for: float, p_against: float) -> str:
    """A surely true claim is supported, though it may matter little."""
    if p_for <= LEVEL:
        return SUPPORTED
    return CONTRADICTED if p_against <= LEVEL else UNDECIDED


def answer(found: Sequence[Found], *, any_of: bool) -> Answer:
    """A claim out of its tests, at least one.

    All have to hold: then the weakest p-value is for the claim (intersection-union), and the strongest
    against any, by Holm over the tests, is against it. One has to: the other way round. A test of which
    nothing is known keeps a claim from being supported, and says nothing against it.

    Source: Berger (1982) for intersection-union tests; Holm (1979).
    """
    p_for = np.array([np.nan_to_num(test.p_for, nan=1.0) for test in found])
    p_against = np.array([np.nan_to_num(test.p_against, nan=1.0) for test in found])
    if any_of:
        claim_for, claim_against = holm(p_for).min(), p_against.max()
    else:
        claim_for, claim_against = p_for.max(), holm(p_against).min()
    said = word(claim_for, claim_against)
    order = {
        SUPPORTED: p_for.argmin() if any_of else p_for.argmax(),
        CONTRADICTED: p_against.argmax() if any_of else p_against.argmin(),
        UNDECIDED: p_for.argmin() if any_of else p_for.argmax(),
    }
    return Answer(tuple(found), found[int(order[said])], float(claim_for), float(claim_against))


def found_by(
    hypothesis: Hypothesis, effects: Effect, class_names: Sequence[str], setting: str
) -> list[Found]:
    """A test for each of the masks that `effects` are of. class_names, setting: as in `Found`."""
    kind, margin = hypothesis.kind, hypothesis.margin
    found = []
    for place, name in enumerate(class_names):
        estimate, low, high, detectable, error, freedom = (
            float(values[place])
            for values in (
                effects.estimate,
                effects.low,
                effects.high,
                effects.detectable,
                effects.error,
                effects.freedom,
            )
        )
        p = _p_values(kind, estimate, error, freedom, margin)
        shown = (hypothesis.says, setting, name, kind, margin, estimate, low, high, detectable)
        found.append(Found(*shown, *p))
    return found


def _p_values(
    kind: Kind, estimate: float, error: float, freedom: float, margin: float
) -> tuple[float, float]:
    def above(bound: float) -> float:
        """p of an effect at or below the bound: small where it is surely above."""
        from scipy.special import stdtr

        if np.isnan(error):
            return float("nan") if np.isnan(estimate) else float(estimate <= bound)
        return float(stdtr(freedom, (bound - estimate) / error))

    def below(bound: float) -> float:
        return 1 - above(bound) if not np.isnan(error) else _sure(estimate >= bound, estimate)

    if kind == "equivalence":
        return max(above(-margin), below(margin)), min(above(margin), below(-margin))
    if kind == "non-inferiority":
        return above(-margin), below(-margin)
    return above(0.0), below(margin)


def _sure(true: bool, estimate: float) -> float:
    return float("nan") if np.isnan(estimate) else float(true)


def masks_of(
    classes: Classes, class_names: Sequence[str], counts: NDArray[np.int64], low: NDArray[np.bool_]
) -> tuple[NDArray[np.float64] | NDArray[np.bool_], list[str]]:
    """(g, c) masks or contrasts of the classes that a hypothesis names, and a name for each test.

    counts: (c,) images of each class. low: (c,) the low-frequency classes. No row: none of the named
    classes is there.
    """
    if classes == "trend":
        return _trend(counts, low)[None], [""]
    if isinstance(classes, tuple) or classes == "each":
        wanted = [name for name in class_names if classes == "each" or name in classes]
        return np.array([[name == other for other in class_names] for name in wanted]), wanted
    every = np.ones(len(low), dtype=bool)
    return {"low-frequency": low, "remaining": ~low, "all": every}[classes][None], [""]


def _trend(counts: NDArray[np.int64], low: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(c,) weights whose sum over effects is the fitted line's rise from the rarest to the most frequent."""
    if not low.any():
        return np.zeros(len(low))
    x = np.log(np.maximum(counts, 1))
    away = np.where(low, x - x[low].mean(), 0.0)
    spread = (away**2).sum()
    return away * (x[low].max() - x[low].min()) / spread if spread else away
