"""Reading files of tensors without running what they hold, and naming tensors by their hash."""

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbpipe.errors import WeightsError

if TYPE_CHECKING:
    import torch

NESTS = ("state_dict", "model_state_dict", "model")
REMEDY = "Give a .safetensors file or a state dict saved with torch.save"


def tensors_sha256(tensors: Mapping[str, "torch.Tensor"]) -> str:
    """SHA-256 over sorted names, dtypes, shapes and bytes: of the parameters, not of the file.

    BatchNorm's `num_batches_tracked` is left out: some files lack it, and no frozen network uses it.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name.endswith("num_batches_tracked"):
            continue
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Of the file's bytes. Raises WeightsError: the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from None


def read_tensors(path: Path, trusted: str = "") -> dict[str, "torch.Tensor"]:
    """The named tensors of a .safetensors, .pth or .pt file, out of `state_dict` and `module.` nesting.

    trusted: SHA-256 of a TorchScript archive that may be opened; any other is refused, being a program.

    Raises WeightsError: no such file, truncated, not a checkpoint, or Python objects besides tensors.
    """
    if not path.is_file():
        raise WeightsError(f"no file of weights at {path}", "Give a file, or --weights pretrained")
    if is_script(path):
        found = _read_script(path, trusted)
    elif _starts(path, 9)[8:] == b"{":
        found = _read_safetensors(path)
    else:
        found = _read_torch(path)
    return _unnest(found, path)


def is_script(path: Path) -> bool:
    """Whether the file is a TorchScript archive (a program with its tensors)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _starts(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from None


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is truncated or no safetensors file ({error})", REMEDY) from None


def _read_torch(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        checkpoint = _starts(path, 2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
        fact = "holds Python objects besides tensors" if checkpoint else "is not a checkpoint"
    except Exception:  # whatever a damaged archive makes of torch's readers
        fact = "is truncated or not a checkpoint"
    raise WeightsError(f"{path} {fact}", REMEDY)


def _read_script(path: Path, trusted: str) -> Any:
    import torch

    if not trusted or file_sha256(path) != trusted:
        raise WeightsError(f"{path} is a TorchScript program, and not the official one", REMEDY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())


def _unnest(found: Any, path: Path) -> dict[str, "torch.Tensor"]:
    import torch

    for nest in NESTS:
        if isinstance(found, Mapping) and isinstance(found.get(nest), Mapping):
            found = found[nest]
    if not isinstance(found, Mapping) or not found:
        raise WeightsError(f"{path} holds no named tensors", REMEDY)
    tensors = {str(name): value for name, value in found.items()}
    others = [name for name, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise WeightsError(f"{path} holds no tensor under {others[0]!r}", REMEDY)
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return {name: value.detach() for name, value in tensors.items()}
