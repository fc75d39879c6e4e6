"""Scores that another program saved: `labels`, `class_names`, and one or several arrays of scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imbpipe.errors import ResultsError, UsageError
from imbpipe.evaluation.curve import BankScores
from imbpipe.types import Labels

Logits = Literal["sigmoid", "softmax"]

LAYOUT = "It needs labels, class_names and scores, or scores_NAME for each of several runs"


@dataclass(frozen=True, eq=False)
class SavedScores:
    """labels: (n, c). class_names: c. runs: k names. scores: (k, n, c) in [0, 1]."""

    labels: Labels
    class_names: tuple[str, ...]
    runs: tuple[str, ...]
    scores: BankScores


def read_saved(path: Path, logits: Logits | None = None) -> SavedScores:
    """Read an .npz, .csv, .tsv or .parquet file.

    .npz: `labels` (n, c) of 0 and 1, or (n,) class numbers from 0; `class_names` (c,); `scores` (n, c), or
    `scores_NAME` for each run. Tables hold a row an image and a column for each array and class, named
    `labels:CLASS`, `scores:CLASS`, `scores_NAME:CLASS`; other columns are passed over.
    logits: how scores outside [0, 1] become probabilities: "sigmoid" for each class by itself, "softmax"
        over the classes of an image.
    Raises ResultsError: a file that cannot be read, arrays missing or not of one shape, labels that are not
    0 or 1, scores that are no probabilities, no class with positives and negatives. UsageError: a file of
    another kind; logits asked for that are none.
    """
    arrays = _read(path)
    for name in ("labels", "class_names"):
        if name not in arrays:
            raise ResultsError(f"{path} holds no {name}, only {', '.join(arrays) or 'nothing'}", LAYOUT)
    names = _class_names(path, arrays["class_names"])
    labels = _labels(path, arrays["labels"], names)
    keys = [key for key in arrays if key == "scores" or key.startswith("scores_")]
    if not keys:
        raise ResultsError(f"{path} holds no scores, only {', '.join(arrays)}", LAYOUT)
    scores = np.stack([_scores(path, key, arrays[key], labels, names, logits) for key in keys])
    runs = tuple(key.removeprefix("scores_") for key in keys)
    return SavedScores(labels, names, runs, scores)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    from imbpipe.evaluation.saved_table import read_table

    suffix = path.suffix.lower()
    if suffix not in (".npz", ".csv", ".tsv", ".parquet"):
        raise UsageError(f"{path} is no .npz, .csv, .tsv or .parquet file", LAYOUT)
    return _read_npz(path) if suffix == ".npz" else read_table(path)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    from zipfile import BadZipFile

    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise ResultsError(f"there is no file {path}", "Check the path") from None
    except BadZipFile:
        raise ResultsError(f"{path} is no archive of arrays", "Save it with numpy.savez") from None
    except (OSError, EOFError) as error:
        raise ResultsError(f"cannot read {path}: {error}", "Save it again with numpy.savez") from None
    except ValueError:
        raise ResultsError(
            f"{path} holds pickled objects, which are not read",
            "Save names as numpy.array(names, dtype=str), and the rest as numbers",
        ) from None


def _class_names(path: Path, given: NDArray[Any]) -> tuple[str, ...]:
    if given.ndim != 1 or given.dtype.kind not in "US":
        raise ResultsError(
            f"class_names of {path} are {given.dtype} of shape {given.shape}", "Give one text a class"
        )
    names = tuple(given.astype(str).tolist())
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice or "" in names:
        fact = f"names the class {twice[0]!r} twice" if twice else "has a class without a name"
        raise ResultsError(f"{path} {fact}", "Give each class a name of its own")
    return names


def _labels(path: Path, given: NDArray[Any], names: tuple[str, ...]) -> Labels:
    if given.ndim == 1 and given.dtype.kind in "iu" and len(given):
        if given.min() < 0 or given.max() >= len(names):
            raise ResultsError(
                f"{path} has labels from {given.min()} to {given.max()} for {len(names)} class names",
                "Class numbers begin at 0",
            )
        given = given[:, None] == np.arange(len(names))
    if given.ndim != 2 or given.shape[1] != len(names) or not len(given):
        raise ResultsError(
            f"{path} has labels of shape {given.shape} for {len(names)} class names",
            "Labels are (images, classes)",
        )
    bad = np.argwhere((given != 0) & (given != 1)) if given.dtype.kind in "iufb" else np.zeros((1, 2), int)
    if len(bad):
        row, column = bad[0]
        raise ResultsError(
            f"{path}: the label {given[row, column]} of image {row}, class {names[column]!r}, is not 0 or 1",
            "Labels say which classes an image has",
        )
    labels = given.astype(np.bool_)
    if not (labels.any(axis=0) & ~labels.all(axis=0)).any():
        raise ResultsError(
            f"{path} has no class with both positive and negative images", "There is nothing to tell apart"
        )
    return labels


def _scores(
    path: Path,
    key: str,
    given: NDArray[Any],
    labels: Labels,
    names: tuple[str, ...],
    logits: Logits | None,
) -> NDArray[np.float64]:
    if given.shape != labels.shape:
        raise ResultsError(
            f"{path} has {key} of shape {given.shape} for labels of shape {labels.shape}",
            "Both are (images, classes)",
        )
    if given.dtype.kind not in "iufb":
        raise ResultsError(f"{path} has {key} of type {given.dtype}", "Scores are numbers")
    scores = given.astype(np.float64)
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        raise ResultsError(
            f"{path}: {key} of image {row}, class {names[column]!r}, is {scores[row, column]}",
            "Give a number for every image and class",
        )
    inside = scores.min() >= 0 and scores.max() <= 1
    if logits is None and not inside:
        raise ResultsError(
            f"{path}: {key} run from {scores.min():.4g} to {scores.max():.4g}, so they are no probabilities",
            "If they are logits, pass --logits sigmoid (each class by itself) or --logits softmax",
        )
    if logits is not None and inside:
        raise UsageError(f"{path}: {key} lie in [0, 1] and are probabilities already", "Leave out --logits")
    return scores if logits is None else _probabilities(scores, logits)


def _probabilities(scores: NDArray[np.float64], logits: Logits) -> NDArray[np.float64]:
    from scipy.special import expit, softmax

    return expit(scores) if logits == "sigmoid" else softmax(scores, axis=1)
