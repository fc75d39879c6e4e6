"""No handling of imbalance: what everything else is compared with."""

from numpy.random import Generator

from imbpipe.strategies.plan import Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import TrainingSet


@STRATEGIES.add("baseline")
def baseline(data: TrainingSet, rng: Generator) -> Plan:
    """Every training image once an epoch, every loss counted once.

    Source: Panigrahi & Zhu (2023), section 4.
    """
    return Plan()
