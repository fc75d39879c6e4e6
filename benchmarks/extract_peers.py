"""What others would write to get features of image files, each measured in a process of its own.

Every function encodes `paths` once with random weights of seed 0 and returns the number of images. The
networks and the transforms are the libraries' own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class Files(Dataset):
    """Images by their paths, through a transform."""

    def __init__(self, paths: Sequence[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


def open_clip_loop(paths: Sequence[Path], workers: int) -> Callable[[], int]:
    """open_clip's model and transform in a plain loop over a DataLoader, batches of 64."""
    model, transform = _open_clip()
    return lambda: _loop(model.encode_image, DataLoader(Files(paths, transform), 64, num_workers=workers))


def clip_retrieval_loop(paths: Sequence[Path], workers: int) -> Callable[[], int]:
    """The loop of clip-retrieval's inference, restated: batches of 256, two ahead, normalised, float16.

    The package itself wants pyarrow 15 and cannot be installed beside this project's libraries.
    """
    model, transform = _open_clip()

    def encode(pixels: torch.Tensor) -> Any:
        features = model.encode_image(pixels)
        return (features / features.norm(dim=-1, keepdim=True)).half()

    loader = DataLoader(
        Files(paths, transform), 256, num_workers=workers, prefetch_factor=2 if workers else None
    )
    return lambda: _loop(encode, loader)


def torchvision_loop(paths: Sequence[Path], workers: int) -> Callable[[], int]:
    """torchvision's feature extractor and transform in a plain loop over a DataLoader, batches of 64."""
    from torchvision.models import ResNet18_Weights, resnet18
    from torchvision.models.feature_extraction import create_feature_extractor

    torch.manual_seed(0)
    model = create_feature_extractor(resnet18(weights=None).eval(), ["flatten"])
    transform = ResNet18_Weights.IMAGENET1K_V1.transforms()
    return lambda: _loop(
        lambda pixels: model(pixels)["flatten"], DataLoader(Files(paths, transform), 64, num_workers=workers)
    )


def timm_loop(paths: Sequence[Path], workers: int) -> Callable[[], int]:
    """timm's ResNet-18 and transform in a plain loop over a DataLoader, batches of 64."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model("resnet18", pretrained=False, num_classes=0).eval()
    transform = timm.data.create_transform(
        **timm.data.resolve_data_config({}, model=model), is_training=False
    )
    return lambda: _loop(model, DataLoader(Files(paths, transform), 64, num_workers=workers))


def _open_clip() -> tuple[Any, Any]:
    import open_clip

    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=None)
    return model.eval(), transform


@torch.inference_mode()
def _loop(encode: Callable[[torch.Tensor], Any], loader: DataLoader) -> int:
    return sum(len(encode(pixels).cpu().numpy()) for pixels in loader)


PEERS = {
    "clip": {"open_clip, DataLoader": open_clip_loop, "clip-retrieval's loop, restated": clip_retrieval_loop},
    "resnet18": {"torchvision, DataLoader": torchvision_loop, "timm, DataLoader": timm_loop},
}
