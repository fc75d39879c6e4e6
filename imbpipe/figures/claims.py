"""Claims as forest plots: effect, interval and margin of every test, one protocol beside the other."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imbpipe.experiments.claims.answer import CONTRADICTED, SUPPORTED, UNDECIDED, Found
from imbpipe.experiments.claims.claim import Claim
from imbpipe.experiments.claims.overall import Overall
from imbpipe.experiments.claims.run import Placed
from imbpipe.figures.draw import save
from imbpipe.figures.marks import Look
from imbpipe.figures.metric import meaning, metric_label
from imbpipe.figures.page import GREEN, GREY, SMALL, VERMILLION, page, style
from imbpipe.figures.text import encoder_title, shorten

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    SUPPORTED: Look(GREEN, "o", "-"),
    CONTRADICTED: Look(VERMILLION, "X", "-"),
    UNDECIDED: Look(GREY, "D", "-"),
}
ROW, LONGEST, MOST = 0.17, 46, 24
"""Inches of a row; characters of its label; tests of a place above which a class shows its largest alone."""

Shown = tuple[Found, str]
"""A test, and the word that it is shown with: its own, or the claim's where it decides that."""

Row = tuple[str, dict[str, Shown]]
"""A label, and what is shown of it by protocol."""


def draw_claims(placed: Sequence[Placed], words: Sequence[Overall], folder: Path) -> list[Path]:
    """One figure of what decides each claim, and one a claim of all its tests; returns the PNG files.

    Raises ResultsError: a file cannot be written.
    """
    claims = list({each.claim.id: each.claim for each in placed}.values())
    files = save(overview(placed, words), folder, "claims")[:1]
    for claim in claims:
        own = [each for each in placed if each.claim is claim]
        if any(each.answer for each in own):
            files += save(details(claim, own, words), folder, f"claims-{claim.id}")[:1]
    return files


def overview(placed: Sequence[Placed], words: Sequence[Overall]) -> "Figure":
    """A row a (claim, place): the test that decides it, in the colour of the claim's own word there."""
    with style():
        return _overview(placed, words)


def details(claim: Claim, placed: Sequence[Placed], words: Sequence[Overall]) -> "Figure":
    """A panel a place, a row a test; where there are many, a row a class with its largest effect."""
    with style():
        return _details(claim, placed, words)


def _overview(placed: Sequence[Placed], words: Sequence[Overall]) -> "Figure":
    protocols = _protocols(placed)
    rows: list[Row] = []
    for claim_id in dict.fromkeys(each.claim.id for each in placed):
        for place in _places(each for each in placed if each.claim.id == claim_id):
            shown = {
                each.protocol: (each.answer.deciding, each.answer.verdict)
                for each in placed
                if each.claim.id == claim_id and _place(each) == place and each.answer
            }
            rows.append((f"{claim_id}  {place}", shown))
    said = "; ".join(
        f"{protocol}: "
        + ", ".join(
            f"{each.claim} {each.verdict or 'no answer'}" for each in words if each.protocol == protocol
        )
        for protocol in protocols
    )
    sentences = [f"{each.id}: {each.sentence}" for each in {p.claim.id: p.claim for p in placed}.values()]
    result, [body] = page(
        "The paper's claims, by its text and by its code",
        [*_small_print(placed), f"Over all places, by Holm over the claims – {said}.", *sentences],
        [("the test that decides each claim in each place", 0.75 + ROW * len(rows))],
        _keys(),
    )
    _forest(list(body.subplots(1, len(protocols), squeeze=False)[0]), protocols, rows, placed)
    return result


def _details(claim: Claim, placed: Sequence[Placed], words: Sequence[Overall]) -> "Figure":
    protocols = _protocols(placed)
    panels = [(place, _tests(place, placed)) for place in _places(placed)]
    panels = [(place, rows) for place, rows in panels if rows]
    said = "; ".join(
        f"{each.protocol}: {each.verdict or 'no answer'}" for each in words if each.claim == claim.id
    )
    result, bodies = page(
        f"{claim.id}: {shorten(claim.sentence, 84)}",
        [
            f"Section {claim.section}; {claim.kinds}. Over all places, by Holm over the claims – {said}.",
            f"Margin: {claim.reason}.",
            *_small_print(placed),
        ],
        [(place, 0.8 + ROW * len(rows)) for place, rows in panels],
        _keys(),
    )
    for body, (_, rows) in zip(bodies, panels, strict=True):
        _forest(list(body.subplots(1, len(protocols), squeeze=False)[0]), protocols, rows, placed)
    return result


def _tests(place: str, placed: Sequence[Placed]) -> list[Row]:
    rows: dict[str, dict[str, Shown]] = {}
    for each in placed:
        if _place(each) != place or each.answer is None:
            continue
        found = each.answer.found
        shortened = len(found) > MOST
        for test in _largest(found) if shortened else found:
            label = test.class_name if shortened else _label(test)
            rows.setdefault(label, {})[each.protocol] = (test, test.verdict)
    return list(rows.items())


def _largest(found: Sequence[Found]) -> list[Found]:
    """Of each class the setting with the largest effect."""
    largest: dict[str, Found] = {}
    for test in found:
        if test.class_name not in largest or abs(test.estimate) > abs(largest[test.class_name].estimate):
            largest[test.class_name] = test
    return list(largest.values())


def _label(test: Found) -> str:
    details = ", ".join(filter(None, (test.setting, test.class_name)))
    return f"{test.says}: {details}" if details else test.says


def _forest(
    axes: "Sequence[Axes]", protocols: Sequence[str], rows: Sequence[Row], placed: Sequence[Placed]
) -> None:
    from matplotlib.ticker import MaxNLocator

    for place, (one, protocol) in enumerate(zip(axes, protocols, strict=True)):
        one.set_title(protocol, loc="left")
        metric = next(each.metric for each in placed if each.protocol == protocol)
        one.set_xlabel(f"difference in {_short(metric)}", fontsize=SMALL)
        one.axvline(0, color=GREY, linewidth=0.8, zorder=1)
        for y, (_, shown) in enumerate(rows):
            _row(one, y, shown.get(protocol))
        one.set_ylim(len(rows) - 0.5, -0.5)
        one.set_yticks(range(len(rows)), [shorten(label, LONGEST) for label, _ in rows])
        one.tick_params(axis="y", length=0, labelleft=place == 0)
        one.xaxis.set_major_locator(MaxNLocator(4))
        one.grid(axis="x", color="#DDDDDD", linewidth=0.5)
        one.set_axisbelow(True)


def _short(metric: str) -> str:
    label = metric_label(metric).partition("\n(")[0].replace("\n", " ")
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def _row(axes: "Axes", y: int, shown: Shown | None) -> None:
    if shown is None or shown[0].estimate != shown[0].estimate:
        text = "cannot be measured" if shown else "no answer"
        axes.text(
            0.5, y, text, transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize=SMALL
        )
        return
    test, verdict = shown
    look = LOOKS[verdict]
    left = -test.margin if test.kind in ("equivalence", "non-inferiority") else 0.0
    axes.barh(y, test.margin - left, left=left, height=0.86, color="#E8EEF4", linewidth=0, zorder=0)
    ends = [[test.estimate - test.low], [test.high - test.estimate]] if test.low == test.low else None
    axes.errorbar(
        test.estimate, y, xerr=ends, color=look.colour, marker=look.marker, markersize=4, capsize=2,
        elinewidth=1, zorder=3,
    )  # fmt: skip


def _keys() -> list["Artist"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Artist] = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, label=verdict, linewidth=1)
        for verdict, look in LOOKS.items()
    ]
    return [*keys, Patch(color="#E8EEF4", label="effects that do not matter (margin)")]


def _small_print(placed: Sequence[Placed]) -> list[str]:
    metrics = dict.fromkeys(each.metric for each in placed)
    drawn = any(each.dataset.startswith("sample") for each in placed)
    return [
        "Bars are 95 % intervals over test images, seeds and splits. Supported: the interval lies wholly "
        "where the claim says; contradicted: wholly where it does not, by the margin; undecided: neither.",
        *(f"{metric}: {meaning(metric)}" for metric in metrics),
        *(
            ["Data named sample are drawn, not photographs: nothing here speaks of the paper's data."]
            if drawn
            else []
        ),
    ]


def _protocols(placed: Sequence[Placed]) -> list[str]:
    return list(dict.fromkeys(each.protocol for each in placed))


def _places(placed: Iterable[Placed]) -> list[str]:
    return list(dict.fromkeys(map(_place, placed)))


def _place(each: Placed) -> str:
    return f"{each.dataset}, {encoder_title(each.encoder, each.weights)}"
