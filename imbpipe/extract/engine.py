"""What runs jobs somewhere else: a Ray cluster, a SLURM queue."""

import os
import socket
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from imbpipe.errors import ClusterError, ImbpipeError

T = TypeVar("T")
Job = Callable[[], T]
"""It is pickled, may run on any machine, and may be begun again after its machine is lost."""


class Engine(Protocol):
    """Runs jobs on other machines, which see the same files under the same paths.

    name: "ray", "slurm". slots: how many jobs can run side by side.
    """

    name: str
    slots: int

    def run(self, jobs: Sequence[Job[T]]) -> Generator[T | None, None, None]:
        """What the jobs return, in the order they end; None about twice a second, to look up.

        A generator that is closed early stops those still running; what they stored stays.
        Raises ImbpipeError: one that a job raised. ClusterError: the machines cannot do it.
        """


@dataclass(frozen=True)
class Posted(Generic[T]):
    """A job on its way to another machine, where it runs in the same folder."""

    job: Job[T]
    folder: Path

    @classmethod
    def here(cls, job: Job[T]) -> "Posted[T]":
        """To run as if it ran here."""
        return cls(job, Path.cwd())

    def __call__(self) -> T | ImbpipeError:
        """What the job returns, or what it raises of what a user can mend."""
        try:
            os.chdir(self.folder)
        except OSError as error:
            return ClusterError(
                f"{socket.gethostname()} cannot enter {self.folder}: {error.strerror}",
                "Run where all nodes have the same folder: images and cache lie on a shared file system",
            )
        try:
            return self.job()
        except ImbpipeError as error:
            return error


def opened(answer: T | ImbpipeError) -> T:
    """The answer of a posted job. Raises ImbpipeError: the job did."""
    if isinstance(answer, ImbpipeError):
        raise answer
    return answer
