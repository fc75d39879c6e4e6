"""`imbpipe labels`: what labels say of imbalance before any training."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.labels_tables import print_study
from imbpipe.cli.output import print_json, say

if TYPE_CHECKING:
    from imbpipe.datasets.options import ReadOptions
    from imbpipe.experiments.label_study import LabelStudy


@click.command()
@options.dataset
@options.root
@options.label_reading
@click.option(
    "--splits", type=click.IntRange(1), default=1000, show_default=True, metavar="N",
    help="Random splits to see whether the low-frequency set stays the same.",
)  # fmt: skip
@click.option(
    "--fraction", type=options.Share(), default=0.8, show_default=True, metavar="SHARE",
    help="Of the images in the part of a random split that counts.",
)  # fmt: skip
@click.option(
    "--percentile", type=click.FloatRange(0, 100), default=25.0, show_default=True, metavar="NUMBER",
    help="A class is low-frequency when its count is at or below this percentile of the counts.",
)  # fmt: skip
@click.option(
    "--factor", type=click.FloatRange(0), default=10.0, show_default=True, metavar="NUMBER",
    help="Up-weighting of images with a low-frequency class.",
)  # fmt: skip
@click.option(
    "--undersample", type=click.IntRange(1), metavar="N",
    help="Images a class keeps; default: as many as the rarest has.",
)  # fmt: skip
@click.option(
    "--oversample", type=click.IntRange(1), metavar="N",
    help="Draws a class reaches; default: as many as the most frequent has.",
)  # fmt: skip
@options.as_json
def labels(dataset: str, root: Path | None, reading: "ReadOptions", as_json: bool, **asked: Any) -> None:
    """Say how imbalanced the labels are before anything is trained.

    Reads labels alone; images need not be there. Low-frequency classes and whether a random split changes
    which they are, imbalance ratios, which labels come together, and what up-weighting and resampling do
    to every label's weight and count.

    \b
      imbpipe labels --dataset path/to/table.csv
      imbpipe labels --dataset planet --undersample 200 --oversample 30000
    """
    from imbpipe.datasets.labels import rare_class_notes
    from imbpipe.datasets.load import load_dataset
    from imbpipe.experiments.label_study import Questions, study_labels

    data = load_dataset(dataset, root=root, options=replace(reading, images_needed=False))
    study = study_labels(data, Questions(**asked))
    for note in (*data.notes, *rare_class_notes(data)):
        say(f"Note: {note}.")
    if as_json:
        print_json(_document(study))
    else:
        print_study(study)


def _document(study: "LabelStudy") -> dict[str, Any]:
    from imbpipe.experiments.label_study import facts

    names, all_of, found = study.dataset.class_names, study.imbalance, study.stability
    columns = {
        "count": study.counts,
        "share": study.counts / len(study.dataset),
        "irlbl": all_of.ratios,
        "scumble": all_of.label_scumble,
        "low_frequency": found.low,
        "low_frequency_in_splits": found.share,
        "positive_weight": study.upweighted.positive_weight,
        "negative_weight": study.upweighted.negative_weight,
        "weight_from_low_frequency_images": study.upweighted.from_marked,
        "effective_share": study.upweighted.prevalence,
        "undersampled": study.undersampled.positives,
        "oversampled": study.oversampled.positives,
    }
    return {
        "dataset": study.dataset.name,
        "task": study.dataset.task,
        "images": len(study.dataset),
        "asked": vars(study.asked),
        "mean_ir": all_of.mean_ir,
        "cv_ir": all_of.cv_ir,
        "max_ir": all_of.max_ir,
        "cardinality": all_of.cardinality,
        "density": all_of.density,
        "label_sets": all_of.label_sets,
        "single_label_sets": all_of.single_label_sets,
        "scumble": all_of.scumble,
        "scumble_cv": all_of.scumble_cv,
        "low_frequency_set_unchanged": found.unchanged,
        "rows": {"undersampled": study.undersampled.rows, "oversampled": study.oversampled.rows},
        "classes": [
            {"class": name, **{column: values[c].item() for column, values in columns.items()}}
            for c, name in enumerate(names)
        ],
        "pairs": [{**vars(p), "first": names[p.first], "second": names[p.second]} for p in study.pairs],
        "facts": facts(study),
    }
