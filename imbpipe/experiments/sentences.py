"""A ranking in words."""

from collections.abc import Sequence
from typing import TypeGuard

from imbpipe.evaluation.verdict import BETTER, EQUIVALENT, UNKNOWN, WORSE
from imbpipe.experiments.ranking import Difference, Ranked, Ranking

NAMED = 5
"""Settings of a verdict that a sentence names; of more, the best on the low-frequency classes."""


def summary(ranking: Ranking) -> list[str]:
    """What helps most, what is better or worse, what cannot be told, and what could not have been seen."""
    on_low = [(row, row.on_low_frequency) for row in ranking.rows if _known(row.on_low_frequency)]
    on_rest = [(row, row.on_remaining) for row in ranking.rows if _known(row.on_remaining)]
    lines = [*_headline(ranking, on_low), *_said("low-frequency", on_low), *_said("remaining", on_rest)]
    if any(found.verdict == EQUIVALENT for _, found in (*on_low, *on_rest)):
        lines.append(f"Equivalent: surely less than {ranking.margin:g} apart.")
    least = [found.detectable for _, found in on_low if found.detectable == found.detectable]
    if least:
        ends = " to ".join(dict.fromkeys((f"{min(least):.3f}", f"{max(least):.3f}")))
        lines.append(
            f"Differences smaller than {ends} (low-frequency {ranking.metric}) these data would likely miss."
        )
    if ranking.left_out:
        lines.append(f"Left out, with fewer than 2 positives to test on: {', '.join(ranking.left_out)}.")
    return lines


def _known(found: Difference | None) -> TypeGuard[Difference]:
    return found is not None and found.estimate == found.estimate


def _headline(ranking: Ranking, on_low: Sequence[tuple[Ranked, Difference]]) -> list[str]:
    """What helps the low-frequency classes most for certain, and what it does to the others."""
    better = [(row, found) for row, found in on_low if found.verdict == BETTER]
    if not better:
        return ["Nothing that was compared helps the low-frequency classes for certain."] if on_low else []
    row, found = better[0]
    rest = row.on_remaining
    known = rest is not None and rest.estimate == rest.estimate
    before = next(each.low_frequency for each in ranking.rows if each.on_low_frequency is None)
    return [
        f"{_name(row)} helps the low-frequency classes most: mean {ranking.metric} {row.low_frequency:.3f} "
        f"in the place of {before:.3f}, {_change(found)}"
        + (f"; on the remaining classes {_change(rest)}, {rest.verdict}." if rest and known else ".")
    ]


def _change(found: Difference) -> str:
    return f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _said(group: str, on_group: Sequence[tuple[Ranked, Difference]]) -> list[str]:
    words = [
        f"{word}: {_named([_name(row) for row in rows])}"
        for word in (BETTER, EQUIVALENT, WORSE, UNKNOWN)
        if (rows := [row for row, found in on_group if found.verdict == word])
    ]
    return [f"On the {group} classes, against the baseline – {'; '.join(words)}."] if words else []


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:NAMED])} and {more} more"


def _name(row: Ranked) -> str:
    return f"{row.strategy} ({row.setting})" if row.setting else row.strategy
