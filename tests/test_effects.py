"""Differences between settings: how often intervals hold the truth, and each formula against another's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from simulated import World
from sklearn.metrics import average_precision_score

from imbpipe.errors import ResultsError, UsageError
from imbpipe.evaluation.adjust import benjamini_hochberg, holm
from imbpipe.evaluation.bootstrap import hierarchical_bootstrap
from imbpipe.evaluation.differences import Differences, measure
from imbpipe.evaluation.effects import Effect, effect
from imbpipe.evaluation.metrics import Scored
from imbpipe.evaluation.trial import Trial
from imbpipe.evaluation.variance import of_images_and_seeds, of_splits
from imbpipe.evaluation.verdict import detectable_effect, equivalence_p, verdicts

ALONE_AND_TOGETHER = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], bool)


def effects_of_nothing(world: World, metric: str, times: int) -> list[Effect]:
    rng = np.random.default_rng(11)
    return [effect(world.draw(rng), metric, ALONE_AND_TOGETHER, margin=0.1) for _ in range(times)]


def share_held(effects: list[Effect]) -> float:
    return float(np.mean([(found.low <= 0) & (found.high >= 0) for found in effects]))


@pytest.mark.parametrize(
    ("world", "metric"),
    [
        (World(), "ap"),
        (World(), "recall"),
        (World(images=400, seeds=10, seed=0.8), "ap"),
        (World(images=400, positives=(20, 20, 20), seeds=3, splits=5, population=2000, split=0.5), "ap"),
        (World(images=400, positives=(20, 20, 20), seeds=2, splits=3, population=2000, split=0.5), "f2"),
    ],
    ids=["one split", "recall", "noisy seeds", "five splits", "three splits, two seeds"],
)
def test_intervals_of_no_difference_hold_0_as_often_as_they_say(world: World, metric: str) -> None:
    assert 0.93 <= share_held(effects_of_nothing(world, metric, 150)) <= 0.97


def test_false_positives_stay_at_their_level_and_verdicts_follow_them() -> None:
    effects = effects_of_nothing(World(positives=(20, 20, 20)), "ap", 250)
    p = np.array([found.p for found in effects])
    for level in (0.05, 0.2):
        assert (p <= level).mean() == pytest.approx(level, abs=0.03)
    words = np.array([found.verdict for found in effects])
    assert np.isin(words, ["better", "worse"]).mean() == pytest.approx(0.05, abs=0.02)


def test_a_gain_is_found_about_as_often_as_the_detectable_effect_says() -> None:
    rng = np.random.default_rng(2)
    world = World(seeds=10, gain=0.45)
    effects = [effect(world.draw(rng), "ap", np.ones(3, bool)) for _ in range(150)]
    true, detectable = (np.mean([getattr(e, name) for e in effects]) for name in ("estimate", "detectable"))
    found = np.mean([e.verdict == "better" for e in effects])
    assert true / detectable == pytest.approx(1.0, abs=0.1)
    assert found == pytest.approx(0.8, abs=0.1)


def naive_intervals_hold(world: World, times: int) -> tuple[float, float]:
    """How often 0 is held by resampling images of one seed, and by a t over seeds on the same images."""
    from scipy import stats

    rng, held = np.random.default_rng(3), []
    for _ in range(times):
        trials = world.draw(rng)
        draws = hierarchical_bootstrap(trials, "ap", np.ones(3, bool), rng, draws=200)
        low, high = np.percentile(draws, [2.5, 97.5])
        values = measure(trials, "ap", np.ones((1, 3), bool)).splits[0].values[:, 0]
        t = stats.ttest_1samp(values, 0).pvalue if len(values) > 1 else np.nan
        held.append((low <= 0 <= high, t > 0.05))
    images, seeds = np.mean(held, axis=0)
    return float(images), float(seeds)


def test_images_alone_call_seed_noise_real_and_seeds_alone_call_image_noise_real() -> None:
    one_seed, _ = naive_intervals_hold(World(seeds=1, seed=0.8), 60)
    _, over_seeds = naive_intervals_hold(World(seeds=10, seed=0.1, run=0.3, taste=1.5), 40)
    assert one_seed < 0.85
    assert over_seeds < 0.7


def test_the_error_of_one_run_is_the_jackknife_of_scikit_learns_average_precision() -> None:
    [trial] = World(images=80, positives=(8, 20), seeds=1).draw(np.random.default_rng(0))
    found = effect([trial], "ap", np.ones(2, bool))
    labels, rows = trial.ours.labels, np.arange(80)
    without = [
        np.subtract(
            *(
                average_precision_score(labels[rows != row], side.scores[0, rows != row])
                for side in (trial.ours, trial.theirs)
            )
        )
        for row in rows
    ]
    variance = 79 / 80 * np.square(without - np.mean(without)).sum()
    assert found.error == pytest.approx(np.sqrt(variance))
    whole = [average_precision_score(labels, side.scores[0]) for side in (trial.ours, trial.theirs)]
    assert found.estimate == pytest.approx(whole[0] - whole[1])


def differences(values: list[float], pulls: list[list[float]], overlap: float = 0.0) -> Differences:
    """One class; a list of pulls a run."""
    images = np.arange(len(pulls[0]))
    return Differences(
        np.array(values)[:, None], np.array(pulls)[:, :, None], images, overlap, np.zeros(1, bool)
    )


def test_seeds_and_images_add_up_as_worked_out_by_hand() -> None:
    alike = differences([1, 3], [[0.1, -0.1], [0.1, -0.1]])
    # seeds: variance 2 over 2 runs; images: 0.02, the same for both runs
    assert of_images_and_seeds([alike])[0] == pytest.approx(1.02)
    opposed = differences([1, 3], [[0.1, -0.1], [-0.1, 0.1]])
    assert of_images_and_seeds([opposed])[0] == pytest.approx(1.0)


def test_an_image_that_two_splits_test_counts_once() -> None:
    one = differences([0.2], [[0.1, -0.1]])
    other = replace(one, images=np.array([7, 8]))
    assert of_images_and_seeds([one, one])[0] == pytest.approx(0.02)
    assert of_images_and_seeds([one, other])[0] == pytest.approx(0.01)


def test_overlapping_splits_are_corrected_as_nadeau_and_bengio_say() -> None:
    splits = [differences([value], [[0.0, 0.0]], overlap=1 / 3) for value in (0.1, 0.2, 0.3)]
    variance, freedom = of_splits(splits)
    assert variance == pytest.approx((1 / 3 + 1 / 3) * 0.01)
    assert freedom == 2


def test_drawing_splits_seeds_and_images_anew_scatters_as_much_as_the_formula_says() -> None:
    rng = np.random.default_rng(4)
    trials = World(seeds=40).draw(rng)
    found = effect(trials, "ap", ALONE_AND_TOGETHER)
    draws = hierarchical_bootstrap(trials, "ap", ALONE_AND_TOGETHER, rng)
    assert_allclose(draws.std(axis=0), found.error, rtol=0.1)
    assert_allclose(draws.mean(axis=0), found.estimate, atol=0.01)


def test_the_error_over_groups_of_images_is_statsmodels_robust_to_clusters() -> None:
    from statsmodels.api import OLS

    [trial] = World(seeds=1).draw(np.random.default_rng(3))
    groups = np.random.default_rng(4).integers(0, 30, len(trial.images)) * 5
    found = effect([replace(trial, groups=groups)], "brier", np.ones(3, bool))
    squares = [(side.scores[0] - side.labels) ** 2 for side in (trial.ours, trial.theirs)]
    difference = (squares[0] - squares[1]).mean(axis=1)
    fitted = OLS(difference, np.ones(len(difference))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert_allclose((found.estimate, found.error), (fitted.params[0], fitted.bse[0]), rtol=1e-9)


def test_groups_of_one_image_each_change_nothing() -> None:
    trials = World(seeds=3, splits=2, population=900).draw(np.random.default_rng(5))
    alone = effect(trials, "ap", ALONE_AND_TOGETHER)
    single = effect([replace(trial, groups=trial.images) for trial in trials], "ap", ALONE_AND_TOGETHER)
    assert_allclose(single.error, alone.error, rtol=1e-12)
    assert_allclose(single.freedom, alone.freedom, rtol=1e-12)


@pytest.mark.parametrize("metric", ["ap", "f2", "brier"])
def test_copies_of_an_image_make_nothing_surer_once_they_are_a_group(metric: str) -> None:
    [trial] = World(seeds=1).draw(np.random.default_rng(5))
    ours, theirs = (
        Scored(np.repeat(side.scores, 4, axis=1), np.repeat(side.labels, 4, axis=0), side.thresholds)
        for side in (trial.ours, trial.theirs)
    )
    single = Trial(ours, theirs, np.arange(4 * len(trial.images)))
    grouped = replace(single, groups=np.repeat(trial.images, 4))
    once, taken_for_new, together = (
        effect([each], metric, ALONE_AND_TOGETHER).error for each in (trial, single, grouped)
    )
    assert_allclose(together, once, rtol=0.05)
    assert_allclose(taken_for_new, once / 2, rtol=0.05)


def test_equivalence_and_power_are_those_of_statsmodels() -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    power = pytest.importorskip("statsmodels.stats.power")
    values = np.random.default_rng(5).normal(0.01, 0.05, 9)
    mean, error, freedom = values.mean(), values.std(ddof=1) / 3, np.array(8.0)
    expected = weightstats.DescrStatsW(values).ttost_mean(-0.06, 0.06)[0]
    assert equivalence_p(mean, error, freedom, 0.06) == pytest.approx(expected)
    effect_size = power.TTestPower().solve_power(nobs=9, alpha=0.05, power=0.8)
    assert detectable_effect(np.array(1 / 3), freedom) == pytest.approx(effect_size, rel=1e-4)


@pytest.mark.parametrize(("adjust", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjusted_p_values_are_those_of_statsmodels_and_nan_is_no_test(adjust, name) -> None:
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    p = np.array([[0.04, 0.001, np.nan], [0.9, 0.02, 0.02]])
    known = ~np.isnan(p)
    adjusted = adjust(p)
    assert_allclose(adjusted[known], multipletests(p[known], method=name)[1])
    assert np.isnan(adjusted[~known]).all()
    assert np.isnan(adjust([np.nan])).all()
    with pytest.raises(UsageError, match="a p-value outside"):
        adjust([1.2])


def test_the_answer_is_one_of_four_words() -> None:
    estimate, p, equivalent = (
        [0.2, -0.2, 0.01, 0.1, 0.01, np.nan],
        [0.01, 0.01, 0.8, 0.3, 0.01, np.nan],
        np.nan,
    )
    assert verdicts(estimate, p, equivalent).tolist() == [
        "better", "worse", "cannot tell", "cannot tell", "better", "cannot tell",
    ]  # fmt: skip
    within = [np.nan, np.nan, 0.02, 0.3, 0.02, np.nan]
    assert verdicts(estimate, p, within).tolist()[2:5] == ["equivalent", "cannot tell", "equivalent"]
    assert verdicts(0.2, holm([0.03, 0.5])[0], np.nan) == "cannot tell"


def test_what_hardly_differs_is_equivalent_under_a_wide_margin_and_unknown_under_a_narrow_one() -> None:
    trials = World(positives=(100, 100), taste=0, seed=0.1).draw(np.random.default_rng(6))
    assert effect(trials, "ap", np.ones(2, bool), margin=0.2).verdict == "equivalent"
    assert effect(trials, "ap", np.ones(2, bool), margin=0.001).verdict == "cannot tell"
    assert effect(trials, "ap", np.ones(2, bool)).verdict == "cannot tell"


def test_classes_with_fewer_than_two_positives_are_left_out_and_named() -> None:
    [trial] = World(images=300).draw(np.random.default_rng(7))
    labels = trial.ours.labels.copy()
    labels[:, 0] = False
    labels[3, 0] = True
    ours, theirs = (replace(side, labels=labels) for side in (trial.ours, trial.theirs))
    found = effect([replace(trial, ours=ours, theirs=theirs)], "ap", ALONE_AND_TOGETHER)
    assert found.left_out.tolist() == [True, False, False]
    assert found.classes.tolist() == [0, 1, 1, 2]
    assert found.estimate[3] == pytest.approx(found.estimate[1:3].mean())
    assert np.isnan([found.estimate[0], found.low[0], found.p[0]]).all()


def test_changing_sides_changes_the_sign_and_the_word_and_the_order_of_images_and_splits_nothing() -> None:
    rng = np.random.default_rng(13)
    trials = World(images=200, splits=3, population=1000, gain=2.0).draw(rng)
    found = effect(trials, "ap", np.ones(3, bool))
    swapped = effect(
        [replace(one, ours=one.theirs, theirs=one.ours) for one in trials], "ap", np.ones(3, bool)
    )
    assert (found.verdict, swapped.verdict) == ("better", "worse")
    assert_allclose([swapped.estimate, swapped.low, swapped.high], [-found.estimate, -found.high, -found.low])
    shuffled = []
    for trial in reversed(trials):
        order = rng.permutation(200)
        sides = {
            side: Scored(scored.scores[:, order], scored.labels[order], scored.thresholds)
            for side, scored in (("ours", trial.ours), ("theirs", trial.theirs))
        }
        shuffled.append(replace(trial, **sides, images=trial.images[order]))
    again = effect(shuffled, "ap", np.ones(3, bool))
    assert_allclose([again.estimate, again.error, again.p], [found.estimate, found.error, found.p])


def test_a_lower_brier_score_is_better() -> None:
    [trial] = World(images=300, gain=2.0).draw(np.random.default_rng(14))
    found = effect([trial], "brier", np.ones(3, bool))
    assert found.high < 0
    assert found.verdict == "better"


def test_a_contrast_is_the_difference_of_two_means_with_its_own_error_and_unknown_with_a_class() -> None:
    trials = World(images=300, positives=(30, 30)).draw(np.random.default_rng(15))
    alone = effect(trials, "ap", np.eye(2, dtype=bool))
    contrast = effect(trials, "ap", np.array([1.0, -1.0]))
    assert contrast.estimate == pytest.approx(alone.estimate[0] - alone.estimate[1])
    assert contrast.error == pytest.approx(np.hypot(*alone.error), rel=0.3)
    [rare] = World(images=300, positives=(30, 0)).draw(np.random.default_rng(15))
    assert np.isnan(effect([rare], "ap", np.array([1.0, -1.0])).estimate)


def test_differences_do_not_depend_on_how_many_classes_are_worked_on_at_a_time() -> None:
    trials = World(images=100, splits=2).draw(np.random.default_rng(12))
    whole = effect(trials, "ap", ALONE_AND_TOGETHER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imbpipe.evaluation.curve.BLOCK", 1)
        one_by_one = effect(trials, "ap", ALONE_AND_TOGETHER)
    assert_allclose(one_by_one.error, whole.error)
    assert_allclose(one_by_one.estimate, whole.estimate)


def test_the_example_of_the_documentation_prints_what_stands_there(capsys) -> None:
    text = (Path(__file__).parents[1] / "docs/evaluation.md").read_text(encoding="utf-8")
    snippet, _, after = text.partition("```python\n")[2].partition("```")
    exec(snippet, {})
    assert capsys.readouterr().out.strip() in after


def test_settings_that_score_alike_are_equivalent_and_those_that_only_decide_alike_are_not() -> None:
    [trial] = World(images=100, positives=(30,)).draw(np.random.default_rng(8))
    same = effect([replace(trial, ours=trial.theirs)], "ap", np.ones(1, bool), margin=0.01)
    assert (same.estimate, same.low, same.high, same.p, same.verdict) == (0, 0, 0, 1, "equivalent")
    cooler = replace(trial.theirs, scores=trial.theirs.scores**2, thresholds=np.full((5, 1), 0.1))
    ranked = effect([replace(trial, ours=cooler)], "ap", np.ones(1, bool), margin=0.01)
    assert (ranked.low, ranked.high, ranked.verdict) == (0, 0, "equivalent")
    decided = effect([replace(trial, ours=cooler)], "recall", np.ones(1, bool), margin=0.01)
    assert decided.low < decided.high
    high = replace(trial.ours, thresholds=np.full((5, 1), 0.9999))
    never = replace(trial, ours=high, theirs=replace(high, scores=trial.theirs.scores))
    unknown = effect([never], "recall", np.ones(1, bool), margin=0.01)
    assert unknown.estimate == 0
    assert np.isnan([unknown.low, unknown.p, unknown.detectable]).all()
    assert unknown.verdict == "cannot tell"


def test_trials_that_do_not_belong_together_are_refused() -> None:
    [trial] = World(images=50, positives=(10,), seeds=2).draw(np.random.default_rng(9))
    one = np.ones(1, bool)
    other = replace(trial.ours, labels=~trial.ours.labels)
    fewer = trial.ours.part(slice(1), slice(None))
    for changed, fact in (
        ({"ours": other}, "against other labels"),
        ({"ours": fewer}, r"shape \(1, 50, 1\) against \(2, 50, 1\)"),
        ({"images": np.zeros(50, int)}, "an image stands twice"),
        ({"images": np.arange(49)}, "49 image numbers for 50 images"),
        ({"train_images": 0}, "0 training images"),
        ({"groups": np.arange(49)}, "49 groups for 50 images"),
        ({"groups": np.zeros(50, int)}, "all test images are of one group"),
    ):
        with pytest.raises(ResultsError, match=fact):
            replace(trial, **changed)
    with pytest.raises(ResultsError, match="no trial"):
        effect([], "ap", one)
    with pytest.raises(ResultsError, match="Give every trial its number of train_images"):
        effect([trial, trial], "ap", one)
    [wider] = World(images=50, positives=(10, 10), seeds=2).draw(np.random.default_rng(9))
    with pytest.raises(ResultsError, match="trials of 1 and 2 classes"):
        effect([trial, wider], "ap", one)
    for given in ({"margin": 0.0}, {"margin": np.nan}, {"confidence": 95.0}):
        with pytest.raises(UsageError, match=r"a margin of|a confidence of"):
            effect([trial], "ap", one, **given)
    with pytest.raises(UsageError, match="a mask of bool and 3 classes for 1"):
        effect([trial], "ap", np.ones(3, bool))


def authors_runs(test_data: Path, ours: list[str], theirs: list[str]) -> tuple[Trial, np.ndarray]:
    """The authors' runs, which differ by nothing but their seeds, and the 11 rare classes of their code."""
    saved = np.load(test_data / "ade20k_saved_scores.npz")
    labels = saved["labels"] == 1
    sides = [np.stack([saved[f"scores_{factor}"] for factor in runs]) for runs in (ours, theirs)]
    scored = [Scored(side, labels, np.full((len(side), 20), 0.2)) for side in sides]
    return Trial(*scored, np.arange(len(labels))), labels.sum(axis=0) <= 16


def test_resampling_images_alone_finds_factors_1_5_and_5_better_among_runs_that_differ_by_seed(
    test_data: Path,
) -> None:
    better = []
    for factor in ("1.5", "2.0", "2.5", "3.0", "3.5", "5.0", "10.0", "50.0", "100.0"):
        trial, rare = authors_runs(test_data, [factor], ["1.0"])
        draws = hierarchical_bootstrap([trial], "ap", rare, np.random.default_rng(0))
        found = effect([trial], "ap", rare)
        assert (np.percentile(draws, 2.5) > 0) == (found.verdict == "better")
        assert found.seeds == 1
        better += [factor] if found.verdict == "better" else []
    assert better == ["1.5", "5.0"]


def test_with_their_seed_noise_counted_the_authors_runs_cannot_be_told_apart(test_data: Path) -> None:
    trial, rare = authors_runs(
        test_data, ["1.5", "2.5", "3.5", "5.0", "50.0"], ["1.0", "2.0", "3.0", "10.0", "100.0"]
    )
    found = effect([trial], "ap", rare)
    assert found.verdict == "cannot tell"
    assert found.seeds == 5
    assert 0.02 < found.detectable < 0.2
