# SPDX-License-Identifier: Apache-2.0
"""Classifier and Regressor are scikit-learn estimators."""

import inspect
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import evergrove
from evergrove.estimators import OWN_SETTINGS
from tests import data_sets

# Checks that fail by intention; the docstring of evergrove.estimators says the same to users.
ROWS_ARE_COUNTED = (
    "a row of weight 0 is still a row: min_rows and max_bins count rows, and gradients are rounded "
    "by a hash of the row's place"
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": ROWS_ARE_COUNTED,
    "check_sample_weight_equivalence_on_sparse_data": ROWS_ARE_COUNTED,
}


def checks() -> list[Any]:
    estimators = [
        evergrove.Classifier(n_estimators=20, n_jobs=1),
        evergrove.Regressor(n_estimators=20, n_jobs=1),
    ]
    return [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check_name(check)}")
        for estimator in estimators
        for estimator, check in estimator_checks_generator(estimator)
    ]


def check_name(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learn_check(estimator: Any, check: Any, request: pytest.FixtureRequest) -> None:
    reason = EXPECTED_FAILURES.get(check_name(check))
    if reason is not None:
        # Strict: a reason that no longer holds has to go.
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    check(estimator)


@pytest.fixture(scope="module")
def adult() -> tuple[pd.DataFrame, pd.Series]:
    frame = data_sets.adult_like(rows=1_500).frame
    return frame.drop(columns="income"), frame["income"]


@pytest.fixture(scope="module")
def numbers() -> tuple[pd.DataFrame, pd.Series]:
    frame = data_sets.heavy_tailed(rows=1_000).frame
    return frame.drop(columns="target"), np.log(frame["target"])


def small(**settings: Any) -> evergrove.Classifier:
    return evergrove.Classifier(**{"n_estimators": 10, "max_leaves": 8, **settings})


def test_parameters_are_those_of_the_core() -> None:
    signature = inspect.signature(evergrove.Classifier.__init__).parameters
    ours = {name: p.default for name, p in signature.items() if name not in ("self", *OWN_SETTINGS)}
    table = {parameter.name: parameter for parameter in evergrove.parameters()}
    assert list(ours) == list(table)
    for name, default in ours.items():
        if default is None:
            assert table[name].default in ("auto", "by the label", "by the objective"), name
        elif isinstance(default, str):
            assert default == table[name].default
        else:
            assert float(default) == float(table[name].default), name


def test_equals_train(adult: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = adult
    classifier = small(seed=4).fit(x, y)
    params = {"n_estimators": 10, "max_leaves": 8, "seed": 4}
    model = evergrove.train(params, x, y)
    assert classifier.model_.digest == model.digest
    assert classifier.model_.classes == ["<=50K", ">50K"]
    proba = classifier.predict_proba(x)
    assert np.array_equal(proba[:, 1], model.predict(x))
    assert np.array_equal(classifier.predict(x), model.predict(x, "class"))
    assert np.array_equal(classifier.decision_function(x), model.predict(x, "margin"))
    assert np.array_equal(classifier.apply(x), model.predict(x, "leaf"))
    assert np.allclose(np.exp(classifier.predict_log_proba(x)), proba)
    assert classifier.feature_importances_.sum() == pytest.approx(1)
    assert list(classifier.feature_names_in_) == list(x.columns)


@pytest.mark.parametrize(
    "classes",
    [
        np.array([3, 10, 7]),
        np.array([2**60, 2**60 + 1, 5]),  # one number as double
        np.array(["b", "a", "é"]),
        np.array(["b", "a", "c"], object),
        np.array([0.0, 2.0, 1.0]),
        np.array([True, False]),
        np.array(["10", "9"]),
    ],
    ids=str,
)
def test_classes_come_back_as_they_were(classes: Any) -> None:
    random = np.random.default_rng(0)
    places = random.integers(0, len(classes), 600)
    x = np.stack([places + random.normal(0, 0.1, 600), random.normal(size=600)], axis=1)
    y = classes[places]
    classifier = small(min_rows=2).fit(x, y, eval_set=(x, y))
    predicted = classifier.predict(x)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.98
    assert np.array_equal(classifier.classes_, np.unique(classes))
    assert classifier.predict_proba(x).shape == (600, len(classes))
    assert np.array_equal(classifier.classes_[classifier.predict_proba(x).argmax(1)], predicted)
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict(x), predicted)


def test_two_classes_by_softmax(adult: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = adult
    classifier = small(objective="multiclass").fit(x, y)
    assert classifier.predict_proba(x).shape == (len(x), 2)
    margin = classifier.decision_function(x)
    assert margin.shape == (len(x),)
    assert np.array_equal(classifier.classes_[(margin > 0).astype(int)], classifier.predict(x))
    with pytest.raises(ValueError, match="binary or multiclass"):
        small(objective="regression").fit(x, y)
    with pytest.raises(ValueError, match="regression"):
        evergrove.Regressor(objective="binary").fit(x, np.arange(len(x)))


def test_early_stopping_and_history(adult: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = adult
    classifier = small(n_estimators=400, learning_rate=0.5, early_stopping_rounds=5)
    classifier.fit(x[:1000], y[:1000], eval_set=[(x[1000:], y[1000:])])
    assert 0 < classifier.best_iteration_ < 400
    history = classifier.evals_result_["valid"]["auc"]
    assert np.argmax(history) + 1 == classifier.best_iteration_
    with pytest.raises(ValueError, match="validation"):
        classifier.fit(x, y)
    by_fraction = clone(classifier).set_params(valid_fraction=0.3).fit(x, y)
    assert 0 < by_fraction.best_iteration_ < 400


def test_callbacks_and_weights(adult: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = adult
    seen: list[int] = []
    weight = np.where(y == ">50K", 3.0, 1.0)
    weighted = small().fit(x, y, weight, callbacks=[lambda step: seen.append(step.iteration)])
    assert seen == list(range(1, 11))
    plain = small().fit(x, y)
    assert weighted.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean()


def test_pipeline_search_and_clone(numbers: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = numbers
    pipeline = make_pipeline(StandardScaler(), evergrove.Regressor(n_estimators=20, n_jobs=1))
    scores = cross_val_score(pipeline, x, y, cv=3, n_jobs=2)
    assert scores.min() > 0.3
    grid = {"regressor__max_leaves": [2, 16], "regressor__growth": ["leaf", "symmetric"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
    assert search.best_params_["regressor__max_leaves"] == 16
    copy = clone(search.best_estimator_)
    assert copy.get_params().keys() == pipeline.get_params().keys()
    assert not hasattr(copy[-1], "model_")


def test_inside_other_estimators(adult: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = adult
    numeric = ["age", "gain", "rate"]
    columns = make_column_transformer((StandardScaler(), numeric), remainder="drop")
    vote = VotingClassifier([("a", small()), ("b", small(growth="depth"))], voting="soft")
    for estimator in (
        make_pipeline(columns, small()),
        make_pipeline(columns, OneVsRestClassifier(small())),
        make_pipeline(columns, vote),
        CalibratedClassifierCV(small(), cv=2),
    ):
        assert estimator.fit(x, y).score(x, y) > 0.6
    fitted = small().fit(x, y)
    importance = permutation_importance(fitted, x, y, n_repeats=2, random_state=0)
    assert importance.importances_mean.max() > 0


def test_frames_of_other_libraries(adult: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = adult
    fitted = small().fit(x, y, eval_set=(x, y))
    other = small().fit(pl.from_pandas(x), pl.Series(y.tolist()))
    assert other.model_.digest == fitted.model_.digest
    assert list(other.feature_names_in_) == list(x.columns)
    assert np.array_equal(other.predict_proba(pl.from_pandas(x)), fitted.predict_proba(x))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(x[x.columns[::-1]])
    with pytest.warns(UserWarning, match="names"), pytest.raises(ValueError, match="features"):
        fitted.predict(np.zeros((3, 2)))


def test_sparse_and_dense_are_the_same() -> None:
    random = np.random.default_rng(5)
    dense = np.where(random.random((600, 8)) < 0.7, 0, random.normal(size=(600, 8)).round(2))
    y = np.where(dense[:, 0] + dense[:, 1] > 0, "yes", "no")
    sparse = scipy.sparse.csr_array(dense)
    a, b = small().fit(dense, y), small().fit(sparse, y)
    assert a.model_.digest == b.model_.digest
    assert np.array_equal(a.predict(sparse), b.predict(dense))
    assert set(b.predict(sparse)) == {"yes", "no"}
    weight = np.arange(600) % 3 + 1.0
    a.fit(dense, y, weight, eval_set=(dense, y, weight))
    b.fit(sparse, y, weight, eval_set=(sparse, y, weight))
    assert a.model_.digest == b.model_.digest
    assert a.evals_result_ == b.evals_result_
    measured = a.model_.evaluate(dense, label=y, weight=weight)
    by_place = np.searchsorted(b.classes_, y)
    assert b.model_.evaluate(sparse, label=by_place, weight=weight) == measured


def test_names_and_no_names() -> None:
    random = np.random.default_rng(6)
    x = random.normal(size=(200, 3))
    y = x[:, 0] > 0
    unnamed = small().fit(x, y)
    with pytest.warns(UserWarning, match="feature names"):
        from_frame = unnamed.predict(pd.DataFrame(x, columns=["a", "b", "c"]))
    assert np.array_equal(from_frame, unnamed.predict(x))
    named = small().fit(pd.DataFrame(x, columns=["label", "weight", "c"]), y, np.ones(200))
    assert named.model_.feature_names == ["label", "weight", "c"]
    with pytest.warns(UserWarning, match="feature names"):
        assert np.array_equal(named.predict(x), unnamed.predict(x))


def test_pickle_and_joblib(adult: tuple[pd.DataFrame, pd.Series], tmp_path: Path) -> None:
    x, y = adult
    fitted = small().fit(x, y)
    joblib.dump(fitted, tmp_path / "classifier.joblib")
    for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "classifier.joblib")):
        assert np.array_equal(copy.predict_proba(x), fitted.predict_proba(x))
        assert copy.model_.digest == fitted.model_.digest


def test_what_is_refused(adult: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = adult
    with pytest.raises(TypeError):
        evergrove.Classifier(num_leaves=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="max_leaves"):
        small(max_leaves=1).fit(x, y)
    with pytest.raises(ValueError, match="eval_set"):
        small().fit(x, y, eval_set=[x])
    with pytest.raises(ValueError, match="class"):
        small().fit(x, y, eval_set=(x, np.where(y == ">50K", "more", y)))
    with pytest.raises(ValueError, match="one class"):
        small().fit(x, np.zeros(len(x)))
    with pytest.raises(ValueError):
        small().fit(x, y[:-1])
