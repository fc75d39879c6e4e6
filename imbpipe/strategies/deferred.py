"""Schedules that first train plainly and handle imbalance late."""

from numpy.random import Generator

from imbpipe.strategies.class_sampling import class_shares
from imbpipe.strategies.class_weights import Per, check_cb_beta, class_weights, effective_number
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES, check_number
from imbpipe.types import TrainingSet


@STRATEGIES.add("deferred-reweight")
def deferred_reweight(
    data: TrainingSet, rng: Generator, *, start: float = 0.8, cb_beta: float = 0.9999, per: Per = "auto"
) -> Plan:
    """Train plainly, then with classes weighed by one over their effective number of images.

    start: the share of training after which weights set in, above 0 and below 1.
    cb_beta: the base of effective numbers, from 0 (no weighting) to below 1 (inverse frequency).
    per: `image` weighs all outputs of a class's images (the mean over an image's classes), `label` its own
        output on every image, `positive` its own output on its own images, by its positives' weight over
        its negatives'; `auto` is `image` on single-label data and `positive` on multi-label data.

    Source: Cao et al. (2019), "Learning imbalanced datasets with label-distribution-aware margin loss",
    section 3.3 and their code.
    """
    check_number("deferred-reweight", "start", start, 0.001, 0.999)
    check_cb_beta("deferred-reweight", cb_beta)
    weight = class_weights(data, effective_number(cb_beta), per)
    return Plan((Phase(), Phase(start, weight=weight)))


@STRATEGIES.add("deferred-resample")
def deferred_resample(data: TrainingSet, rng: Generator, *, start: float = 0.8) -> Plan:
    """Train plainly, then draw every class alike; epochs stay as long as they were.

    start: the share of training after which classes are drawn alike, above 0 and below 1.

    Source: Cao et al. (2019), "Learning imbalanced datasets with label-distribution-aware margin loss",
    the schedule that they call DRS.
    """
    check_number("deferred-resample", "start", start, 0.001, 0.999)
    return Plan((Phase(), Phase(start, probability=class_shares(data.labels, 0))))
