"""Put the page together: one file that opens anywhere and asks the network for nothing."""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from imbpipe.datasets.cooccurrence import together
from imbpipe.errors import show
from imbpipe.evaluation.metrics import LESS_IS_BETTER, METRICS
from imbpipe.experiments.claims.run import Placed
from imbpipe.experiments.sentences import summary
from imbpipe.figures.metric import metric_label, metric_phrase
from imbpipe.figures.text import encoder_title, whole_numbers
from imbpipe.report.charts import CONFIG, LOOKS, charts
from imbpipe.report.curves import MOST_SEEDS, precision_recall
from imbpipe.report.embedding import embedding_map
from imbpipe.report.gallery import galleries, notable
from imbpipe.report.labels import distributions
from imbpipe.report.numbers import metric_tables
from imbpipe.report.pictures import Thumbnails
from imbpipe.report.study import SHOWN_METRICS, Study, setting_name

SCRIPTS = ("state", "rows", "tables", "page")
"""The page's script, a file a concept, in one scope."""

NAMED = 12
"""Low-frequency classes that the answer names."""


def report_page(studies: Sequence[Study], *, title: str, command: str, claims: Sequence[Placed] = ()) -> str:
    """HTML of finished studies, at least one. command: that makes the page again. claims: with answers."""
    import jinja2
    import vl_convert

    bundle: Any = vl_convert.javascript_bundle  # its stub asks for more than it needs

    thumbnails = Thumbnails()
    parts = [_study(study, thumbnails) for study in studies]
    data = {
        "studies": parts,
        "metrics": [_metric(name) for name in SHOWN_METRICS],
        "thumbnails": thumbnails.urls,
        "charts": charts(),
        "looks": LOOKS,
        "config": CONFIG,
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_asset("page.html.j2"))
    return template.render(
        title=title,
        warnings=_warnings(studies),
        studies=[
            {"title": part["title"], "verdict": summary(study.ranking), "rare": _rare(study, part["classes"])}
            for part, study in zip(parts, studies, strict=True)
        ],
        curve_seeds=MOST_SEEDS,
        claims=_claims(claims),
        provenance=_provenance(studies, command),
        style=_safe(_asset("page.css")),
        script=_safe("\n".join(_asset(f"{name}.js") for name in SCRIPTS)),
        vega=_safe(bundle()),
        data=_json(data),
    )


def _study(study: Study, thumbnails: Thumbnails) -> dict[str, Any]:
    dataset, low = study.dataset, study.low
    labels = dataset.labels
    drawn = distributions(study)
    grid = study.grids[0]
    train = labels[grid.split.train].sum(axis=0)
    return {
        "title": f"{show(dataset.name)} by {encoder_title(study.encoder, study.weights)}",
        "multi": dataset.task == "multi-label",
        "classes": [
            {
                "name": show(name),
                "train": int(train[c]),
                "low": bool(low[c]),
                "measured": bool(study.measured[c]),
                "share": round(float(labels[:, c].mean()), 5),
            }
            for c, name in enumerate(dataset.class_names)
        ],
        "settings": [setting_name(setting) for setting in study.settings],
        "first": _first(study),
        "values": metric_tables(study),
        "curves": precision_recall(study),
        "distributions": [{key: each[key] for key in ("name", "rows", "counts")} for each in drawn],
        "together": together(labels).tolist(),
        "map": embedding_map(study, thumbnails, drawn),
        "galleries": galleries(study, thumbnails),
        **_judged(study),
    }


def _rare(study: Study, classes: Sequence[dict[str, Any]]) -> str:
    """Which classes the words "low-frequency" and "rare" mean."""
    low = sorted((each for each in classes if each["low"]), key=lambda each: each["train"])
    named = ", ".join(f"{each['name']} ({each['train']:,})" for each in low[:NAMED])
    more = f" and {len(low) - NAMED} more" if len(low) > NAMED else ""
    return (
        "Low-frequency: the classes whose number of training images is at or below the percentile "
        f"{study.grids[0].percentile:g} of all: {named}{more}. The remaining classes: the other "
        f"{len(classes) - len(low)}."
    )


def _judged(study: Study) -> dict[str, Any]:
    """The ranking's last columns: what the statistics say of each setting."""
    rows = {(row.strategy, row.setting): row for row in study.ranking.rows}
    extra: list[dict[str, str]] = []
    for setting in study.settings:
        row = rows.get((setting.strategy, setting.label))
        found = row.on_low_frequency if row else None
        cells = {"rows": f"{row.rows:.3g}x"} if row else {}
        if found:
            cells |= {
                "verdict": found.verdict,
                "adjusted p": "" if found.p != found.p else "<0.001" if found.p < 0.001 else f"{found.p:.3f}",
                "least detectable": "" if found.detectable != found.detectable else f"{found.detectable:.3f}",
            }
        extra.append(cells)
    over = "groups of test images" if study.dataset.groups else "test images"
    note = (
        f"Differences from the baseline with 95 % intervals over {over}, seeds and splits. "
        f"The last four columns are about {study.ranking.metric} on the low-frequency classes: the verdict "
        "and p by Holm over the table; the least difference that would have been found with a chance of "
        "80 %; training rows an epoch against the baseline's."
    )
    return {
        "judged_by": study.ranking.metric,
        "extra_columns": ["verdict", "adjusted p", "least detectable", "rows"],
        "extra": extra,
        "extra_note": note,
    }


def _claims(placed: Sequence[Placed]) -> dict[str, Any] | None:
    answered = [each for each in placed if each.answer]
    if not answered:
        return None
    columns = [
        "claim",
        "what it says",
        "data",
        "encoder",
        "answer",
        "effect",
        "95 % interval",
        "least detectable",
    ]
    rows = []
    for each in answered:
        assert each.answer is not None
        test = each.answer.deciding
        rows.append(
            [
                each.claim.id,
                f"{each.claim.sentence} ({each.claim.section})",
                show(each.dataset),
                encoder_title(each.encoder, each.weights),
                each.answer.verdict,
                _signed(test.estimate),
                f"[{_signed(test.low)}, {_signed(test.high)}]",
                f"{test.detectable:.3f}",
            ]
        )
    note = (
        "Tested on the runs of this comparison, by margins that were fixed before any score was seen. "
        "Undecided: these data could not have told; the last column is what they could have."
    )
    return {"note": note, "columns": columns, "rows": rows}


def _signed(number: float) -> str:
    """As the page's other numbers, with a true minus."""
    return f"{number:+.3f}".replace("-", "−")


def _first(study: Study) -> list[int]:
    """The settings shown at first: the best of each strategy on the rare classes, as many as have a look."""
    best: dict[str, int] = {}
    for place in notable(study, len(study.settings)):
        if place:
            best.setdefault(study.settings[place].strategy, place)
    return sorted(list(best.values())[: len(LOOKS["hues"]) - 1])


def _metric(name: str) -> dict[str, str]:
    better = "lower" if name in LESS_IS_BETTER else "higher"
    label, axis = metric_label(name).replace("\n", " "), metric_phrase(name)
    return {"name": name, "label": label, "axis": axis, "summary": METRICS.summary(name), "better": better}


def _warnings(studies: Sequence[Study]) -> list[str]:
    told = []
    if any(study.weights == "random" for study in studies):
        told.append("Some of these numbers come from an encoder with RANDOM WEIGHTS: they say nothing.")
    if any(study.dataset.name.startswith("sample") for study in studies):
        told.append(
            "Made from data that the program draws itself: it shows that everything works, not what holds "
            "for photographs."
        )
    return told


def _provenance(studies: Sequence[Study], command: str) -> list[tuple[str, str]]:
    rows = [("command", command)]
    for study in studies:
        grid, spec = study.grids[0], study.grids[0].material.source.spec
        protocol = grid.protocol
        rows += [
            ("data", _data(study)),
            ("encoder", f"{show(study.encoder)}, {study.weights} weights, SHA-256 {_weights_hash(spec)}"),
            ("features", f"SHA-256 {grid.material.source.digest}"),
            ("splits", ", ".join(each.split.name for each in study.grids)),
            ("seeds", whole_numbers([seed for each in study.grids for seed in each.seeds])),
            ("ranking", f"by {study.ranking.metric}; a difference below {study.ranking.margin:g} is none"),
            (
                "training",
                f"{protocol.head.kind} head, {protocol.epochs} epochs, batch {protocol.batch_size}, "
                f"Adam at {protocol.learning_rate:g}",
            ),
        ]
    libraries = ("torch", "numpy", "h5py", "scikit-learn", "altair")
    rows.append(("imbpipe", f"{version('imbpipe')}, Python {platform.python_version()}"))
    rows.append(("libraries", ", ".join(f"{name} {version(name)}" for name in libraries)))
    return rows


def _data(study: Study) -> str:
    told = f"{show(study.dataset.name)}: {study.dataset.extent}, {study.dataset.task}"
    left_out = study.grids[0].material.left_out
    unread = f"; {len(left_out):,} more could not be read, the first {show(left_out[0])}" if left_out else ""
    return f"{told}{unread}"


def _weights_hash(spec: dict[str, Any]) -> str:
    return str(spec.get("weights_sha256", "not known"))


def _json(data: Any) -> Any:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return _safe(text.replace("<", "\\u003c"))


def _safe(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)


def _asset(name: str) -> str:
    return files("imbpipe.report").joinpath("assets", name).read_text(encoding="utf-8")
