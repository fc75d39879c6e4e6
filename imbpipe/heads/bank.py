"""Train many heads over features in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbpipe.heads.losses import LOSSES
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.types import Features, Progress


@dataclass(frozen=True, eq=False)
class Bank:
    """k trained heads.

    runs: k indices into the runs that were given, in the order of the stacked parameters.
    parameters: hidden.weight (k, h, d), hidden.bias (k, h) (MLP only), output.weight (k, c, h or d),
        output.bias (k, c), output.scale (k,) (cosine only). To score changed ones, `dataclasses.replace`.
    softmax: (k,) which heads' scores are a softmax; the others' are sigmoids.
    """

    runs: tuple[int, ...]
    head: HeadConfig
    parameters: dict[str, NDArray[np.float32]]
    softmax: NDArray[np.bool_]

    def logits(self, features: Features) -> NDArray[np.float32]:
        """(k, n, c) for features (n, d)."""
        x = torch.from_numpy(np.ascontiguousarray(features, np.float32)).expand(len(self.runs), -1, -1)
        p = {name: torch.from_numpy(value) for name, value in self.parameters.items()}
        return _logits(x, p, self.head).numpy()

    def scores(self, features: Features) -> NDArray[np.float32]:
        """(k, n, c) in [0, 1] for features (n, d)."""
        z = torch.from_numpy(self.logits(features))
        softmax = torch.from_numpy(self.softmax)[:, None, None]
        return torch.where(softmax, torch.softmax(z, 2), torch.sigmoid(z)).numpy()


def train_heads(
    features: Features,
    labels: NDArray[np.generic],
    runs: Sequence[Run],
    protocol: Protocol,
    *,
    device: str = "auto",
    memory: int = 2 << 30,
    progress: Progress | None = None,
    class_names: Sequence[str] = (),
) -> Iterator[Bank]:
    """Train one head a run; yield them as they finish.

    features: (N, d). labels: (N, c). memory: bytes that training may take beside both.
    Raises PlanError.
    """
    for number, run in enumerate(runs):
        run.plan.check(len(run.train), labels.shape[1])
        parameters, softmax = _train(features, labels, run, protocol)
        if progress is not None:
            progress(number + 1, len(runs))
        yield Bank((number,), protocol.head, parameters, np.array([softmax]))


def _logits(x: Tensor, p: dict[str, Tensor], head: HeadConfig, mask: Tensor | None = None) -> Tensor:
    """(k, n, c) of x (k, n, d)."""
    if head.kind == "mlp":
        x = torch.baddbmm(p["hidden.bias"][:, None], x, p["hidden.weight"].mT).relu()
        x = x if mask is None else x * mask
    w = p["output.weight"]
    if head.kind == "cosine":
        x = torch.nn.functional.normalize(x, dim=2) * p["output.scale"][:, None, None]
        w = torch.nn.functional.normalize(w, dim=2)
    return torch.baddbmm(p["output.bias"][:, None], x, w.mT)


def _initial(d: int, c: int, head: HeadConfig, seed: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)

    def linear(inside: int, outside: int) -> tuple[Tensor, Tensor]:
        bound = inside**-0.5
        return (
            torch.empty(1, outside, inside).uniform_(-bound, bound, generator=g),
            torch.empty(1, outside).uniform_(-bound, bound, generator=g),
        )

    p = {}
    if head.kind == "mlp":
        p["hidden.weight"], p["hidden.bias"] = linear(d, head.hidden)
        d = head.hidden
    p["output.weight"], p["output.bias"] = linear(d, c)
    if head.kind == "cosine":
        p["output.scale"] = torch.full((1,), 10.0)
    return p


def _train(
    features: Features, labels: NDArray[np.generic], run: Run, protocol: Protocol
) -> tuple[dict[str, NDArray[np.float32]], bool]:
    x = torch.from_numpy(np.asarray(features[run.train], np.float32))
    y = torch.from_numpy(np.asarray(labels[run.train], np.float32))
    if run.plan.synthetic is not None:
        x = torch.cat([x, torch.from_numpy(run.plan.synthetic.features)])
        y = torch.cat([y, torch.from_numpy(run.plan.synthetic.labels)])
    p = _initial(x.shape[1], y.shape[1], protocol.head, run.seed)
    for value in p.values():
        value.requires_grad_()
    adam = torch.optim.Adam(p.values(), lr=protocol.learning_rate)
    rng = np.random.default_rng(run.seed)
    masks = torch.Generator().manual_seed(run.seed)
    keep = 1 - protocol.head.dropout
    for epoch in range(protocol.epochs):
        phase = [f for f in run.plan.phases if round(f.start * protocol.epochs) <= epoch][-1]
        loss = LOSSES[phase.loss]
        settings = {k: torch.as_tensor(v) for k, v in {**loss.defaults, **phase.parameters}.items()}
        settings = {k: v.reshape(1, -1, 1) for k, v in settings.items()}
        rows = np.arange(len(run.train)) if phase.rows is None else phase.rows
        if phase.probability is not None:
            drawn = phase.probability / phase.probability.sum()
            rows = rng.choice(len(drawn), len(rows), p=drawn)
        w = torch.ones(len(x)) if phase.weight is None else torch.from_numpy(phase.weight)
        w = w if w.ndim == 2 else w[:, None].expand(y.shape)
        if protocol.step is not None:
            adam.param_groups[0]["lr"] = protocol.learning_rate * protocol.gamma ** (epoch // protocol.step)
        for batch in torch.from_numpy(rng.permutation(rows)).split(protocol.batch_size):
            mask = torch.rand(1, len(batch), protocol.head.hidden, generator=masks) < keep
            z = _logits(x[batch][None], p, protocol.head, mask / keep).mT
            if phase.offset is not None:
                z = z + torch.from_numpy(phase.offset)[:, None]
            value = loss.value(z, y[batch].T[None], w[batch].T[None], settings).sum() / len(batch)
            (value if loss.link == "softmax" else value / y.shape[1]).backward()
            adam.step()
            adam.zero_grad()
    last = LOSSES[run.plan.phases[-1].loss].link
    return {name: value.detach().numpy() for name, value in p.items()}, last == "softmax"
