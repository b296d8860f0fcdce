# SPDX-License-Identifier: Apache-2.0
"""Whatever holds the rows, the same rows give the same model."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest
import scipy.sparse

import evergrove
from tests import data_sets

PARAMS = {"n_estimators": 5, "max_leaves": 8}


@pytest.fixture(scope="module")
def adult() -> data_sets.DataSet:
    return data_sets.adult_like(rows=2_000)


@pytest.fixture(scope="module")
def adult_digest(adult: data_sets.DataSet) -> str:
    return evergrove.train(PARAMS, adult.frame, "income").digest


@pytest.fixture(scope="module")
def numbers() -> pd.DataFrame:
    return data_sets.heavy_tailed(rows=1_500).frame


@pytest.fixture(scope="module")
def numbers_digest(numbers: pd.DataFrame) -> str:
    return evergrove.train(PARAMS, numbers, "target").digest


def frames_of(frame: pd.DataFrame) -> dict[str, Any]:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    polars = pl.DataFrame(table)
    categories = frame.astype({"kind": "category", "job": "category"})
    return {
        "pandas with categories": categories,
        "pandas with pyarrow types": table.to_pandas(types_mapper=pd.ArrowDtype),
        "pandas with an index of its own": frame.set_index(frame.index[::-1]),
        "polars": polars,
        "polars with categories": polars.cast(
            {"kind": pl.Categorical, "job": pl.Enum(sorted(frame["job"].dropna().unique()))}
        ),
        "polars in chunks": pl.concat([polars[:700], polars[700:]], rechunk=False),
        "arrow": table,
        "arrow in small batches": pa.Table.from_batches(table.to_batches(max_chunksize=99)),
        "a batch": table.combine_chunks().to_batches()[0],
        "a reader": table.to_reader(max_chunksize=300),
        "a capsule": Capsule(table),
        "duckdb": duckdb.arrow(table),
        "a dict": {name: table[name] for name in table.column_names},
    }


class Capsule:
    """Anything that has nothing but the PyCapsule interface."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("name", list(frames_of(data_sets.adult_like(rows=800).frame)))
def test_any_frame_gives_the_same_model(
    name: str, adult: data_sets.DataSet, adult_digest: str
) -> None:
    data = frames_of(adult.frame)[name]
    assert evergrove.train(PARAMS, data, "income").digest == adult_digest


def test_files_give_the_same_model(
    tmp_path: Path, adult: data_sets.DataSet, adult_digest: str
) -> None:
    adult.frame.to_parquet(tmp_path / "whole.parquet", row_group_size=123)
    adult.frame[:900].to_parquet(tmp_path / "part-1.parquet")
    adult.frame[900:].to_parquet(tmp_path / "part-2.parquet")
    adult.frame.to_csv(tmp_path / "whole.csv", index=False)
    table = pa.Table.from_pandas(adult.frame, preserve_index=False)
    pyarrow.feather.write_feather(table, tmp_path / "whole.arrow")
    for data in (
        tmp_path / "whole.parquet",
        str(tmp_path / "part-*.parquet"),
        [tmp_path / "part-1.parquet", tmp_path / "part-2.parquet"],
        tmp_path / "whole.csv",
        tmp_path / "whole.arrow",
    ):
        assert evergrove.train(PARAMS, data, "income").digest == adult_digest


def test_labels_and_weights_may_be_values(adult: data_sets.DataSet, adult_digest: str) -> None:
    features = adult.frame.drop(columns="income")
    label = adult.frame["income"]
    for values in (
        label,
        label.to_numpy(),
        label.tolist(),
        pa.array(label),
        pl.Series(label.tolist()),
    ):
        assert evergrove.train(PARAMS, features, values).digest == adult_digest
    weight = np.arange(len(label)) % 3 + 1.0
    by_column = evergrove.train(PARAMS, adult.frame.assign(w=weight), "income", weight="w")
    by_values = evergrove.train(PARAMS, features, label, weight=weight)
    assert by_column.digest == by_values.digest != adult_digest


def test_matrices_of_any_layout_and_width(numbers: pd.DataFrame) -> None:
    label = numbers["target"].to_numpy()
    matrix = numbers.drop(columns="target").to_numpy()
    names = {name: f"x{place}" for place, name in enumerate(numbers.columns[:-1])}
    digest = evergrove.train(PARAMS, numbers.rename(columns=names), "target").digest
    wide = np.zeros((len(matrix) * 2, matrix.shape[1] * 2))
    wide[::2, ::2] = matrix
    for layout in (
        np.ascontiguousarray(matrix),
        np.asfortranarray(matrix),
        wide[::2, ::2],
        matrix.astype(np.longdouble),
        matrix.astype(object),
        matrix.tolist(),
        scipy.sparse.csr_matrix(matrix),
        scipy.sparse.csc_array(matrix),
        scipy.sparse.coo_matrix(matrix),
    ):
        assert evergrove.train(PARAMS, layout, label).digest == digest


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "uint64", "float16", "float32"])
def test_narrow_numbers_are_the_same_numbers(dtype: str) -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 100, (500, 3))
    label = (values[:, 0] > values[:, 1]).astype(float)
    digest = evergrove.train(PARAMS, values.astype(float), label).digest
    assert evergrove.train(PARAMS, values.astype(dtype), label).digest == digest
    frame = pd.DataFrame(values.astype(dtype), columns=["x0", "x1", "x2"])
    assert evergrove.train(PARAMS, frame, label).digest == digest


def test_nan_none_and_null_are_all_missing() -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=400).round(2)
    is_missing = random.random(400) < 0.3
    label = np.where(is_missing, 1.0, x > 0)
    with_nan = np.where(is_missing, np.nan, x)
    with_none = x.astype(object)
    with_none[is_missing] = None
    forms = [
        pd.DataFrame({"x": with_nan}),
        pd.DataFrame({"x": pd.array(with_none, "Float64")}),
        pd.DataFrame({"x": with_none}),
        pl.DataFrame({"x": with_nan}),
        pa.table({"x": pa.array(x, mask=is_missing)}),
        pa.table({"x": pa.array(with_nan)}),
    ]
    digests = {evergrove.train(PARAMS, form, label).digest for form in forms}
    assert len(digests) == 1


def test_booleans_dates_and_decimals_are_numbers() -> None:
    random = np.random.default_rng(3)
    days = random.integers(0, 1000, 300)
    flags = random.random(300) < 0.5
    label = (days > 500) ^ flags
    dates = pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D")
    frame = pd.DataFrame({"day": dates, "flag": flags, "label": label})
    model = evergrove.train(PARAMS, frame, "label")
    numbers = pd.DataFrame({"day": dates.astype("datetime64[s]").astype("int64"), "flag": flags})
    assert evergrove.train(PARAMS, numbers.astype(float), label).digest == model.digest
    assert evergrove.train(PARAMS, pl.from_pandas(frame), "label").digest == model.digest


def test_numbers_may_be_categories(adult: data_sets.DataSet) -> None:
    frame = adult.frame[["age", "rate", "income"]]
    by_name = evergrove.train(PARAMS, frame, "income", categorical=["age"])
    by_place = evergrove.train(PARAMS, frame, "income", categorical=[0])
    as_text = evergrove.train(PARAMS, frame.astype({"age": str}), "income")
    assert list(by_name.categories) == ["age"]
    assert by_name.digest == by_place.digest == as_text.digest
    assert np.array_equal(by_name.predict(frame), as_text.predict(frame.astype({"age": str})))
    with pytest.raises(ValueError, match="categorical names no column"):
        evergrove.train(PARAMS, frame, "income", categorical=[7])


def test_excluded_columns_are_not_looked_at(adult: data_sets.DataSet) -> None:
    without = evergrove.train(PARAMS, adult.frame.drop(columns=["job"]), "income")
    excluded = evergrove.train(PARAMS, adult.frame, "income", exclude=["job"])
    assert excluded.digest == without.digest
    odd = adult.frame.assign(odd=[1, "two"] * 1000)
    for data in (odd, pl.DataFrame(odd.drop(columns="odd"))):
        exclude = ["job", "odd"] if "odd" in data.columns else "job"
        model = evergrove.train(PARAMS, data, "income", exclude=exclude, valid=odd)
        assert model.digest == without.digest
    assert excluded.evaluate(odd) == without.evaluate(adult.frame)
    with pytest.raises(ValueError, match="jbo"):
        evergrove.train(PARAMS, adult.frame, "income", exclude=["jbo"])


class TestBadData:
    def test_a_column_of_mixed_kinds_is_named(self) -> None:
        frame = pd.DataFrame({"ok": [1.0, 2.0], "bad": [1, "two"], "y": [0, 1]})
        with pytest.raises(TypeError, match="'bad'"):
            evergrove.train(PARAMS, frame, "y")
        mixed = np.array([[1.0, "two"], [2.0, 3.0]], dtype=object)
        with pytest.raises(TypeError, match="'x1'"):
            evergrove.train(PARAMS, mixed, [0, 1])

    def test_types_that_cannot_be_used_are_named(self) -> None:
        table = pa.table({"list": [[1.0], [2.0]], "y": [0, 1]})
        with pytest.raises(ValueError, match="list"):
            evergrove.train(PARAMS, table, "y")

    def test_two_columns_of_one_name(self) -> None:
        frame = pd.DataFrame(np.eye(3), columns=["a", "a", "y"])
        with pytest.raises(ValueError, match="a"):
            evergrove.train(PARAMS, frame, "y")

    def test_shapes(self) -> None:
        with pytest.raises(ValueError, match="2-D"):
            evergrove.train(PARAMS, np.zeros(3), [0, 1, 0])
        with pytest.raises(ValueError, match=r"label: 2, rows: 3"):
            evergrove.train(PARAMS, np.zeros((3, 1)), [0, 1])
        with pytest.raises(ValueError, match=r"weight: 2, rows: 3"):
            evergrove.train(PARAMS, np.zeros((3, 1)), [0, 1, 0], weight=[1.0, 1.0])
        with pytest.raises(ValueError, match="one value a row"):
            evergrove.train(PARAMS, np.zeros((3, 1)), np.zeros((3, 2)))

    def test_no_rows_and_no_columns(self) -> None:
        with pytest.raises(ValueError, match="no rows"):
            evergrove.train(PARAMS, pd.DataFrame({"x": [], "y": []}, dtype=float), "y")
        with pytest.raises(ValueError):
            evergrove.train(PARAMS, pd.DataFrame(index=range(5)), [0, 1, 0, 1, 0])

    def test_labels(self, adult: data_sets.DataSet) -> None:
        x = np.arange(10.0).reshape(-1, 1)
        for label, words in (
            (np.zeros(10), "constant"),
            ([0, 1] * 4 + [0, np.nan], "missing"),
            ([0, 1] * 4 + [0, np.inf], "infinite"),
        ):
            with pytest.raises(ValueError, match=words):
                evergrove.train(PARAMS, x, np.asarray(label, float))
        with pytest.raises(ValueError, match="two values"):
            evergrove.train(PARAMS, x, np.arange(10) % 3, objective="binary")
        with pytest.raises(ValueError, match="incom"):
            evergrove.train(PARAMS, adult.frame, "incom")

    def test_weights(self) -> None:
        x = np.arange(10.0).reshape(-1, 1)
        label = np.arange(10) % 2
        for weight, words in (
            (np.full(10, np.nan), "NaN"),
            (np.full(10, -1.0), "negative"),
            (np.zeros(10), "0"),
            (["a"] * 10, "number"),
        ):
            with pytest.raises((ValueError, TypeError), match=words):
                evergrove.train(PARAMS, x, label, weight=weight)

    def test_paths(self, tmp_path: Path, adult: data_sets.DataSet) -> None:
        with pytest.raises(FileNotFoundError, match=r"nothing\.parquet"):
            evergrove.train(PARAMS, tmp_path / "nothing.parquet", "y")
        (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really PAR1")
        with pytest.raises(ValueError, match=r"broken\.parquet"):
            evergrove.train(PARAMS, tmp_path / "broken.parquet", "y")
        adult.frame.to_parquet(tmp_path / "good.parquet")
        with pytest.raises(TypeError, match="name of a column"):
            evergrove.train(PARAMS, tmp_path / "good.parquet", adult.frame["income"])

    def test_text_labels_of_a_sparse_matrix(self) -> None:
        matrix = scipy.sparse.random_array((10, 3), density=0.5, random_state=0)
        with pytest.raises(TypeError, match="encode"):
            evergrove.train(PARAMS, matrix, ["yes", "no"] * 5)

    def test_a_stream_that_fails_says_why(self) -> None:
        schema = pa.schema({"x": pa.float64(), "y": pa.float64()})

        def batches() -> Any:
            yield pa.record_batch([pa.array([1.0, 2.0]), pa.array([0.0, 1.0])], schema)
            raise RuntimeError("the well is dry")

        reader = pa.RecordBatchReader.from_batches(schema, batches())
        with pytest.raises((ValueError, OSError), match="the well is dry"):
            evergrove.train(PARAMS, reader, "y")


def test_columns_of_numbers_are_not_copied() -> None:
    from evergrove.tables import table_of_matrix, to_table

    columns = {f"c{place}": np.arange(1000.0) + place for place in range(3)}
    table = to_table(pd.DataFrame(columns, copy=False))
    for name, values in columns.items():
        assert table[name].chunk(0).buffers()[1].address == values.ctypes.data
    matrix = np.asfortranarray(np.random.default_rng(0).random((100, 3)))
    table = table_of_matrix(matrix, ["a", "b", "c"])
    assert table["a"].chunk(0).buffers()[1].address == matrix.ctypes.data
