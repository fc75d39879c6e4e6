"""Parameters that several strategies check alike."""

from imbpipe.datasets.frequency import class_counts
from imbpipe.errors import UsageError
from imbpipe.types import Labels


def rarest_count(labels: Labels) -> int:
    """Images of the rarest class that has any; all images where no class has."""
    counts = class_counts(labels)
    return int(counts[counts > 0].min(initial=len(labels)))


def at_least_one(strategy: str, parameter: str, value: int) -> int:
    """The value, a number of images. Raises UsageError: it is below 1."""
    if value < 1:
        raise UsageError(f"strategy {strategy!r}: {parameter} is {value}", "It starts at 1")
    return value
