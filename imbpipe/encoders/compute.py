"""How an encoder computes: what a user may choose, and what of it changes a number."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from imbpipe.errors import UsageError

Backend = Literal["torch", "compiled", "openvino"]
Precision = Literal["float32", "bfloat16", "float16"]
Preprocess = Literal["fast", "exact"]
BACKENDS: tuple[Backend, ...] = ("torch", "compiled", "openvino")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
PREPROCESSES: tuple[Preprocess, ...] = ("fast", "exact")


@dataclass(frozen=True)
class Compute:
    """A choice of each; all of it is part of what the features are.

    backend: None takes openvino on a CPU where it is installed, else torch. "compiled" is torch with
        kernels that `torch.compile` makes for this network: they pass over the memory less often.
    precision: of the products inside the network; parameters and features are float32 always. bfloat16
        changes features more than any other choice here: their cosine to float32's is about 0.999.
    preprocess: "exact" is the library's own transform on a Pillow image; "fast" does the same steps on
        bytes, within 2 of 255 in 1 pixel of 400, wherever the transform is a resize, a crop and a scaling.
    """

    backend: Backend | None = None
    precision: Precision = "float32"
    preprocess: Preprocess = "fast"


DEFAULT = Compute()


def choose_backend(wanted: Backend | None, device: str) -> Backend:
    """The backend that `wanted` means on this device. Raises UsageError: not installed, or not for a GPU."""
    if wanted is None:
        return "openvino" if device == "cpu" and openvino_version() else "torch"
    if wanted == "openvino" and device != "cpu":
        raise UsageError(f"openvino computes on the CPU, not on {device!r}", "Give --device cpu")
    if wanted == "openvino" and not openvino_version():
        raise UsageError("openvino is not installed", "Run: pip install 'imbpipe[fast]'")
    return wanted


def check_precision(precision: Precision, device: str) -> None:
    """Raises UsageError: a CPU has no fast float16."""
    if precision == "float16" and device == "cpu":
        raise UsageError("float16 computes on GPUs only", "Give --precision bfloat16, or float32")


def openvino_version() -> str:
    """Major and minor version, empty where it is not installed."""
    try:
        return ".".join(version("openvino").split(".")[:2])
    except PackageNotFoundError:
        return ""
