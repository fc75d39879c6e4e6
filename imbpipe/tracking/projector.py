"""Features for TensorBoard's projector, with a thumbnail and the labels of each image."""

import math
from pathlib import Path

import numpy as np

from imbpipe.errors import ImageError, show
from imbpipe.experiments.material import Material
from imbpipe.extract.decode import decode, read_bytes

MOST = 500
"""Images shown: the rarest classes' first, then at random."""

SIDE = 48
"""Pixels of a thumbnail."""

CONFIG = "projector_config.pbtxt"


def write_projector(folder: Path, material: Material) -> None:
    """tensors.tsv, metadata.tsv, sprite.png and the file that names them, once for the same features.

    An image that is not on this machine is grey. Raises OSError.
    """
    from google.protobuf import text_format
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
    from tensorboard.plugins.text.summary_v2 import text_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    name = f"{material.source.encoder} {material.source.digest[:12]}"
    config = folder / CONFIG
    if config.is_file() and name in config.read_text():
        return
    rows = _chosen(material.dataset.labels)
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "tensors.tsv", material.features[rows], fmt="%.6g", delimiter="\t")
    (folder / "metadata.tsv").write_text(_metadata(material, rows), encoding="utf-8")
    _write_sprite(folder / "sprite.png", [material.dataset.images[row] for row in rows])
    about = ProjectorConfig()
    embedding = about.embeddings.add()
    embedding.tensor_name = name
    embedding.tensor_path = "tensors.tsv"
    embedding.metadata_path = "metadata.tsv"
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([SIDE, SIDE])
    writer = EventFileWriter(str(folder))  # a folder without events is none of TensorBoard's runs
    words = f"{len(rows)} of {len(material.dataset)} images"
    writer.add_event(Event(summary=text_pb("about", words), step=0, wall_time=0))
    writer.close()
    config.write_text(text_format.MessageToString(about))


def _chosen(labels: np.ndarray) -> np.ndarray:
    """At most MOST rows of labels (n, c), ascending."""
    order = np.random.default_rng(0).permutation(len(labels))
    counts = labels.sum(axis=0)
    rarest = np.where(labels, counts, len(labels) + 1).min(axis=1)[order]
    return np.sort(order[np.argsort(rarest, kind="stable")][:MOST])


def _metadata(material: Material, rows: np.ndarray) -> str:
    dataset = material.dataset
    names = np.array([show(name) for name in dataset.class_names], object)
    lines = ["id\tlabels\trarest label"]
    counts = dataset.labels.sum(axis=0)
    for row in rows:
        own = np.flatnonzero(dataset.labels[row])
        rarest = names[own[counts[own].argmin()]] if len(own) else ""
        lines.append(f"{show(dataset.ids[row])}\t{', '.join(names[own])}\t{rarest}")
    return "".join(f"{line}\n" for line in lines)


def _write_sprite(path: Path, images: list[Path]) -> None:
    from PIL import Image

    across = math.ceil(math.sqrt(len(images)))
    sprite = Image.new("RGB", (across * SIDE, across * SIDE), "grey")
    for place, image in enumerate(images):
        try:
            thumbnail = decode(read_bytes(image)).resize((SIDE, SIDE))
        except (ImageError, OSError):
            continue
        sprite.paste(thumbnail, (place % across * SIDE, place // across * SIDE))
    sprite.save(path)
