"""The classifier and the sampler among scikit-learn's and imbalanced-learn's own."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_samplers
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from imbpipe.sklearn import ImbalanceClassifier, PlanSampler

QUICK = {"hidden": 16, "epochs": 12, "learning_rate": 0.03, "batch_size": 16, "dropout": 0.0}
NOT_FOR_THE_SAMPLER = {
    "check_target_type": "it wants several labels a row refused; this sampler is made for them",
    "check_samplers_pandas_sparse": "features are dense, and sparse ones are refused",
}


@parametrize_with_checks([ImbalanceClassifier(**QUICK)])
def test_the_classifier_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


OF_SAMPLERS = parametrize_samplers(
    [PlanSampler(random_state=0)], expected_failed_checks=lambda _: NOT_FOR_THE_SAMPLER
)


@pytest.mark.parametrize(OF_SAMPLERS.args[0], list(OF_SAMPLERS.args[1]), ids=OF_SAMPLERS.kwargs["ids"])
def test_the_sampler_passes_the_checks_of_imbalanced_learn(estimator, check):
    check(estimator)


def overlapping(n=400):
    """Two classes that overlap, one of them on a tenth of the rows."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(n) < 0.1, "rare", "usual")
    return (rng.normal(size=(n, 4)) + 1.2 * (y == "rare")[:, None] * [1, 1, 0, 0]).astype(np.float32), y


def several(n=300):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    return X, (X[:, :3] > [0, 0.6, 1.2]).astype(int)


def test_a_strategy_finds_more_of_a_rare_class_than_the_baseline():
    X, y = overlapping()
    found = {
        strategy: recall_score(
            y, ImbalanceClassifier(strategy, random_state=0, **QUICK).fit(X, y).predict(X), pos_label="rare"
        )
        for strategy in ("baseline", "oversample")
    }
    assert found["oversample"] > found["baseline"] + 0.2


def test_several_labels_a_row_are_learned_and_each_has_its_own_probability():
    X, y = several()
    model = ImbalanceClassifier("upweight", parameters={"factor": 3}, random_state=0, **QUICK).fit(X, y)
    assert model.predict_proba(X).shape == y.shape == model.predict(X).shape
    assert (model.predict(X) == y).mean() > 0.9
    assert not np.allclose(model.predict_proba(X).sum(axis=1), 1)


def test_a_strategy_that_chooses_thresholds_does_so_on_rows_held_out():
    X, y = several()
    rules = {rule: {"rule": rule} for rule in ("fixed", "f1")}
    fixed, chosen = (
        ImbalanceClassifier("thresholds", parameters=each, random_state=0, **QUICK).fit(X, y)
        for each in rules.values()
    )
    assert fixed.thresholds_.tolist() == [0.5, 0.5, 0.5]
    assert fixed.thresholds_.tolist() != chosen.thresholds_.tolist()
    assert not np.array_equal(fixed.predict_proba(X), chosen.predict_proba(X))


def test_a_grid_search_chooses_among_strategies():
    X, y = overlapping(200)
    search = GridSearchCV(
        ImbalanceClassifier(random_state=0, **QUICK),
        {"strategy": ["baseline", "oversample"]},
        scoring="balanced_accuracy",
        cv=2,
    )
    assert search.fit(X, y).best_params_ == {"strategy": "oversample"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"strategy": "oversampel"}, "Did you mean 'oversample'"),
        ({"parameters": {"treshold": 3}}, "has no parameter 'treshold'"),
        ({"head": "mpl"}, "no head named 'mpl'"),
    ],
)
def test_what_cannot_be_meant_is_a_value_error_that_says_what_can(wrong, says):
    with pytest.raises(ValueError, match=says):
        ImbalanceClassifier(**{**QUICK, **wrong}).fit(*overlapping(50))


def test_the_sampler_gives_the_rows_of_the_plan_inside_a_pipeline():
    X, y = overlapping()
    drawn, classes = PlanSampler("oversample", random_state=0).fit_resample(X, y)
    assert len(set(Counter(classes).values())) == 1
    assert len(drawn) == len(classes)
    plain, pipeline = (
        LogisticRegression(),
        make_pipeline(PlanSampler("oversample", random_state=0), LogisticRegression()),
    )
    recalls = [recall_score(y, model.fit(X, y).predict(X), pos_label="rare") for model in (plain, pipeline)]
    assert recalls[1] > recalls[0] + 0.2


def test_made_rows_lie_between_rows_of_the_rare_class():
    X, y = overlapping()
    frame = pd.DataFrame(X, columns=list("abcd"))
    sampler = PlanSampler("smote", random_state=0)
    drawn, classes = sampler.fit_resample(frame, pd.Series(y, name="kind"))
    assert list(drawn.columns) == list("abcd")
    made = drawn.iloc[len(X) :]
    assert (classes.iloc[len(X) :] == "rare").all()
    rare = X[y == "rare"]
    assert ((made >= rare.min(axis=0)) & (made <= rare.max(axis=0))).all(axis=None)
    assert not hasattr(sampler, "sample_indices_")


def test_the_sampler_takes_several_labels_a_row():
    X, y = several()
    drawn, labels = PlanSampler("oversample", random_state=0).fit_resample(X, y)
    assert labels.shape == (len(drawn), 3)
    assert labels[:, 2].mean() > y[:, 2].mean() + 0.1


@pytest.mark.parametrize(
    ("strategy", "says"),
    [("focal", "Use ImbalanceClassifier"), ("mixup", "part one class, part another")],
)
def test_a_strategy_that_is_more_than_rows_is_refused_by_the_sampler(strategy, says):
    with pytest.raises(ValueError, match=says):
        PlanSampler(strategy).fit_resample(*overlapping(100))
