# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, and what other threads may do meanwhile."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import evergrove

PROGRAM = """
import sys
import numpy as np
import evergrove

random = np.random.default_rng(0)
x = random.normal(size=(20_000, 20))
y = (x[:, 0] * x[:, 1] + random.normal(size=20_000) > 0).astype(float)
log, count, resume = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume"

def say(step):
    if step.iteration == 5:
        print("five", flush=True)

try:
    callbacks = [] if "silent" in sys.argv else [say]
    print("training", flush=True)
    model = evergrove.train(
        {"n_estimators": count}, x, y, log=log or None, resume=resume, callbacks=callbacks
    )
    print(model.digest)
except KeyboardInterrupt as stop:
    print("stopped:", stop)
    sys.exit(130)
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_leaves_a_log_to_go_on_from(tmp_path: Path) -> None:
    log = str(tmp_path / "run")
    process = start(log, "100000", "new")
    assert process.stdout is not None
    assert process.stdout.readline() == "training\n"
    assert process.stdout.readline() == "five\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.startswith("stopped: Stopped after ")
    assert "resume=True" in out and log in out
    done = int(out.split("after ")[1].split()[0])
    assert done >= 5

    count = str(done + 10)
    resumed, err = start(log, count, "resume").communicate(timeout=120)
    whole, _ = start("", count, "new").communicate(timeout=120)
    assert resumed.split()[-1] == whole.split()[-1], err
    assert "five" in whole and "five" not in resumed  # the fifth came from the log


def test_ctrl_c_without_callback_and_log() -> None:
    process = start("", "100000", "new", "silent")
    assert process.stdout is not None
    assert process.stdout.readline() == "training\n"
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "no log" in out


def test_other_threads_run_while_it_trains() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(20_000, 20))
    y = (x[:, 0] > random.normal(size=20_000)).astype(float)
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    start_time = time.monotonic()
    evergrove.train({"n_estimators": 60}, x, y, threads=1)
    seconds = time.monotonic() - start_time
    stop.set()
    thread.join()
    # With the GIL held it would have ticked a few times at most.
    assert ticks > 10 * seconds


def test_several_runs_at_once_give_the_same_model() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(3_000, 5))
    y = (x[:, 0] > 0).astype(float)
    params = {"n_estimators": 20}
    expected = evergrove.train(params, x, y).digest
    digests: list[str] = []

    def run() -> None:
        steps: list[object] = []
        digests.append(evergrove.train(params, x, y, callbacks=[steps.append]).digest)
        assert len(steps) == 20

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert digests == [expected] * 4


def test_a_signal_handler_of_the_users_own() -> None:
    class TooLongError(Exception):
        pass

    def on_alarm(number: int, frame: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        random = np.random.default_rng(0)
        x = random.normal(size=(10_000, 10))
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(TooLongError):
            evergrove.train({"n_estimators": 100_000}, x, x[:, 0])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
