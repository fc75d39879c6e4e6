"""Jobs as SLURM jobs, through submitit."""

import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from imbpipe.errors import ClusterError, ImbpipeError, UsageError
from imbpipe.extract.engine import Job, Posted, opened

T = TypeVar("T")
LOOK_SECONDS = 0.5
MOST_TIMEOUTS = 1000
"""How often a job that ran out of time is put into the queue again: each time it goes on where it was."""


@dataclass(frozen=True)
class Queue:
    """What to ask SLURM for.

    jobs: how many. minutes: that each may run before it is put back into the queue. gpus, cpus: of each job.
    logs: folder of what the jobs print. sbatch: further options, as {"account": "vision"}.
    """

    jobs: int = 8
    partition: str | None = None
    minutes: int = 240
    gpus: int = 1
    cpus: int = 8
    logs: Path = Path("slurm-logs")
    sbatch: Mapping[str, str] = field(default_factory=dict)


class SlurmEngine:
    """Jobs of a queue. One that is preempted or runs out of time is put back and goes on where it was.

    cluster: as submitit names it; "local" runs processes on this machine.
    Raises UsageError: submitit is not installed. ClusterError: there is no SLURM here.
    """

    name = "slurm"

    def __init__(self, queue: Queue, cluster: str = "slurm") -> None:
        if find_spec("submitit") is None:
            raise UsageError("submitit is not installed", "Run: pip install 'imbpipe[slurm]'")
        if cluster == "slurm" and shutil.which("sbatch") is None:
            raise ClusterError(
                "there is no sbatch on this machine",
                "Run it where SLURM jobs are submitted, or give each job a part with --shard",
            )
        self._queue, self._cluster = queue, cluster
        self.slots = queue.jobs

    def run(self, jobs: Sequence[Job[T]]) -> Generator[T | None, None, None]:
        """See `Engine`."""
        waiting = self._submit(jobs)
        try:
            while waiting:
                done = [job for job in waiting if job.done()]
                for job in done:
                    waiting.remove(job)
                    yield opened(_answer(job))
                if not done:
                    time.sleep(LOOK_SECONDS)
                    yield None
        finally:
            for job in waiting:
                job.cancel(check=False)

    def _submit(self, jobs: Sequence[Job[T]]) -> list[Any]:
        import submitit

        queue = self._queue
        executor = submitit.AutoExecutor(
            queue.logs, cluster=self._cluster, slurm_max_num_timeout=MOST_TIMEOUTS
        )
        executor.update_parameters(
            name="imbpipe",
            timeout_min=queue.minutes,
            gpus_per_node=queue.gpus or None,
            cpus_per_task=queue.cpus,
            slurm_partition=queue.partition,
            slurm_additional_parameters=dict(queue.sbatch) or None,
        )
        try:
            with executor.batch():
                return [executor.submit(Requeued(Posted.here(job))) for job in jobs]
        except submitit.core.utils.FailedJobError as error:
            raise ClusterError(
                f"sbatch refuses: {str(error).strip().splitlines()[-1]}",
                "Mend --partition, --time, --gpus or --sbatch",
            ) from None


@dataclass(frozen=True)
class Requeued(Generic[T]):
    """A job that, put back into the queue, begins again and finds what is stored."""

    job: Posted[T]

    def __call__(self) -> T | ImbpipeError:
        return self.job()

    def checkpoint(self) -> Any:
        """Asked by submitit before the machine is taken away. What was encoded is committed as it goes."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _answer(job: Any) -> Any:
    import submitit

    try:
        return job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ClusterError(
            f"SLURM job {job.job_id} failed: {reason} (log: {job.paths.stderr})",
            "Mend that and run the same command again: what was encoded is kept",
        ) from None
