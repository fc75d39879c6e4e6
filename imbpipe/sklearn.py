"""Strategies for users of scikit-learn and imbalanced-learn: a classifier and a sampler."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from imblearn.base import BaseSampler
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from imbpipe.datasets.dataset import Dataset
from imbpipe.datasets.splits import make_split
from imbpipe.errors import ImbpipeError
from imbpipe.experiments.setting import Setting
from imbpipe.heads.run import HeadConfig, Protocol, Run
from imbpipe.strategies.plan import Phase, Plan
from imbpipe.strategies.strategy import STRATEGIES
from imbpipe.types import Features, Labels, Task, TrainingSet


class ImbalanceClassifier(ClassifierMixin, BaseEstimator):
    """A head of `imbpipe train` with a strategy against class imbalance, for one or several labels a row.

    strategy: a name that `imbpipe strategies` lists. parameters: the strategy's own, by name; None: defaults.
    head, hidden, dropout: see `HeadConfig`. epochs, batch_size, learning_rate: see `Protocol`.
    device: auto, cpu or cuda. random_state: of initialisation, drawing and dropout.

    Fitted: classes_ (c,); of several labels, the column numbers. bank_: the trained head.
    thresholds_: (c,) above which a label is predicted where there may be several.
    Strategies that look at validation rows hold out a part of what `fit` gets; all others train on all.
    """

    def __init__(
        self,
        strategy: str = "oversample",
        *,
        parameters: Mapping[str, Any] | None = None,
        head: str = "mlp",
        hidden: int = 128,
        dropout: float = 0.2,
        epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.strategy = strategy
        self.parameters = parameters
        self.head = head
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "ImbalanceClassifier":
        """X: (n, d). y: (n,) classes, or (n, c) of 0 and 1. Raises ValueError: what cannot be trained on."""
        X, y = validate_data(self, X, y, multi_output=True, dtype=[np.float32, np.float64])
        labels, self.classes_, task = _labels_of(y)
        self._several = task == "multi-label"
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        try:
            self._train(X, labels, task, seed)
        except ImbpipeError as error:
            raise ValueError(str(error)) from error
        return self

    def _train(self, X: Features, labels: Labels, task: Task, seed: int) -> None:
        from imbpipe.evaluation.thresholds import thresholds_by
        from imbpipe.heads.posthoc.finish import finished_heads

        head = HeadConfig(self.head, self.hidden, self.dropout)  # type: ignore[arg-type]  # checked there
        protocol = Protocol(head, self.epochs, self.batch_size, self.learning_rate)
        train, validation = np.arange(len(X)), np.arange(0)
        plan = self._plan(X, labels, task, seed)
        rule = plan.cut.rule if plan.cut else "fixed"
        if plan.posthoc or rule != "fixed":
            train, validation = _held_out(labels, task, seed)
            plan = self._plan(X[train], labels[train], task, seed)
        names = tuple(map(str, self.classes_))
        run = Run(train, validation, plan, seed)
        [self.bank_] = finished_heads(X, labels, [run], protocol, device=self.device, class_names=names)
        self.thresholds_ = np.full(len(names), 0.5)
        if plan.cut:
            scores = self.bank_.scores(X[validation])
            self.thresholds_ = thresholds_by(plan.cut, labels[validation], scores)[0]

    def _plan(self, X: Features, labels: Labels, task: Task, seed: int) -> Plan:
        return _plan_of(self.strategy, self.parameters, _training_set(X, labels, self.classes_, task), seed)

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """(n, c): of one label a row, rows that sum to 1; of several, each label's own."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        scores = self.bank_.scores(X)[0]
        if self._several:
            return scores
        return scores / scores.sum(axis=1, keepdims=True).clip(np.finfo(scores.dtype).tiny)

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) classes, or (n, c) of 0 and 1."""
        scores = self.predict_proba(X)
        if self._several:
            return (scores > self.thresholds_).astype(int)
        return self.classes_[scores.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class PlanSampler(BaseSampler):
    """The rows that a strategy trains on, drawn or made, as a sampler for imbalanced-learn's pipelines.

    strategy, parameters: as of ImbalanceClassifier, but only strategies that say which rows to train on:
    of weights, losses and steps after training a sampler could give nothing on.
    random_state: of what is drawn.

    Fitted: sample_indices_ (m,), where no row was made.
    """

    _sampling_type = "bypass"

    def __init__(
        self,
        strategy: str = "oversample",
        *,
        parameters: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy="auto")
        self.strategy = strategy
        self.parameters = parameters
        self.random_state = random_state

    def fit(self, X: Any, y: Any, **params: Any) -> "PlanSampler":
        """Check the data; `fit_resample` does all."""
        self.fit_resample(X, y)
        return self

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """X: (n, d), y: (n,) or (n, c) of 0 and 1 -> as many rows as an epoch has. Raises ValueError."""
        from imblearn.utils._validation import ArraysTransformer

        check_classification_targets(y)
        kinds = ArraysTransformer(X, y)
        X, y = validate_data(self, X, y, multi_output=True, dtype="numeric")
        y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
        labels, classes, task = _labels_of(y)
        self.sampling_strategy_ = self.sampling_strategy
        random = check_random_state(self.random_state)
        try:
            data = _training_set(X, labels, classes, task)
            plan = _plan_of(self.strategy, self.parameters, data, random.randint(2**31 - 1))
            rows = self._rows(plan, len(X), np.random.default_rng(random.randint(2**31 - 1)))
        except ImbpipeError as error:
            raise ValueError(str(error)) from error
        if plan.synthetic is None:
            self.sample_indices_ = rows
            return kinds.transform(X[rows], y[rows])
        made = plan.synthetic
        if not np.isin(made.labels, (0, 1)).all():
            raise ValueError(f"strategy {self.strategy!r} makes rows that are part one class, part another")
        own = made.labels.astype(y.dtype) if y.ndim == 2 else classes[made.labels.argmax(axis=1)]
        everything = np.concatenate([X, made.features.astype(X.dtype)])
        return kinds.transform(everything[rows], np.concatenate([y, own])[rows])

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> Any:
        raise NotImplementedError("fit_resample does all")

    def _rows(self, plan: Plan, n: int, rng: Generator) -> NDArray[np.int64]:
        if not _is_rows_alone(plan):
            raise ValueError(
                f"strategy {self.strategy!r} does more than choose rows. Use ImbalanceClassifier for it"
            )
        phase: Phase = plan.phases[0]
        if phase.probability is not None:
            count = n if phase.rows is None else len(phase.rows)
            return rng.choice(len(phase.probability), count, p=phase.probability / phase.probability.sum())
        return np.arange(n) if phase.rows is None else phase.rows

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.sampler_tags.sample_indices = True
        return tags


def _is_rows_alone(plan: Plan) -> bool:
    """Whether the plan is one phase that says which rows, and nothing else."""
    phase = plan.phases[0]
    plain = phase.weight is None and phase.offset is None and phase.loss == "bce"
    return len(plan.phases) == 1 and plain and not plan.posthoc and plan.cut is None and plan.start is None


def _labels_of(y: NDArray[Any]) -> tuple[Labels, NDArray[Any], Task]:
    """(n, c) labels, the c classes, and whether there may be several a row. Raises ValueError."""
    check_classification_targets(y)
    if type_of_target(y, input_name="y") == "multilabel-indicator":
        labels = check_array(y).astype(bool)
        return labels, np.arange(labels.shape[1]), "multi-label"
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        raise ValueError("several columns of y must hold 0 and 1: one column a label")
    classes, place = np.unique(column_or_1d(y, warn=True), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"only one class, {classes[0]!r}: there has to be one to tell it from")
    return np.eye(len(classes), dtype=bool)[place], classes, "single-label"


def _training_set(X: Features, labels: Labels, classes: NDArray[Any], task: Task) -> TrainingSet:
    return TrainingSet(X, labels, tuple(map(str, classes)), task)


def _plan_of(strategy: str, parameters: Mapping[str, Any] | None, data: TrainingSet, seed: int) -> Plan:
    setting = Setting.of(strategy, **(parameters or {}))
    return STRATEGIES[strategy](data, np.random.default_rng(seed), **setting.values)


def _held_out(labels: Labels, task: Task, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and to look at afterwards, a fifth, stratified as the program's own splits are."""
    ids = tuple(map(str, range(len(labels))))
    names = tuple(map(str, range(labels.shape[1])))
    split = make_split(Dataset("rows", ids, (), labels, names, task), seed, kind="no-test")
    return split.train, split.validation
