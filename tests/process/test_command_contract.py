# SPDX-License-Identifier: Apache-2.0
"""The contract of the command, on which users' scripts rely: what it prints, where, in which form,
and with which exit code."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data_sets import seven_class
from tests.process.command import (
    DIFFERS,
    DONE,
    Answer,
    evergrove,
)
from tests.process.rows import LABEL, small_rows, write

ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, and the model, log and JSON of a training on them."""
    folder = tmp_path_factory.mktemp("contract")
    write(small_rows(500), folder / "train.parquet")
    write(small_rows(300, seed=1), folder / "valid.parquet")
    write(small_rows(200, seed=2), folder / "test.parquet")
    answer = train(folder, "--json", "--log", folder / "log")
    assert answer.code == DONE, answer
    (folder / "result.json").write_text(answer.out)
    (folder / "notes").write_text(answer.err)
    return folder


def train(folder: Path, *more: object, model: str = "model", **options: Any) -> Answer:
    return evergrove(
        *("train", "--data", folder / "train.parquet", "--valid", folder / "valid.parquet"),
        *("--label", LABEL, "--exclude", "weight", "--model", folder / model),
        *("--set", "n_estimators=12", "min_rows=5", *more),
        **options,
    )


# --- train -------------------------------------------------------------------------------------


def test_train_prints_exactly_one_json_object(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", result["digest"])
    assert set(result["metrics"]) == {"train", "valid"}
    for metrics in result["metrics"].values():
        assert set(metrics) == {"auc", "average_precision", "log_loss"}
        assert all(isinstance(value, float) for value in metrics.values())
    assert {"read", "bins", "train", "total"} <= set(result["seconds"])
    assert all(seconds >= 0 for seconds in result["seconds"].values())
    parts = sum(result["seconds"][part] for part in ("read", "bins", "train"))
    assert parts <= result["seconds"]["total"] + 1e-3
    assert 1 << 20 < result["peak_rss_bytes"] < 1 << 34
    assert (result["rows"], result["columns"], result["trees"]) == (500, 4, 12)
    assert 1 <= result["best_iteration"] <= 12
    assert "evergrove: " in (folder / "notes").read_text(), "notes go to standard error"


def test_train_says_it_in_words_without_json(folder: Path) -> None:
    answer = train(folder, model="words")
    assert answer.code == DONE
    digest = json.loads((folder / "result.json").read_text())["digest"]
    assert digest in answer.out
    assert "12 trees" in answer.out
    assert ESCAPE not in answer.out + answer.err
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.out)


def test_quiet_says_nothing_but_the_json(folder: Path) -> None:
    answer = train(folder, "--quiet", model="quiet")
    assert answer == Answer(DONE, "", "")
    answer = train(folder, "--quiet", "--json", model="quiet")
    assert answer.err == ""
    assert answer.json["trees"] == 12


def test_threads_and_log_do_not_change_the_model(folder: Path) -> None:
    digest = json.loads((folder / "result.json").read_text())["digest"]
    for threads in (1, 3):
        answer = train(folder, "--json", "--threads", threads, model="threads")
        assert answer.json["digest"] == digest


def test_the_seed_is_an_option_and_a_parameter(folder: Path) -> None:
    sampled = "subsample=0.5"
    option = train(folder, sampled, "--seed", 7, "--json", model="seed").json
    setting = train(folder, sampled, "seed=7", "--json", model="seed").json
    other = train(folder, sampled, "seed=8", "--json", model="seed").json
    assert option["digest"] == setting["digest"] != other["digest"]
    assert option["parameters"]["seed"] == 7


def test_aliases_are_accepted_and_said(folder: Path) -> None:
    plain = train(folder, "learning_rate=0.3", "lambda_l2=2", "--json", model="alias")
    alias = train(folder, "eta=0.3", "reg_lambda=2", "--json", model="alias")
    assert alias.json["digest"] == plain.json["digest"]
    for word in ("eta", "reg_lambda"):
        assert word in alias.err
        assert word in " ".join(alias.json["notes"])


def test_several_validation_sets_and_early_stopping(folder: Path) -> None:
    answer = train(
        *(folder, "--valid", folder / "test.parquet", "--set", "n_estimators=400"),
        *("learning_rate=0.5", "early_stopping_rounds=3", "--json"),
        model="early",
    )
    result = answer.json
    assert set(result["metrics"]) == {"train", "valid", "valid_1"}
    assert 0 < result["trees"] == result["best_iteration"] < 400


def test_a_configuration_file_says_the_same(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "train.toml"
    config.write_text(
        f"""
        data = ["{folder / "train.parquet"}"]
        valid = "{folder / "valid.parquet"}"
        label = "{LABEL}"
        exclude = ["weight"]
        model = "{tmp_path / "model"}"
        [parameters]
        n_estimators = 12
        min_rows = 5
        """
    )
    answer = evergrove("train", "--config", config, "--json")
    assert answer.code == DONE, answer
    assert answer.json["digest"] == json.loads((folder / "result.json").read_text())["digest"]
    answer = evergrove("train", "--config", config, "--set", "n_estimators=3", "--json")
    assert answer.json["trees"] == 3, "the command line goes first"


# --- evaluate, predict -------------------------------------------------------------------------


def test_evaluate(folder: Path) -> None:
    given = ["evaluate", "--model", folder / "model", "--data", folder / "valid.parquet"]
    answer = evergrove(*given, "--json")
    assert answer.code == DONE
    trained = json.loads((folder / "result.json").read_text())
    for key in ("digest", "trees", "columns", "best_iteration"):
        assert answer.json[key] == trained[key]
    assert answer.json["rows"] == 300
    assert answer.json["seconds"]["total"] >= 0
    assert answer.json["peak_rss_bytes"] > 0
    (metrics,) = answer.json["metrics"].values()
    assert set(metrics) == {"auc", "average_precision", "log_loss"}
    words = evergrove(*given)
    assert "auc" in words.out
    assert "300 rows" in words.out
    chosen = evergrove(*given, "--metrics", "auc,precision_at_100,recall_at_10", "--json")
    (metrics,) = chosen.json["metrics"].values()
    assert list(metrics) == ["auc", "precision_at_100", "recall_at_10"]


def test_evaluate_agrees_with_the_scores_that_predict_writes(folder: Path, tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores = predict(folder, tmp_path / "scores.parquet", "--keep", LABEL)
    label, score = scores[LABEL].to_numpy(), scores["score"].to_numpy()
    given = ["evaluate", "--model", folder / "model", "--data", folder / "test.parquet", "--json"]
    (ours,) = evergrove(*given).json["metrics"].values()
    assert ours["auc"] == pytest.approx(metrics.roc_auc_score(label, score), abs=1e-12)
    assert ours["log_loss"] == pytest.approx(metrics.log_loss(label, score), abs=1e-12)
    expected = metrics.average_precision_score(label, score)
    assert ours["average_precision"] == pytest.approx(expected, abs=1e-12)


def predict(folder: Path, out: Path, *more: object, model: str = "model") -> pa.Table:
    answer = evergrove(
        *("predict", "--model", folder / model, "--data", folder / "test.parquet"),
        *("--out", out, *more),
    )
    assert answer.code == DONE, answer
    return pq.read_table(out)


def test_predict_writes_kept_columns_first_and_scores_last(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    scores = predict(folder, out, "--keep", "weight,city,b")
    assert scores.schema.names == ["weight", "city", "b", "score"]
    rows = pq.read_table(folder / "test.parquet")
    for name in ("weight", "city", "b"):
        assert scores[name].equals(rows[name]), "as they are in the data, nulls included"
    assert predict(folder, out).schema.names == ["score"]


def test_predict_has_four_kinds(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    probability = predict(folder, out, "--kind", "probability")["score"].to_numpy()
    margin = predict(folder, out, "--kind", "margin")["score"].to_numpy()
    klass = predict(folder, out, "--kind", "class")["score"].to_numpy()
    leaves = predict(folder, out, "--kind", "leaf")
    assert np.array_equal(probability, predict(folder, out)["score"].to_numpy())
    assert np.allclose(probability, 1 / (1 + np.exp(-margin)), atol=1e-15, rtol=1e-12)
    assert np.array_equal(klass, (probability > 0.5).astype(np.int64))
    assert leaves.num_columns == 12
    with pa.ipc.open_file(folder / "model") as reader:
        nodes = reader.read_all().to_pandas()
    for tree in range(12):
        of_tree = nodes[nodes["tree"] == tree].set_index("node")
        reached = of_tree.loc[leaves.column(tree).to_numpy()]
        assert (reached["feature"] < 0).all() or reached["feature"].isna().all()


def test_predict_writes_a_column_for_each_of_several_classes(tmp_path: Path) -> None:
    data = seven_class(rows=600)
    frame = data.frame.assign(**{data.label: [f"kind {k}" for k in data.frame[data.label]]})
    frame.to_parquet(tmp_path / "test.parquet")
    answer = evergrove(
        *("train", "--data", tmp_path / "test.parquet", "--label", data.label),
        *("--model", tmp_path / "model", "--set", "n_estimators=3", "--json"),
    )
    assert answer.code == DONE, answer
    assert answer.json["objective"] == "multiclass"
    assert answer.json["trees"] == 21
    names = sorted(set(frame[data.label]))
    out = tmp_path / "scores.parquet"
    scores = predict(tmp_path, out, "--keep", data.label)
    assert scores.schema.names == [data.label, *(f"score_{name}" for name in names)]
    probabilities = scores.to_pandas()[[f"score_{name}" for name in names]].to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    klass = predict(tmp_path, out, "--kind", "class")["score"].to_pylist()
    assert klass == [names[place] for place in probabilities.argmax(axis=1)]
    assert predict(tmp_path, out, "--kind", "leaf").num_columns == 21


def test_predict_tells_what_it_did(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    given = ["predict", "--model", folder / "model", "--data", folder / "test.parquet"]
    answer = evergrove(*given, "--out", out, "--json")
    assert answer.json["rows"] == 200
    assert answer.json["out"] == str(out)
    assert evergrove(*given, "--out", out, "--quiet") == Answer(DONE, "", "")
    assert str(out) in evergrove(*given, "--out", out).out


# --- inspect, digest, diff ---------------------------------------------------------------------


@pytest.mark.parametrize("what", ["model", "log", "log/run.log"])
def test_inspect(folder: Path, what: str) -> None:
    trained = json.loads((folder / "result.json").read_text())
    answer = evergrove("inspect", folder / what, "--json")
    assert answer.code == DONE, answer
    result = answer.json
    assert result["kind"] == ("model" if what == "model" else "log")
    assert result["parameters"] == trained["parameters"]
    assert result["trees"] == 12
    assert result["digest"] == trained["digest"]
    assert len(result["metrics"]) == 12, "by round"
    best = trained["best_iteration"] - 1
    assert result["metrics"][best]["valid"] == trained["metrics"]["valid"]
    assert [feature["name"] for feature in result["features"]] == ["a", "b", "c", "city"]
    for feature in result["features"]:
        assert set(feature["importance"]) == {"gain", "split", "cover"}
    assert result["manifest"]["files"][0]["path"] == str(folder / "train.parquet")
    words = evergrove("inspect", folder / what)
    for word in (trained["digest"], "learning_rate", "importance", "city", "valid auc"):
        assert word in words.out


def test_digest_prints_64_hex_digits(folder: Path) -> None:
    answer = evergrove("digest", folder / "model")
    assert answer.code == DONE
    assert re.fullmatch("[0-9a-f]{64}\n", answer.out)


def test_diff_says_the_first_difference_and_exits_with_1(folder: Path) -> None:
    same = evergrove("diff", folder / "model", folder / "model")
    assert same.code == DONE
    assert train(folder, "--set", "n_estimators=11", model="shorter").code == DONE
    assert train(folder, "--set", "lambda_l2=9", model="other").code == DONE
    for name, word in (("shorter", "trees"), ("other", "tree 0")):
        answer = evergrove("diff", folder / "model", folder / name)
        assert answer.code == DIFFERS
        assert word in answer.out.lower()
        assert len(answer.out.splitlines()) == 1
        assert answer.err == ""


def test_a_model_can_be_read_without_evergrove(folder: Path) -> None:
    with pa.ipc.open_file(folder / "model") as reader:
        nodes = reader.read_all().to_pandas()
    expected = "tree node feature threshold missing_left categories left right value cover gain"
    assert set(expected.split()) <= set(nodes.columns)
    assert nodes["tree"].nunique() == 12
