# SPDX-License-Identifier: Apache-2.0
"""Model: scores, what it says about itself, files and pickles."""

import copy
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import evergrove
from evergrove.model import class_values
from tests import data_sets

PARAMS = {"n_estimators": 6, "max_leaves": 8}


@pytest.fixture(scope="module")
def adult() -> data_sets.DataSet:
    return data_sets.adult_like(rows=1_500)


@pytest.fixture(scope="module")
def binary(adult: data_sets.DataSet) -> evergrove.Model:
    return evergrove.train(PARAMS, adult.frame, "income", valid_fraction=0.2)


@pytest.fixture(scope="module")
def seven() -> data_sets.DataSet:
    return data_sets.seven_class(rows=1_500)


@pytest.fixture(scope="module")
def multiclass(seven: data_sets.DataSet) -> evergrove.Model:
    return evergrove.train(PARAMS, seven.frame, "class", objective="multiclass")


class TestPredict:
    def test_binary(self, binary: evergrove.Model, adult: data_sets.DataSet) -> None:
        probability = binary.predict(adult.frame)
        margin = binary.predict(adult.frame, "margin")
        assert probability.shape == margin.shape == (1500,)
        assert np.allclose(probability, 1 / (1 + np.exp(-margin)), atol=1e-12)
        classes = binary.predict(adult.frame, "class")
        assert np.array_equal(classes, np.where(probability > 0.5, ">50K", "<=50K"))

    def test_multiclass(self, multiclass: evergrove.Model, seven: data_sets.DataSet) -> None:
        probability = multiclass.predict(seven.frame)
        assert probability.shape == (1500, 7)
        assert np.allclose(probability.sum(axis=1), 1)
        classes = multiclass.predict(seven.frame, kind="class")
        assert classes.dtype == np.int64
        assert np.array_equal(classes, probability.argmax(axis=1))

    def test_leaves_are_rows_of_the_frame_of_nodes(
        self, binary: evergrove.Model, adult: data_sets.DataSet
    ) -> None:
        leaves = binary.predict(adult.frame, "leaf")
        assert leaves.shape == (1500, binary.tree_count)
        assert leaves.dtype == np.int32
        nodes = binary.to_dataframe().set_index(["tree", "node"])
        values = [nodes.loc[tree].value.reindex(leaves[:, tree]).to_numpy() for tree in range(6)]
        base = binary.predict(adult.frame, "margin") - np.sum(values, axis=0)
        assert np.ptp(base) < 1e-9

    def test_regression(self) -> None:
        data = data_sets.regression(rows=800)
        model = evergrove.train(PARAMS, data.frame, "target")
        assert model.classes == []
        value = model.predict(data.frame)
        assert np.array_equal(value, model.predict(data.frame, "class"))
        assert np.array_equal(value, model.predict(data.frame, "margin"))

    def test_extra_columns_and_order_do_not_matter(
        self, binary: evergrove.Model, adult: data_sets.DataSet
    ) -> None:
        expected = binary.predict(adult.frame)
        other = adult.frame[adult.frame.columns[::-1]].assign(odd=[["list"]] * 1500)
        assert np.array_equal(binary.predict(other), expected)
        assert np.array_equal(binary.predict(other, threads=1), expected)

    def test_no_rows(self, binary: evergrove.Model, adult: data_sets.DataSet) -> None:
        assert binary.predict(adult.frame[:0]).shape == (0,)

    def test_what_is_refused(self, binary: evergrove.Model, adult: data_sets.DataSet) -> None:
        with pytest.raises(ValueError, match="job"):
            binary.predict(adult.frame.drop(columns="job"))
        with pytest.raises(ValueError, match="age"):
            binary.predict(adult.frame.assign(age="old"))
        with pytest.raises(ValueError, match="another number of columns"):
            binary.predict(np.zeros((3, 2)))
        with pytest.raises(ValueError, match="kind"):
            binary.predict(adult.frame, "odds")
        with pytest.raises(FileNotFoundError):
            binary.predict("no/such/file.parquet")


class TestEvaluate:
    def test_equals_scikit_learn(self, binary: evergrove.Model, adult: data_sets.DataSet) -> None:
        measured = binary.evaluate(adult.frame, ["auc", "average_precision"])
        truth = adult.frame["income"] == ">50K"
        scores = binary.predict(adult.frame, "margin")
        assert measured["auc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-9)
        expected = average_precision_score(truth, scores)
        assert measured["average_precision"] == pytest.approx(expected, abs=1e-9)

    def test_label_and_weight_as_values(
        self, binary: evergrove.Model, adult: data_sets.DataSet
    ) -> None:
        features, label = adult.frame.drop(columns="income"), adult.frame["income"]
        assert binary.evaluate(features, label=label) == binary.evaluate(adult.frame)
        with pytest.raises(ValueError, match="income"):
            binary.evaluate(features)
        with pytest.raises(TypeError, match="values"):
            binary.evaluate(features, label="income")
        with pytest.raises(ValueError, match="auc"):
            binary.evaluate(adult.frame, "acu")


class TestKeeping:
    def test_save_and_load(
        self, binary: evergrove.Model, adult: data_sets.DataSet, tmp_path: Path
    ) -> None:
        binary.save(tmp_path / "model.evergrove")
        loaded = evergrove.load(str(tmp_path / "model.evergrove"))
        assert loaded.digest == binary.digest
        assert loaded.metrics == binary.metrics
        assert np.array_equal(loaded.predict(adult.frame), binary.predict(adult.frame))
        with pytest.raises(FileNotFoundError):
            evergrove.load(tmp_path / "nothing")
        with pytest.raises((OSError, ValueError)):
            binary.save(tmp_path / "no" / "such" / "folder" / "model")

    def test_damage_is_found(self, binary: evergrove.Model, tmp_path: Path) -> None:
        path = tmp_path / "model.evergrove"
        binary.save(path)
        whole = path.read_bytes()
        for damaged in (
            b"",
            whole[:-20],
            whole[:100],
            b"x" * 500,
            whole.replace(b"income", b"outcom"),
        ):
            path.write_bytes(damaged)
            with pytest.raises(ValueError):
                evergrove.load(path)

    def test_pickle_joblib_and_copy(self, binary: evergrove.Model, tmp_path: Path) -> None:
        assert pickle.loads(pickle.dumps(binary)).digest == binary.digest
        assert copy.deepcopy(binary).digest == binary.digest
        joblib.dump(binary, tmp_path / "model.joblib")
        assert joblib.load(tmp_path / "model.joblib").digest == binary.digest

    def test_pandas_reads_the_file_alone(self, binary: evergrove.Model, tmp_path: Path) -> None:
        binary.save(tmp_path / "model.arrow")
        alone = pd.read_feather(tmp_path / "model.arrow")
        pd.testing.assert_frame_equal(alone, binary.to_dataframe())


class TestLookingIn:
    def test_importance(self, binary: evergrove.Model) -> None:
        nodes = binary.to_dataframe()
        splits = nodes[nodes.feature.notna()].groupby("feature")
        for kind, expected in (
            ("gain", splits.gain.sum()),
            ("cover", splits.cover.sum()),
            ("split", splits.size()),
        ):
            importance = binary.importance(kind)
            assert set(importance) == set(binary.feature_names)
            assert list(importance.values()) == sorted(importance.values(), reverse=True)
            for name, value in expected.items():
                assert importance[str(name)] == pytest.approx(value)
        with pytest.raises(ValueError, match="gain, split or cover"):
            binary.importance("weight")

    def test_facts(self, binary: evergrove.Model, adult: data_sets.DataSet) -> None:
        assert binary.feature_names == [c for c in adult.frame.columns if c != "income"]
        assert binary.classes == ["<=50K", ">50K"]
        assert binary.label == "income"
        assert binary.parameters["max_leaves"] == 8
        assert set(binary.categories) == {"kind", "job"}
        assert binary.iteration_count == binary.best_iteration == binary.tree_count == 6
        assert len(binary.digest) == 64 and int(binary.digest, 16) > 0
        assert binary.digest[:12] in repr(binary)
        assert binary.to_arrow().schema.metadata is not None

    def test_html_escapes_names(self) -> None:
        table = pa.table({"<b>": np.arange(100.0), "y": np.arange(100) % 2 * 1.0})
        text = evergrove.train({"n_estimators": 2, "min_rows": 1}, table, "y")._repr_html_()
        assert "<b>0" not in text and "&lt;b&gt;" in text
        assert text.count("<table>") == text.count("</table>") == 1


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["0", "1"], [0, 1]),
        (["-1", "2.5"], [-1.0, 2.5]),
        (["no", "yes"], ["no", "yes"]),
        (["10", "9"], ["10", "9"]),  # in the order of texts, so they were texts
        (["inf", "nan"], ["inf", "nan"]),
    ],
)
def test_classes_look_as_they_did(names: list[str], values: list[object]) -> None:
    found = class_values(names)
    assert found.tolist() == values
    assert type(found.tolist()[0]) is type(values[0])
