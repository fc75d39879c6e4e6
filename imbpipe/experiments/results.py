"""Where finished runs are kept, so that none is ever trained twice.

`runs/<dataset>/<encoder>/<key>.parquet` holds a run's metrics, a row a class: the whole folder reads
with `pandas.read_parquet("cache/runs")`. `scores/<dataset>/<encoder>/<key>.npz` holds its scores, from
which any other metric can be computed later.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError
from imbpipe.experiments.whole import write_whole
from imbpipe.types import Labels, Rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class RunScores:
    """A run's scores on the images that it was not trained on.

    validation, test: (v, c) and (t, c) float32 in (0, 1), kept as float16 logits, which tell scores apart
    near 0 and near 1 alike. *_labels: the same shapes, bool. *_rows: row numbers in the data set.
    thresholds: (c,) a class is predicted where its score is above.
    """

    validation: NDArray[np.float32]
    test: NDArray[np.float32]
    validation_labels: Labels
    test_labels: Labels
    validation_rows: Rows
    test_rows: Rows
    class_names: tuple[str, ...]
    thresholds: NDArray[np.float64]


def to_logits(scores: NDArray[np.float32]) -> NDArray[np.float16]:
    """Scores in [0, 1] as float16 log-odds, clipped to what float16 and float32 can tell apart."""
    inner = np.clip(scores.astype(np.float64), 1e-30, 1 - 2**-24)
    return np.log(inner / (1 - inner)).astype(np.float16)


def to_scores(logits: NDArray[np.float16]) -> NDArray[np.float32]:
    """The inverse of `to_logits`, to float16's precision."""
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


class ResultStore:
    """Finished runs under one cache folder.

    A run is finished when its Parquet file exists; it is written last, and whole.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def metrics_path(self, dataset: str, encoder: str, key: str) -> Path:
        return self.root / "runs" / _folder(dataset) / _folder(encoder) / f"{key}.parquet"

    def scores_path(self, dataset: str, encoder: str, key: str) -> Path:
        return self.root / "scores" / _folder(dataset) / _folder(encoder) / f"{key}.npz"

    def save(self, dataset: str, encoder: str, key: str, metrics: "pd.DataFrame", scores: RunScores) -> None:
        """Keep one finished run. Raises ResultsError: the disk refuses."""
        arrays: dict[str, NDArray[Any]] = {
            "validation_logits": to_logits(scores.validation),
            "test_logits": to_logits(scores.test),
            "validation_labels": np.packbits(scores.validation_labels, axis=1),
            "test_labels": np.packbits(scores.test_labels, axis=1),
            "validation_rows": scores.validation_rows.astype(np.int32),
            "test_rows": scores.test_rows.astype(np.int32),
            "class_names": np.array(scores.class_names),
            "thresholds": scores.thresholds,
        }
        write_whole(self.scores_path(dataset, encoder, key), lambda path: _save_arrays(path, arrays))
        write_whole(self.metrics_path(dataset, encoder, key), metrics.to_parquet)

    def save_table(self, name: str, rows: list[dict[str, Any]]) -> Path:
        """Keep a table that was made of runs as `tables/<name>.parquet`; returns its path.

        rows: dictionaries in dictionaries become columns such as "difference.low".
        Raises ResultsError: the disk refuses.
        """
        import pandas as pd

        path = self.root / "tables" / f"{_folder(name)}.parquet"
        write_whole(path, pd.json_normalize(rows).to_parquet)
        return path

    def missing(self, dataset: str, encoder: str, keys: Iterable[str]) -> list[str]:
        """The keys of runs that are not finished."""
        return [key for key in keys if not self.metrics_path(dataset, encoder, key).exists()]

    def load(self, dataset: str, encoder: str, keys: Iterable[str]) -> "pd.DataFrame":
        """The metrics of finished runs, a row a (run, class). Raises ResultsError: one cannot be read."""
        import pandas as pd

        tables = []
        for key in keys:
            path = self.metrics_path(dataset, encoder, key)
            try:
                tables.append(pd.read_parquet(path))
            except FileNotFoundError:
                raise ResultsError(
                    f"no finished run {key} in {path.parent}", "Run: imbpipe compare"
                ) from None
            except (OSError, ValueError) as error:
                raise ResultsError(f"{path}: {error}", "Delete the file and train again") from None
        return pd.concat(tables, ignore_index=True)

    def scores(self, dataset: str, encoder: str, key: str) -> RunScores:
        """The scores of one finished run. Raises ResultsError: they are missing or damaged."""
        path = self.scores_path(dataset, encoder, key)
        try:
            with np.load(path, allow_pickle=False) as kept:
                arrays = dict(kept)
        except (OSError, ValueError, KeyError) as error:
            raise ResultsError(f"{path}: {error}", "Delete the run's two files and train again") from None
        names = tuple(arrays["class_names"].tolist())
        return RunScores(
            validation=to_scores(arrays["validation_logits"]),
            test=to_scores(arrays["test_logits"]),
            validation_labels=_unpack(arrays["validation_labels"], len(names)),
            test_labels=_unpack(arrays["test_labels"], len(names)),
            validation_rows=arrays["validation_rows"].astype(np.int64),
            test_rows=arrays["test_rows"].astype(np.int64),
            class_names=names,
            thresholds=arrays["thresholds"],
        )


def _folder(name: str) -> str:
    return re.sub(r"[^\w.@-]+", "-", name).strip(".") or "unnamed"


def _save_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Not compressed: that would take longer than training many a run, and save a seventh."""
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes names for options


def _unpack(bits: NDArray[np.uint8], classes: int) -> Labels:
    return np.unpackbits(bits, axis=1, count=classes).view(np.bool_)
