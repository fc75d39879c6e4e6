"""Steps that fit how large the logits are: one factor a head, or one a class."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import PlanError
from imbpipe.heads.bank import Bank
from imbpipe.heads.posthoc.step import POSTHOC, Seen, scaled, take
from imbpipe.types import Labels

Matrix = NDArray[np.float64]

TEMPERATURES = (1e-4, 1e4)
"""Or their inverses, which are the same."""
SCALES = (0.1, 10.0)
"""Where a class that the logits part without error would otherwise go beyond all bounds."""


@POSTHOC.add("temperature")
def temperature(heads: Bank, seen: Seen) -> Bank:
    """Divide all logits of a head by the temperature with the least loss on the validation images.

    Between 1/10,000 and 10,000. Raises PlanError: there is no validation image.

    Source: Guo et al. (2017), section 4.2.
    """
    part = seen.validation
    if not len(part.labels):
        raise PlanError("a temperature cannot be fitted without a validation image", "Use another split")
    logits = heads.logits(part.features)
    factors = [_sharpness(z, part.labels, softmax) for z, softmax in zip(logits, heads.softmax, strict=True)]
    return scaled(heads, np.array(factors)[:, None])


def _sharpness(logits: NDArray[np.floating], labels: Labels, softmax: np.bool_) -> float:
    """1 / temperature."""
    z, y = logits.astype(np.float64), labels.astype(np.float64)
    return _crossing(lambda factor: float((z * _residual(z * factor, y, softmax)).sum()), TEMPERATURES)


def _crossing(slope: Callable[[float], float], bounds: tuple[float, float]) -> float:
    """The factor at which the slope of a convex loss crosses 0, or the bound that is nearest to it."""
    from scipy.optimize import brentq

    low, high = bounds
    if slope(low) >= 0:
        return low
    if slope(high) <= 0:
        return high
    return float(np.exp(brentq(lambda log: slope(np.exp(log)), np.log(low), np.log(high), xtol=1e-10)))


@POSTHOC.add("class-scales")
def class_scales(heads: Bank, seen: Seen, *, probability: NDArray[np.float64]) -> Bank:
    """Multiply each class's logit by the factor with the least expected loss on the training images.

    probability: (n,) with which an image is drawn, in any unit. Factors stay between 0.1 and 10. The loss
    is convex in them, so they are solved for, and not approached by steps.

    Source: Kang et al. (2020), section 4.2, "learnable weight scaling"; weights and bias as in their code.
    """
    part = seen.training
    y, weight = part.labels.astype(np.float64), (probability / probability.sum())[:, None]
    factors = []
    for head, softmax in enumerate(heads.softmax):
        z = take(heads, [head]).logits(part.features)[0].astype(np.float64)
        factors.append(_joint_scales(z, y, weight) if softmax else _separate_scales(z, y, weight))
    return scaled(heads, np.stack(factors))


def _separate_scales(z: Matrix, y: Matrix, weight: Matrix) -> Matrix:
    """Sigmoids: each class by itself."""

    def slope(factor: float, column: int) -> float:
        one = np.s_[:, column : column + 1]
        return float((weight * z[one] * _residual(z[one] * factor, y[one], np.False_)).sum())

    return np.array([_crossing(partial(slope, column=column), SCALES) for column in range(z.shape[1])])


def _joint_scales(z: Matrix, y: Matrix, weight: Matrix) -> Matrix:
    """A softmax: all classes together."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    def loss_and_slope(factor: Matrix) -> tuple[float, Matrix]:
        scaled_z = z * factor
        loss = -(weight * y * log_softmax(scaled_z, axis=1)).sum()
        return float(loss), (weight * z * _residual(scaled_z, y, np.True_)).sum(axis=0)

    return minimize(loss_and_slope, np.ones(z.shape[1]), jac=True, method="L-BFGS-B",
                    bounds=[SCALES] * z.shape[1], options={"ftol": 1e-11, "gtol": 1e-7}).x  # fmt: skip


def _residual(z: Matrix, y: Matrix, softmax: np.bool_) -> Matrix:
    """(n, c) the slope of each image's loss at its logits."""
    from scipy.special import expit
    from scipy.special import softmax as shares

    return shares(z, axis=1) * y.sum(axis=1, keepdims=True) - y if softmax else expit(z) - y
