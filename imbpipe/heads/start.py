"""Heads that begin with a classifier that is known beforehand."""

from collections.abc import Mapping

import torch
from torch import Tensor

from imbpipe.errors import PlanError
from imbpipe.heads.run import HeadConfig
from imbpipe.strategies.plan import Start


def check_start(start: Start, head: HeadConfig, dimension: int, classes: int) -> None:
    """Raises PlanError: a start of another shape, or with more classes than the hidden layer can hold."""
    shapes = (start.direction.shape, start.bias.shape)
    if shapes != ((classes, dimension), (classes,)):
        raise PlanError(f"a start of shapes {shapes} for {classes} classes of {dimension} dimensions")
    if head.kind == "mlp" and head.hidden < 2 * classes:
        raise PlanError(
            f"a hidden layer of {head.hidden} units cannot start from {classes} classes, which take 2 each",
            f"Use a head 'linear' or 'cosine', or at least {2 * classes} hidden units",
        )


def begin(views: Mapping[str, Tensor], place: int, start: Start) -> None:
    """Write the start over the parameters of the head at `place`.

    A linear head divides the scale by the length of a typical feature. An MLP carries each class's logit
    on two hidden units, one for its positive and one for its negative part; the other units keep their
    random weights and have no say yet.
    """
    p = {name: value[place] for name, value in views.items()}
    direction = torch.as_tensor(start.direction).to(p["output.weight"])
    weight = direction * (start.scale / start.length)
    p["output.bias"][:, 0] = torch.as_tensor(start.bias).to(weight)
    if "output.scale" in p:
        p["output.weight"].copy_(direction)
        p["output.scale"].fill_(start.scale)
    elif "hidden.weight" in p:
        classes = len(weight)
        p["hidden.weight"][: 2 * classes] = torch.cat([weight, -weight])
        p["hidden.bias"][: 2 * classes] = 0
        one = torch.eye(classes).to(weight)
        p["output.weight"].zero_()
        p["output.weight"][:, : 2 * classes] = torch.cat([one, -one], 1)
    else:
        p["output.weight"].copy_(weight)
