# SPDX-License-Identifier: Apache-2.0
"""Command lines, parameters and configuration files that cannot be meant: each is refused in one
sentence that proposes what may be."""

from pathlib import Path

import pytest

from tests.process.refusal import refuses, refuses_to_train

# --- The command line --------------------------------------------------------------------------

# What is typed after `evergrove`, and what the sentence says.
COMMAND_LINES = {
    "nothing": ([], ["Say what to do", "--help"]),
    "a command misspelt": (["trian"], ["trian", "did you mean train?"]),
    "an option before the command": (["--jsn"], ["--jsn"]),
    "an option misspelt": (["train", "--lable", "x"], ["--lable", "did you mean --label?"]),
    "an option of another library": (["train", "--num-boost-round=3"], ["--num-boost-round"]),
    "an option without its value": (["train", "--label"], ["--label"]),
    "no data": (["train", "--label", "x", "--model", "m"], ["--data"]),
    "no label": (["train", "--data", "x", "--model", "m"], ["--label"]),
    "no model": (["train", "--data", "x", "--label", "y"], ["--model"]),
    "predict without a model": (["predict", "--data", "x", "--out", "y"], ["--model"]),
    "predict without data": (["predict", "--model", "x", "--out", "y"], ["--data"]),
    "predict without a place": (["predict", "--data", "x", "--model", "y"], ["--out"]),
    "evaluate without data": (["evaluate", "--model", "x"], ["--data"]),
    "inspect without a file": (["inspect"], ["FILE"]),
    "digest of two files": (["digest", "a", "b"], ["b"]),
    "diff of one file": (["diff", "a"], ["B"]),
    "completion of another shell": (["completion", "csh"], ["csh", "bash"]),
}


@pytest.mark.parametrize("what", COMMAND_LINES)
def test_command_line(tmp_path: Path, what: str) -> None:
    arguments, words = COMMAND_LINES[what]
    refuses(tmp_path, *arguments, says=words, cwd=tmp_path)


# What is added to a train command that would do.
OPTIONS = {
    "resume without a log": (["--resume"], ["--resume", "--log"]),
    "valid fraction 2": (["--valid-fraction", "2"], ["--valid-fraction", "2"]),
    "valid fraction 0": (["--valid-fraction", "0"], ["--valid-fraction"]),
    "valid fraction 1": (["--valid-fraction", "1"], ["--valid-fraction"]),
    "valid fraction NaN": (["--valid-fraction", "nan"], ["--valid-fraction"]),
    "valid fraction in words": (["--valid-fraction", "half"], ["--valid-fraction", "half"]),
    "a fraction that leaves nothing": (["--valid-fraction", "1e-9"], ["validation", "1e-09"]),
    "0 threads": (["--threads", "0"], ["--threads", "0"]),
    "threads below 0": (["--threads", "-2"], ["--threads", "-2"]),
    "threads in words": (["--threads", "all"], ["--threads", "all"]),
    "threads beyond reason": (["--threads", "99999999999999"], ["--threads"]),
    "a seed below 0": (["--seed", "-1"], ["--seed", "-1"]),
    "a seed in words": (["--seed", "lucky"], ["--seed", "lucky"]),
    "a seed beyond 64 bits": (["--seed", "18446744073709551616"], ["--seed"]),
    "an objective misspelt": (["--objective", "binry"], ["objective", "binary", "binry"]),
    "an unknown type": (["--type", "a=integer"], ["a=integer", "number, text or date"]),
    "a type without a column": (["--type", "number"], ["--type", "number"]),
    "a setting without a value": (["--set", "seed"], ["--set", "name=value", "seed"]),
    "a setting without a name": (["--set", "=3"], ["--set", "=3"]),
    "continue from nothing": (["--continue", "gone.evergrove"], ["gone.evergrove"]),
    "no such configuration": (["--config", "gone.toml"], ["gone.toml"]),
    "a configuration that is a folder": (["--config", "."], ["configuration"]),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_option(tmp_path: Path, data: Path, what: str) -> None:
    arguments, words = OPTIONS[what]
    refuses_to_train(tmp_path, data, *arguments, says=words, cwd=tmp_path)


SCORING_OPTIONS = {
    "an unknown kind": (["--kind", "proba"], ["--kind", "probability", "proba"]),
    "a column to keep that is not there": (["--keep", "a,customer"], ["customer", "keep"]),
    "a column to keep twice": (["--keep", "a,b,a"], ["twice", "a"]),
    "0 threads": (["--threads", "0"], ["--threads"]),
    "threads below 0": (["--threads", "-1"], ["--threads"]),
}


@pytest.mark.parametrize("what", SCORING_OPTIONS)
def test_option_of_predict(tmp_path: Path, model: Path, data: Path, what: str) -> None:
    arguments, words = SCORING_OPTIONS[what]
    out = tmp_path / "scores.parquet"
    scoring = ["predict", "--model", model, "--data", data, "--out", out, *arguments]
    refuses(tmp_path, *scoring, says=words)


METRICS = {
    "a metric misspelt": (["--metrics", "acu"], ["acu", "did you mean auc?"]),
    "a metric of another objective": (["--metrics", "r2"], ["r2", "auc"]),
    "0 threads": (["--threads", "0"], ["--threads"]),
}


@pytest.mark.parametrize("what", METRICS)
def test_option_of_evaluate(tmp_path: Path, model: Path, data: Path, what: str) -> None:
    arguments, words = METRICS[what]
    refuses(tmp_path, "evaluate", "--model", model, "--data", data, *arguments, says=words)


# --- Parameters --------------------------------------------------------------------------------

UNKNOWN = {
    "lerning_rate": "learning_rate",
    "n_estimator": "n_estimators",
    "max_leafs": "max_leaves",
    "lamda_l2": "lambda_l2",
    "sub_sample": "subsample",
    "min_gains": "min_gain",
    "grow": "growth",
    "sede": "seed",
}


@pytest.mark.parametrize("typed", UNKNOWN)
def test_a_parameter_misspelt(tmp_path: Path, data: Path, typed: str) -> None:
    says = [typed, f"did you mean {UNKNOWN[typed]}?"]
    refuses_to_train(tmp_path, data, "--set", f"{typed}=1", says=says)


OUT_OF_RANGE = [
    "n_estimators=0",
    "n_estimators=-5",
    "n_estimators=1e9999",
    "n_estimators=1.5",
    "learning_rate=0",
    "learning_rate=-0.1",
    "learning_rate=nan",
    "learning_rate=inf",
    "learning_rate=fast",
    "learning_rate=",
    "growth=sideways",
    "max_leaves=1",
    "max_leaves=100000000",
    "max_depth=-3",
    "max_bins=1",
    "max_bins=65536",
    "min_rows=-1",
    "min_hessian=-1",
    "min_gain=-1",
    "min_gain=inf",
    "lambda_l1=-1",
    "lambda_l2=-1",
    "lambda_l2=nan",
    "subsample=0",
    "subsample=1.1",
    "colsample_bytree=0",
    "colsample_bylevel=1.5",
    "colsample_bynode=-1",
    "scale_pos_weight=0",
    "scale_pos_weight=-1",
    "base_score=1",
    "base_score=nonsense",
    "early_stopping_rounds=-1",
    "metrics=acu",
    "seed=-1",
    "seed=1.5",
]


@pytest.mark.parametrize("setting", OUT_OF_RANGE)
def test_a_parameter_out_of_range(tmp_path: Path, data: Path, setting: str) -> None:
    name, value = setting.split("=")
    says = [name.removesuffix("s") if name == "metrics" else name, value]
    refuses_to_train(
        tmp_path, data, "--objective", "binary", "--set", setting, says=says, timeout=10
    )


# Each is fine by itself.
TOGETHER = {
    "early stopping with nothing to watch": (
        ["early_stopping_rounds=5"],
        ["early_stopping_rounds", "validation"],
    ),
    "a base score of several classes": (
        ["objective=multiclass", "base_score=0.5"],
        ["base_score", "multiclass"],
    ),
    "a positive weight without positives": (
        ["objective=regression", "scale_pos_weight=2"],
        ["scale_pos_weight", "binary"],
    ),
    "a metric of another objective": (["objective=binary", "metrics=r2"], ["r2"]),
    "a metric twice": (["objective=binary", "metrics=auc,auc"], ["auc", "twice"]),
    "a symmetric tree too deep": (["growth=symmetric", "max_depth=17"], ["max_depth", "16"]),
}


@pytest.mark.parametrize("what", TOGETHER)
def test_parameters_that_do_not_go_together(tmp_path: Path, data: Path, what: str) -> None:
    settings, words = TOGETHER[what]
    refuses_to_train(tmp_path, data, "--set", *settings, says=words)


def test_a_parameter_of_another_library_is_explained(tmp_path: Path, data: Path) -> None:
    refuses_to_train(tmp_path, data, "--set", "boosting=dart", says=["boosting"])
    refuses_to_train(tmp_path, data, "--set", "tree_method=hist", says=["tree_method"])


# --- Configuration files -----------------------------------------------------------------------

CONFIGURATIONS = {
    "not TOML": ("data = [", ["line"]),
    "not TOML on line 3": ("seed = 1\nlabel = 'x'\nvalid fraction = 1\n", ["line: 3"]),
    "a key misspelt": ("lable = 'x'", ["lable", "did you mean label?"]),
    "a parameter outside its table": ("learning_rate = 0.1", ["[parameters]"]),
    "a parameter misspelt": ("[parameters]\nmax_dept = 3", ["max_dept", "max_depth"]),
    "a parameter out of range": ("[parameters]\nlearning_rate = -1.0", ["learning_rate", "-1"]),
    "a parameter of a table's type": ("[parameters]\nseed = {a = 1}", ["parameters.seed"]),
    "a number as label": ("label = 3", ["label", "quotes"]),
    "text as seed": ("seed = 'x'", ["seed"]),
    "a seed below 0": ("seed = -1", ["seed"]),
    "0 threads": ("threads = 0", ["threads"]),
    "a key twice": ("seed = 1\nseed = 2\n", ["line: 2"]),
    "text as resume": ("resume = 'yes'", ["resume", "true or false"]),
    "bytes": ("\x00\x01", ["line: 1"]),
}


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_a_configuration(tmp_path: Path, data: Path, what: str) -> None:
    text, words = CONFIGURATIONS[what]
    (tmp_path / "train.toml").write_text(text)
    config = tmp_path / "train.toml"
    sentence = refuses_to_train(tmp_path, data, "--config", config, says=words)
    if "line" in words[0] or "key" in what:
        assert "train.toml" in sentence
