"""Records of finished grids."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from imbpipe.evaluation.metrics import METRICS
from imbpipe.experiments.grid import Grid
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import Setting
from imbpipe.tracking.tracker import Record, Tracked, Value

if TYPE_CHECKING:
    import pandas as pd

Differences = Mapping[tuple[str, str], Mapping[str, Value]]
"""(strategy, label of its setting) -> what is known of it against the baseline, by name."""

GROUPS = {True: "low_frequency", False: "remaining"}
LONGEST = 120
"""Characters of a class's name; programs refuse much longer names of metrics."""


def tracked(grids: Sequence[Grid], store: ResultStore, differences: Differences) -> Tracked:
    """All of grids with the same settings, a grid a split. Raises ResultsError: a run is not finished."""
    material = grids[0].material
    dataset, encoder = grids[0].place
    frames = [grid.results(store) for grid in grids]
    records: list[Record] = []
    for setting in grids[0].settings:
        key = _setting_key(grids[0], setting)
        runs = [
            record
            for grid, frame in zip(grids, frames, strict=True)
            for record in _runs(grid, frame, setting, key, store)
        ]
        records += [
            _of_setting(grids[0], setting, key, runs, differences.get((setting.strategy, setting.label), {})),
            *runs,
        ]
    return Tracked(dataset, encoder, records, material)


def _runs(
    grid: Grid, frame: "pd.DataFrame", setting: Setting, setting_key: str, store: ResultStore
) -> Iterator[Record]:
    by_run = dict(iter(frame.groupby("run")))
    for seed in grid.seeds:
        key = grid.keys[setting, seed]
        yield Record(
            key=key,
            name=f"{_name(setting)}, seed {seed}, {grid.split.name}",
            setting=setting_key,
            params={**_params(grid, setting), "seed": seed, "split": grid.split.name},
            metrics=_metrics(by_run[key]),
            tags=_tags(grid),
            finished=store.metrics_path(*grid.place, key).stat().st_mtime,
        )


def _of_setting(
    grid: Grid, setting: Setting, key: str, runs: Sequence[Record], difference: Mapping[str, Value]
) -> Record:
    names = dict.fromkeys(name for run in runs for name in run.metrics if "/" not in name)
    values = {name: [run.metrics[name] for run in runs if name in run.metrics] for name in names}
    told = {name: value for name, value in difference.items() if isinstance(value, float)}
    return Record(
        key=key,
        name=_name(setting),
        setting="",
        params=_params(grid, setting),
        metrics={
            "runs": float(len(runs)),
            **{name: sum(each) / len(each) for name, each in values.items()},
            **{name: value for name, value in told.items() if value == value},
        },
        tags=_tags(grid) | {name: value for name, value in difference.items() if isinstance(value, str)},
        finished=max(run.finished for run in runs),
    )


def _name(setting: Setting) -> str:
    return f"{setting.strategy} ({setting.label})" if setting.label else setting.strategy


def _setting_key(grid: Grid, setting: Setting) -> str:
    """Whatever the splits and seeds: more of them add to the same setting."""
    parts = [_params(grid, setting), grid.material.source.digest, grid.split.name.partition("-")[0]]
    return hashlib.sha256(json.dumps([*grid.place, *parts], sort_keys=True).encode()).hexdigest()[:16]


def _params(grid: Grid, setting: Setting) -> dict[str, Value]:
    protocol = asdict(grid.protocol)
    source = grid.material.source
    chosen = {
        "dataset": source.dataset,
        "encoder": source.encoder,
        "weights": source.spec["weights"],
        "strategy": setting.strategy,
        **setting.values,
        **{f"head_{name}": value for name, value in protocol.pop("head").items()},
        **protocol,
        "thresholds": grid.thresholds,
        "beta": grid.beta,
        "percentile": grid.percentile,
    }
    return {name: _value(value) for name, value in chosen.items() if value is not None}


def _value(value: Any) -> Value:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _tags(grid: Grid) -> dict[str, str]:
    source = grid.material.source
    return {
        "imbpipe.version": version("imbpipe"),
        "imbpipe.features": source.digest,
        "imbpipe.weights_sha256": str(source.spec.get("weights_sha256", "not known")),
        "imbpipe.images": str(len(grid.material.dataset)),
        "imbpipe.task": grid.material.dataset.task,
    }


def _metrics(rows: "pd.DataFrame") -> dict[str, float]:
    """Means over both groups of classes, then every class's; what has no value is left out."""
    names = [name for name in METRICS if name in rows]
    means = {
        f"{name}_{GROUPS[bool(low)]}": value
        for low, group in rows.groupby("low_frequency")
        for name, value in group[names].mean().items()
    }
    classes = _plain_names(rows["class_name"].tolist())
    each = {
        f"{name}/{plain}": value
        for name in [*names, "threshold"]
        for plain, value in zip(classes, rows[name], strict=True)
    }
    return {name: float(value) for name, value in {**means, **each}.items() if value == value}


def _plain_names(names: Sequence[str]) -> list[str]:
    """Without what tracking programs take for a path or refuse; never two alike."""
    plain = [re.sub(r"[^\w. -]", "_", name)[:LONGEST].strip(" .") or "_" for name in names]
    return [
        f"{text} {hashlib.sha256(name.encode()).hexdigest()[:6]}" if plain.count(text) > 1 else text
        for text, name in zip(plain, names, strict=True)
    ]
