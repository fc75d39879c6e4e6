"""What a table says of settings against the baseline, under the names that trackers are told."""

from collections.abc import Sequence
from dataclasses import asdict

from imbpipe.experiments.ranking import Ranking
from imbpipe.experiments.table import Comparison
from imbpipe.tracking.records import Differences
from imbpipe.tracking.tracker import Value


def of_ranking(ranking: Ranking) -> Differences:
    """`ap_difference_low_frequency` with `…_from`, `…_to` (its 95 % interval), `…_p`, `…_detectable`, and the
    verdict in words; of the settings that the ranking shows."""
    told: dict[tuple[str, str], dict[str, Value]] = {}
    for row in ranking.rows:
        own = told.setdefault((row.strategy, row.setting), {})
        for group, found in (("low_frequency", row.on_low_frequency), ("remaining", row.on_remaining)):
            if found is not None:
                name = f"{ranking.metric}_difference_{group}"
                values = asdict(found)
                own |= {name: values.pop("estimate"), f"{name}_from": values.pop("low")}
                own[f"{name}_to"] = values.pop("high")
                own |= {f"{name}_{key}": value for key, value in values.items()}
    return told


def of_table(rows: Sequence[Comparison], metric: str) -> Differences:
    """The same of `imbpipe train`'s table, whose intervals are over seeds."""
    told: dict[tuple[str, str], dict[str, Value]] = {}
    for row in rows:
        if row.difference is not None:
            name = f"{metric}_difference_{row.group.replace('-', '_')}"
            told.setdefault((row.strategy, row.setting), {}).update(
                {
                    name: row.difference.mean,
                    f"{name}_from": row.difference.low,
                    f"{name}_to": row.difference.high,
                }
            )
    return told
