"""text.safetensors: the class names of a data set as the encoder's text tower sees them.

One safetensors file beside features.h5 with `features` (c, t, d) <f4: c classes, t captions each, not
normalised. Its metadata has one member, "imbpipe": canonical JSON of `format`, `class_names`, `templates`,
`tower` (what encoded the captions) and `sha256`, that of the JSON without it followed by the features.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache import disk
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import canonical
from imbpipe.errors import StoreError
from imbpipe.types import Features

FORMAT = 1


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """features: (c, t, d) of each class and template, as the tower gave them.

    tower: everything but the captions that changes a number.
    """

    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    tower: Mapping[str, Any]
    features: NDArray[np.float32]

    def classifier(self) -> Features:
        """(c, d) of length 1: each class's captions, all brought to length 1 first, on average.

        Source: Radford et al. (2021), section 3.1.4.
        """
        each = _unit(self.features.astype(np.float64))
        return _unit(each.mean(axis=1)).astype(np.float32)


def write_text(folder: Folder, text: TextFeatures) -> None:
    """Store it whole and durably, in the place of what there was.

    Raises StoreError: a value is not finite, the disk is full.
    """
    from safetensors.numpy import save

    features = np.ascontiguousarray(text.features, "<f4")
    if not np.isfinite(features).all():
        column = int(np.argmin(np.isfinite(features).all(axis=(1, 2))))
        raise StoreError(
            f"the text features of class {text.class_names[column]!r} are not finite",
            "Check the encoder's weights",
        )
    document = _document(text)
    sealed = canonical({**document, "sha256": _seal(document, features)})
    disk.replace_whole(folder.text, save({"features": features}, {"imbpipe": sealed.decode()}))


def read_text(folder: Folder) -> TextFeatures | None:
    """What is stored, verified; None where nothing is. Raises StoreError: it is damaged."""
    try:
        data = folder.text.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk.disk_error(error, folder.text) from error
    try:
        return _parse(data)
    except _Damaged as error:
        raise StoreError(f"{folder.text} is damaged: {error}", folder.repair_command) from None


class _Damaged(Exception):  # noqa: N818 – never leaves this file
    pass


def _parse(data: bytes) -> TextFeatures:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        features = load(data)["features"]
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        document = json.loads(header["__metadata__"]["imbpipe"])
        seal = document.pop("sha256")
        text = TextFeatures(
            tuple(document["class_names"]), tuple(document["templates"]), document["tower"], features
        )
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Damaged(str(error) or type(error).__name__) from None
    if document != _document(text) or features.dtype.str != "<f4" or _seal(document, features) != seal:
        raise _Damaged("its contents do not match its digest")
    if features.shape[:2] != (len(text.class_names), len(text.templates)):
        raise _Damaged(f"features of shape {features.shape}")
    return text


def _document(text: TextFeatures) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "class_names": list(text.class_names),
        "templates": list(text.templates),
        "tower": dict(text.tower),
    }


def _seal(document: Mapping[str, Any], features: NDArray[np.float32]) -> str:
    shape = "x".join(map(str, features.shape)).encode()
    return hashlib.sha256(canonical(document) + shape + features.tobytes()).hexdigest()


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
