"""Steps that undo what the class frequencies left in a trained head."""

import numpy as np

from imbpipe.datasets.frequency import class_counts
from imbpipe.heads.bank import Bank
from imbpipe.heads.posthoc.step import POSTHOC, Seen, changed_to, scaled


@POSTHOC.add("logit-adjustment")
def logit_adjustment(heads: Bank, seen: Seen, *, tau: float) -> Bank:
    """Subtract tau times the log of each class's frequency (softmax), or of its odds (sigmoid).

    A class without images counts as half an image, one of all images as all but half.

    Source: Menon et al. (2021), equation 9; the odds are the same argument for each class against the rest.
    """
    images = len(seen.training.labels)
    share = np.clip(class_counts(seen.training.labels), 0.5, images - 0.5) / images
    prior = np.where(heads.softmax[:, None], np.log(share), np.log(share / (1 - share)))
    return changed_to(heads, {"output.bias": heads.parameters["output.bias"] - tau * prior})


@POSTHOC.add("tau-norm")
def tau_norm(heads: Bank, seen: Seen, *, tau: float) -> Bank:
    """Divide each class's weight vector by its length to the power tau.

    The bias of softmax heads is dropped, as published; that of sigmoid heads, which says how rare a class
    is, is divided as well. Weights of a cosine head are all as long as its scale.

    Source: Kang et al. (2020), section 4.1.
    """
    p = heads.parameters
    length = p["output.scale"] if "output.scale" in p else np.linalg.norm(p["output.weight"], axis=2)
    rescaled = scaled(heads, np.maximum(length, np.finfo(np.float32).tiny) ** -tau)
    bias = np.where(heads.softmax[:, None], 0, rescaled.parameters["output.bias"])
    return changed_to(rescaled, {"output.bias": bias})
