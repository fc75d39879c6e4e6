"""An encoder by its name."""

from collections.abc import Callable

from imbpipe.encoders import open_clip, timm, torchvision
from imbpipe.encoders.architecture import Architecture
from imbpipe.encoders.assemble import assemble
from imbpipe.encoders.compute import DEFAULT, Compute
from imbpipe.encoders.encoder import ENCODERS, Encoder
from imbpipe.encoders.frozen import resolve_device
from imbpipe.errors import UnknownNameError

LIBRARIES: dict[str, Callable[[str], Architecture]] = {
    "open_clip": open_clip.architecture,
    "torchvision": torchvision.architecture,
    "timm": timm.architecture,
}
FORMS = ("open_clip:MODEL/PRETRAINED", "torchvision:NAME", "timm:NAME", "timm:NAME@PIXELS")


def load_encoder(
    name: str,
    *,
    weights: str = "pretrained",
    device: str = "auto",
    seed: int = 0,
    compute: Compute = DEFAULT,
) -> Encoder:
    """A frozen encoder, ready to encode.

    name: registered ("clip", "resnet18", "mean-colour"), or a library's own, in one of FORMS.
    weights: "pretrained", "random", or the path of a .safetensors, .pth or .pt file.
    device: as torch names it; "auto" is the best there is, "cuda" every GPU. seed: of random weights.
    compute: backend, precision, and how images are made to the network's size.

    Raises UnknownNameError: no such encoder (with the closest names); WeightsError: weights that are
    nowhere to be had within seconds, damaged, or of another network; UsageError: a device, size or
    way of computing that cannot be.
    """
    library, colon, spec = name.partition(":")
    if not colon:
        return ENCODERS[name](weights=weights, device=resolve_device(device), seed=seed, compute=compute)
    if library not in LIBRARIES:
        raise UnknownNameError(f"no library of encoders named {library!r}", f"Forms: {', '.join(FORMS)}")
    return assemble(name, LIBRARIES[library](spec), weights, resolve_device(device), seed, compute)
