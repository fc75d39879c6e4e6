"""What `imbpipe evaluate` shows a person."""

from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli.output import print_table

if TYPE_CHECKING:
    from imbpipe.evaluation.audit import Audit
    from imbpipe.evaluation.rivals import Rival
    from imbpipe.evaluation.saved import SavedScores

WIDEST = 16
"""Characters of a name in a table."""


def print_run(saved: "SavedScores", found: "Audit", run: int) -> None:
    """One run's classes, the most frequent first: what holds, and what the paper would have plotted."""
    if len(saved.runs) > 1:
        click.echo(f"Run {saved.runs[run]!r} of {len(saved.runs)}:")
    print_table(*_honest(saved, found, run))
    few = [name for name, count in zip(saved.class_names, found.positives, strict=True) if count < 2]
    if few:
        click.echo(f"Fewer than two images, so no interval, and not in the mean: {', '.join(few)}")
    click.echo(
        '\nThe paper\'s "accuracy" is the share of images predicted negative, at thresholds\n'
        'searched for on the scored images. Always answering "no" would be plotted at 1:'
    )
    print_table(*_paper(saved, found, run))
    plotted = found.paper["predicted_negative_rate"][run]
    worst = max(_by_frequency(found), key=lambda column: plotted[column] * (found.positives[column] > 0))
    seen = round(found.paper["recall"][run, worst] * found.positives[worst])
    click.echo(
        f"Plotted highest: {_short(saved.class_names[worst])}, {plotted[worst]:.3f}, "
        f"with {seen} of its {found.positives[worst]} images found"
    )


def _short(name: str, widest: int = WIDEST) -> str:
    return name if len(name) <= widest else f"{name[: widest - 1]}…"


def _by_frequency(found: "Audit") -> list[int]:
    return sorted(range(len(found.positives)), key=lambda column: -found.positives[column])


def _number(value: float, digits: int = 2) -> str:
    return "" if value != value else f"{value:.{digits}f}"


def _span(ends: tuple[Any, Any], place: Any) -> str:
    low, high = (float(end[place]) for end in ends)
    return "" if low != low else f"{low:.2f}-{high:.2f}"


def _honest(saved: "SavedScores", found: "Audit", run: int) -> tuple[list[str], list[list[str]]]:
    from imbpipe.evaluation.groups import group_means

    columns = ["class", "images", "AP", "95 %", "prec.", "95 %", "recall", "95 %"]
    rows = [
        [
            _short(saved.class_names[column]),
            str(found.positives[column]),
            *(
                text
                for metric, ends in (
                    ("ap", found.ap),
                    ("precision", found.precision),
                    ("recall", found.recall),
                )
                for text in (_number(found.values[metric][run, column]), _span(ends, (run, column)))
            ),
        ]
        for column in _by_frequency(found)
    ]
    told = {"told": found.positives > 1}
    metrics = ("ap", "precision", "recall")
    means = [float(group_means(found.values[name], told)["told"].mean[run]) for name in metrics]
    ap, precision, recall = map(_number, means)
    return columns, [*rows, ["mean", "", ap, _span(found.mean_ap, run), precision, "", recall, ""]]


def _paper(saved: "SavedScores", found: "Audit", run: int) -> tuple[list[str], list[list[str]]]:
    columns = ["class", "threshold", "plotted", "accuracy", 'always "no"', "precision", "recall"]
    names = ("predicted_negative_rate", "accuracy")
    return columns, [
        [
            _short(saved.class_names[column]),
            f"{found.paper_thresholds[run, column]:.2f}",
            *(_number(found.paper[name][run, column], 3) for name in names),
            f"{1 - found.positives[column] / len(saved.labels):.3f}",
            *(_number(found.paper[name][run, column]) for name in ("precision", "recall")),
        ]
        for column in _by_frequency(found)
    ]


def print_rivals(saved: "SavedScores", rivals: "list[Rival]", metric: str) -> None:
    """Every run against the first, in a metric and in what F2 gains by thresholds and by ranking."""
    import numpy as np

    first, classes = _short(saved.runs[0], 12), rivals[0].together.classes
    click.echo(
        f"\nChange in {metric} against {first!r}, mean over {classes} classes.\n"
        "Intervals are over other images, for these heads; seed noise is not covered.\n"
        f"Answers are of {len(rivals)} comparisons at once (Holm):"
    )
    rows = []
    for rival in rivals:
        one = rival.together
        interval = "" if np.isnan(one.low) else f"[{one.low:+.3f}, {one.high:+.3f}]"
        gains = [float(np.nanmean(part)) for part in (rival.f2.total, rival.f2.threshold, rival.f2.ranking)]
        changes = ["" if np.isnan(change) else f"{change:+.3f}" for change in (float(one.estimate), *gains)]
        rows.append([_short(rival.run, 12), changes[0], interval, rival.answer, *changes[1:]])
    print_table(["run", "change", "95 % interval", "this head", "F2", "threshold", "ranking"], rows)
    click.echo(
        "F2 changes by thresholds (the first run with as many predictions, in its own\n"
        "order of images) and by a better order (ranking)."
    )
    least = [float(rival.together.detectable) for rival in rivals]
    if not np.isnan(least).all():
        click.echo(
            f"Found with a chance of 80 %: a true change in {metric} of {np.nanmax(least):.3f} or more, "
            "tested alone"
        )
