"""Networks of timm, up to the pooled features that its classifier would see."""

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.architecture import Architecture, Official, Tensors, image_size, known_name, versions

if TYPE_CHECKING:
    import torch

TENSORS = {
    "vit_small_patch14_dinov2.lvd142m": frozenset(
        {"c6cd034ce939ce1a219a01686bcae78601c12720be85084a9608be1375c7e1ac"}
    )
}
HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def architecture(spec: str) -> Architecture:
    """`spec`: NAME, NAME.TAG or NAME@PIXELS, as timm names them; without PIXELS the network's own size.

    Raises UnknownNameError; UsageError: not a size.
    """
    import timm
    import torch
    from timm.data import create_transform, resolve_data_config

    model, _, pixels = spec.partition("@")
    known_name("timm model", model, [*timm.list_models(), *timm.list_models(include_tags=True)], "timm:")
    config: Any = timm.get_pretrained_cfg(model)
    data = resolve_data_config({"img_size": image_size(pixels)} if pixels else {}, config.to_dict())
    sized: dict[str, Any] = {"img_size": data["input_size"][-1]} if config.fixed_input_size else {}
    name = f"{config.architecture}.{config.tag}" if config.tag else config.architecture
    return Architecture(
        initialise=partial(timm.create_model, model, pretrained=False, num_classes=0, **sized),
        fit=partial(_fit, model, config, sized),
        transform=create_transform(**data, is_training=False),
        identity={
            "library": "timm",
            "architecture": model.partition(".")[0],
            "layer": "pooled, before the classifier",
            "preprocess": _fields(data),
            "versions": versions("timm", "torchvision", "torch"),
        },
        official=Official(
            name,
            url=config.url or "",
            cache=os.path.join(torch.hub.get_dir(), "checkpoints"),
            hub=config.hf_hub_id or "",
            hub_files=HUB_FILES,
            tensors=TENSORS.get(name, frozenset()),
        ),
    )


def _fit(model: str, config: Any, sized: Mapping[str, Any], tensors: Tensors) -> "torch.nn.Module":
    """Load every tensor that timm's own filter for this network leaves, the classifier's too, then drop it.

    Loading the classifier keeps timm strict; with `num_classes=0` it would let a missing key pass. Its
    size is the file's, or the published one where the file calls it something that the filter renames.
    """
    name = config.classifier[0] if isinstance(config.classifier, tuple) else config.classifier
    head = tensors.get(f"{name}.weight")
    sizes = (0 if head is None else len(head), config.num_classes)
    try:
        network = _load(model, sizes[0], sized, tensors)
    except RuntimeError:
        if sizes[0] == sizes[1]:
            raise
        network = _load(model, sizes[1], sized, tensors)
    network.reset_classifier(0)
    return network


def _load(model: str, classes: int, sized: Mapping[str, Any], tensors: Tensors) -> Any:
    import timm

    overlay = {"state_dict": dict(tensors), "num_classes": classes, "custom_load": False}
    return timm.create_model(
        model, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay, **sized
    )


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()} | {
        "antialias": True,
        "mode": "RGB",
    }
