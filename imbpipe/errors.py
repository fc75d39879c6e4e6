"""What a user can cause and mend. One line each: the fact, the place, the remedy."""

EXIT_INPUT = 1
EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_INTERRUPTED = 75


def show(text: object) -> str:
    """`text` on one printable line: control characters and undecodable bytes become escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in str(text)
    )


def as_size(size: int) -> str:
    """A number of bytes for a message."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


class ImbpipeError(Exception):
    """A fact about the input, and what mends it.

    fact: what is wrong and where (file, row, class), without a full stop at the end.
    remedy: a command or an action; shown after the fact.
    """

    exit_status = EXIT_INPUT

    def __init__(self, fact: str, remedy: str = "") -> None:
        self.fact = show(fact)
        self.remedy = show(remedy)
        super().__init__(f"{self.fact}. {self.remedy}" if remedy else self.fact)

    def __reduce__(self) -> tuple[type["ImbpipeError"], tuple[str, str]]:
        """Fact and remedy travel between processes apart."""
        return type(self), (self.fact, self.remedy)


class UsageError(ImbpipeError):
    """An option's value that cannot be meant."""

    exit_status = EXIT_USAGE


class UnknownNameError(UsageError):
    """A name that no registry holds."""


class DatasetError(ImbpipeError):
    """Labels or folders that cannot be read as a data set."""


class ImageError(ImbpipeError):
    """One image that cannot be decoded; extraction sets it aside and goes on."""


class WeightsError(ImbpipeError):
    """Weights that are nowhere to be had, or not the ones asked for."""


class NoTextError(WeightsError):
    """Weights of an image tower alone, where a text tower was asked for."""


class StoreError(ImbpipeError):
    """A feature store that cannot be read or written."""


class PlanError(ImbpipeError):
    """A strategy that cannot be applied to these labels."""


class ResultsError(ImbpipeError):
    """Results that are missing or do not belong together."""


class ClusterError(ImbpipeError):
    """Other machines that cannot be reached, or do not see what this one sees."""


class TooLargeError(PlanError):
    """Features that are needed in memory, and are larger than it may be."""
