"""The small print under a figure of results: what was measured, on what, how often."""

from imbpipe.figures.metric import meaning
from imbpipe.figures.summary import Shown
from imbpipe.figures.text import dataset_phrase, whole_numbers

WEIGHTS = {
    "pretrained": "pretrained weights",
    "file": "weights from a file",
    "random": "RANDOM WEIGHTS, so nothing here speaks of the real encoder",
}


def results_footer(results: Shown) -> list[str]:
    """Data set, encoders with the kind of their weights, seeds, split, metric, and what is left out."""
    encoders = "; ".join(
        f"{panel.title.removesuffix(', RANDOM WEIGHTS')}, {WEIGHTS.get(panel.weights, panel.weights)}"
        for panel in results.panels
    )
    return [
        f"Data: {dataset_phrase(results.dataset)}; n counts a class's training images.",
        f"Encoder: {encoders}.",
        _runs(results),
        meaning(results.metric),
        *results.notes,
    ]


def _runs(results: Shown) -> str:
    rows = results.rows
    seeds, splits = rows["seed"].unique().tolist(), rows["split"].unique().tolist()
    if len(splits) > 1:
        runs = len(rows[["seed", "split"]].drop_duplicates())
        return (
            f"Points are means over {runs} runs ({len(splits)} splits, {splits[0]} to {splits[-1]}; seeds "
            f"{whole_numbers(seeds)}), bars 95 % t-intervals over the runs, as if splits shared no image."
        )
    where = f"scored on the test part of the {splits[0]} split."
    if not results.repeated:
        return f"One run a point (seed {whole_numbers(seeds)}), hence no interval; {where}"
    return (
        f"Points are means over {len(seeds)} seeds ({whole_numbers(seeds)}), bars 95 % t-intervals: how far "
        f"training again would move the mean, not how far other test images would; {where}"
    )
