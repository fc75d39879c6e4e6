"""Tests on an estimate with a standard error and degrees of freedom, and the answer in a word."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

BETTER, WORSE, EQUIVALENT, UNKNOWN = "better", "worse", "equivalent", "cannot tell"


def two_sided_p(estimate: Values, error: Values, freedom: Values) -> Values:
    """(...) chance of an estimate as far from 0 where there is no effect; NaN where the error is not known.

    Source: Student (1908).
    """
    from scipy.special import stdtr

    return 2 * stdtr(freedom, -np.abs(estimate) / error)


def equivalence_p(estimate: Values, error: Values, freedom: Values, margin: float | None) -> Values:
    """(...) the larger p of two one-sided tests, that the effect is -margin or less, or margin or more.

    NaN without a margin. Source: Schuirmann (1987).
    """
    from scipy.special import stdtr

    if margin is None:
        return np.full(np.shape(estimate), np.nan)
    return stdtr(freedom, (np.abs(estimate) - margin) / error)


def detectable_effect(error: Values, freedom: Values, *, level: float = 0.05, power: float = 0.8) -> Values:
    """(...) the least true effect that a two-sided test at `level` would find with a chance of `power`.

    Source: Cohen (1988), chapter 2, by the noncentral t.
    """
    from scipy.special import nctdtrinc, stdtrit

    return nctdtrinc(freedom, 1 - power, stdtrit(freedom, 1 - level / 2)) * error


def verdicts(
    estimate: ArrayLike, p: ArrayLike, equivalent_p: ArrayLike, *, level: float = 0.05
) -> NDArray[np.str_]:
    """(...) "equivalent" where the effect is surely within the margin, "better" or "worse" where it is surely
    not 0, else "cannot tell". A sure effect within the margin is "equivalent": it does not matter.

    p, equivalent_p: as in `Effect`, or adjusted for many tests by `holm` or `benjamini_hochberg`.
    """
    estimate, p, equivalent_p = (np.asarray(a, dtype=np.float64) for a in (estimate, p, equivalent_p))
    better = (p <= level) & (estimate > 0)
    worse = (p <= level) & (estimate < 0)
    choices = [equivalent_p <= level, better, worse]
    return np.select(choices, [EQUIVALENT, BETTER, WORSE], UNKNOWN)
