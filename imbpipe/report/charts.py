"""The page's charts as Vega-Lite specifications; the page hands them the rows that its controls choose.

An axis's title or a scale's range that begins with "=" is an expression, which the page puts in place: Vega
knows them there, Vega-Lite does not.
"""

from typing import Any

FIT: Any = {"type": "fit-x", "contains": "padding"}

TEXT = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
CONFIG: dict[str, Any] = {
    "font": "system-ui, 'Noto Sans', sans-serif",
    "aria": False,  # the page gives every chart a name and its numbers as a table
    "view": {"stroke": None},
    "axis": TEXT,
    "legend": TEXT,
}
"""Of all charts; their colours are the style sheet's, which knows the dark and the printed page."""

LOOKS: dict[str, list[Any]] = {
    "hues": ["#7a7a7a", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"],
    "marks": ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"],
    "dashes": [[1, 0], [1, 0], [8, 3], [3, 2], [8, 3, 2, 3], [5, 5], [2, 4]],
}
"""Of the baseline, then of the settings shown, in every chart: Okabe and Ito's colours (2008)."""


ZERO: Any = {"strokeDash": [4, 3], "color": "#888888"}
SHIFT = "event.shiftKey"
"""Without it the wheel scrolls the page, as everywhere else."""


def charts() -> dict[str, dict[str, Any]]:
    """Name -> specification; each draws the data set named `rows`."""
    made = {
        "classes": _classes(),
        "tradeoff": _tradeoff(),
        "curves": _curves(),
        "distribution": _distribution(),
        "together": _together(),
        "map": _map(),
    }
    return {name: chart.to_dict(validate=True) for name, chart in made.items()}


def _signals(alt: Any, *names: str) -> list[Any]:
    """What the page sets besides the rows; narrow: whether the screen is a telephone's."""
    return [alt.param(name, value=[]) for name in (*names, "narrow")]


def _legend(alt: Any) -> Any:
    columns, limit = alt.ExprRef("narrow ? 1 : 3"), alt.ExprRef("narrow ? 200 : 360")
    return alt.Legend(title=None, orient="top", columns=columns, labelLimit=limit, symbolSize=90)


def _setting_scales(alt: Any) -> dict[str, Any]:
    names, sort = alt.ExprRef("shown"), alt.EncodingSortField("slot", op="min")
    look = {"sort": sort, "legend": _legend(alt)}
    return {
        "color": alt.Color("setting:N", scale=alt.Scale(domain=names, range=["=hues"]), **look),
        "shape": alt.Shape("setting:N", scale=alt.Scale(domain=names, range=["=marks"]), **look),
    }


def _class_axis(alt: Any) -> Any:
    limit = alt.ExprRef("narrow ? 120 : 260")
    order = alt.EncodingSortField("order", op="min")
    return alt.Y("class:N", sort=order, axis=alt.Axis(title=None, labelLimit=limit, grid=True))


def _number_axis(alt: Any, title: str, **more: Any) -> Any:
    return alt.Axis(title=title, tickCount=alt.ExprRef("narrow ? 4 : 8"), **more)


def _classes() -> Any:
    """A row a class, a mark a setting: mean and 95 % interval."""
    import altair as alt

    scales = _setting_scales(alt)
    y, offset = _class_axis(alt), alt.YOffset("slot:O", sort="ascending")
    x = alt.X("mean:Q", axis=_number_axis(alt, "=axis"), scale=alt.Scale(zero=False))
    base = alt.Chart(alt.NamedData("rows"))
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q"), x2="high:Q", y=y, yOffset=offset, color=scales["color"], tooltip=["says:N"]
    )
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=x, y=y, yOffset=offset, tooltip=["says:N"], **scales
    )
    zero = base.mark_rule(**ZERO).encode(x=alt.datum(0)).transform_filter("isdiff")
    return (
        alt.layer(bars, points, zero)
        .add_params(*_signals(alt, "shown", "hues", "marks", "axis", "isdiff"))
        .properties(width="container", height=alt.Step(13), background="transparent", autosize=FIT)
    )


def _tradeoff() -> Any:
    """Rare classes against the rest, a mark a setting, with the intervals of both."""
    import altair as alt

    scales = _setting_scales(alt)
    scale = alt.Scale(zero=False, nice=True)
    x, y = (
        kind(f"{field}:Q", axis=_number_axis(alt, f"='{words}: ' + axis"), scale=scale)
        for kind, field, words in ((alt.X, "rest", "remaining"), (alt.Y, "rare", "low-frequency"))
    )
    base = alt.Chart(alt.NamedData("rows"))
    across = base.mark_rule(opacity=0.8).encode(
        x=alt.X("rest_low:Q"), x2="rest_high:Q", y=y, color=scales["color"]
    )
    up = base.mark_rule(opacity=0.8).encode(
        y=alt.Y("rare_low:Q"), y2="rare_high:Q", x=x, color=scales["color"]
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, tooltip=["says:N"], **scales)
    lines = [
        base.mark_rule(**ZERO).encode(**{side: alt.datum(0)}).transform_filter("isdiff")
        for side in ("x", "y")
    ]
    others = (
        alt.Chart(alt.NamedData("others"))
        .mark_point(filled=True, size=30, opacity=0.45, color="#888888")
        .encode(x=x, y=y, tooltip=["says:N"])
    )
    return (
        alt.layer(*lines, others, across, up, points)
        .add_params(*_signals(alt, "shown", "hues", "marks", "axis", "isdiff"))
        .properties(width="container", height=380, background="transparent", autosize=FIT)
    )


def _curves() -> Any:
    """Precision at each recall, a line a setting; the dashed line is chance."""
    import altair as alt

    names = alt.ExprRef("shown")
    color = alt.Color("setting:N", scale=alt.Scale(domain=names, range=["=hues"]), legend=_legend(alt))
    dash = alt.StrokeDash("setting:N", scale=alt.Scale(domain=names, range=["=dashes"]), legend=_legend(alt))
    x = alt.X("recall:Q", scale=alt.Scale(domain=[0, 1]), axis=_number_axis(alt, "recall"))
    y = alt.Y("precision:Q", axis=_number_axis(alt, "precision (interpolated)"))
    base = alt.Chart(alt.NamedData("rows"))
    lines = base.mark_line(strokeWidth=2).encode(
        x=x, y=y, color=color, strokeDash=dash, order="recall:Q", detail="setting:N"
    )
    chance = (
        alt.Chart(alt.NamedData("chance"))
        .mark_rule(strokeDash=[2, 3], color="#888888")
        .encode(y="precision:Q")
    )
    return (
        alt.layer(chance, lines)
        .add_params(*_signals(alt, "shown", "hues", "dashes"))
        .properties(width="container", height=340, background="transparent", autosize=FIT)
    )


def _distribution() -> Any:
    """Images or draws of each class an epoch, on a logarithmic axis."""
    import altair as alt

    scales = _setting_scales(alt)
    title = "images in an epoch (logarithmic)"
    x = alt.X("count:Q", scale=alt.Scale(type="log", nice=True), axis=_number_axis(alt, title))
    return (
        alt.Chart(alt.NamedData("rows"))
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(x=x, y=_class_axis(alt), tooltip=["says:N"], **scales)
        .add_params(*_signals(alt, "shown", "hues", "marks"))
        .properties(width="container", height=alt.Step(20), background="transparent", autosize=FIT)
    )


def _together() -> Any:
    """Of the images of the class in the row, the share that also carry the class in the column."""
    import altair as alt

    fields = alt.EncodingSortField("order", op="min"), alt.EncodingSortField("other_order", op="min")
    limit = alt.ExprRef("narrow ? 90 : 200")
    rows = alt.Axis(title="of the images of …", labelLimit=limit)
    others = alt.Axis(title="… also carry", labelLimit=limit, labelAngle=-60)
    legend = alt.Legend(title="share", format=".0%", orient="top")
    scale = alt.Scale(scheme="viridis", domain=[0, 1])
    return (
        alt.Chart(alt.NamedData("rows"))
        .mark_rect()
        .encode(
            x=alt.X("other:N", sort=fields[1], axis=others),
            y=alt.Y("class:N", sort=fields[0], axis=rows),
            color=alt.Color("share:Q", scale=scale, legend=legend),
            tooltip=["says:N"],
        )
        .add_params(*_signals(alt))
        .properties(width="container", height=alt.Step(18), background="transparent", autosize=FIT)
    )


def _map() -> Any:
    """An image a mark, where the encoder puts it."""
    import altair as alt

    kinds, legend = alt.ExprRef("kinds"), _legend(alt)
    axes = {
        name: alt.Axis(title=f"={name}", labels=False, ticks=False, grid=False)
        for name in ("xtitle", "ytitle")
    }
    return (
        alt.Chart(alt.NamedData("rows"))
        .mark_point(filled=True, size=55, opacity=0.85)
        .encode(
            x=alt.X("x:Q", axis=axes["xtitle"], scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", axis=axes["ytitle"], scale=alt.Scale(zero=False)),
            color=alt.Color("kind:N", legend=legend, scale=alt.Scale(domain=kinds, range=["=hues"])),
            shape=alt.Shape("kind:N", legend=legend, scale=alt.Scale(domain=kinds, range=["=marks"])),
            order="rank:Q",
            tooltip=["says:N", "image:N"],
        )
        .add_params(
            *_signals(alt, "kinds", "hues", "marks", "xtitle", "ytitle"),
            alt.selection_interval(
                bind="scales",
                name="zoom",
                translate=f"[pointerdown[{SHIFT}], window:pointerup] > window:pointermove!",
                zoom=f"wheel![{SHIFT}]",
            ),
        )
        .properties(width="container", height=460, background="transparent", autosize=FIT)
    )
