# SPDX-License-Identifier: Apache-2.0
"""Runs that are killed at random instants, stopped by signals, started twice, or repeated: always
the model is the undisturbed one.

The instants are drawn from EVERGROVE_SEED (0 unless it is set); a failure names its own.
EVERGROVE_CAMPAIGN=1 kills 50 runs instead of 10.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process.command import BAD_INPUT, DONE, STOPPED, Answer, evergrove, finish, start
from tests.process.rows import LABEL, small_rows, write

KILLS = 50 if os.environ.get("EVERGROVE_CAMPAIGN") == "1" else 10
SEED = int(os.environ.get("EVERGROVE_SEED", "0"))

# Long enough to be hit in the middle, whatever the machine.
LONG = ["--set", "n_estimators=150", "max_leaves=15", "min_rows=5", "subsample=0.7"]
ENDLESS = ["--set", "n_estimators=1000000", "max_leaves=15", "min_rows=5"]


class Training:
    """One command over one folder."""

    def __init__(self, folder: Path, data: Path, *more: str) -> None:
        self.log = folder / "log"
        self.model = folder / "model"
        self.arguments = [
            *("train", "--data", str(data), "--label", LABEL, "--valid-fraction", "0.2"),
            *("--log", str(self.log), "--resume", "--model", str(self.model), "--json"),
            *more,
        ]

    def run(self) -> Answer:
        return evergrove(*self.arguments)

    def start(self) -> subprocess.Popen[str]:
        return start(*self.arguments)

    def log_bytes(self) -> int:
        file = self.log / "run.log"
        return file.stat().st_size if file.exists() else 0


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert process.poll() is None, "the run was over before it could be disturbed"
        assert time.monotonic() < deadline, "the run did not come so far"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(4000), tmp_path_factory.mktemp("data") / "rows.parquet")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[str, float]:
    """Digest and seconds of a run that nothing disturbs, with its log."""
    training = Training(tmp_path_factory.mktemp("undisturbed"), data, *LONG)
    began = time.monotonic()
    answer = training.run()
    assert answer.code == DONE, answer
    assert len(answer.json["digest"]) == 64
    return answer.json["digest"], time.monotonic() - began


# --- SIGKILL -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_random_instants(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float], number: int
) -> None:
    """Up to three times in a row, from before the first record to after the last."""
    digest, seconds = undisturbed
    instants = random.Random(SEED * 1000 + number)
    training = Training(tmp_path, data, *LONG)
    for _ in range(instants.randint(1, 3)):
        instant = instants.uniform(0, seconds)
        process = training.start()
        time.sleep(instant)
        process.kill()
        killed = finish(process)
        assert killed.code in (-signal.SIGKILL, DONE)
        if training.model.exists():
            assert evergrove("digest", training.model).out.strip() == digest
        else:
            assert killed.code != DONE
    answer = training.run()
    context = f"EVERGROVE_SEED={SEED}, number {number}: {answer}"
    assert answer.code == DONE, context
    assert answer.json["digest"] == digest, context
    assert answer.json["trees"] == 150
    assert evergrove("digest", training.model).out.strip() == digest


@pytest.mark.parametrize("what", ["before the header", "after the header", "amid the records"])
def test_killed_at_chosen_instants(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float], what: str
) -> None:
    training = Training(tmp_path, data, *LONG)
    process = training.start()
    if what == "before the header":
        wait_until(lambda: (training.log / "run.log").exists(), process)
    elif what == "after the header":
        wait_until(lambda: training.log_bytes() > 0, process)
    else:
        wait_until(lambda: training.log_bytes() > 20_000, process)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    assert not training.model.exists()
    answer = training.run()
    assert answer.code == DONE, answer
    assert answer.json["digest"] == undisturbed[0]
    if what == "amid the records":
        assert answer.json["resumed_iterations"] > 0


def test_every_prefix_of_a_log_is_gone_on_from(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float]
) -> None:
    """What a crash leaves is a prefix; each length has its own way to be cut."""
    training = Training(tmp_path, data, *LONG)
    assert training.run().code == DONE
    whole = (training.log / "run.log").read_bytes()
    lengths = random.Random(SEED)
    chosen = {0, 1, 15, 16, 17, 28, 29, 30, len(whole) - 1, len(whole)}
    chosen |= {lengths.randrange(len(whole)) for _ in range(6)}
    resumed = set()
    for length in sorted(chosen):
        (training.log / "run.log").write_bytes(whole[:length])
        training.model.unlink(missing_ok=True)
        answer = training.run()
        assert answer.code == DONE, (length, answer)
        assert answer.json["digest"] == undisturbed[0], length
        resumed.add(answer.json["resumed_iterations"])
        inspected = evergrove("inspect", training.log, "--json").json
        assert (inspected["iterations"], inspected["torn_bytes"]) == (150, 0)
    assert min(resumed) == 0
    assert max(resumed) == 150


# --- SIGTERM and SIGINT ------------------------------------------------------------------------


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT], ids=lambda which: which.name)
def test_a_signal_finishes_the_record_and_says_how_to_go_on(
    tmp_path: Path, data: Path, which: signal.Signals
) -> None:
    training = Training(tmp_path, data, *ENDLESS)
    process = training.start()
    wait_until(lambda: training.log_bytes() > 20_000, process)
    process.send_signal(which)
    answer = finish(process, timeout=20)
    assert answer.code == STOPPED, answer
    assert answer.out == ""
    last = answer.err.splitlines()[-1]
    assert "--resume" in last
    assert str(training.log) in last
    assert not training.model.exists()
    log = evergrove("inspect", training.log, "--json").json
    assert log["torn_bytes"] == 0
    assert log["iterations"] > 0
    assert f"Stopped after {log['iterations']} iterations" in last
    # The log is a beginning of the same run: as many rounds from the start give the same model.
    longer = log["iterations"] + 3
    rounds = ["--set", f"n_estimators={longer}", "max_leaves=15", "min_rows=5"]
    again = Training(tmp_path, data, *rounds).run()
    assert again.code == DONE, again
    assert again.json["resumed_iterations"] == log["iterations"]
    fresh = Training(tmp_path / "fresh", data, *rounds)
    fresh.model = tmp_path / "fresh-model"
    fresh.arguments[fresh.arguments.index("--model") + 1] = str(fresh.model)
    assert fresh.run().json["digest"] == again.json["digest"]


def test_a_signal_without_a_log_says_that_nothing_was_kept(tmp_path: Path, data: Path) -> None:
    process = start(
        *("train", "--data", data, "--label", LABEL, "--model", tmp_path / "model", *ENDLESS)
    )
    assert process.stderr is not None
    assert "4,000 rows" in process.stderr.readline(), "the data is open, the training begins"
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    answer = finish(process, timeout=20)
    assert answer.code == STOPPED, answer
    last = answer.err.splitlines()[-1]
    assert "--log" in last or "nothing was lost" in last, "the latter if no tree was begun"
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_ends_it_at_once(tmp_path: Path, data: Path) -> None:
    training = Training(tmp_path, data, *ENDLESS)
    process = training.start()
    wait_until(lambda: training.log_bytes() > 20_000, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert finish(process, timeout=20).code in (STOPPED, -signal.SIGINT)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_signal_at_any_time_is_a_stop_or_an_end(tmp_path: Path, data: Path, delay: float) -> None:
    training = Training(tmp_path, data, *LONG)
    process = training.start()
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    answer = finish(process, timeout=20)
    assert answer.code in (STOPPED, DONE, -signal.SIGTERM), answer
    if answer.code == STOPPED:
        assert "epeat the command" in answer.err.splitlines()[-1]
    assert training.run().code == DONE


# --- Twice -------------------------------------------------------------------------------------


def test_two_processes_on_one_log(tmp_path: Path, data: Path) -> None:
    training = Training(tmp_path, data, *ENDLESS)
    first = training.start()
    try:
        wait_until(lambda: training.log_bytes() > 0, first)
        second = training.run()
        assert second.code == BAD_INPUT, second
        assert "Another process" in second.err
        assert str(training.log) in second.err
        assert first.poll() is None, "the first goes on"
    finally:
        first.kill()
        finish(first)
    inspected = evergrove("inspect", training.log, "--json")
    assert inspected.code == DONE, "the second did no harm to the log"


def test_many_processes_at_once_on_one_log(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float]
) -> None:
    training = Training(tmp_path, data, *LONG)
    answers = [finish(process) for process in [training.start() for _ in range(6)]]
    assert {answer.code for answer in answers} <= {DONE, BAD_INPUT}
    done = [answer for answer in answers if answer.code == DONE]
    assert done
    assert {answer.json["digest"] for answer in done} == {undisturbed[0]}
    assert training.run().json["digest"] == undisturbed[0]


def test_resume_with_nothing_to_resume_starts_afresh(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float]
) -> None:
    training = Training(tmp_path / "new", data, *LONG)
    training.arguments[training.arguments.index("--model") + 1] = str(tmp_path / "model")
    answer = training.run()
    assert answer.code == DONE, answer
    assert answer.json["resumed_iterations"] == 0
    assert answer.json["digest"] == undisturbed[0]


def test_a_finished_command_repeated_gives_the_same(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float]
) -> None:
    training = Training(tmp_path, data, *LONG)
    first = training.run()
    model = training.model.read_bytes()
    log = (training.log / "run.log").read_bytes()
    second = training.run()
    assert second.code == DONE, second
    assert second.json["resumed_iterations"] == 150
    for key in ("digest", "metrics", "rows", "columns", "trees", "best_iteration", "parameters"):
        assert second.json[key] == first.json[key], key
    assert training.model.read_bytes() == model
    assert (training.log / "run.log").read_bytes() == log


def test_a_model_that_was_lost_is_made_from_the_log(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float]
) -> None:
    training = Training(tmp_path, data, *LONG)
    assert training.run().code == DONE
    training.model.unlink()
    answer = training.run()
    assert answer.json["digest"] == undisturbed[0]
    assert answer.json["resumed_iterations"] == 150
    assert training.model.exists()


def test_more_rounds_go_on_from_the_log_or_the_model(
    tmp_path: Path, data: Path, undisturbed: tuple[str, float]
) -> None:
    shorter = [word.replace("150", "60") for word in LONG]
    assert Training(tmp_path, data, *shorter).run().json["trees"] == 60
    kept = tmp_path / "kept"
    (tmp_path / "model").rename(kept)
    longer = Training(tmp_path, data, *LONG).run()
    assert longer.json["resumed_iterations"] == 60
    assert longer.json["digest"] == undisturbed[0]
    continued = evergrove(
        *("train", "--data", data, "--label", LABEL, "--valid-fraction", "0.2"),
        *("--continue", kept, "--model", tmp_path / "model", "--json", *LONG),
    )
    assert continued.code == DONE, continued
    assert continued.json["digest"] == undisturbed[0]
