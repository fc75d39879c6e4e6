"""Jobs as Ray Core tasks."""

import contextlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from imbpipe.encoders.cores import take_cores
from imbpipe.errors import ClusterError, ImbpipeError, UsageError
from imbpipe.extract.engine import Job, Posted, opened

T = TypeVar("T")
LOOK_SECONDS = 0.5
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 15.0
"""That a cluster may take to let a driver in; Ray itself would try for minutes."""
STOP_SECONDS = 10.0
"""For running tasks to commit what they have."""
MOST_LOSSES = 10
"""Machines come and go; but what ends its process so often will always do so."""
_DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What Ray calls its setting for clusters of one machine: it then listens on 127.0.0.1 alone."""
_TOKEN_REMEDY = (
    "Put the cluster's token into RAY_AUTH_TOKEN, or its file's path into RAY_AUTH_TOKEN_PATH; "
    "RAY_AUTH_MODE=disabled for a cluster without one"
)
_TRY = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"


@dataclass(frozen=True)
class Share:
    """What of a machine a task takes: `gpus` 0 or 1, `cores` of the CPU. slots: tasks at once."""

    gpus: int
    cores: int
    slots: int


class RayEngine:
    """Tasks of a cluster that this process is connected to. Lost machines cost what was not committed yet."""

    name = "ray"

    def __init__(self, share: Share) -> None:
        self._share = share
        self.slots = share.slots

    def run(self, jobs: Sequence[Job[T]]) -> Generator[T | None, None, None]:
        """See `Engine`."""
        import ray

        task: Any = ray.remote(
            num_cpus=self._share.cores, num_gpus=self._share.gpus, max_retries=MOST_LOSSES, max_calls=0
        )(_work)
        waiting = [task.remote(Posted.here(job), self._share.cores) for job in jobs]
        try:
            while waiting:
                done, waiting = ray.wait(waiting, timeout=LOOK_SECONDS)
                for ref in done:
                    yield opened(_answer(ref))
                if not done:
                    yield None
        finally:
            for ref in waiting:
                ray.cancel(ref)
            if waiting:
                ray.wait(waiting, num_returns=len(waiting), timeout=STOP_SECONDS)


def _work(job: Posted[T], cores: int) -> T | ImbpipeError:
    take_cores(cores)
    return job()


def _answer(ref: Any) -> Any:
    import ray

    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ImportError) or "No module named" in str(error):
            raise ClusterError(
                f"a node of the cluster cannot run imbpipe: {cause or error}",
                "Install the same imbpipe, with the same extras, on every node",
            ) from None
        raise
    except (
        ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError
    ) as error:  # fmt: skip
        raise ClusterError(
            f"a piece was lost {MOST_LOSSES + 1} times with the process that had it ({type(error).__name__})",
            "Run the same command without --engine, to see which image it is: what was encoded is kept",
        ) from None


@contextlib.contextmanager
def ray_engine(address: str | None) -> Iterator[RayEngine]:
    """Connect to the cluster at `address` ("HOST:PORT", "auto"); None: start one here, for as long as this.

    Raises UsageError: ray is not installed, an address that cannot be. ClusterError: nobody answers there
    within seconds, the token is wrong or missing, no node has a CPU.
    """
    if find_spec("ray") is None:
        raise UsageError("ray is not installed", "Run: pip install 'imbpipe[ray]'")
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if address is not None:
        _check(address)
    else:
        os.environ.update(_LOOPBACK)
        if not _has_token():
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    import ray

    how: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    with _keeping_sigterm():
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **how)
    with contextlib.redirect_stdout(sys.stderr):  # where Ray tells of lost workers; results go to stdout
        try:
            yield RayEngine(share_of([node["Resources"] for node in ray.nodes() if node["Alive"]]))
        finally:
            ray.shutdown()


def share_of(nodes: Sequence[Mapping[str, float]]) -> Share:
    """How tasks share out a cluster. nodes: of each its "CPU" and "GPU".

    Where there are GPUs a task takes one, and of the CPU what each GPU of its node has. Else it takes all
    cores of the smallest node: one copy of the network serves many cores.
    Raises ClusterError: there is nothing to compute on.
    """
    sizes = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
    with_gpu = [(cores, gpus) for cores, gpus in sizes if gpus and cores]
    if with_gpu:
        cores = max(1, min(cores // gpus for cores, gpus in with_gpu))
        return Share(1, cores, sum(min(gpus, own // cores) for own, gpus in with_gpu))
    cores = min((cores for cores, _ in sizes if cores), default=0)
    if not cores:
        raise ClusterError(
            "the cluster has no node with a CPU to compute on", "Add one: ray start --address=HOST:PORT"
        )
    return Share(0, cores, sum(own // cores for own, _ in sizes))


def _check(address: str) -> None:
    """Try to get in, in a process that can be ended: with a wrong token Ray aborts, or waits for minutes."""
    if "://" in address:
        raise UsageError(
            f"--address {address}: a driver outside of the cluster is not supported",
            "Run on a node of it with --address auto, or through: ray job submit -- imbpipe extract …",
        )
    if address != "auto":
        _knock(address)
    if os.environ["RAY_AUTH_MODE"] == "token" and not _has_token():
        raise ClusterError("no token for the Ray cluster", _TOKEN_REMEDY)
    with tempfile.TemporaryFile() as errors:
        trying = subprocess.Popen(
            [sys.executable, "-c", _TRY, address], stdout=subprocess.DEVNULL, stderr=errors
        )
        deadline = time.monotonic() + ANSWER_SECONDS
        told = ""
        while trying.poll() is None and time.monotonic() < deadline and not _hopeless(told):
            time.sleep(0.1)
            told = os.pread(errors.fileno(), 100_000, 0).decode(errors="replace")
        trying.kill()
        if trying.wait():
            raise _refused(address, os.pread(errors.fileno(), 100_000, 0).decode(errors="replace"))


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise UsageError(f"--address {address!r} is no address", "Give HOST:PORT, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else str(getattr(error, "strerror", error))
        raise ClusterError(
            f"no Ray cluster at {address} ({reason})",
            "Start one there with `ray start --head`, or leave out --address to compute here",
        ) from None


_NO_TOKEN = ("InvalidAuthToken", "AuthenticationError", "authentication token")
_NO_ANSWER = "Failed to connect to GCS"


def _hopeless(told: str) -> bool:
    """Whether Ray says what no further attempt of its will change."""
    return _NO_ANSWER in told or any(sign in told for sign in _NO_TOKEN)


def _refused(address: str, told: str) -> ClusterError:
    """What a failed attempt to connect means. told: what Ray printed."""
    if any(sign in told for sign in _NO_TOKEN):
        return ClusterError(f"the Ray cluster at {address} refuses the token", _TOKEN_REMEDY)
    if "Could not find any running Ray instance" in told:
        return ClusterError("no Ray cluster runs on this machine", "Start one: ray start --head")
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    if not lines or _NO_ANSWER in told:
        return ClusterError(
            f"{address} does not answer as a Ray cluster",
            "Give the port that `ray start --head` names (6379), on a machine that is a node of it",
        )
    return ClusterError(
        f"cannot join the Ray cluster at {address}: {lines[-1]}",
        "Run on a node of it (ray start --address=HOST:PORT), with its versions of ray and Python",
    )


def _has_token() -> bool:
    """Where Ray looks for one."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return Path(path).is_file()


@contextlib.contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Ray would end this process at a SIGTERM, whatever it is in the middle of."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
