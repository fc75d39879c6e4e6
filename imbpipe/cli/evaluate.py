"""`imbpipe evaluate`: honest metrics for anyone's saved scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from imbpipe.cli import options
from imbpipe.cli.evaluate_tables import print_rivals, print_run
from imbpipe.cli.output import print_json

if TYPE_CHECKING:
    from imbpipe.evaluation.audit import Audit, Decided
    from imbpipe.evaluation.effects import Effect
    from imbpipe.evaluation.rivals import Rival
    from imbpipe.evaluation.saved import SavedScores


@click.command()
@click.argument("scores", type=click.Path(path_type=Path))
@click.option("--run", metavar="NAME", help="Whose classes to show; default: the first run's.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1), metavar="NUMBER",
    help="Predict a class above this score; default: chosen class by class.",
)  # fmt: skip
@click.option(
    "--validation", type=click.Path(path_type=Path), metavar="FILE",
    help="Scores of other images, like SCORES, to choose the thresholds on; default: SCORES, cross-fitted.",
)  # fmt: skip
@click.option(
    "--beta", default=2.0, show_default=True, type=click.FloatRange(0, min_open=True),
    help="A class's threshold maximises F-beta.",
)  # fmt: skip
@click.option(
    "--logits", type=click.Choice(["sigmoid", "softmax"]),
    help="Scores are logits: of each class by itself, or of one class an image.",
)  # fmt: skip
@click.option(
    "--metric", default="ap", show_default=True, metavar="NAME", help="In which to compare several runs."
)
@options.as_json
def evaluate(
    scores: Path,
    run: str | None,
    threshold: float | None,
    validation: Path | None,
    beta: float,
    logits: Literal["sigmoid", "softmax"] | None,
    metric: str,
    as_json: bool,
) -> None:
    """Say what saved scores are worth, class by class, and what accuracy hides.

    SCORES is an .npz file of labels (images, classes), class_names and scores (images, classes), or
    scores_NAME for each of several runs; or a .csv or .parquet table with the columns labels:CLASS and
    scores:CLASS (scores_NAME:CLASS). Several runs are compared with the first.

    \b
      imbpipe evaluate scores.npz
      imbpipe evaluate test.npz --validation validation.npz --beta 1
    """
    from imbpipe.errors import UsageError
    from imbpipe.evaluation.audit import audit, decide
    from imbpipe.evaluation.metrics import METRICS
    from imbpipe.evaluation.rivals import against_the_first
    from imbpipe.evaluation.saved import read_saved

    _ = METRICS[metric]
    if threshold is not None and validation is not None:
        raise UsageError("both --threshold and --validation", "Give one of them")
    saved = read_saved(scores, logits)
    if run is not None and run not in saved.runs:
        raise UsageError(f"{scores} has no run {run!r}", f"Its runs: {', '.join(saved.runs)}")
    other = read_saved(validation, logits) if validation else None
    decided = decide(saved, beta, threshold=threshold, validation=other)
    found = audit(saved, decided)
    rivals = against_the_first(saved, decided, metric)
    if as_json:
        print_json(_document(saved, decided, found, rivals, metric))
        return
    click.echo(f"{scores.name}: {len(saved.labels)} images, {len(saved.class_names)} classes")
    click.echo(f"Thresholds: {decided.how}")
    print_run(saved, found, saved.runs.index(run) if run else 0)
    if rivals:
        print_rivals(saved, rivals, metric)
    click.echo("Every metric, run and class: --json")


def _document(
    saved: "SavedScores", decided: "Decided", found: "Audit", rivals: "list[Rival]", metric: str
) -> dict[str, Any]:
    runs = [
        {
            "run": run,
            "mean_ap_interval": _ends(found.mean_ap, number),
            "classes": [
                _class(saved, decided, found, number, column) for column in range(len(found.positives))
            ],
        }
        for number, run in enumerate(saved.runs)
    ]
    return {
        "images": len(saved.labels),
        "thresholds": decided.how,
        "runs": runs,
        "compared_in": metric,
        "against_the_first": [_rival(saved, rival) for rival in rivals],
    }


def _class(saved: "SavedScores", decided: "Decided", found: "Audit", run: int, column: int) -> dict[str, Any]:
    place = run, column
    return {
        "class": saved.class_names[column],
        "positives": int(found.positives[column]),
        "threshold": float(decided.thresholds[place]),
        **{name: float(values[place]) for name, values in found.values.items()},
        **{f"{name}_interval": _ends(getattr(found, name), place) for name in ("ap", "precision", "recall")},
        "paper": {
            "threshold": float(found.paper_thresholds[place]),
            **{name: float(values[place]) for name, values in found.paper.items()},
        },
    }


def _ends(interval: tuple[Any, Any], place: Any) -> list[float]:
    return [float(end[place]) for end in interval]


def _rival(saved: "SavedScores", rival: "Rival") -> dict[str, Any]:
    parts = ("total", "threshold", "ranking")
    return {
        "run": rival.run,
        "verdict": rival.answer,
        **_effect(rival.together, ()),
        "classes": [
            {
                "class": name,
                "verdict": str(rival.answers[column]),
                **_effect(rival.classes, column),
                "adjusted_p": float(rival.adjusted[column]),
                "f2": {part: float(getattr(rival.f2, part)[0, column]) for part in parts},
            }
            for column, name in enumerate(saved.class_names)
        ],
    }


def _effect(effect: "Effect", place: Any) -> dict[str, float]:
    fields = ("estimate", "low", "high", "p", "detectable")
    return {name: float(getattr(effect, name)[place]) for name in fields}
