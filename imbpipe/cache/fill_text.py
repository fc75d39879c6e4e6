"""Encode the class names that the cache does not hold yet."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from imbpipe.cache.spec import Spec
from imbpipe.cache.text import TextFeatures
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.prompts import captions, templates_of
from imbpipe.encoders.text import TextEncoder
from imbpipe.errors import NoTextError, StoreError

if TYPE_CHECKING:
    from imbpipe.cache.store import FeatureStore


def fill_text(
    store: "FeatureStore",
    dataset: Dataset,
    encoder: TextEncoder,
    name: str,
    spec: Spec,
    templates: Sequence[str] = (),
) -> None:
    """Encode the class names of `dataset` unless what is stored of them is current.

    name: the encoder's. templates: captions with {} in the place of the class; none: those that are stored
    already, else those that suit the data set.
    Weights of the image tower alone leave the features without text, unless templates are given.
    Raises NoTextError: with templates. WeightsError: the weights hold another text tower.
    """
    stored = None
    with suppress(StoreError):  # damaged, and written anew
        stored = store.text(dataset.name, name, spec)
    try:
        tower = dict(encoder.text_identity())
    except NoTextError:
        if templates:
            raise
        return
    chosen = tuple(templates) or (stored.templates if stored else templates_of(dataset.name))
    wanted = (dataset.class_names, chosen, tower)
    if stored and (stored.class_names, stored.templates, stored.tower) == wanted:
        return
    prompts = [caption for class_name in dataset.class_names for caption in captions(class_name, chosen)]
    features = encoder.encode_text(prompts).reshape(len(dataset.class_names), len(chosen), -1)
    store.write_text(dataset.name, name, spec, TextFeatures(*wanted, features))
