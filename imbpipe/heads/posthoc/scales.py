"""Steps that fit how large the logits are: one factor a head, or one a class."""

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import PlanError
from imbpipe.heads.bank import Bank
from imbpipe.heads.posthoc.step import POSTHOC, Seen, scaled, take

Matrix = NDArray[np.float64]

TEMPERATURES = (1e-4, 1e4)
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


def _sharpness(logits: NDArray[np.floating], labels: NDArray[np.bool_], softmax: np.bool_) -> float:
    """1 / temperature: where the slope of the loss, which only ever rises, crosses 0."""
    from scipy.optimize import brentq

    z, y = logits.astype(np.float64), labels.astype(np.float64)

    def slope(log_factor: float) -> float:
        return float((z * _residual(z * np.exp(log_factor), y, softmax)).sum())

    low, high = (-np.log(bound) for bound in reversed(TEMPERATURES))
    if slope(low) >= 0:
        return float(np.exp(low))
    if slope(high) <= 0:
        return float(np.exp(high))
    return float(np.exp(brentq(slope, low, high, xtol=1e-10)))


@POSTHOC.add("class-scales")
def class_scales(heads: Bank, seen: Seen, *, probability: NDArray[np.float64]) -> Bank:
    """Multiply each class's logit by the factor with the least expected loss on the training images.

    probability: (n,) with which an image is drawn, in any unit. Factors stay between 0.1 and 10. The loss
    is convex in them, so they are solved for, and not approached by steps.

    Source: Kang et al. (2020), section 4.2, "learnable weight scaling"; weights and bias as in their code.
    """
    part = seen.training
    weight = (probability / probability.sum())[:, None]
    factors = []
    for head, softmax in enumerate(heads.softmax):
        z = take(heads, [head]).logits(part.features)[0]
        factors.append(_best_scales(z.astype(np.float64), part.labels.astype(np.float64), weight, softmax))
    return scaled(heads, np.stack(factors))


def _best_scales(z: Matrix, y: Matrix, weight: Matrix, softmax: np.bool_) -> Matrix:
    from scipy.optimize import minimize

    def loss_and_slope(factor: Matrix) -> tuple[float, Matrix]:
        scaled_z = z * factor
        loss = (weight * _losses(scaled_z, y, softmax)).sum()
        return float(loss), (weight * z * _residual(scaled_z, y, softmax)).sum(axis=0)

    found = minimize(loss_and_slope, np.ones(z.shape[1]), jac=True, method="L-BFGS-B",
                     bounds=[SCALES] * z.shape[1], options={"ftol": 1e-12, "gtol": 1e-7})  # fmt: skip
    return found.x


def _losses(z: Matrix, y: Matrix, softmax: np.bool_) -> Matrix:
    """(n, c) losses, to be summed."""
    from scipy.special import log_softmax

    return -y * log_softmax(z, axis=1) if softmax else np.logaddexp(0, z) - y * z


def _residual(z: Matrix, y: Matrix, softmax: np.bool_) -> Matrix:
    """(n, c) their slope at the logits."""
    from scipy.special import expit
    from scipy.special import softmax as shares

    return shares(z, axis=1) * y.sum(axis=1, keepdims=True) - y if softmax else expit(z) - y
