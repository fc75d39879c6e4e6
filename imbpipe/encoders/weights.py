"""A network with its parameters: pretrained ones, a file's, or random ones."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from imbpipe.encoders.architecture import Architecture, Official, Tensors
from imbpipe.encoders.checkpoint import file_sha256, read_tensors, tensors_sha256
from imbpipe.encoders.encoder import Weights
from imbpipe.encoders.pretrained import obtain
from imbpipe.errors import WeightsError

if TYPE_CHECKING:
    import torch


def with_weights(architecture: Architecture, weights: str, seed: int) -> tuple["torch.nn.Module", Weights]:
    """Build a network with `weights`: "pretrained", "random" (drawn from `seed`), or a file's path.

    Raises WeightsError: not to be had, not a checkpoint, or of another network.
    """
    if weights == "random":
        return _random(architecture, seed)
    official = architecture.official
    if weights == "pretrained":
        tensors, origin = obtain(official)
    else:
        tensors, origin = read_tensors(Path(weights), trusted=official.sha256), weights
    network = _fit(architecture, tensors, origin)
    published = weights == "pretrained" or _is_official(Path(weights), tensors, official)
    sha256 = tensors_sha256(network.state_dict())
    return network, Weights("pretrained" if published else "file", origin, sha256)


def _is_official(file: Path, tensors: Tensors, official: Official) -> bool:
    """Whether a file that was named holds what "pretrained" would have given."""
    named = bool(official.sha256) and file_sha256(file).startswith(official.sha256)
    return named or (bool(official.tensors) and tensors_sha256(tensors) in official.tensors)


def _random(architecture: Architecture, seed: int) -> tuple["torch.nn.Module", Weights]:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = architecture.initialise()
    return network, Weights("random", f"random, seed {seed}", tensors_sha256(network.state_dict()))


def _fit(architecture: Architecture, tensors: Tensors, origin: str) -> "torch.nn.Module":
    import torch

    try:
        with torch.random.fork_rng(devices=[]):
            return architecture.fit(tensors)
    except (RuntimeError, KeyError, AttributeError) as error:
        model = architecture.identity["architecture"]
        raise WeightsError(
            f"{origin} holds another network than {model}: {_mismatch(error)}",
            "Give the file of this encoder, or name the encoder of this file",
        ) from None


def _mismatch(error: Exception) -> str:
    """The first wrong tensors out of the message of `load_state_dict`."""
    text = " ".join(str(error).split())
    lists = re.findall(r"(Missing|Unexpected) key\(s\) in state_dict: (.*?)(?:\. |\.?$)", text)
    facts = [f"{kind.lower()} {_first(names)}" for kind, names in lists]
    sizes = re.findall(r"size mismatch for (\S+): .*?Size\((\[.*?\])\).*?Size\((\[.*?\])\)", text)
    facts += [f"{name} is {found}, not {wanted}" for name, found, wanted in sizes[:1]]
    return "; ".join(facts) or text[:120]


def _first(quoted: str, count: int = 3) -> str:
    names = re.findall(r'"([^"]+)"', quoted)
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
