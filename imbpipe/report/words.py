"""The answer in sentences."""

import numpy as np

from imbpipe.experiments.table import Comparison, compare_with_baseline
from imbpipe.report.study import Study

METRIC = "ap"


def verdict(study: Study) -> list[str]:
    """What helps the rare classes, what it costs the others, and what cannot be told, in that order.

    By mean average precision over the classes of a group; a difference is told where its 95 % interval
    leaves out 0.
    """
    rows = compare_with_baseline(study.results, METRIC)
    rare = [row for row in rows if row.group == "low-frequency" and row.difference is not None]
    rest = {_name(row): row for row in rows if row.group == "remaining"}
    if not rare:
        return ["Only the baseline was trained: there is nothing to compare it with."]
    rare.sort(key=lambda row: -_mean(row))
    better = [row for row in rare if row.difference and row.difference.low > 0]
    worse = [row for row in rare if row.difference and row.difference.high < 0]
    unclear = [row for row in rare if row not in better and row not in worse]
    told = [_helps(row, rest.get(_name(row))) for row in better[:3]]
    if len(better) > 3:
        told.append(f"So do {len(better) - 3} others, by less: see the ranking.")
    if not better:
        told.append("Nothing tried here is shown to help the low-frequency classes.")
    if worse:
        told.append(f"Worse for the low-frequency classes: {'; '.join(map(_with_interval, worse[-4:]))}.")
    if unclear:
        told.append(f"Cannot tell from these runs: {'; '.join(map(_with_interval, unclear[:6]))}.")
    return told


def _helps(row: Comparison, rest: Comparison | None) -> str:
    gain = _with_interval(row, named=False)
    text = f"{_name(row)} helps the {row.classes} low-frequency classes: mean average precision {gain}"
    if rest is None or rest.difference is None:
        return f"{text}."
    if rest.difference.high < 0:
        cost = "at a cost to the remaining classes"
    elif rest.difference.low > 0:
        cost = "and the remaining classes too"
    else:
        cost = "with no difference shown on the remaining classes"
    return f"{text}, {cost} ({_with_interval(rest, named=False)})."


def _name(row: Comparison) -> str:
    return f"{row.strategy} ({row.setting})" if row.setting else row.strategy


def _mean(row: Comparison) -> float:
    return row.difference.mean if row.difference else 0.0


def _with_interval(row: Comparison, *, named: bool = True) -> str:
    difference = row.difference
    assert difference is not None
    ends = "" if np.isnan(difference.low) else f" [{difference.low:+.3f}, {difference.high:+.3f}]"
    return f"{_name(row) + ' ' if named else ''}{difference.mean:+.3f}{ends}".replace("-0.", "−0.")
