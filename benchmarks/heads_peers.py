"""How others train the paper's head: one function each, seconds for the work that it says it did."""

import time
import warnings

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

BATCH, RATE, HIDDEN = 64, 1e-3, 128


def head(d: int, c: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(d, HIDDEN), nn.ReLU(), nn.Dropout(0.2), nn.Linear(HIDDEN, c))


def step(model: nn.Module, adam: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    adam.zero_grad()
    binary_cross_entropy_with_logits(model(x), y).backward()
    adam.step()


def data_loader(x: Tensor, y: Tensor, steps: int) -> float:
    """One head; a DataLoader over a TensorDataset, shuffled, in the main process."""
    model = head(x.shape[1], y.shape[1])
    adam = torch.optim.Adam(model.parameters(), RATE)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), BATCH, shuffle=True)
    started = time.perf_counter()
    for _, (rows, targets) in zip(range(steps), loader, strict=False):
        step(model, adam, rows, targets)
    return time.perf_counter() - started


def index_loop(x: Tensor, y: Tensor, steps: int) -> float:
    """One head; batches by indexing the tensors in memory."""
    model = head(x.shape[1], y.shape[1])
    adam = torch.optim.Adam(model.parameters(), RATE)
    started = time.perf_counter()
    for rows in torch.randperm(len(x)).split(BATCH)[:steps]:
        step(model, adam, x[rows], y[rows])
    return time.perf_counter() - started


def scikit_learn(x: Tensor, y: Tensor, steps: int) -> float:
    """One head; MLPClassifier without dropout, which it does not have."""
    from sklearn.neural_network import MLPClassifier

    rows = steps * BATCH
    model = MLPClassifier((HIDDEN,), alpha=0, batch_size=BATCH, learning_rate_init=RATE, max_iter=1)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge
        model.fit(x[:rows].numpy(), y[:rows].numpy())
    return time.perf_counter() - started


def module_dict(x: Tensor, y: Tensor, steps: int, heads: int) -> float:
    """All heads in a ModuleDict on the same batch, losses summed, one Adam (as DINOv2 evaluates)."""
    models = nn.ModuleDict({str(k): head(x.shape[1], y.shape[1]) for k in range(heads)})
    adam = torch.optim.Adam(models.parameters(), RATE)
    order = torch.randperm(len(x)).split(BATCH)[: steps + 1]
    for number, rows in enumerate(order):
        if number == 1:  # the first makes Adam's moments
            started = time.perf_counter()
        adam.zero_grad()
        some, targets = x[rows], y[rows]
        sum(binary_cross_entropy_with_logits(model(some), targets) for model in models.values()).backward()
        adam.step()
    return time.perf_counter() - started


def vmap(x: Tensor, y: Tensor, steps: int, heads: int) -> float:
    """All heads as one function by torch.func.vmap on the same batch, Adam over the stacked parameters."""
    models = [head(x.shape[1], y.shape[1]) for _ in range(heads)]
    parameters, _ = torch.func.stack_module_state(models)
    adam = torch.optim.Adam(parameters.values(), RATE)

    def loss(p: dict[str, Tensor], some: Tensor, targets: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(torch.func.functional_call(models[0], p, (some,)), targets)

    slopes = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None), randomness="different")
    order = torch.randperm(len(x)).split(BATCH)[: steps + 1]
    for number, rows in enumerate(order):
        if number == 1:
            started = time.perf_counter()
        for name, slope in slopes(parameters, x[rows], y[rows]).items():
            parameters[name].grad = slope
        adam.step()
    return time.perf_counter() - started


def encode(images: int) -> float:
    """Seconds to encode `images` 224x224 images by ResNet-18 (random weights, decoded already)."""
    from torchvision.models import resnet18

    model = resnet18(weights=None).eval()
    batch = torch.rand(16, 3, 224, 224)
    with torch.inference_mode():
        model(batch)
        started = time.perf_counter()
        for _ in range(-(-images // 16)):
            model(batch)
    return (time.perf_counter() - started) / (-(-images // 16) * 16) * images
