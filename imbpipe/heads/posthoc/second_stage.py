"""Training the classifier a second time, on the hidden layer as it is."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imbpipe.cache.stored import StoredFeatures, joined
from imbpipe.heads.bank import Bank, train_heads
from imbpipe.heads.posthoc.step import POSTHOC, Part, Seen, changed_to, hidden_units, take
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.strategies.plan import Phase, Plan

AT_ONCE = 8
"""Heads whose hidden units are in memory together."""


@POSTHOC.add("retrain-classifier")
def retrain_classifier(heads: Bank, seen: Seen, *, phase: Phase, epochs: int) -> Bank:
    """Train the output layer anew on the hidden units of the training images, without dropout.

    It starts from what the seed gives and is trained as the head was, but in this phase and for `epochs`.
    The hidden layer stays as it is.

    Source: Kang et al. (2020), section 4.2, "classifier re-training".
    """
    kind = seen.protocol.head.kind
    protocol = replace(seen.protocol, head=HeadConfig("linear" if kind == "mlp" else kind), epochs=epochs)
    places = range(len(heads.runs))
    at_once = 1 if isinstance(seen.training.features, StoredFeatures) else AT_ONCE
    parts = []
    for start in places[::at_once]:
        some = places[start : start + at_once]
        seeds = tuple(seen.seeds[place] for place in some)
        parts.append(_retrain(take(heads, some), replace(seen, seeds=seeds), Plan((phase,)), protocol))
    return changed_to(heads, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _retrain(heads: Bank, seen: Seen, plan: Plan, protocol: Protocol) -> dict[str, NDArray]:
    """The output layer's parameters, (k, …) each."""
    images = Part(
        joined(seen.training.features, seen.validation.features),
        np.concatenate([seen.training.labels, seen.validation.labels]),
    )
    total, trained_on = len(images.labels), len(seen.training.labels)
    views = len(heads.runs) if "hidden.weight" in heads.parameters else 1
    features = joined(*(hidden_units(heads, head, images.features) for head in range(views)))
    labels = np.tile(images.labels, (views, 1))
    runs = []
    for head, seed in enumerate(seen.seeds):
        rows = np.arange(total) + total * (head if views > 1 else 0)
        runs.append(Run(rows[:trained_on], rows[trained_on:], plan, seed))
    banks = train_heads(features, labels, runs, protocol, device=heads.device)
    found = {
        run: {name: value[place] for name, value in bank.parameters.items()}
        for bank in banks
        for place, run in enumerate(bank.runs)
    }
    return {name: np.stack([found[run][name] for run in range(len(runs))]) for name in found[0]}
