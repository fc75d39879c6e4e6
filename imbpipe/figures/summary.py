"""Results as figures need them: the rows of one data set by each encoder, and intervals over runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imbpipe.datasets.dataset import Dataset
from imbpipe.errors import ResultsError
from imbpipe.evaluation.intervals import Interval, t_interval
from imbpipe.figures.figure import FigureInputs, Needs
from imbpipe.figures.text import encoder_title
from imbpipe.types import Task

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "dataset",
    "encoder",
    "weights",
    "strategy",
    "setting",
    "parameters",
    "seed",
    "split",
    "class_name",
    "count_train",
    "low_frequency",
)
"""What every row of results says, one row a (run, class), besides its metrics."""

ONCE = ["encoder", "strategy", "parameters", "seed", "split", "class_name"]
REMEDY = "Run: imbpipe compare experiments/paper.toml"


@dataclass(frozen=True, eq=False)
class Panel:
    """The results of one encoder. title: as readers call it. weights: their kind. rows: of the results."""

    title: str
    weights: str
    rows: "pd.DataFrame"


@dataclass(frozen=True, eq=False)
class Shown:
    """What one figure shows of the results.

    metric: a column. panels: an encoder each, at least one. notes: what is left out and why.
    """

    dataset: Dataset
    metric: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> "pd.DataFrame":
        import pandas as pd

        return pd.concat([panel.rows for panel in self.panels])

    @property
    def repeated(self) -> bool:
        """Whether a point stands for more than one run, so that it has an interval."""
        return len(self.rows[["seed", "split"]].drop_duplicates()) > 1

    def classes(self, *, low: bool) -> "pd.DataFrame":
        """class_name and count_train of the low-frequency classes or of the others, most frequent first.

        Over several splits a class belongs where it is in most runs; its count is the mean.
        Raises ResultsError: there is none.
        """
        means = self.rows.groupby("class_name")[["count_train", "low_frequency"]].mean()
        chosen = means[(means["low_frequency"] > 0.5) == low]
        if chosen.empty:
            raise ResultsError(f"the results on {self.dataset.name!r} have no {group_name(low=low)}")
        counts = chosen[["count_train"]].round().astype(int).reset_index()
        return counts.sort_values(["count_train", "class_name"], ascending=[False, True], ignore_index=True)

    def intervals(self, rows: "pd.DataFrame", names: Sequence[str]) -> Interval:
        """The metric of each named class over the runs in `rows`; a run without a value does not count."""
        table = rows.pivot(index=["seed", "split"], columns="class_name", values=self.metric)
        return t_interval(table.reindex(columns=list(names)).to_numpy(dtype=float))

    def share(self, class_name: str) -> float:
        """The share of all images that carry the class; NaN where the data set does not know it."""
        names = self.dataset.class_names
        return self.dataset.labels[:, names.index(class_name)].mean() if class_name in names else float("nan")


def group_name(*, low: bool) -> str:
    return "low-frequency classes" if low else "remaining classes"


def shown(inputs: FigureInputs, task: Task, needs: Needs, remedy: str = REMEDY) -> Shown:
    """The results on the set of that task by the first encoders, as many as the figure needs.

    remedy: what makes results that are missing.
    Raises ResultsError: nothing to draw, a column is missing, runs that do not belong together.
    """
    dataset = inputs.multi if task == "multi-label" else inputs.single
    if dataset is None:
        raise ResultsError(f"no {task} data set was given", "Name one with --dataset")
    if inputs.results is None:
        raise ResultsError("no results were given", remedy)
    missing = [name for name in (*COLUMNS, inputs.metric) if name not in inputs.results]
    if missing:
        raise ResultsError(f"the results have no column {', '.join(map(repr, missing))}", remedy)
    strategies = {wanted.strategy for wanted in needs.runs}
    encoders = inputs.encoders[: needs.encoders]
    rows = inputs.results
    rows = rows[(rows["dataset"] == dataset.name) & rows["strategy"].isin(strategies)]
    of = {encoder: rows[rows["encoder"] == encoder] for encoder in encoders}
    empty = [encoder for encoder in encoders if (of[encoder]["strategy"] == "baseline").all()]
    if len(empty) == len(encoders):
        what = " or ".join(sorted(strategies - {"baseline"}))
        raise ResultsError(f"no results of {what} on {dataset.name!r} by {' or '.join(encoders)}", remedy)
    panels = tuple(_panel(encoder, of[encoder]) for encoder in encoders if encoder not in empty)
    notes = tuple(f"No panel for {encoder_title(encoder, '')}: it has no results." for encoder in empty)
    return Shown(dataset, inputs.metric, panels, notes)


def _panel(encoder: str, rows: "pd.DataFrame") -> Panel:
    kinds = sorted(rows["weights"].unique())
    if len(kinds) > 1:
        raise ResultsError(
            f"results of {encoder!r} with {' and '.join(kinds)} weights are mixed", "Keep one kind"
        )
    twice = rows[rows.duplicated(ONCE)]
    if len(twice):
        first = twice.iloc[0]
        raise ResultsError(
            f"the results hold a run twice: {encoder}, {first['strategy']} {first['setting']}, "
            f"seed {first['seed']}, split {first['split']}",
            "Keep the runs of one experiment",
        )
    return Panel(encoder_title(encoder, kinds[0]), kinds[0], rows)
