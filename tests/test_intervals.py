"""Intervals and paired tests against SciPy and statsmodels, and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from imbpipe.errors import ResultsError, UsageError
from imbpipe.evaluation.intervals import t_interval, wilson_interval
from imbpipe.evaluation.pairs import Runs, paired_difference, sign_flip_p


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda v: np.ptp(v) > 1e-3))
def test_the_t_interval_is_that_of_scipy(values: list[float]) -> None:
    ours = t_interval(values, confidence=0.9)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert_allclose([ours.low, ours.high], theirs, rtol=1e-9, atol=1e-12)
    assert ours.mean == pytest.approx(np.mean(values), abs=1e-12)


def test_the_t_interval_holds_the_truth_as_often_as_it_says() -> None:
    runs = np.random.default_rng(0).normal(0.4, 0.1, size=(5, 20_000))
    for confidence in (0.5, 0.95):
        interval = t_interval(runs, confidence)
        held = ((interval.low < 0.4) & (interval.high > 0.4)).mean()
        assert held == pytest.approx(confidence, abs=4 * np.sqrt(confidence * (1 - confidence) / 20_000))


def test_a_run_without_a_value_is_left_out_of_its_class_and_counted_out() -> None:
    values = np.array([[0.1, 0.5, np.nan], [0.3, np.nan, np.nan], [0.2, np.nan, np.nan]])
    interval = t_interval(values)
    assert interval.runs.tolist() == [3, 1, 0]
    assert_allclose(interval.mean, [0.2, 0.5, np.nan])
    assert np.isnan(interval.low).tolist() == np.isnan(interval.high).tolist() == [False, True, True]
    assert interval.low[0] == t_interval(values[:, 0]).low


def test_ten_of_twenty_has_the_wilson_interval_from_30_to_70_percent() -> None:
    low, high = wilson_interval(10, 20)
    assert (round(float(low), 2), round(float(high), 2)) == (0.30, 0.70)


def test_the_wilson_interval_is_that_of_scipy_and_statsmodels() -> None:
    proportion_confint = pytest.importorskip("statsmodels.stats.proportion").proportion_confint
    trials = np.repeat([1, 2, 20, 1000], 4)
    successes = (trials * np.tile([0, 0.3, 0.5, 1], 4)).astype(int)
    low, high = wilson_interval(successes, trials, 0.9)
    assert_allclose([low, high], proportion_confint(successes, trials, 0.1, "wilson"), atol=1e-12)
    for x, n, *ends in zip(successes, trials, low, high, strict=True):
        assert_allclose(ends, stats.binomtest(x, n).proportion_ci(0.9, method="wilson"), atol=1e-12)


def test_a_proportion_of_none_starts_at_0_of_all_ends_at_1_and_of_nothing_is_not_known() -> None:
    trials = np.arange(400)
    none, whole = wilson_interval(0, trials), wilson_interval(trials, trials)
    assert np.isnan([ends[0] for ends in (*none, *whole)]).all()
    assert (none[0][1:] == 0).all()
    assert (whole[1][1:] == 1).all()


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2), (np.nan, 2)])
def test_counts_that_cannot_be_are_refused(successes: float, trials: int) -> None:
    with pytest.raises(UsageError, match="a proportion"):
        wilson_interval(successes, trials)


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_a_confidence_that_is_no_probability_is_refused(confidence: float) -> None:
    for call in (lambda: t_interval([1, 2], confidence), lambda: wilson_interval(1, 2, confidence)):
        with pytest.raises(UsageError, match="a confidence of"):
            call()


def scipy_p(differences: np.ndarray) -> float:
    return stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=8))
def test_the_exact_sign_flip_p_value_is_that_of_scipy_also_with_ties(tenths: list[int]) -> None:
    whole = np.array(tenths, dtype=np.float64)  # tenths add up inexactly; SciPy gets numbers that do not
    assert sign_flip_p(whole / 10, rng()) == pytest.approx(scipy_p(whole))


def test_the_drawn_p_value_is_close_to_the_exact_one_and_never_zero() -> None:
    differences = np.random.default_rng(3).normal(0.3, 0.5, size=15)
    drawn = sign_flip_p(differences, rng(), flips=20_000)
    assert drawn == pytest.approx(scipy_p(differences), abs=0.01)
    assert sign_flip_p(np.full(40, 0.1), rng(), flips=99) == 0.01


def test_under_no_effect_the_sign_flip_test_errs_as_often_as_it_says() -> None:
    p = sign_flip_p(np.random.default_rng(5).standard_t(3, size=(8, 20_000)), rng())
    for level in (4 / 128, 26 / 128):
        assert (p <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level / 20_000))


def test_runs_are_compared_seed_by_seed_whatever_their_order() -> None:
    ours = Runs(np.array([[0.5, 0.1], [0.9, 0.2], [0.7, np.nan], [0.0, 0.0]]), [3, 1, 2, 99])
    theirs = Runs(np.array([[0.8, 0.1], [0.5, 0.1], [0.4, 0.1]]), [1, 2, 3])
    found = paired_difference(ours, theirs, rng())
    differences = np.array([0.1, 0.1, 0.2])
    assert_allclose(found.mean, [differences.mean(), 0.05])
    assert found.runs.tolist() == [3, 2]
    test = stats.ttest_rel([0.9, 0.7, 0.5], [0.8, 0.5, 0.4])
    assert_allclose([found.low[0], found.high[0]], test.confidence_interval(0.95))
    assert_allclose(found.p, [0.25, 1.0])


def test_pairing_by_seed_finds_what_unpaired_runs_hide() -> None:
    luck = np.random.default_rng(1).normal(0, 0.2, size=10)
    seeds = list(range(10))
    found = paired_difference(Runs(luck + 0.01 + luck / 50, seeds), Runs(luck, seeds), rng())
    assert found.p < 0.01
    assert found.low > 0
    assert stats.ttest_ind(luck + 0.01, luck).pvalue > 0.8


def test_a_class_without_a_value_in_any_pair_has_no_difference_and_no_p_value() -> None:
    missing = Runs(np.full((3, 1), np.nan), [1, 2, 3])
    found = paired_difference(missing, missing, rng())
    assert np.isnan([found.mean, found.low, found.high, found.p]).all()
    assert found.runs == 0


def test_runs_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ResultsError, match="share no seed"):
        paired_difference(Runs(np.zeros(1), [1]), Runs(np.zeros(1), [2]), rng())
    with pytest.raises(ResultsError, match="have the seed 1"):
        Runs(np.zeros(2), [1, 1])
    with pytest.raises(ResultsError, match="2 runs with 1 seeds"):
        Runs(np.zeros(2), [1])
    with pytest.raises(ResultsError, match="over the same classes"):
        paired_difference(Runs(np.zeros((1, 2)), [1]), Runs(np.zeros((1, 3)), [1]), rng())
