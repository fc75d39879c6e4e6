"""The page's charts as Vega-Lite specifications; the page hands them the rows that its controls choose.

An axis's title or a scale's range that begins with "=" is an expression, which the page puts in place: Vega
knows them there, Vega-Lite does not.
"""

from typing import Any

FIT: Any = {"type": "fit-x", "contains": "padding"}

LOOKS: dict[str, list[Any]] = {
    "hues": ["#7a7a7a", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"],
    "marks": ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"],
    "dashes": [[1, 0], [1, 0], [8, 3], [3, 2], [8, 3, 2, 3], [5, 5], [2, 4]],
}
"""Of the baseline, then of the settings shown, in every chart: Okabe and Ito's colours (2008)."""


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
    """What the page sets besides the rows."""
    return [alt.param(name, value=[]) for name in names]


def _setting_scales(alt: Any) -> dict[str, Any]:
    names = alt.ExprRef("shown")
    legend = alt.Legend(title=None, orient="top", columns=3, labelLimit=360, symbolSize=90)
    sort = alt.EncodingSortField("slot", op="min")
    return {
        "color": alt.Color(
            "setting:N", sort=sort, legend=legend, scale=alt.Scale(domain=names, range=["=hues"])
        ),
        "shape": alt.Shape(
            "setting:N", sort=sort, legend=legend, scale=alt.Scale(domain=names, range=["=marks"])
        ),
    }


def _classes() -> Any:
    """A row a class, a mark a setting: mean and 95 % interval."""
    import altair as alt

    scales = _setting_scales(alt)
    y = alt.Y(
        "class:N",
        sort=alt.EncodingSortField("order", op="min"),
        axis=alt.Axis(title=None, labelLimit=260, grid=True),
    )
    offset = alt.YOffset("slot:O", sort="ascending")
    x = alt.X("mean:Q", axis=alt.Axis(title="=axis"), scale=alt.Scale(zero=False))
    tooltip = [
        "class:N",
        "setting:N",
        *(alt.Tooltip(f"{name}:Q", format="+.3f") for name in ("mean", "low", "high")),
    ]
    base = alt.Chart(alt.NamedData("rows"))
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q"), x2="high:Q", y=y, yOffset=offset, color=scales["color"], tooltip=tooltip
    )
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=x, y=y, yOffset=offset, tooltip=tooltip, **scales
    )
    zero = (
        base.mark_rule(strokeDash=[4, 3], color="#888888").encode(x=alt.datum(0)).transform_filter("isdiff")
    )
    return (
        alt.layer(bars, points, zero)
        .add_params(*_signals(alt, "shown", "hues", "marks", "axis", "isdiff"))
        .properties(width="container", height=alt.Step(13), background="transparent", autosize=FIT)
    )


def _tradeoff() -> Any:
    """Rare classes against the rest, a mark a setting, with the intervals of both."""
    import altair as alt

    scales = _setting_scales(alt)
    x = alt.X(
        "rest:Q",
        axis=alt.Axis(title="='remaining classes: ' + axis"),
        scale=alt.Scale(zero=False, nice=True),
    )
    y = alt.Y(
        "rare:Q",
        axis=alt.Axis(title="='low-frequency classes: ' + axis"),
        scale=alt.Scale(zero=False, nice=True),
    )
    numbers = ("rare", "rare_low", "rare_high", "rest", "rest_low", "rest_high")
    tooltip = ["setting:N", *(alt.Tooltip(f"{name}:Q", format="+.3f") for name in numbers)]
    base = alt.Chart(alt.NamedData("rows"))
    across = base.mark_rule(opacity=0.8).encode(
        x=alt.X("rest_low:Q"), x2="rest_high:Q", y=y, color=scales["color"]
    )
    up = base.mark_rule(opacity=0.8).encode(
        y=alt.Y("rare_low:Q"), y2="rare_high:Q", x=x, color=scales["color"]
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, tooltip=tooltip, **scales)
    zero = {"strokeDash": [4, 3], "color": "#888888"}
    lines = (
        base.mark_rule(**zero).encode(x=alt.datum(0)),
        base.mark_rule(**zero).encode(y=alt.datum(0)),
    )
    others = (
        alt.Chart(alt.NamedData("others"))
        .mark_point(filled=True, size=30, opacity=0.45, color="#888888")
        .encode(x=x, y=y, tooltip=tooltip)
    )
    return (
        alt.layer(*lines, others, across, up, points)
        .add_params(*_signals(alt, "shown", "hues", "marks", "axis"))
        .properties(width="container", height=380, background="transparent", autosize=FIT)
    )


def _curves() -> Any:
    """Precision at each recall, a line a setting; the dashed line is chance."""
    import altair as alt

    names = alt.ExprRef("shown")
    color = alt.Color(
        "setting:N",
        scale=alt.Scale(domain=names, range=["=hues"]),
        legend=alt.Legend(title=None, orient="top", columns=3, labelLimit=360),
    )
    dash = alt.StrokeDash(
        "setting:N",
        scale=alt.Scale(domain=names, range=["=dashes"]),
        legend=None,
    )
    x = alt.X("recall:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(title="recall"))
    y = alt.Y("precision:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(title="precision (interpolated)"))
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
    y = alt.Y(
        "class:N",
        sort=alt.EncodingSortField("order", op="min"),
        axis=alt.Axis(title=None, labelLimit=260, grid=True),
    )
    x = alt.X(
        "count:Q",
        scale=alt.Scale(type="log", nice=True),
        axis=alt.Axis(title="images of the class drawn in an epoch (logarithmic)"),
    )
    return (
        alt.Chart(alt.NamedData("rows"))
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(x=x, y=y, tooltip=["class:N", "setting:N", alt.Tooltip("count:Q", format=",")], **scales)
        .add_params(*_signals(alt, "shown", "hues", "marks"))
        .properties(width="container", height=alt.Step(20), background="transparent", autosize=FIT)
    )


def _together() -> Any:
    """Of the images of the class in the row, the share that also carry the class in the column."""
    import altair as alt

    order = alt.EncodingSortField("order", op="min")
    other = alt.EncodingSortField("other_order", op="min")
    return (
        alt.Chart(alt.NamedData("rows"))
        .mark_rect()
        .encode(
            x=alt.X(
                "other:N", sort=other, axis=alt.Axis(title="… also carry", labelAngle=-60, labelLimit=140)
            ),
            y=alt.Y("class:N", sort=order, axis=alt.Axis(title="of the images of …", labelLimit=200)),
            color=alt.Color(
                "share:Q",
                scale=alt.Scale(scheme="viridis", domain=[0, 1]),
                legend=alt.Legend(title="share", format=".0%"),
            ),
            tooltip=[
                "class:N",
                "other:N",
                alt.Tooltip("images:Q", format=","),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
        .properties(width="container", height=alt.Step(18), background="transparent", autosize=FIT)
    )


def _map() -> Any:
    """An image a mark, where the encoder puts it."""
    import altair as alt

    kinds = alt.ExprRef("kinds")
    legend = alt.Legend(title=None, orient="top", columns=3, labelLimit=300, symbolSize=90)
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
            tooltip=["id:N", "part:N", "labels:N", "score:Q", "image:N"],
        )
        .add_params(
            *_signals(alt, "kinds", "hues", "marks", "xtitle", "ytitle"),
            alt.selection_interval(bind="scales", name="zoom"),
        )
        .properties(width="container", height=460, background="transparent", autosize=FIT)
    )
