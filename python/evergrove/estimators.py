# SPDX-License-Identifier: Apache-2.0
"""Classifier and Regressor: training and scoring as scikit-learn does it.

    classifier = evergrove.Classifier(n_estimators=200, max_leaves=63)
    classifier.fit(frame, target, eval_set=[(valid_frame, valid_target)])
    classifier.predict_proba(frame)

They take what train() takes for data, but paths: frames with text and missing values need no
encoding. The parameters are those of evergrove.parameters(), under these names alone, since
scikit-learn reads them from the signature; names of other libraries are for train().

They pass scikit-learn's check_estimator but for its two checks that a row of weight 0 is no row and
one of weight 2 is two: min_rows and max_bins count rows, and gradients are rounded by a hash of the
row's place.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import assert_all_finite, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "evergrove.Classifier and evergrove.Regressor need scikit-learn 1.6 or newer; install it "
        "with `pip install 'evergrove[sklearn]'`"
    ) from error

from evergrove.model import Model
from evergrove.sources import Rows, is_sparse, open_rows
from evergrove.tables import Array, is_frame, to_table
from evergrove.training import Callback, train

# What is a setting of an estimator, and no parameter of the model.
OWN_SETTINGS = ("valid_fraction", "categorical", "n_jobs", "progress")


class Estimator(BaseEstimator):  # type: ignore[misc]
    """What Classifier and Regressor share. After fit():

    model_: the evergrove.Model
    n_features_in_, feature_names_in_: of the training data; names only if it had them
    best_iteration_, evals_result_: where the trees kept end, and metrics by set, name, iteration
    feature_importances_: each feature's share of the total gain
    """

    model_: Model

    def __init__(
        self,
        *,
        objective: str | None = None,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        growth: str = "leaf",
        max_leaves: int = 31,
        max_depth: int = 0,
        max_bins: int = 255,
        min_rows: int = 20,
        min_hessian: float = 0.001,
        min_gain: float = 0.0,
        lambda_l1: float = 0.0,
        lambda_l2: float = 1.0,
        max_step: float = 5.0,
        max_categories: int = 1000,
        max_onehot: int = 16,
        category_smooth: float = 10.0,
        category_l2: float = 10.0,
        min_category_rows: int = 0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        colsample_bylevel: float = 1.0,
        colsample_bynode: float = 1.0,
        scale_pos_weight: float = 1.0,
        base_score: float | None = None,
        early_stopping_rounds: int = 0,
        metrics: str | Sequence[str] | None = None,
        seed: int = 0,
        valid_fraction: float | None = None,
        categorical: Sequence[str | int] | None = None,
        n_jobs: int | None = None,
        progress: bool | None = False,
    ) -> None:
        self.objective = objective
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.growth = growth
        self.max_leaves = max_leaves
        self.max_depth = max_depth
        self.max_bins = max_bins
        self.min_rows = min_rows
        self.min_hessian = min_hessian
        self.min_gain = min_gain
        self.lambda_l1 = lambda_l1
        self.lambda_l2 = lambda_l2
        self.max_step = max_step
        self.max_categories = max_categories
        self.max_onehot = max_onehot
        self.category_smooth = category_smooth
        self.category_l2 = category_l2
        self.min_category_rows = min_category_rows
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.colsample_bylevel = colsample_bylevel
        self.colsample_bynode = colsample_bynode
        self.scale_pos_weight = scale_pos_weight
        self.base_score = base_score
        self.early_stopping_rounds = early_stopping_rounds
        self.metrics = metrics
        self.seed = seed
        self.valid_fraction = valid_fraction
        self.categorical = categorical
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        eval_set: Any = None,
        callbacks: Iterable[Callback] | None = None,
    ) -> Self:
        """Trains. `eval_set` is (X, y), (X, y, sample_weight) or a list of these; the first one
        decides about early stopping. `callbacks` are those of train()."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        data = self._check_data(X, y, reset=True)
        label = self._learn_label(y, only_numbers=is_sparse(data))
        settings = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in (*OWN_SETTINGS, "objective")
        }
        self.model_ = train(
            settings,
            data,
            label,
            weight=weights_of(sample_weight),
            valid=self._check_eval_set(eval_set),
            valid_fraction=self.valid_fraction,
            categorical=self.categorical,
            objective=self._objective(),
            threads=threads_of(self.n_jobs),
            callbacks=callbacks,
            progress=self.progress,
        )
        return self

    def apply(self, X: Any) -> Array:
        """Returns the node index of the leaf that each row ends in, a column a tree."""
        return self._score(X, "leaf").astype(np.int32)

    @property
    def feature_importances_(self) -> Array:
        check_is_fitted(self, "model_")
        gains = self.model_.importances("gain")
        total = gains.sum()
        return gains / total if total > 0 else gains

    @property
    def best_iteration_(self) -> int:
        check_is_fitted(self, "model_")
        return self.model_.best_iteration

    @property
    def evals_result_(self) -> dict[str, dict[str, list[float]]]:
        check_is_fitted(self, "model_")
        return self.model_.metrics

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _objective(self) -> str:
        raise NotImplementedError

    def _learn_label(self, y: Any, *, only_numbers: bool) -> Array:
        """Returns the label as train() is to have it, and keeps what later labels need."""
        raise NotImplementedError

    def _label(self, y: Any) -> Array:
        """Returns a validation set's label in the same way."""
        raise NotImplementedError

    def _check_data(self, X: Any, y: Any, *, reset: bool) -> Any:
        """Checks names and number of features; returns frames as they are."""
        # At fit, one row is an error that scikit-learn has words for.
        rows_min = 2 if reset else 1
        if is_two_dimensional_frame(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
            row_count = X.shape[0]
            if row_count < rows_min:
                raise ValueError(
                    f"Found array with {row_count} sample(s) (shape={tuple(X.shape)}) while a "
                    f"minimum of {rows_min} is required."
                )
            return X
        if not is_sparse(X) and is_frame(X):
            raise ValueError(
                f"Expected 2D array or frame, got a {type(X).__name__}. Reshape your data"
            )
        return validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            accept_large_sparse=False,
            ensure_all_finite=False,
            ensure_min_samples=rows_min,
        )

    def _check_eval_set(self, eval_set: Any) -> list[tuple[Any, ...]] | None:
        if eval_set is None:
            return None
        checked = []
        for item in [eval_set] if isinstance(eval_set, tuple) else eval_set:
            if not isinstance(item, tuple) or len(item) not in (2, 3):
                raise ValueError("eval_set must be (X, y), (X, y, sample_weight) or a list of them")
            data = self._check_data(item[0], item[1], reset=False)
            weight = weights_of(item[2]) if len(item) == 3 else None
            checked.append((data, self._label(item[1]), weight))
        return checked

    def _score(self, X: Any, kind: str) -> Array:
        """Returns scores, always rows x columns."""
        check_is_fitted(self, "model_")
        data = self._check_data(X, None, reset=False)
        return self.model_.predict_columns(self._open(data), kind, threads_of(self.n_jobs) or 0)

    def _open(self, data: Any) -> Rows:
        names = self.model_.feature_names
        if is_frame(data):
            # Checked already: the same columns in the same order, or a frame for a model that was
            # trained without names.
            data = to_table(data).rename_columns(names)
        return open_rows(data, categorical=list(self.model_.categories), names=names)


class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Gradient boosted trees for classes: logistic loss for two, softmax for more.

    After fit(), besides what Estimator says: classes_, the distinct values of y in order.
    """

    classes_: Array

    def predict(self, X: Any) -> Array:
        places = self._score(X, "class")[:, 0].astype(np.intp)
        return np.asarray(self.classes_[places])

    def predict_proba(self, X: Any) -> Array:
        """Returns probabilities, a column a class."""
        values: Array = self._score(X, "probability")
        return values if values.shape[1] > 1 else np.hstack([1 - values, values])

    def predict_log_proba(self, X: Any) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def decision_function(self, X: Any) -> Array:
        """Returns margins: one a row for two classes, else a column a class."""
        values = self._score(X, "margin")
        if values.shape[1] == 2:
            return np.asarray(values[:, 1] - values[:, 0])
        return values[:, 0] if values.shape[1] == 1 else values

    def _objective(self) -> str:
        if self.objective is not None:
            if self.objective not in ("binary", "multiclass"):
                raise ValueError(
                    "The objective of a Classifier is binary or multiclass "
                    f"(objective: {self.objective!r})"
                )
            return self.objective
        return "binary" if len(self.classes_) == 2 else "multiclass"

    def _learn_label(self, y: Any, *, only_numbers: bool) -> Array:
        y = checked_classes(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                "y has one class only, so there is nothing to learn; give rows of two or more "
                f"classes (class: {self.classes_[0]!r})"
            )
        # The model has the classes' own names where it orders them as numpy does, and their
        # places elsewhere.
        is_number = self.classes_.dtype.kind in "biuf"
        self._has_names = keeps_order(self.classes_) and (is_number or not only_numbers)
        return self._label(y)

    def _label(self, y: Any) -> Array:
        classes = checked_classes(y)
        if self._has_names:
            return classes
        places = np.searchsorted(self.classes_, classes)
        known = places < len(self.classes_)
        known[known] = self.classes_[places[known]] == classes[known]
        if not known.all():
            unknown = classes[~known][0]
            raise ValueError(f"y has a class that is not in the training data: {unknown!r}")
        return np.asarray(places)


class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Gradient boosted trees for a number: squared error."""

    def predict(self, X: Any) -> Array:
        return self._score(X, "probability")[:, 0]

    def _objective(self) -> str:
        if self.objective not in (None, "regression"):
            raise ValueError(
                f"The objective of a Regressor is regression (objective: {self.objective!r})"
            )
        return "regression"

    def _learn_label(self, y: Any, *, only_numbers: bool) -> Array:
        return self._label(y)

    def _label(self, y: Any) -> Array:
        targets: Array = np.asarray(column_or_1d(y, warn=True))
        if targets.dtype.kind not in "biuf":
            targets = targets.astype(np.float64)
        assert_all_finite(targets, input_name="y")
        return targets


def checked_classes(y: Any) -> Array:
    classes: Array = np.asarray(column_or_1d(y, warn=True))
    if classes.dtype.kind in "fO":
        assert_all_finite(classes, input_name="y")
    check_classification_targets(classes)
    return classes


def keeps_order(classes: Array) -> bool:
    """Whether the core, given these values, has the same classes in the same order."""
    if classes.dtype.kind in "biuf":
        return len(np.unique(classes.astype(np.float64))) == len(classes)
    return classes.dtype.kind == "U" or all(isinstance(name, str) for name in classes)


def weights_of(sample_weight: Any) -> Array | None:
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, np.float64)
    if not weights.any():
        raise ValueError("All sample weights are zero; some row must count")
    return weights


def threads_of(n_jobs: int | None) -> int | None:
    """Counts below 0 from all cores, as joblib does: -1 is all of them."""
    if n_jobs is None or n_jobs == -1:
        return None
    if n_jobs < 0:
        return max(1, (os.cpu_count() or 1) + 1 + n_jobs)
    return n_jobs


def is_two_dimensional_frame(X: Any) -> bool:
    return not is_sparse(X) and is_frame(X) and len(getattr(X, "shape", ())) == 2
