"""What others would write to get features of image files.

Every function gets image paths, the number of DataLoader processes and a file of weights, and returns what
encodes all images and gives their features (n, d). Networks and transforms are the libraries' own.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

Run = Callable[[], np.ndarray]


class Files(Dataset):
    """Images by their paths, through a transform."""

    def __init__(self, paths: Sequence[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


def open_clip_loop(paths: Sequence[Path], workers: int, weights: str) -> Run:
    """open_clip's model and transform in a plain loop over a DataLoader, batches of 64."""
    model, transform = _open_clip(weights)
    return lambda: _loop(model.encode_image, DataLoader(Files(paths, transform), 64, num_workers=workers))


def clip_retrieval_loop(paths: Sequence[Path], workers: int, weights: str) -> Run:
    """The inference of clip-retrieval, restated.

    DataLoader with batches of 256, two ahead; features brought to length 1 and to float16; a .npy and a
    .parquet file at the end. The package itself wants pyarrow 15 and NumPy 1, and fetches its own weights.
    """
    model, transform = _open_clip(weights)

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        features = model.encode_image(pixels)
        return (features / features.norm(dim=-1, keepdim=True)).half()

    ahead = 2 if workers else None
    loader = DataLoader(Files(paths, transform), 256, num_workers=workers, prefetch_factor=ahead)

    def run() -> np.ndarray:
        import pandas as pd

        features = _loop(encode, loader)
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder, "img_emb_0.npy"), features)
            pd.DataFrame({"image_path": map(str, paths)}).to_parquet(Path(folder, "metadata_0.parquet"))
        return features

    return run


def torchvision_loop(paths: Sequence[Path], workers: int, weights: str) -> Run:
    """torchvision's feature extractor and transform in a plain loop over a DataLoader, batches of 64."""
    from torchvision.models import ResNet18_Weights, resnet18
    from torchvision.models.feature_extraction import create_feature_extractor

    network = resnet18(weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    model = create_feature_extractor(network.eval(), ["flatten"])
    transform = ResNet18_Weights.IMAGENET1K_V1.transforms()
    loader = DataLoader(Files(paths, transform), 64, num_workers=workers)
    return lambda: _loop(lambda pixels: model(pixels)["flatten"], loader)


def timm_loop(paths: Sequence[Path], workers: int, weights: str) -> Run:
    """timm's ResNet-18 in a plain loop over a DataLoader, batches of 64, with torchvision's transform."""
    import timm
    from torchvision.models import ResNet18_Weights

    model = timm.create_model("resnet18", pretrained=False, num_classes=0).eval()
    tensors = torch.load(weights, weights_only=True)
    model.load_state_dict({name: value for name, value in tensors.items() if not name.startswith("fc.")})
    transform = ResNet18_Weights.IMAGENET1K_V1.transforms()
    return lambda: _loop(model, DataLoader(Files(paths, transform), 64, num_workers=workers))


def _open_clip(weights: str) -> tuple[Any, Any]:
    import open_clip

    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=None)
    model.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    return model.eval(), transform


@torch.inference_mode()
def _loop(encode: Callable[[torch.Tensor], torch.Tensor], loader: DataLoader) -> np.ndarray:
    return np.concatenate([encode(pixels).cpu().numpy() for pixels in loader])


PEERS: dict[str, dict[str, Callable[[Sequence[Path], int, str], Run]]] = {
    "resnet18": {"torchvision, DataLoader": torchvision_loop, "timm, DataLoader": timm_loop},
    "clip": {"open_clip, DataLoader": open_clip_loop, "clip-retrieval, restated": clip_retrieval_loop},
}


def write_weights(encoder: str, folder: Path) -> str:
    """A file of the network's weights that all can load: the published ones of ResNet-18 where they are to
    be had, else random ones. For clip it holds the image tower alone, since nobody encodes text here."""
    import open_clip
    from torchvision.models import resnet18

    file = folder / f"{encoder}.pt"
    torch.manual_seed(0)
    if encoder == "resnet18":
        network = resnet18(weights=None)
        _take_published(network)
        torch.save(network.state_dict(), file)
    else:
        model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
        tower = {name: value for name, value in model.state_dict().items() if name.startswith("visual.")}
        torch.save(tower, file)
    return str(file)


def _take_published(network: torch.nn.Module) -> None:
    from imbpipe.encoders.load import load_encoder
    from imbpipe.errors import WeightsError

    try:
        trained = load_encoder("resnet18", device="cpu")._network.state_dict()
    except WeightsError:
        return
    network.load_state_dict(trained, strict=False)
