"""Claims put to scores of which the right answer is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scored_by_hand import CLASSES, keep_scores, make_pool
from statsmodels.stats.multitest import multipletests
from test_compare import photos, run  # noqa: F401 – a fixture

from imbpipe.evaluation.effects import effect
from imbpipe.experiments.claims.answer import Answer, Found, answer, found_by, masks_of
from imbpipe.experiments.claims.claim import Claim, Hypothesis, Pick
from imbpipe.experiments.claims.overall import overall
from imbpipe.experiments.claims.paper import CLAIMS
from imbpipe.experiments.claims.run import Placed, put, settings_for
from imbpipe.experiments.experiment import read_experiment
from imbpipe.experiments.results import ResultStore
from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.experiments.trials import Trials
from imbpipe.figures.claims import details, overview

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
BASE, UNDER, OVER = Pick("baseline"), Pick("undersample"), Pick("oversample")
RARE = ("rare", "rarer", "rarest")
LOW = np.array([name in RARE for name in CLASSES])


def claim(kind, classes, margin=0.05, ours=OVER, theirs=BASE, **more):
    return Claim(
        "X", "It holds.", "0", (Hypothesis("it", kind, ours, theirs, classes, margin),), "why", **more
    )


def asked(tmp_path):
    """An experiment of the baseline, undersampling and oversampling."""
    path = tmp_path / "x.toml"
    path.write_text(
        'title = "test"\ndatasets = ["by-hand"]\nencoders = ["resnet18"]\n'
        '[[strategies]]\nstrategy = "undersample"\n[[strategies]]\nstrategy = "oversample"\n'
    )
    return read_experiment(path)


def said(monkeypatch, tmp_path, one, gain, own_noise=0.05):
    """What is answered where oversampling adds gain(class name) to the baseline's signal of 2."""
    pool, store = make_pool((BASELINE, Setting.of("undersample"), Setting.of("oversample")), 6, 1), None
    store = ResultStore(tmp_path)

    def signal(setting, name):
        return 2.0 + (gain(name) if setting.strategy == "oversample" else 0.0)

    keep_scores(monkeypatch, pool, store, signal, own_noise)
    [placed] = put([one], asked(tmp_path), pool, store)
    return placed


TREND = claim("trend", "trend")
HARMS = claim("superiority", ("agriculture",), ours=BASE, theirs=OVER)


@pytest.mark.parametrize(
    ("one", "gain", "own_noise", "verdict"),
    [
        (claim("equivalence", "remaining"), lambda name: 0.0, 0.05, "supported"),
        (claim("equivalence", "each"), lambda name: 0.0, 0.02, "supported"),
        (claim("equivalence", "each"), lambda name: -2.0 * (name == "bare_ground"), 0.05, "contradicted"),
        (claim("equivalence", "low-frequency"), lambda name: 0.0, 2.0, "undecided"),
        (claim("non-inferiority", "low-frequency"), lambda name: 1.0, 0.05, "supported"),
        (claim("non-inferiority", "low-frequency"), lambda name: -1.5, 0.05, "contradicted"),
        (claim("non-inferiority", "low-frequency"), lambda name: 0.0, 2.0, "undecided"),
        (claim("superiority", "all"), lambda name: 1.0, 0.05, "supported"),
        (claim("superiority", "all"), lambda name: -1.0, 0.05, "contradicted"),
        (claim("superiority", "low-frequency"), lambda name: 0.2, 2.0, "undecided"),
        (HARMS, lambda name: -2.0 * (name == "agriculture"), 0.05, "supported"),
        (HARMS, lambda name: 0.0, 0.05, "contradicted"),
        (TREND, lambda name: 2.0 * (name == "rare") - 1.5 * (name == "rarest"), 0.05, "supported"),
        (TREND, lambda name: 2.0 * (name == "rarest") - 1.5 * (name == "rare"), 0.05, "contradicted"),
        (claim("interaction", "remaining", theirs=UNDER), lambda name: 1.0, 0.05, "supported"),
    ],
)  # fmt: skip
def test_a_claim_is_answered_as_its_scores_were_made(monkeypatch, tmp_path, one, gain, own_noise, verdict):
    placed = said(monkeypatch, tmp_path, one, gain, own_noise)
    assert placed.answer.verdict == verdict
    deciding = placed.answer.deciding
    assert deciding.low <= deciding.estimate <= deciding.high
    assert deciding.detectable > 0


def test_one_of_several_is_enough_only_where_the_claim_says_so(monkeypatch, tmp_path):
    both = (
        Hypothesis("over", "superiority", OVER, BASE, "all", 0.05),
        Hypothesis("the other way", "superiority", BASE, OVER, "all", 0.05),
    )
    one = Claim("X", "One helps.", "0", both, "why", any_of=True)
    assert said(monkeypatch, tmp_path / "a", one, lambda name: 1.0).answer.verdict == "supported"
    every = replace(one, any_of=False)
    assert said(monkeypatch, tmp_path / "b", every, lambda name: 1.0).answer.verdict == "contradicted"
    assert said(monkeypatch, tmp_path / "c", one, lambda name: 0.0).answer.verdict == "contradicted"


def found(p_for, p_against):
    return Found("it", "", "", "superiority", 0.1, 0.0, -1.0, 1.0, 0.5, p_for, p_against)


def test_p_values_of_a_claim_are_those_of_statsmodels():
    tests = [found(0.02, 0.5), found(0.004, 0.03), found(0.3, 0.002)]
    for_, against = ([getattr(test, p) for test in tests] for p in ("p_for", "p_against"))
    everything = answer(tests, any_of=False)
    assert everything.p_for == 0.3
    assert everything.p_against == pytest.approx(multipletests(against, method="holm")[1].min())
    assert everything.deciding is tests[2]
    one = answer(tests, any_of=True)
    assert one.p_for == pytest.approx(multipletests(for_, method="holm")[1].min())
    assert one.p_against == 0.5
    assert one.deciding is tests[1]


def test_a_test_that_cannot_be_made_keeps_a_claim_from_being_supported_and_not_from_being_contradicted():
    nan = float("nan")
    unknown = replace(found(nan, nan), estimate=nan, low=nan, high=nan)
    assert answer([found(0.001, 0.9), unknown], any_of=False).verdict == "undecided"
    assert answer([found(0.9, 0.001), unknown], any_of=False).verdict == "contradicted"


def test_each_kind_of_test_agrees_with_the_statistics_it_is_made_of(monkeypatch, tmp_path):
    pool, store = make_pool((BASELINE, Setting.of("oversample")), 6, 1), ResultStore(tmp_path)
    keep_scores(monkeypatch, pool, store, lambda setting, name: 2.0 + 0.1 * (setting != BASELINE), 0.3)
    trials = Trials(pool, store).of(Setting.of("oversample"))
    masks, names = masks_of("each", CLASSES, np.arange(9), LOW)
    measured = effect(trials, "ap", masks, margin=0.05)
    for place, _ in enumerate(names):
        tests = {
            kind: found_by(Hypothesis("it", kind, OVER, BASE, "each", 0.05), measured, names, "")[place]
            for kind in ("superiority", "equivalence", "non-inferiority")
        }
        one_sided = measured.p[place] / 2 if measured.estimate[place] > 0 else 1 - measured.p[place] / 2
        assert tests["superiority"].p_for == pytest.approx(one_sided)
        assert tests["equivalence"].p_for == pytest.approx(measured.equivalent_p[place])
        t = (measured.estimate[place] + 0.05) / measured.error[place]
        assert tests["non-inferiority"].p_for == pytest.approx(stats.t.sf(t, measured.freedom[place]))
        assert tests["non-inferiority"].p_against == pytest.approx(1 - tests["non-inferiority"].p_for)


def test_a_trend_is_the_rise_of_the_line_that_numpy_fits():
    counts = np.array([500, 300, 400, 90, 40, 20, 350, 200, 250])
    weights, names = masks_of("trend", CLASSES, counts, LOW)
    effects = np.array([9.0, 9.0, 9.0, 0.4, 0.1, 0.2, 9.0, 9.0, 9.0])
    slope = np.polyfit(np.log(counts[LOW]), effects[LOW], 1)[0]
    assert (weights[0] @ effects, names) == (pytest.approx(slope * np.log(90 / 20)), [""])


def placed_with(name, protocol, *answers):
    one = replace(claim("superiority", "all"), id=name)
    told = [Answer((test,), test, test.p_for, test.p_against) for test in answers]
    return [
        Placed(one, protocol, "ap", "planet", f"encoder {place}", "none", each)
        for place, each in enumerate(told)
    ]


def test_the_overall_word_needs_every_place_and_pays_for_every_claim():
    placed = [
        *placed_with("A", "text", found(0.001, 0.9), found(0.010, 0.9)),
        *placed_with("B", "text", found(0.004, 0.9), found(0.6, 0.4)),
        *placed_with("C", "text", found(0.9, 0.001), found(0.9, 0.2)),
        *placed_with("A", "code", found(0.02, 0.9)),
    ]
    words = {(each.claim, each.protocol): each for each in overall(placed)}
    assert words["A", "text"].p_for == pytest.approx(multipletests([0.010, 0.6, 0.9], method="holm")[1][0])
    assert words["A", "text"].verdict == "undecided"
    assert words["B", "text"].verdict == "undecided"
    assert words["C", "text"].verdict == "contradicted"
    assert words["A", "code"].verdict == "supported"


@pytest.mark.parametrize("file", ["paper.toml", "paper-code.toml"])
@pytest.mark.parametrize("dataset", ["planet", "ade20k", "sample", "sample-scenes"])
def test_every_claim_finds_its_settings_in_either_protocol(file, dataset):
    experiment = read_experiment(EXPERIMENTS / file)
    own = experiment.settings(dataset)
    assert [one.id for one in CLAIMS] == [f"C{number}" for number in range(1, 9)]
    for one in CLAIMS:
        assert all(hypothesis.pairs(own) for hypothesis in one.hypotheses), one.id
    asked_for = settings_for(CLAIMS, experiment, dataset)
    threshold = {"planet": (200, 30_000)}.get(dataset, (None, None))
    assert Setting.of("herding", threshold=threshold[0]) in asked_for
    assert Setting.of("oversample", threshold=threshold[1], length="steps") in asked_for
    factors = {ours.values["factor"] for ours, _ in CLAIMS[0].hypotheses[0].pairs(own)}
    assert factors == {1.5, 2, 2.5, 3, 5, 10}


def test_the_code_s_file_says_what_the_code_did():
    code = read_experiment(EXPERIMENTS / "paper-code.toml")
    assert (code.split, code.metric, code.thresholds) == ("no-test", "predicted_negative_rate", "paper")
    planet, scenes = (code.on_dataset(name).protocol for name in ("planet", "ade20k"))
    assert (planet.epochs, planet.learning_rate, planet.step, planet.gamma) == (20, 1e-3, 7, 0.1)
    assert (scenes.epochs, scenes.learning_rate, scenes.patience) == (10, 1e-4, 10)
    counts = [
        2241,
        1528,
        767,
        738,
        728,
        454,
        351,
        325,
        251,
        184,
        176,
        145,
        143,
        137,
        118,
        109,
        106,
        105,
        105,
        98,
    ]
    assert np.sum(counts <= np.percentile(counts, code.on_dataset("ade20k").percentile)) == 11


def test_a_claim_without_its_runs_says_which_command_makes_them(monkeypatch, tmp_path):
    pool, store = make_pool((BASELINE, Setting.of("oversample")), 2, 1), ResultStore(tmp_path)
    keep_scores(monkeypatch, pool, store, lambda setting, name: 2.0)
    experiment = asked(tmp_path)
    [placed] = put([claim("superiority", "all", ours=UNDER)], experiment, pool, store)
    assert placed.answer is None
    assert placed.note == "no finished runs of undersample. Run: imbpipe claims"
    [placed] = put([claim("superiority", "all", ours=Pick("upweight"))], experiment, pool, store)
    assert placed.note == "test has no upweight here. Add it to the experiment file"
    [placed] = put([claim("superiority", ("no such class",))], experiment, pool, store)
    assert placed.note == "by-hand has none of the classes it names"
    assert put([claim("superiority", "all", encoders=("clip",))], experiment, pool, store) == []


def test_a_figure_shows_each_test_with_its_interval_in_the_colour_of_its_word(monkeypatch, tmp_path):
    one = claim("equivalence", "each")
    placed = [said(monkeypatch, tmp_path, one, lambda name: -2.0 * (name == "bare_ground"))]
    drawn = details(one, placed, overall(placed))
    [axes] = drawn.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"it: {name}" for name in CLASSES]
    shown = [bars.lines[0] for bars in axes.containers if hasattr(bars, "lines")]
    assert [line.get_xdata()[0] for line in shown] == [test.estimate for test in placed[0].answer.found]
    colours = {line.get_color() for line in shown}
    assert colours >= {"#009E73", "#D55E00"}
    [axes] = overview(placed, overall(placed)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["X  by-hand, ResNet-18"]


def test_claims_trains_what_is_missing_answers_draws_and_trains_nothing_twice(photos):  # noqa: F811
    for name, more in (("text", ""), ("code", 'split = "no-test"\nmetric = "predicted_negative_rate"\n')):
        Path(f"{name}.toml").write_text(
            f'title = "{name}"\ndatasets = ["photos"]\nencoders = ["mean-colour"]\n'
            f"splits = 2\nseeds = 1\n{more}"
            "[protocol]\nepochs = 1\n"
            '[[strategies]]\nstrategy = "upweight"\nfactor = [1, 5]\n'
            '[[strategies]]\nstrategy = "undersample"\n[[strategies]]\nstrategy = "oversample"\n'
        )
    first = run("claims", "text.toml", "code.toml")
    assert first.exit_code == 0, first.output
    assert "Over all data sets and encoders, by Holm over the claims" in first.stdout
    assert "C4  Oversampling matches or improves" in first.stdout
    assert "C5" not in first.stdout
    assert (
        first.stdout.count("text, photos, mean-colour:")
        == first.stdout.count("code, photos, mean-colour:")
        == 6
    )
    assert {"claims.png", "claims-C1.png", "claims-C8.svg"} <= {
        path.name for path in Path("figures").iterdir()
    }
    stamps = {path: path.stat().st_mtime_ns for path in Path("cache/runs").rglob("*.parquet")}
    told = json.loads(run("claims", "text.toml", "--json").stdout)
    assert {path: path.stat().st_mtime_ns for path in Path("cache/runs").rglob("*.parquet")} == stamps
    assert {each["protocol"] for each in told["overall"]} == {"text"}
    [c8] = [each for each in told["claims"] if each["claim"] == "C8"]
    assert c8["hypothesis"] == "non-inferiority"
    assert c8["verdict"] in ("supported", "contradicted", "undecided")
    assert c8["tests"][0]["margin"] == 0.02
