"""The package from Python: images and labels in, the comparison out."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from imbpipe.cache.fill import fill
from imbpipe.cache.spec import IMPORTED_PREFIX
from imbpipe.cache.store import FeatureStore
from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.frequency import class_counts
from imbpipe.datasets.load import load_dataset
from imbpipe.datasets.options import ReadOptions
from imbpipe.encoders.encoder import Encoder
from imbpipe.encoders.load import load_encoder
from imbpipe.errors import UsageError, WeightsError
from imbpipe.experiments.pool import pool_of
from imbpipe.experiments.quick import ENCODERS, SEEDS, SPLITS, percentile_for, quick_experiment, quick_file
from imbpipe.experiments.ranking import Difference, check_metric
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.sentences import summary
from imbpipe.report.study import Study
from imbpipe.types import FeatureSet, Progress

if TYPE_CHECKING:
    import pandas as pd

    from imbpipe.figures.ranking import Figure

Data = Union["pd.DataFrame", Dataset, str, "os.PathLike[str]"]
"""A DataFrame with a column of image paths and one of labels (or one of 0 and 1 a class), the path of a
folder or table, or the name of a known data set."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found; a notebook shows its sentences and its table.

    study: everything behind it.
    """

    study: Study

    @property
    def sentences(self) -> list[str]:
        """The answer in words."""
        return summary(self.study.ranking)

    @property
    def table(self) -> "pd.DataFrame":
        """A row a strategy, best on the low-frequency classes first; see `Ranked` and `Difference`."""
        import pandas as pd

        return pd.json_normalize([asdict(row) for row in self.study.ranking.rows])

    @property
    def results(self) -> "pd.DataFrame":
        """A row a (run, class), with every metric."""
        return self.study.results

    def figure(self) -> "Figure":
        """Each strategy's difference from the baseline with its interval, rare classes beside the rest."""
        from imbpipe.figures.ranking import draw_ranking
        from imbpipe.figures.text import dataset_phrase, encoder_title

        study = self.study
        notes = [f"Data: {dataset_phrase(study.dataset)}; {encoder_title(study.encoder, study.weights)}."]
        return draw_ranking(study.ranking, f"Strategies on {study.dataset.name}", notes)

    def report(self, path: "str | os.PathLike[str]" = "report.html") -> Path:
        """Write the whole answer as one page to `path`. Raises ResultsError: the disk refuses."""
        from imbpipe.report.page import report_page
        from imbpipe.report.write import write_page

        title = f"Which way of handling class imbalance helps on {self.study.dataset.name}?"
        write_page(Path(path), report_page([self.study], title=title, command="imbpipe.compare(…).report()"))
        return Path(path)

    def __repr__(self) -> str:
        return "\n".join([self._heading, *self.sentences])

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{escape(line)}</li>" for line in self.sentences)
        table = self._short_table().to_html(index=False, escape=True)
        return f"<p><strong>{escape(self._heading)}</strong></p><ul>{said}</ul>{table}"

    @property
    def _heading(self) -> str:
        study = self.study
        return (
            f"{study.dataset.name} ({len(study.dataset):,} images) by {study.encoder} "
            f"({study.weights} weights), {len(study.runs)} runs a strategy."
        )

    def _short_table(self) -> "pd.DataFrame":
        import pandas as pd

        ranking = self.study.ranking
        on_rare, on_others = "difference on rare classes", "difference on the others"
        return pd.DataFrame(
            [
                {
                    "strategy": f"{row.strategy} {row.setting}".strip(),
                    f"rare {ranking.metric}": _number(row.low_frequency),
                    on_rare: _difference(row.on_low_frequency),
                    f"other {ranking.metric}": _number(row.remaining),
                    on_others: _difference(row.on_remaining),
                }
                for row in ranking.rows
            ]
        )


def _number(value: float) -> str:
    return f"{value:.3f}" if value == value else ""


def _difference(found: Difference | None) -> str:
    """ "+0.037 [-0.123, +0.198] cannot tell"; empty for the baseline and where nothing is known."""
    if found is None or found.estimate != found.estimate:
        return ""
    known = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.low == found.low else ""
    return f"{found.estimate:+.3f}{known} {found.verdict}"


def encode(
    data: Data,
    *,
    encoder: str | Sequence[str] = ENCODERS,
    name: str = "frame",
    cache: "str | os.PathLike[str]" = "cache",
    root: "str | os.PathLike[str] | None" = None,
    folder: "str | os.PathLike[str]" = ".",
    device: str = "auto",
    progress: bool = True,
    **reading: Any,
) -> FeatureSet:
    """The features of every image, encoded where they are not yet; images that cannot be read are left out.

    data: a DataFrame with a column of image paths and one of labels (or one of 0 and 1 a class), the path of
        a folder or table, the name of a known data set, or a Dataset.
    encoder: see `imbpipe encoders`; of several the first whose weights can be had; "imported:NAME" takes
        what `imbpipe cache import` brought.
    name: under which the features of a DataFrame are kept. cache: the folder of features and runs. root: of
        named data sets. folder: that a DataFrame's relative paths are relative to. device: auto, cpu or cuda.
    progress: show bars. reading: see `ReadOptions`.
    Raises ImbpipeError: the fact and what mends it.
    """
    dataset = _dataset(data, name, root, folder, reading)
    store = FeatureStore(Path(cache))
    return _features(dataset, encoder, device, store.load, store, progress)


def compare(
    data: Data,
    *,
    strategies: Sequence[str | Mapping[str, Any]] | None = None,
    encoder: str | Sequence[str] = ENCODERS,
    metric: str = "ap",
    seeds: int = SEEDS,
    splits: int = SPLITS,
    memory: int | None = None,
    name: str = "frame",
    cache: "str | os.PathLike[str]" = "cache",
    root: "str | os.PathLike[str] | None" = None,
    folder: "str | os.PathLike[str]" = ".",
    device: str = "auto",
    progress: bool = True,
    **reading: Any,
) -> Comparison:
    """Encode what is missing, train what is missing, compare every strategy with the baseline.

    strategies: names, or a name with parameters as {"strategy": "upweight", "factor": 5}; None: a short
        list. metric: that decides the ranking. seeds, splits: runs of a setting on a split, and divisions
        into training, validation and test images.
    memory: bytes that features may take, larger ones are read from their file while heads train; None: half
        of what is available.
    data, encoder, name, cache, root, folder, device, progress, reading: as of `encode`.
    Raises ImbpipeError: the fact and what mends it.
    """
    check_metric(metric)
    entries = None
    if strategies is not None:
        if isinstance(strategies, str) or not strategies:
            raise UsageError(f"strategies is {strategies!r}", 'It is a list, as ["oversample"]')
        entries = [{"strategy": each} if isinstance(each, str) else each for each in strategies]
    dataset = _dataset(data, name, root, folder, reading)
    text = quick_file(
        dataset.name,
        dataset.task,
        strategies=entries,
        metric=metric,
        seeds=seeds,
        splits=splits,
        percentile=percentile_for(class_counts(dataset.labels)),
    )
    experiment = quick_experiment(text)
    store, results = FeatureStore(Path(cache), memory=memory), ResultStore(Path(cache))
    features = _features(dataset, encoder, device, store.open, store, progress)
    pool = pool_of(experiment, dataset, features)
    with _bar("training", "heads", progress) as told:
        pool.train(results, device=device, progress=told)
    return Comparison(Study.of(pool, results, metric=metric, margin=experiment.margin))


def _dataset(data: Data, name: str, root: Any, folder: Any, reading: dict[str, Any]) -> Dataset:
    if isinstance(data, Dataset):
        return data
    try:
        options = ReadOptions(**reading)
    except TypeError as error:
        raise UsageError(str(error).removeprefix("ReadOptions.__init__() ")) from None
    if isinstance(data, str | os.PathLike):
        return load_dataset(os.fspath(data), root=None if root is None else Path(root), options=options)
    import pandas as pd

    if not isinstance(data, pd.DataFrame):
        raise UsageError(f"data is a {type(data).__name__}", "Give a DataFrame, a path or a data set's name")
    from imbpipe.datasets.frame import read_frame

    return read_frame(data, options, name=name, folder=Path(folder))


def _encoder(names: str | Sequence[str], device: str) -> Encoder:
    """The first that can be had. Raises WeightsError: none can, with the reasons of all."""
    facts: list[str] = []
    remedy = ""
    for name in [names] if isinstance(names, str) else names:
        try:
            return load_encoder(name, device=device)
        except WeightsError as error:
            facts.append(error.fact)
            remedy = error.remedy
    raise WeightsError("; ".join(facts) or "no encoder is named", remedy)


def _features(
    dataset: Dataset,
    names: str | Sequence[str],
    device: str,
    read: Callable[..., FeatureSet],
    store: FeatureStore,
    progress: bool,
) -> FeatureSet:
    from imbpipe.extract.spec import spec_of

    if isinstance(names, str) and names.startswith(IMPORTED_PREFIX):
        found = read(dataset.name, names)
        store.check_fresh(dataset, found)
        return found
    encoder = _encoder(names, device)
    with _bar(f"{dataset.name} by {encoder.name}", "images", progress) as told:
        fill(store, dataset, encoder, progress=told)
    return read(dataset.name, encoder.name, spec=spec_of(encoder))


@contextmanager
def _bar(what: str, unit: str, show: bool) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(desc=what, unit=f" {unit}", disable=not show, leave=False, delay=0.5) as shown:

        def progress(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield progress
