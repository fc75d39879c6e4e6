"""What `imbpipe labels` shows a person."""

import textwrap
from typing import TYPE_CHECKING

import click

from imbpipe.cli.output import print_table, tell

if TYPE_CHECKING:
    from imbpipe.experiments.label_study import LabelStudy

WIDEST = 16
"""Characters of a name in a table."""


def print_study(study: "LabelStudy") -> None:
    """Four tables, the most frequent class first, and the facts that matter in words."""
    import numpy as np

    from imbpipe.experiments.label_study import facts

    order = [int(c) for c in np.argsort(-study.counts, kind="stable")]
    several = study.dataset.task == "multi-label"
    tell(f"{study.dataset.name}: {len(study.dataset):,} images, {len(order)} classes, {study.dataset.task}")
    print_table(*_classes(study, order))
    _wrap(
        f"IRLbl: most frequent count over own. Rare: count at or below the {study.asked.percentile:g}th "
        f"percentile; splits: share of {study.stability.splits:,} random splits in which it is."
    )
    click.echo()
    print_table(["of the whole", "value"], _whole(study))
    if several:
        click.echo("\nThe strongest pairs; phi above 0: together more often than by chance")
        print_table(*_pairs(study))
    click.echo(
        f"\nImages with a rare class weighted by {study.asked.factor:g}: mean weight, and what comes of it"
    )
    print_table(*_weights(study, order))
    click.echo("\nImages drawn an epoch (one random draw)")
    print_table(*_drawn(study, order))
    click.echo()
    for fact in facts(study):
        _wrap(fact)


def _wrap(text: str) -> None:
    for line in textwrap.wrap(text, 80, subsequent_indent="  "):
        tell(line)


def _short(name: str, widest: int = WIDEST) -> str:
    return name if len(name) <= widest else f"{name[: widest - 1]}…"


def _number(value: float, digits: int) -> str:
    return "" if value != value else f"{value:.{digits}f}"


def _percent(share: float) -> str:
    return "" if share != share else f"{100 * share:.1f} %"


def _classes(study: "LabelStudy", order: list[int]) -> tuple[list[str], list[list[str]]]:
    names, low = study.dataset.class_names, study.stability.low
    several = study.dataset.task == "multi-label"
    rows = [
        [
            _short(names[c]),
            str(study.counts[c]),
            _percent(study.counts[c] / len(study.dataset)),
            _number(study.imbalance.ratios[c], 1),
            "rare" if low[c] else "",
            _percent(study.stability.share[c]),
            *([_companion(study, c)] if several else []),
        ]
        for c in order
    ]
    columns = ["class", "images", "share", "IRLbl", "rare", "splits"]
    return [*columns, *(["most often with"] if several else [])], rows


def _companion(study: "LabelStudy", label: int) -> str:
    """The other label that the most of this label's images carry."""
    shares = study.company[label].copy()
    shares[label] = -1
    other = int(shares.argmax()) if study.counts[label] else label
    if other == label or shares[other] <= 0:
        return ""
    share = ">99%" if 0.99 < shares[other] < 1 else f"{shares[other]:.0%}"
    return f"{_short(study.dataset.class_names[other], 13)} {share}"


def _whole(study: "LabelStudy") -> list[list[str]]:
    found = study.imbalance
    rows = [
        ["MeanIR (mean IRLbl)", _number(found.mean_ir, 2)],
        ["CVIR (its variation)", _number(found.cv_ir, 3)],
        ["MaxIR (largest IRLbl)", _number(found.max_ir, 1)],
    ]
    if study.dataset.task == "single-label":
        return rows
    return [
        *rows,
        ["label cardinality (labels an image)", _number(found.cardinality, 3)],
        ["label density", _number(found.density, 3)],
        ["distinct label sets", str(found.label_sets)],
        ["label sets of one image only", str(found.single_label_sets)],
        ["SCUMBLE (rare and frequent labels share images)", _number(found.scumble, 3)],
        ["SCUMBLE.CV", _number(found.scumble_cv, 3)],
    ]


def _pairs(study: "LabelStudy") -> tuple[list[str], list[list[str]]]:
    names = study.dataset.class_names
    return ["first", "second", "images", "of first", "of second", "phi"], [
        [
            _short(names[pair.first]),
            _short(names[pair.second]),
            str(pair.together),
            _percent(pair.share_of_first),
            _percent(pair.share_of_second),
            f"{pair.phi:+.2f}",
        ]
        for pair in study.pairs
    ]


def _weights(study: "LabelStudy", order: list[int]) -> tuple[list[str], list[list[str]]]:
    after = study.upweighted
    columns = ["class", "positives", "negatives", "from rare images", "share", "share then"]
    return columns, [
        [
            _short(study.dataset.class_names[c]),
            _number(after.positive_weight[c], 2),
            _number(after.negative_weight[c], 2),
            _percent(after.from_marked[c]),
            _percent(study.counts[c] / len(study.dataset)),
            _percent(after.prevalence[c]),
        ]
        for c in order
    ]


def _drawn(study: "LabelStudy", order: list[int]) -> tuple[list[str], list[list[str]]]:
    plans = {"undersampled": study.undersampled, "oversampled": study.oversampled}
    rows = [
        [
            _short(study.dataset.class_names[c]),
            str(study.counts[c]),
            *(f"{plan.positives[c]:.0f}" for plan in plans.values()),
        ]
        for c in order
    ]
    total = ["all images", str(len(study.dataset)), *(str(plan.rows) for plan in plans.values())]
    return ["class", "images", *plans], [*rows, total]
