# SPDX-License-Identifier: Apache-2.0
"""train(): parameters, validation sets, callbacks, the log, and what is refused."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evergrove
from tests import data_sets

PARAMS = {"n_estimators": 6, "max_leaves": 8}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return data_sets.adult_like(rows=1_500).frame


class TestParameters:
    def test_names_of_other_libraries_mean_ours_and_it_is_said(self, frame: pd.DataFrame) -> None:
        ours = {"n_estimators": 4, "max_leaves": 6, "min_rows": 9, "growth": "depth", "seed": 3}
        theirs = {
            "num_iterations": 4,
            "num_leaves": 6,
            "min_child_samples": 9,
            "grow_policy": "depthwise",
            "random_state": 3,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = evergrove.train(ours, frame, "income")
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            assert evergrove.train(theirs, frame, "income").digest == model.digest
        assert [note.category for note in notes] == [evergrove.ParameterNote] * len(theirs)
        assert "num_leaves is called max_leaves here" in [str(note.message) for note in notes]
        assert notes[0].filename == __file__

    def test_values_of_numpy_and_none(self, frame: pd.DataFrame) -> None:
        model = evergrove.train({"n_estimators": 4, "learning_rate": 0.3}, frame, "income")
        params = {
            "n_estimators": np.int64(4),
            "learning_rate": np.float64(0.3),
            "max_depth": None,
            "base_score": None,
            "metrics": ["auc", "log_loss"],
        }
        other = evergrove.train(params, frame, "income")
        assert other.digest == model.digest
        assert other.parameters["metrics"] == ["auc", "log_loss"]
        assert evergrove.train(None, frame, "income").iteration_count == 100

    @pytest.mark.parametrize(
        ("params", "words"),
        [
            ({"num_leafs": 3}, "max_leaves|num_leaves"),
            ({"learning_rate": -1}, "learning_rate"),
            ({"learning_rate": "fast"}, "learning_rate"),
            ({"max_bins": 1}, "max_bins"),
            ({"n_estimators": 2.5}, "n_estimators"),
            ({"n_estimators": True}, "n_estimators"),
            ({"growth": "sideways"}, "growth"),
            ({"metrics": "acu"}, "auc"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, params: dict[str, Any], words: str, frame: pd.DataFrame
    ) -> None:
        with pytest.raises(ValueError, match=words):
            evergrove.train(params, frame, "income")

    def test_a_value_of_no_known_kind(self, frame: pd.DataFrame) -> None:
        with pytest.raises(TypeError, match="learning_rate"):
            evergrove.train({"learning_rate": object()}, frame, "income")
        with pytest.raises(ValueError, match="threads"):
            evergrove.train(PARAMS, frame, "income", threads=0)

    def test_objective(self, frame: pd.DataFrame) -> None:
        x = frame[["age", "gain"]]
        y = np.arange(len(x)) % 2
        assert evergrove.train(PARAMS, x, y).objective == "binary"
        assert evergrove.train(PARAMS, x, y, objective="regression").objective == "regression"
        with pytest.warns(evergrove.ParameterNote):
            by_alias = evergrove.train({**PARAMS, "loss": "multiclass"}, x, y)
        assert by_alias.objective == "multiclass"

    def test_threads_change_nothing(self, frame: pd.DataFrame) -> None:
        digests = {
            evergrove.train(PARAMS, frame, "income", threads=threads).digest
            for threads in (1, 2, 3, None)
        }
        assert len(digests) == 1

    def test_the_table(self) -> None:
        table = {parameter.name: parameter for parameter in evergrove.parameters()}
        assert table["max_leaves"].default == "31"
        assert "num_leaves" in table["max_leaves"].aliases


class TestValidation:
    def test_forms_of_one_set(self, frame: pd.DataFrame, tmp_path: Path) -> None:
        train, valid = frame[:1000], frame[1000:]
        valid.to_parquet(tmp_path / "valid.parquet")
        label = valid["income"]
        features = valid.drop(columns="income")
        by_name = evergrove.train(PARAMS, train, "income", valid=valid)
        for form in ([valid], tmp_path / "valid.parquet", [str(tmp_path / "valid.parquet")]):
            other = evergrove.train(PARAMS, train, "income", valid=form)
            assert other.metrics == by_name.metrics
        values = evergrove.train(
            PARAMS, train.drop(columns="income"), train["income"], valid=(features, label)
        )
        assert values.metrics == by_name.metrics
        assert len(by_name.metrics["valid"]["auc"]) == 6

    def test_names_of_several_sets(self, frame: pd.DataFrame) -> None:
        one, two = frame[:300], frame[300:600]
        model = evergrove.train(PARAMS, frame, "income", valid=[one, two])
        assert {"valid", "valid_1"} <= set(model.metrics)
        model = evergrove.train(PARAMS, frame, "income", valid={"one": one, "two": two})
        assert {"one", "two"} <= set(model.metrics)
        model = evergrove.train(PARAMS, frame, "income", valid=one, valid_fraction=0.25)
        assert {"valid", "valid_1"} <= set(model.metrics)

    def test_weights_of_sets(self, frame: pd.DataFrame) -> None:
        train, valid = frame[:1000], frame[1000:]
        x, y = train.drop(columns="income"), train["income"]
        vx, vy = valid.drop(columns="income"), valid["income"]
        weight, valid_weight = np.arange(1000) % 4 + 0.5, np.arange(500) % 3 + 0.5
        by_values = evergrove.train(PARAMS, x, y, weight=weight, valid=(vx, vy, valid_weight))
        by_name = evergrove.train(
            PARAMS,
            train.assign(w=weight),
            "income",
            weight="w",
            valid=valid.assign(w=valid_weight),
        )
        assert by_values.metrics == by_name.metrics
        unweighted = evergrove.train(PARAMS, x, y, weight=weight, valid=(vx, vy))
        assert unweighted.digest == by_values.digest
        assert unweighted.metrics["valid"] != by_values.metrics["valid"]

    def test_early_stopping(self, frame: pd.DataFrame) -> None:
        params = {"n_estimators": 500, "learning_rate": 0.5, "early_stopping_rounds": 5}
        model = evergrove.train(params, frame, "income", valid_fraction=0.3)
        assert 0 < model.best_iteration < 500
        assert model.tree_count == model.best_iteration
        with pytest.raises(ValueError, match="validation"):
            evergrove.train(params, frame, "income")

    def test_what_is_refused(self, frame: pd.DataFrame) -> None:
        x, y = frame.drop(columns="income"), frame["income"]
        with pytest.raises(ValueError, match=r"\(data, label\)"):
            evergrove.train(PARAMS, x, y, valid=x)
        with pytest.raises(ValueError, match="values: 4"):
            evergrove.train(PARAMS, x, y, valid=(x, y, y, y))
        with pytest.raises(ValueError, match="job"):
            evergrove.train(PARAMS, frame, "income", valid=frame.drop(columns="job"))
        with pytest.raises(ValueError, match="fraction"):
            evergrove.train(PARAMS, frame, "income", valid_fraction=1.5)
        with pytest.raises(ValueError, match=r"\(data, label, weight\)"):
            evergrove.train(PARAMS, frame, "income", weight=np.ones(len(frame)), valid=frame)


class TestCallbacks:
    def test_each_iteration_is_told_once(self, frame: pd.DataFrame) -> None:
        steps: list[evergrove.Progress] = []
        model = evergrove.train(
            PARAMS, frame, "income", valid_fraction=0.2, callbacks=[steps.append]
        )
        assert [step.iteration for step in steps] == [1, 2, 3, 4, 5, 6]
        assert all(step.iteration_count == 6 and step.phase == "training" for step in steps)
        told = [step.metrics["valid"]["auc"] for step in steps]
        assert told == model.metrics["valid"]["auc"]

    def test_false_stops_and_the_log_goes_on(self, frame: pd.DataFrame, tmp_path: Path) -> None:
        whole = evergrove.train(PARAMS, frame, "income")
        with pytest.raises(evergrove.Stopped, match="resume=True") as stopped:
            evergrove.train(
                PARAMS,
                frame,
                "income",
                log=tmp_path / "run",
                callbacks=[lambda step: step.iteration < 3],
            )
        assert stopped.value.iteration == 3
        seen: list[int] = []
        resumed = evergrove.train(
            PARAMS,
            frame,
            "income",
            log=tmp_path / "run",
            resume=True,
            callbacks=[lambda step: seen.append(step.iteration)],
        )
        assert seen == [4, 5, 6]
        assert resumed.digest == whole.digest

    def test_an_exception_of_a_callback_comes_through(self, frame: pd.DataFrame) -> None:
        def fail(step: evergrove.Progress) -> None:
            if step.iteration == 2:
                raise LookupError("not there")

        with pytest.raises(LookupError, match="not there"):
            evergrove.train(PARAMS, frame, "income", callbacks=[fail])
        with pytest.raises(TypeError, match="callable"):
            evergrove.train(PARAMS, frame, "income", callbacks=[3])  # type: ignore[list-item]


class TestLog:
    def test_resume_takes_no_other_data_or_parameters(
        self, frame: pd.DataFrame, tmp_path: Path
    ) -> None:
        log = tmp_path / "run"
        first = evergrove.train(PARAMS, frame, "income", log=log, resume=True)
        again = evergrove.train(PARAMS, frame, "income", log=str(log), resume=True)
        assert again.digest == first.digest
        with pytest.raises(ValueError, match="resume"):
            evergrove.train(PARAMS, frame, "income", log=log)
        with pytest.raises(ValueError, match="learning_rate"):
            evergrove.train({**PARAMS, "learning_rate": 0.2}, frame, "income", log=log, resume=True)
        with pytest.raises(ValueError, match=r"data|memory|row"):
            evergrove.train(PARAMS, frame[:-1], "income", log=log, resume=True)
        changed = frame.assign(age=frame["age"].to_numpy()[::-1])
        with pytest.raises(ValueError, match=r"data|memory"):
            evergrove.train(PARAMS, changed, "income", log=log, resume=True)

    def test_continuing_equals_a_longer_run(self, frame: pd.DataFrame, tmp_path: Path) -> None:
        longer = {**PARAMS, "n_estimators": 11}
        whole = evergrove.train(longer, frame, "income")
        short = evergrove.train(PARAMS, frame, "income")
        assert evergrove.train(longer, frame, "income", continue_from=short).digest == whole.digest
        short.save(tmp_path / "short.evergrove")
        by_path = evergrove.train(
            longer, frame, "income", continue_from=tmp_path / "short.evergrove"
        )
        assert by_path.digest == whole.digest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestProgress:
    def test_a_terminal_sees_one_line(
        self, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        evergrove.train(PARAMS, frame, "income", valid_fraction=0.2)
        text = terminal.getvalue()
        assert "6/6" in text and "valid auc" in text
        assert text.count("\n") == text.count("evergrove: ")  # nothing but notes stays
        assert "\r\033[K" in text

    def test_silence(self, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
        for stream, progress in ((Terminal(), False), (io.StringIO(), None)):
            monkeypatch.setattr("sys.stderr", stream)
            evergrove.train(PARAMS, frame, "income", progress=progress)
            assert stream.getvalue() == ""

    def test_words(self) -> None:
        from evergrove.progress import Words

        words = Words()

        def at(iteration: int, seconds: float) -> str:
            metrics = {"train": {"auc": 0.9}, "valid": {"auc": 0.75}}
            return words.of(
                evergrove.Progress("training", 0.5, iteration, 100, 1, seconds, metrics)
            )

        assert at(0, 1.0) == "0/100  valid auc 0.75"
        assert at(50, 6.0) == "50/100  10 trees/s  valid auc 0.75  5 s to go"

    def test_a_notebook_gets_a_bar(
        self, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        display = pytest.importorskip("IPython.display", reason="IPython is not installed")
        shown: list[str] = []

        class Handle:
            def update(self, bar: Any) -> None:
                shown.append(bar.data)

        def show(bar: Any, display_id: bool) -> Handle:
            shown.append(bar.data)
            return Handle()

        monkeypatch.setattr(display, "display", show)
        monkeypatch.setattr("evergrove.progress.in_notebook", lambda: True)
        evergrove.train(PARAMS, frame, "income")
        assert all("<progress" in text for text in shown)
        assert "6/6" in shown[-1]


class TestMemory:
    def test_rows_that_do_not_fit_pass_by(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "rows.parquet"
        data_sets.adult_like(rows=150_000).frame.to_parquet(path, row_group_size=10_000)
        params = {**PARAMS, "objective": "binary"}
        whole = evergrove.train(params, path, "income", threads=2)
        with pytest.raises(ValueError, match="does not fit into this memory") as refusal:
            evergrove.train(params, path, "income", threads=2, memory=1)
        # No less than it really is, for nothing was read yet.
        mebibytes = int(str(refusal.value).split("with all rows in memory: ")[1].split()[0])
        caplog.set_level("INFO", logger="evergrove")
        while "pass by from a file" not in caplog.text:
            mebibytes -= 1
            model = evergrove.train(params, path, "income", threads=2, memory=f"{mebibytes}MiB")
            assert model.digest == whole.digest
        missing = tmp_path / "missing"
        with pytest.raises(ValueError, match="may be written to"):
            evergrove.train(
                params, path, "income", threads=2, memory=mebibytes << 20, cache=missing
            )
        missing.mkdir()
        model = evergrove.train(
            params, path, "income", threads=2, memory=mebibytes << 20, cache=missing
        )
        assert model.digest == whole.digest
        assert not list(missing.iterdir())

    def test_is_for_runs_without_workers(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="without workers"):
            evergrove.train(None, str(tmp_path), "income", workers=2, memory="1GiB")

    def test_a_size_that_makes_no_sense(self, frame: pd.DataFrame) -> None:
        with pytest.raises(ValueError, match="memory"):
            evergrove.train(None, frame, "income", memory="much")
