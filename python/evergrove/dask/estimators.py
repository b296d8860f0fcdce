# SPDX-License-Identifier: Apache-2.0
"""DaskClassifier and DaskRegressor: fit and predict as scikit-learn does it, on Dask's data.

    classifier = DaskClassifier(n_estimators=200).fit(X, y)      # frames or arrays of Dask
    classifier.predict_proba(X_new)                              # lazy, as X_new is

Settings are those of Classifier and Regressor, and where to train. After fit(): model_,
n_features_in_, feature_names_in_ (of frames), and classes_ of a classifier.
"""

from typing import Any, Self

import numpy as np

from evergrove.dask.client_side import train
from evergrove.dask.scoring import predict
from evergrove.estimators import OWN_SETTINGS, Estimator
from evergrove.model import Model, class_values
from evergrove.tables import Array

# After evergrove.estimators, which says in words what is missing.
from sklearn.base import ClassifierMixin, RegressorMixin  # isort: skip

# What is a setting of these estimators alone.
PLACING = ("client", "threads_per_worker", "log", "ports")


class DaskEstimator(Estimator):
    """What both share. `client` None is the one that is current; `n_jobs` and `categorical` by
    place are not used."""

    def __init__(
        self,
        *,
        client: Any = None,
        threads_per_worker: int | None = None,
        log: str | None = None,
        ports: str | int | None = None,
        **settings: Any,
    ) -> None:
        self.client = client
        self.threads_per_worker = threads_per_worker
        self.log = log
        self.ports = ports
        super().__init__(**settings)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # scikit-learn reads names from a signature; these are of two.
        return sorted({*Estimator._get_param_names(), *PLACING})

    def fit(  # type: ignore[override]
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None
    ) -> Self:
        """Trains. `eval_set` is (X, y), (X, y, sample_weight) or a list of these."""
        not_parameters = (*OWN_SETTINGS, *PLACING, "objective")
        settings = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in not_parameters
        }
        self.model_: Model = train(
            self.client,
            settings,
            X,
            y,
            weight=sample_weight,
            valid=[eval_set] if isinstance(eval_set, tuple) else eval_set,
            valid_fraction=self.valid_fraction,
            categorical=self.categorical,  # type: ignore[arg-type]
            objective=self._objective(),
            threads_per_worker=self.threads_per_worker,
            log=self.log,
            ports=self.ports,
            progress=self.progress,
        )
        self.n_features_in_ = len(self.model_.feature_names)
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.array(self.model_.feature_names, dtype=object)
        self._learn_from_model()
        return self

    def apply(self, X: Any) -> Any:
        """Returns the node index of the leaf that each row ends in, a column a tree."""
        return predict(self.model_, X, "leaf")

    def _learn_from_model(self) -> None:
        """Keeps what the model says of the label."""


class DaskClassifier(ClassifierMixin, DaskEstimator):  # type: ignore[misc]
    """Gradient boosted trees for classes. The labels are named by the model: texts, or numbers."""

    classes_: Array

    def predict(self, X: Any) -> Any:
        return predict(self.model_, X, "class")

    def predict_proba(self, X: Any) -> Any:
        """Returns probabilities, a column a class."""
        return predict(self.model_, X, "probabilities")

    def decision_function(self, X: Any) -> Any:
        return predict(self.model_, X, "margin")

    def _objective(self) -> str | None:  # type: ignore[override]
        if self.objective not in (None, "binary", "multiclass"):
            raise ValueError(
                "The objective of a DaskClassifier is binary or multiclass "
                f"(objective: {self.objective!r})"
            )
        return self.objective

    def _learn_from_model(self) -> None:
        if not self.model_.classes:
            raise ValueError(
                "y has so many values that it was taken for a number to predict; use a "
                "DaskRegressor, or objective='multiclass'"
            )
        self.classes_ = class_values(self.model_.classes)


class DaskRegressor(RegressorMixin, DaskEstimator):  # type: ignore[misc]
    """Gradient boosted trees for a number: squared error."""

    def predict(self, X: Any) -> Any:
        return predict(self.model_, X)

    def _objective(self) -> str:
        if self.objective not in (None, "regression"):
            raise ValueError(
                f"The objective of a DaskRegressor is regression (objective: {self.objective!r})"
            )
        return "regression"
