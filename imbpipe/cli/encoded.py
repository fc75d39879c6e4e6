"""What `imbpipe extract` says of the images it encoded."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from imbpipe.cli.output import print_json, say, tell
from imbpipe.errors import EXIT_INTERRUPTED, EXIT_QUARANTINED

if TYPE_CHECKING:
    from imbpipe.cache.entries import Entry
    from imbpipe.extract.describe import Description
    from imbpipe.extract.loop import Summary

LONG_SECONDS, MUCH_WAITING = 30.0, 0.2
"""An extraction that takes longer, and the share of it that the encoder waits, are worth a word."""


@dataclass(frozen=True)
class Encoded:
    """dataset: its name. about: the encoder. entry: what the cache holds now. shard: number and count."""

    dataset: str
    about: "Description"
    summary: "Summary"
    entry: "Entry"
    shard: tuple[int, int] | None


def tell_encoded(done: Encoded, *, as_json: bool) -> int:
    """Say it; returns the exit status."""
    if as_json:
        _print_json(done)
    else:
        _tell_numbers(done)
    _say_what_to_know(done)
    if done.summary.stopped:
        say("Interrupted. What was encoded is safe; the same command goes on from here.")
        return EXIT_INTERRUPTED
    if done.entry.quarantined:
        say(
            f"All that were set aside, with the reasons: {done.entry.path / 'quarantine.jsonl'}. "
            "Mend or replace them and run the same command again: it reads no others."
        )
        return EXIT_QUARANTINED
    return 0


def _print_json(done: Encoded) -> None:
    names = {"dataset": done.dataset, "encoder": done.about.name, "set_aside": done.entry.quarantined}
    print_json({**names, "weights": asdict(done.about.weights), **asdict(done.summary)})


def _tell_numbers(done: Encoded) -> None:
    encoded, entry = done.summary.encoded, done.entry
    tell(
        f"{done.dataset}, {done.about.name} ({done.about.weights.kind} weights): {encoded} images encoded, "
        f"{entry.rows - encoded} already there, {entry.quarantined} set aside."
    )
    if done.shard is None or done.summary.stopped:
        return
    left = entry.images - entry.rows - entry.quarantined
    number, count = done.shard
    if left:
        tell(f"Shard {number + 1}/{count} is done; {left} images are left to the other shards.")
    else:
        tell(f"Shard {number + 1}/{count} is done, and all others are. Run: imbpipe cache pack")


def _say_what_to_know(done: Encoded) -> None:
    from imbpipe.cache.layout import Folder

    about, summary = done.about, done.summary
    if about.reads and not (summary.stopped or done.shard or Folder(done.entry.path).text.exists()):
        say(
            f"{about.weights.origin} holds no text tower: these features are not for zero-shot and text-init."
        )
    for path, reason in summary.quarantined:
        say(f"Set aside: {path}: {reason}")
    share = summary.waiting / summary.seconds if summary.seconds > LONG_SECONDS else 0.0
    if share > MUCH_WAITING:
        say(
            f"The encoder waited for images {share:.0%} of the time: what limits it is reading and decoding "
            "them, for which more cores or a faster disk help."
        )
