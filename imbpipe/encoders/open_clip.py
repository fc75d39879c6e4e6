"""Image and text towers of open_clip."""

import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.architecture import Architecture, Official, Tensors, TextTower, known_name, versions
from imbpipe.encoders.assemble import assemble
from imbpipe.encoders.compute import Compute
from imbpipe.encoders.encoder import ENCODERS, Encoder
from imbpipe.errors import NoTextError, UsageError

if TYPE_CHECKING:
    import torch

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TOWER = "visual."


@ENCODERS.add("clip")
def clip(*, weights: str, device: str, seed: int, compute: Compute) -> Encoder:
    """CLIP ViT-B/32 with OpenAI's weights, 512-d image embedding, not normalised.

    Source: Radford et al. (2021), "Learning Transferable Visual Models From Natural Language Supervision".
    """
    return assemble("clip", architecture("ViT-B-32-quickgelu/openai"), weights, device, seed, compute)


def architecture(spec: str) -> Architecture:
    """`spec`: MODEL/PRETRAINED, as open_clip names them.

    Raises UnknownNameError; UsageError: no PRETRAINED, or weights trained with another activation.
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg
    from open_clip.transform import PreprocessCfg, image_transform_v2

    model, _, tag = spec.partition("/")
    known_name("open_clip model", model, open_clip.list_models(), "open_clip:")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if not tag:
        some = ", ".join(tags[:6]) + (f", … ({len(tags)} in all)" if len(tags) > 6 else "")
        raise UsageError(f"open_clip:{model} names no weights", f"Give open_clip:{model}/TAG: {some}")
    known_name(f"weights of open_clip's {model}", tag, tags, f"open_clip:{model}/")
    config, published = open_clip.get_model_config(model), get_pretrained_cfg(model, tag)
    _check_activation(model, tag, config, published)
    preprocess = _fields(config, published)
    return Architecture(
        initialise=partial(_tower, config),
        fit=partial(_fit, config),
        transform=image_transform_v2(PreprocessCfg(**preprocess), is_train=False),
        identity={
            "library": "open_clip",
            "architecture": model,
            "quick_gelu": bool(config.get("quick_gelu")),
            "layer": "image embedding, not normalised",
            "preprocess": preprocess | {"crop_mode": "center", "antialias": True},
            "versions": versions("open_clip_torch", "torchvision", "torch"),
        },
        official=_official(model, tag, published),
        text=_text(model, config),
    )


def _check_activation(model: str, tag: str, config: dict[str, Any], published: dict[str, Any]) -> None:
    """Weights trained with QuickGELU load into a GELU network without a word and give wrong features."""
    if published.get("quick_gelu") and not config.get("quick_gelu"):
        raise UsageError(
            f"the weights {tag!r} were trained with QuickGELU, and open_clip's {model} computes GELU",
            f"Give open_clip:{model}-quickgelu/{tag}",
        )


def _official(model: str, tag: str, published: dict[str, Any]) -> Official:
    url, (hub, _, file) = published.get("url", ""), published.get("hf_hub", "").rpartition("/")
    folder, _, name = url.rpartition("/")
    by_folder, by_name = folder.rpartition("/")[2], name.rpartition(".")[0].rpartition("-")[2]
    return Official(
        f"{model}-{tag}",
        url=url,
        cache=os.path.expanduser("~/.cache/clip"),
        sha256=by_folder if "openaipublic" in url else by_name if "mlfoundations" in url else "",
        hub=hub,
        hub_files=(file,) if file else HUB_FILES,
    )


def _fields(config: dict[str, Any], published: dict[str, Any]) -> dict[str, Any]:
    """Every field of open_clip's preprocessing for these weights, as JSON values."""
    from open_clip.transform import PreprocessCfg

    said = {field.name: published[field.name] for field in fields(PreprocessCfg) if field.name in published}
    full = asdict(PreprocessCfg(**said | {"size": config["vision_cfg"].get("image_size", 224)}))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in full.items()}


def _tower(config: dict[str, Any]) -> "torch.nn.Module":
    """The image tower alone: no text tower to build, and nothing that open_clip fetches for one."""
    from open_clip.model import _build_vision_tower

    vision = config["vision_cfg"] | {"output_tokens": False, "timm_model_pretrained": False}
    return _build_vision_tower(config["embed_dim"], vision, quick_gelu=bool(config.get("quick_gelu")))


def _fit(config: dict[str, Any], tensors: Tensors) -> "torch.nn.Module":
    tower = _tower(config)
    seen = {name.removeprefix(TOWER): tensor for name, tensor in tensors.items() if name.startswith(TOWER)}
    tower.load_state_dict(seen)
    return tower


def _text(model: str, config: dict[str, Any]) -> TextTower | None:
    """None where vocabulary or tower would have to be fetched from somewhere."""
    text = config["text_cfg"]
    if text.get("hf_model_name") or text.get("hf_tokenizer_name") or "siglip" in model.lower():
        return None
    return TextTower(
        initialise=partial(_text_tower, config),
        fit=partial(_fit_text, config),
        tokenize=partial(_tokens, model),
        identity={
            "library": "open_clip",
            "architecture": model,
            "layer": "text embedding, not normalised",
            "versions": versions("open_clip_torch", "torch"),
        },
    )


def _tokens(model: str, prompts: Sequence[str]) -> "torch.Tensor":
    from open_clip import get_tokenizer

    return get_tokenizer(model)(list(prompts))


def _text_tower(config: dict[str, Any]) -> "torch.nn.Module":
    from open_clip.model import _build_text_tower

    text = config["text_cfg"] | {"output_tokens": False}
    return _build_text_tower(config["embed_dim"], text, quick_gelu=bool(config.get("quick_gelu")))


def _fit_text(config: dict[str, Any], tensors: Tensors) -> "torch.nn.Module":
    """A checkpoint holds the text tower under a name of its own, or spread out beside the image tower.

    Raises NoTextError: it holds none.
    """
    tower = _text_tower(config)
    own = {name.removeprefix("text."): tensor for name, tensor in tensors.items() if name.startswith("text.")}
    wanted = tower.state_dict()
    found = own or {name: tensor for name, tensor in tensors.items() if name in wanted}
    if not found:
        raise NoTextError("the weights hold no text tower", "Give --weights a file with both towers")
    tower.load_state_dict(found)
    return tower
