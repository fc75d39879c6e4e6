"""`--dry-run`: what would be encoded and trained, and how long it should take."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from imbpipe.cli.output import print_json, tell

if TYPE_CHECKING:
    from imbpipe.experiments.forecast import Forecast


def tell_forecast(forecasts: "Iterable[Forecast]", *, as_json: bool) -> None:
    """Print it: two lines a (data set, encoder), or one JSON document."""
    made = list(forecasts)
    if as_json:
        print_json([asdict(each) for each in made])
        return
    for each in made:
        encoders = " or else ".join(each.encoders)
        tell(
            f"{each.dataset} by {encoders}: would encode {each.to_encode:,} of {each.images:,} images"
            f"{_time(each.encode_seconds)}."
        )
        tell(f"  Would train {each.to_train:,} of {each.heads:,} heads{_time(each.train_seconds)}.")


def _time(seconds: float | None) -> str:
    if seconds == 0:
        return ""
    return f", {expected(seconds)}"


def expected(seconds: float | None) -> str:
    """ "about 40 s", "about 3 min"; or that nothing like it was measured yet."""
    if seconds is None:
        return "time unknown until measured"
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {max(1, round(seconds))} s"
