"""One head trained the slow, plain way: torch.nn, autograd, torch.optim. What banks are compared with."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize
from torchvision.ops import sigmoid_focal_loss

from imbpipe.heads.align import aligned
from imbpipe.heads.draws import dropout_masks, epoch_rows, mask_keys
from imbpipe.heads.losses import LOSSES
from imbpipe.heads.run import Protocol, Run


def asymmetric(z: Tensor, y: Tensor, gamma_pos: float, gamma_neg: float, clip: float) -> Tensor:
    """Ridnik et al. (2021), as written; tested against timm, which gives only the sum."""
    q = z.sigmoid()
    low = (q - clip).clamp(min=0)
    positive = (1 - q) ** gamma_pos * q.clamp(min=1e-8).log()
    negative = low**gamma_neg * (1 - low).clamp(min=1e-8).log()
    return -(y * positive + (1 - y) * negative)


def negative_tolerant(z: Tensor, y: Tensor, scale: float, gamma: float) -> Tensor:
    """Wu et al. (2020), negative-tolerant regularisation, with a focal factor on either side."""
    focal = partial(sigmoid_focal_loss, alpha=-1, gamma=gamma)
    negative = focal(scale * z, torch.zeros_like(z)) / scale
    return y * focal(z, torch.ones_like(z)) + (1 - y) * negative


def ldam(z: Tensor, y: Tensor, margin: np.ndarray, scale: float) -> Tensor:
    """Cao et al. (2019), equation 13."""
    return -y * (scale * (z - y * torch.as_tensor(margin))).log_softmax(1)


VALUES: dict[str, Callable[..., Tensor]] = {
    "bce": partial(binary_cross_entropy_with_logits, reduction="none"),
    "focal": partial(sigmoid_focal_loss, reduction="none"),
    "asymmetric": asymmetric,
    "negative-tolerant": negative_tolerant,
    "softmax": lambda z, y: -y * z.log_softmax(1),
    "ldam": ldam,
}
"""Each loss of a row and a class, before weights: (n, c) for logits and targets (n, c)."""


class Classifier(nn.Module):
    """The three kinds of head. Dropout by given masks, so that two implementations can drop the same."""

    def __init__(self, d: int, c: int, protocol: Protocol) -> None:
        super().__init__()
        head = protocol.head
        self.kind, self.keep = head.kind, 1 - head.dropout
        if self.kind == "mlp":
            self.hidden = nn.Linear(d, head.hidden)
            d = head.hidden
        self.output = nn.Linear(d, c)
        if self.kind == "cosine":
            self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.kind == "mlp":
            x = self.hidden(x).relu()
            x = x if mask is None else x * mask / self.keep
        if self.kind == "cosine":
            weight = normalize(self.output.weight, dim=1)
            return self.scale * normalize(x, dim=1) @ weight.T + self.output.bias
        return self.output(x)


def train_by_hand(
    features: np.ndarray,
    labels: np.ndarray,
    run: Run,
    protocol: Protocol,
    validation_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Classifier:
    """The head as `Protocol`, `Run` and `Plan` describe it, a batch at a time."""
    dtype = torch.float64 if features.dtype == np.float64 else torch.float32
    x_all, y_all = torch.tensor(features), torch.tensor(labels).to(dtype)
    x, y = x_all[run.train], y_all[run.train]
    if run.plan.synthetic is not None:
        x = torch.cat([x, torch.tensor(run.plan.synthetic.features).to(dtype)])
        y = torch.cat([y, torch.tensor(run.plan.synthetic.labels).to(dtype)])
    torch.manual_seed(run.seed)
    head = Classifier(x.shape[1], y.shape[1], protocol).to(dtype)
    adam = torch.optim.Adam(head.parameters(), protocol.learning_rate)
    falls = torch.optim.lr_scheduler.StepLR(adam, protocol.step or 10**9, protocol.gamma)
    best, best_epoch, best_state = torch.inf, 0, {}
    for epoch in range(protocol.epochs):
        phase = [p for p in run.plan.phases if p.start * protocol.epochs <= epoch + 1e-9][-1]
        loss = LOSSES[phase.loss]
        weight = torch.ones_like(y)
        if phase.weight is not None:
            weight *= torch.tensor(phase.weight.reshape(len(y), -1))
        per_batch = phase.weight_per == "batch"
        order = torch.tensor(epoch_rows(phase, len(run.train), run.seed, epoch))
        batches = order.split(protocol.batch_size)
        masks = _masks(run, protocol, epoch, len(batches), dtype)
        for rows, mask in zip(batches, masks, strict=True):
            z = head(x[rows], None if mask is None else mask[:, : len(rows)].T)
            if phase.offset is not None:
                z = z + torch.tensor(phase.offset)
            parameters = {**loss.defaults, **phase.parameters}
            factors = weight[rows].mean(0, keepdim=True) if per_batch else weight[rows]
            value = (factors * VALUES[phase.loss](z, y[rows], **parameters)).sum() / len(rows)
            adam.zero_grad()
            (value if loss.link == "softmax" else value / y.shape[1]).backward()
            adam.step()
        falls.step()
        if validation_loss is not None and phase is run.plan.phases[-1]:
            with torch.no_grad():
                now = validation_loss(head(x_all[run.validation]), y_all[run.validation])
            if now < best:
                best, best_epoch = now, epoch
                best_state = {name: value.clone() for name, value in head.state_dict().items()}
            elif epoch - best_epoch >= (protocol.patience or 0):
                break
    if best_state:
        head.load_state_dict(best_state)
    return head


def _masks(
    run: Run, protocol: Protocol, epoch: int, steps: int, dtype: torch.dtype
) -> list[Tensor] | list[None]:
    if protocol.head.kind != "mlp" or not protocol.head.dropout:
        return [None] * steps
    keys = torch.tensor(mask_keys(run.seed, epoch, steps))
    return [
        *dropout_masks(
            keys, protocol.head.hidden, aligned(protocol.batch_size), 1 - protocol.head.dropout, dtype
        )
    ]
