# SPDX-License-Identifier: Apache-2.0
"""Whoever has no business in a run is refused, at the coordinator's port and at its workers', and
the run goes on as if nobody had come."""

import os
import random
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.command import BAD_INPUT, DONE, evergrove
from tests.process.intruder import (
    ACCEPTED,
    HELLO,
    MESSAGE,
    REFUSED,
    VERSION,
    Intruder,
    frame,
    header,
    hello,
    listening_addresses,
    peak_memory_bytes,
)
from tests.process.rows import LABEL, small_rows, write
from tests.process.watched_run import WatchedRun

ENDLESS = ("n_estimators=1000000", "max_leaves=3", "min_rows=5")
SETTINGS = ("--set", "n_estimators=60", "max_leaves=31", "min_rows=5", "subsample=0.8")
WORKERS = 2
LONGEST = 0xFFFFFFFF
GIBIBYTE = 1 << 30
IS_SANITIZED = "ASAN_OPTIONS" in os.environ  # script/sanitize sets it for each of them
# The address sanitizer marks all that is asked for, a byte for eight, in memory of its own.
LITTLE = (256 << 20) + (10 * GIBIBYTE // 8 if IS_SANITIZED else 0)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(20_000), tmp_path_factory.mktemp("data") / "rows.parquet", 1000)


class Place:
    """A run that does not end, with a token, and the ports at which it may be disturbed."""

    def __init__(self, folder: Path, rows: Path) -> None:
        self.token_file = folder / "token"
        self.token = "a-token-for-tests-of-some-length"
        self.token_file.write_text(self.token + "\n")
        self.token_file.chmod(0o600)
        self.run = WatchedRun(folder, rows, *ENDLESS, options=("--token-file", self.token_file))
        for _ in range(WORKERS):
            self.start_worker()
        self.run.wait_until(lambda s: s["trees"] > 5 and len(members(s)) == WORKERS)

    def start_worker(self) -> "subprocess.Popen[bytes]":
        return self.run.start_worker("--token-file", str(self.token_file))

    def ports(self) -> list[str]:
        """The coordinator's for workers, and each worker's for the others."""
        ports = [self.run.address]
        for worker in self.run.workers[:WORKERS]:
            ports += listening_addresses(worker.pid)
        assert len(ports) == 1 + WORKERS, ports
        return ports

    def processes(self) -> list[int]:
        workers = [worker.pid for worker in self.run.workers[:WORKERS]]
        return [self.run.coordinator.pid, *workers]

    def expect_unharmed(self) -> None:
        """The same members go on, and whoever asks properly is answered.

        Under a sanitizer one may be busy for so long with what was promised that others do its
        work for a while; it is back soon, and never taken for lost.
        """
        trees = self.run.status()["trees"]
        self.run.wait_until(lambda s: s["trees"] > trees + 2)
        if IS_SANITIZED:
            self.run.wait_until(lambda s: len(members(s)) == WORKERS)
        asked = ("--coordinator", self.run.address, "--token-file", self.token_file)
        status = evergrove("status", *asked, "--json").json
        assert status["lost"] == 0
        assert len(members(status)) == WORKERS
        assert [worker.poll() for worker in self.run.workers[:WORKERS]] == [None] * WORKERS

    def expect_room_for_another(self) -> None:
        """A worker that comes now is let in, and leaves again."""
        worker = self.start_worker()
        self.run.wait_until(lambda s: len(s["workers"]) == WORKERS + 1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == DONE
        self.run.workers.remove(worker)
        self.run.wait_until(lambda s: len(s["workers"]) == WORKERS)


def members(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [worker for worker in status["workers"] if worker["is_member"]]


@pytest.fixture(scope="module")
def endless(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("run"), rows)
    with place.run:
        yield place


@pytest.fixture
def place(endless: Place) -> Iterator[Place]:
    """The run; after each test it has to be as it was."""
    before = [peak_memory_bytes(process) for process in endless.processes()]
    yield endless
    endless.expect_unharmed()
    for process, bytes_before in zip(endless.processes(), before, strict=True):
        assert peak_memory_bytes(process) < bytes_before + LITTLE


def test_who_lacks_the_token_is_told_so_and_let_in_nowhere(place: Place) -> None:
    for port in place.ports():
        for guess, words in (("", b"A token is needed"), ("another", b"not this run's")):
            with Intruder(port) as intruder:
                kind, sentence = intruder.greet(guess)
                assert (kind, words in sentence) == (REFUSED, True), sentence
                assert place.token.encode() not in sentence
                assert intruder.is_cut_off()
        with Intruder(port) as friend:  # and the protocol here is the one that is spoken there
            assert friend.greet(place.token)[0] == ACCEPTED


def test_a_worker_without_the_token_says_what_it_lacks_and_ends(place: Place) -> None:
    answer = evergrove("worker", "--coordinator", place.run.address, "--quiet")
    assert answer.code == BAD_INPUT
    assert "--token-file" in answer.error


def test_a_version_from_the_future_is_told_that_this_one_is_older(place: Place) -> None:
    for port in place.ports():
        with Intruder(port) as intruder:
            kind, sentence = intruder.greet(place.token, version=VERSION + 1)
            assert (kind, b"older" in sentence) == (REFUSED, True), sentence
            assert intruder.is_cut_off()


def test_a_message_from_the_future_ends_the_connection(place: Place) -> None:
    with Intruder(place.run.address) as intruder:
        assert intruder.greet(place.token)[0] == ACCEPTED
        kind, setup = intruder.receive()
        assert (kind, setup[:1]) == (MESSAGE, b"s")
        (version,) = struct.unpack("<I", setup[1:5])
        message = struct.pack("<IQ", version + 1, 1) + b"\0" * 20
        intruder.send(frame(MESSAGE, b"m" + struct.pack("<I", len(message)) + message))
        assert intruder.is_cut_off()


@pytest.mark.parametrize(
    "promise",
    [header(HELLO, LONGEST), header(MESSAGE, GIBIBYTE), header(0xFF, LONGEST)],
    ids=["greeting", "message", "nonsense"],
)
def test_a_stranger_who_promises_gigabytes_is_refused(place: Place, promise: bytes) -> None:
    for port in place.ports():
        with Intruder(port) as intruder:
            intruder.send(promise + b"x" * 1000)
            assert intruder.is_cut_off()


def test_gigabytes_that_are_promised_with_the_token_take_no_memory(place: Place) -> None:
    for port in place.ports():
        with Intruder(port) as intruder:
            assert intruder.greet(place.token)[0] == ACCEPTED
            intruder.send(header(MESSAGE, LONGEST) + b"x" * 1000)
            assert intruder.is_cut_off()
        # Ten of the longest that may be: of 10 GiB, a few bytes come.
        many = [Intruder(port) for _ in range(10)]
        for intruder in many:
            assert intruder.greet(place.token)[0] == ACCEPTED
            intruder.send(header(MESSAGE, GIBIBYTE) + b"m" * 10_000)
        place.expect_unharmed()
        for intruder in many:
            intruder.socket.close()


def test_lengths_within_a_message_are_held_against_its_end(place: Place) -> None:
    for body in (
        b"m" + struct.pack("<I", LONGEST),
        b"m" + struct.pack("<I", 5) + b"abcd",
        b"m" + struct.pack("<I", 10) + b"\xff" * 10,
    ):
        with Intruder(place.run.address) as intruder:
            assert intruder.greet(place.token)[0] == ACCEPTED
            intruder.send(frame(MESSAGE, body))
            assert intruder.is_cut_off(), body


def test_many_who_send_a_byte_now_and_then_hold_up_nobody(place: Place) -> None:
    slow = [(port, Intruder(port)) for port in place.ports() for _ in range(100)]
    bytes_to_come = hello() + b"\0" * 100
    began = time.monotonic()
    cut_off = 0
    has_seen_another = False
    for i, byte in enumerate(bytes_to_come):
        left = []
        for port, intruder in slow:
            intruder.send(bytes([byte]))
            if intruder.is_cut_off(seconds=0.0005):
                cut_off += 1
                intruder.socket.close()
            else:
                left.append((port, intruder))
        slow = left
        if i >= 3 and not has_seen_another:
            place.expect_room_for_another()
            has_seen_another = True
        if not slow:
            break
        time.sleep(0.3)
    assert cut_off == 100 * (1 + WORKERS), f"{len(slow)} are still there"
    assert has_seen_another or cut_off > 0
    assert time.monotonic() - began < 60


def test_a_flood_of_garbage_holds_up_nobody(place: Place) -> None:
    stop = threading.Event()
    floods = [0] * 4

    def flood(number: int) -> None:
        dice = random.Random(number)
        ports = place.ports()
        starts = [
            b"",
            hello(),
            header(MESSAGE, LONGEST),
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/1.1",
        ]
        while not stop.is_set():
            try:
                with Intruder(dice.choice(ports)) as intruder:
                    intruder.send(
                        dice.choice(starts) + dice.randbytes(dice.choice([1, 99, 200_000]))
                    )
                    floods[number] += 1
            except OSError:
                continue

    threads = [threading.Thread(target=flood, args=(i,)) for i in range(len(floods))]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            place.expect_unharmed()
        place.expect_room_for_another()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert min(floods) > 10


def test_the_model_is_the_same_whoever_knocks(rows: Path, tmp_path: Path) -> None:
    train = ("train", "--data", rows, "--label", LABEL, "--valid-fraction", "0.2", *SETTINGS)
    quiet = evergrove(*train, "--model", tmp_path / "quiet", "--json").json
    secrets = evergrove("credentials", "--out", tmp_path / "secrets", "--json").json
    token = ("--token-file", secrets["token_file"])
    tls = ("--tls-cert", secrets["tls_cert"], "--tls-key", secrets["tls_key"])
    with WatchedRun(tmp_path, rows, *SETTINGS[1:], options=(*token, *tls)) as run:
        stop = threading.Event()

        def knock() -> None:
            while not stop.is_set():
                for sent in (os.urandom(5000), hello(), b"\x16\x03\x01\x02\x00" + b"\1" * 500):
                    try:
                        with Intruder(run.address) as intruder:
                            intruder.send(sent)
                            intruder.is_cut_off(seconds=0.05)
                    except OSError:
                        continue

        thread = threading.Thread(target=knock)
        thread.start()
        try:
            for _ in range(2):
                run.start_worker(*token, *tls, "--tls-ca", secrets["tls_ca"])
            report = run.report(120)
        finally:
            stop.set()
            thread.join()
    assert report["digest"] == quiet["digest"]
