"""`imbpipe labels`: what the labels alone tell, before anything is encoded."""

import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from imbpipe.cli import options
from imbpipe.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from imbpipe.datasets.options import ReadOptions
    from imbpipe.experiments.label_report import LabelReport

LONGEST = 20


@click.command()
@options.dataset
@options.root
@click.option(
    "--percentile", default=25.0, show_default=True, type=click.FloatRange(0, 100),
    help="A class is low-frequency at or below this percentile of the counts.",
)  # fmt: skip
@options.label_reading
@options.as_json
def labels(dataset: str, root: Path | None, percentile: float, reading: "ReadOptions", as_json: bool) -> None:
    """Say how imbalanced labels are, and what weighting and resampling would do to every class.

    Only labels are read; images need not be there. "IR" is the imbalance ratio; "rare in" the share of random
    80 % parts of the images in which the class is low-frequency; "with rare" the share of its images
    that also carry a low-frequency class, and "at x10" what share of its weight those get when they count ten
    times; "under" and "over" are its images an epoch by the strategies' defaults.

    \b
      imbpipe labels --dataset path/to/table.csv
    """
    from imbpipe.datasets.load import load_dataset
    from imbpipe.experiments.label_report import in_words, label_report

    data = load_dataset(dataset, root=root, options=replace(reading, images_needed=False))
    for note in data.notes:
        say(note)
    report = label_report(data, percentile=percentile)
    if as_json:
        print_json(_plain(report))
        return
    whole = report.imbalance
    click.echo(
        f"{data.name}: {len(data):,} images, {len(data.class_names)} classes, {data.task}\n"
        f"{whole.cardinality:.2f} labels an image (density {whole.density:.3f}), "
        f"{whole.label_sets:,} distinct sets\n"
        f"imbalance ratio: mean {whole.mean_ratio:.1f}, highest {whole.max_ratio:.1f}, "
        f"coefficient of variation {whole.cv_ratio:.2f}\n"
        f"SCUMBLE {whole.scumble:.3f} (coefficient of variation {whole.scumble_cv:.2f})\n"
    )
    print_table(*_table(report))
    click.echo("* low-frequency\n")
    for line in [*in_words(report), *_neighbours(report)]:
        click.echo(textwrap.fill(line, 80, subsequent_indent="  "))


def _table(report: "LabelReport") -> tuple[list[str], list[list[str]]]:
    columns = ["class", "images", "IR", "rare in", "with rare", "at x10", "under", "over"]
    rows = []
    for c in np.argsort(-report.counts, kind="stable"):
        name = report.dataset.class_names[c]
        ratio = report.imbalance.ratio[c]
        rows.append(
            [
                ("* " if report.low[c] else "  ") + textwrap.shorten(name, LONGEST, placeholder="…"),
                f"{report.counts[c]:,}",
                f"{ratio:.1f}" if np.isfinite(ratio) else "none",
                f"{report.stability.share[c]:.0%}",
                _share(report.rare_neighbours[c]),
                _share(report.weighted[c]),
                f"{report.undersampled[c]:,}",
                f"{report.oversampled[c]:,}",
            ]
        )
    return columns, rows


def _share(value: float) -> str:
    return f"{value:.0%}" if value == value else "none"


def _neighbours(report: "LabelReport") -> list[str]:
    """The classes that most often come with each low-frequency one."""
    if report.dataset.task == "single-label":
        return []
    told = []
    for c in np.flatnonzero(report.low & (report.counts > 0)):
        shares = report.together[c] / report.counts[c]
        shares[c] = 0
        most = [k for k in np.argsort(-shares, kind="stable")[:3] if shares[k] > 0]
        with_whom = ", ".join(f"{report.dataset.class_names[k]} {shares[k]:.0%}" for k in most)
        told.append(f"{report.dataset.class_names[c]} comes with: {with_whom or 'no other class'}.")
    return told


def _plain(report: "LabelReport") -> dict[str, object]:
    from imbpipe.experiments.label_report import in_words

    whole = {key: value for key, value in asdict(report.imbalance).items() if key != "ratio"}
    classes = [
        {
            "class": name,
            "images": int(report.counts[c]),
            "imbalance_ratio": float(report.imbalance.ratio[c]) if report.counts[c] else None,
            "low_frequency": bool(report.low[c]),
            "low_frequency_in": float(report.stability.share[c]),
            "with_low_frequency": float(report.rare_neighbours[c]),
            "weight_at_factor_10": float(report.weighted[c]),
            "undersampled": int(report.undersampled[c]),
            "oversampled": int(report.oversampled[c]),
            "together_with": dict(zip(report.dataset.class_names, report.together[c].tolist(), strict=True)),
        }
        for c, name in enumerate(report.dataset.class_names)
    ]
    same = report.stability.same
    return {**whole, "same_low_frequency_set": same, "in_words": in_words(report), "classes": classes}
