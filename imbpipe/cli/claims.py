"""`imbpipe claims`: the paper's claims put to the test."""

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imbpipe.cli import options
from imbpipe.cli.output import bar, print_json, print_table, say

if TYPE_CHECKING:
    from imbpipe.experiments.claims.overall import Overall
    from imbpipe.experiments.claims.run import Placed
    from imbpipe.experiments.experiment import Experiment
    from imbpipe.experiments.places import Surroundings
    from imbpipe.experiments.results import ResultStore

PROTOCOLS = (Path("experiments/paper.toml"), Path("experiments/paper-code.toml"))


@click.command()
@click.argument("experiments", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, metavar="DIR",
    help="Where to put a figure a claim and one of all, as PNG, SVG and PDF.",
)  # fmt: skip
@options.root
@options.cache
@options.cached
@options.memory
@options.device
@options.as_json
def claims(
    experiments: tuple[Path, ...],
    out: Path,
    root: Path | None,
    cache: Path,
    cached: bool,
    memory: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Test the paper's eight claims by its text's protocol and by its code's, side by side.

    Trains what is missing, also what the paper did not train but its claims speak of, and answers each
    claim: supported, contradicted or undecided, with the effect, its 95 % interval, the least effect that
    would likely have been found, and a figure. An interrupted call goes on where it stopped. Other
    experiment files can stand in the place of the two.

    \b
      imbpipe claims
      imbpipe claims experiments/paper.toml
    """
    from imbpipe.cache.store import FeatureStore
    from imbpipe.experiments.claims.overall import overall
    from imbpipe.experiments.experiment import read_experiment
    from imbpipe.experiments.places import Surroundings
    from imbpipe.experiments.ranking import check_metric
    from imbpipe.experiments.results import ResultStore
    from imbpipe.figures.claims import draw_claims

    plans = [read_experiment(path) for path in experiments or PROTOCOLS]
    for plan in plans:
        check_metric(plan.metric)
    around = Surroundings(FeatureStore(cache, memory=memory), root, device, cached, say, bar)
    placed = [each for plan in plans for each in _put(plan, around, ResultStore(cache))]
    words = overall(placed)
    files = draw_claims(placed, words, out)
    if as_json:
        print_json({"overall": [_of(each) for each in words], "claims": list(map(_row, placed))})
        return
    _print(placed, words)
    for path in files:
        click.echo(path)


def _put(plan: "Experiment", around: "Surroundings", results: "ResultStore") -> list["Placed"]:
    from imbpipe.experiments.claims.paper import CLAIMS
    from imbpipe.experiments.claims.run import put, settings_for
    from imbpipe.experiments.places import places
    from imbpipe.experiments.pool import pool_of

    placed: list[Placed] = []
    for data, features in places(plan, around):
        pool = pool_of(plan, data, features, settings_for(CLAIMS, plan, data.name))
        with bar(f"{plan.title}: {data.name} by {features.encoder}", "heads") as progress:
            pool.train(results, device=around.device, progress=progress)
        placed += put(CLAIMS, plan, pool, results)
    return placed


def _of(each: "Overall") -> dict[str, Any]:
    return {**asdict(each), "verdict": each.verdict}


def _row(each: "Placed") -> dict[str, Any]:
    place = {
        "claim": each.claim.id,
        "sentence": each.claim.sentence,
        "section": each.claim.section,
        "hypothesis": each.claim.kinds,
        "reason": each.claim.reason,
        "protocol": each.protocol,
        "metric": each.metric,
        "dataset": each.dataset,
        "encoder": each.encoder,
        "weights": each.weights,
        "note": each.note,
    }
    if each.answer is None:
        return {**place, "verdict": None}
    tests = [{**asdict(test), "verdict": test.verdict} for test in each.answer.found]
    deciding = each.answer.found.index(each.answer.deciding)
    return {
        **place,
        "verdict": each.answer.verdict,
        "p_for": each.answer.p_for,
        "p_against": each.answer.p_against,
        "deciding": tests[deciding],
        "tests": tests,
    }


def _print(placed: list["Placed"], words: list["Overall"]) -> None:
    claims = {each.claim.id: each.claim for each in placed}
    protocols = list(dict.fromkeys(each.protocol for each in words))
    for claim in claims.values():
        click.echo("")
        _wrap(f"{claim.id}  {claim.sentence} ({claim.section})")
        for each in placed:
            if each.claim is claim:
                _echo_place(each)
    click.echo("\nOver all data sets and encoders, by Holm over the claims:\n")
    said = {(each.claim, each.protocol): each.verdict for each in words}
    print_table(
        ["claim", *protocols],
        [[name, *(said.get((name, protocol)) or "–" for protocol in protocols)] for name in claims],
    )
    click.echo("")


def _echo_place(each: "Placed") -> None:
    where = f"{each.protocol}, {each.dataset}, {each.encoder}"
    if each.answer is None:
        _wrap(f"    {where}: no answer: {each.note}")
        return
    test = each.answer.deciding
    _wrap(
        f"    {where}: {each.answer.verdict}. {each.metric} {test.estimate:+.3f} "
        f"[{test.low:+.3f}, {test.high:+.3f}], margin {test.margin:g}, least detectable "
        f"{test.detectable:.3f}; {test.what}"
    )


def _wrap(text: str) -> None:
    click.echo(textwrap.fill(text, 80, subsequent_indent="      "))
