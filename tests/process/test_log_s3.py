# SPDX-License-Identifier: Apache-2.0
"""The log of a run on a real S3 server: the same model, killed, slow, failing, and gone on with."""

import random
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow.fs
import pytest

from tests.process.command import BAD_INPUT, DONE, STORAGE, Answer, evergrove, finish, start
from tests.process.object_store import (
    ACCESS_KEY,
    SECRET_KEY,
    S3Server,
    free_port,
    needs_s3,
    s3_server,
)
from tests.process.rows import LABEL, small_rows, write
from tests.process.slow_proxy import Proxy, slow_proxy

pytestmark = needs_s3

TREES = 40
BUCKET = "logs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.file_system().create_dir(BUCKET)
        yield server


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(3000), tmp_path_factory.mktemp("data") / "rows.parquet")


class Run:
    """One command over one log."""

    def __init__(self, folder: Path, data: Path, place: str, trees: int = TREES) -> None:
        self.model = folder / "model"
        self.place = f"{BUCKET}/{place}"
        self.arguments = [
            *("train", "--data", str(data), "--label", LABEL, "--model", str(self.model)),
            *("--log", f"s3://{self.place}", "--resume", "--json", "--quiet"),
            *("--set", f"n_estimators={trees}", "max_leaves=15", "subsample=0.7"),
        ]

    def to_end(self, port: int) -> Answer:
        return evergrove(*self.arguments, env=S3Server(port).environment)


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory, data: Path) -> str:
    run = Run(tmp_path_factory.mktemp("disk"), data, "none")
    place = run.arguments.index("--log")
    run.arguments[place + 1] = str(run.model.with_name("log"))
    answer = evergrove(*run.arguments)
    assert answer.code == DONE, answer
    return str(answer.json["digest"])


def records(server: S3Server, run: Run) -> dict[str, bytes]:
    """The objects of a log by their names."""
    files = server.file_system()
    found = files.get_file_info(
        pyarrow.fs.FileSelector(f"{run.place}/records", allow_not_found=True)
    )
    contents = {}
    for file in found:
        with files.open_input_stream(file.path) as stream:
            contents[file.base_name] = stream.read()
    return contents


def test_a_run_logged_on_s3_is_the_run_logged_on_disk(
    server: S3Server, tmp_path: Path, data: Path, digest: str
) -> None:
    run = Run(tmp_path, data, "plain+run")
    answer = run.to_end(server.port)
    assert answer.code == DONE, answer
    assert answer.json["digest"] == digest
    written = records(server, run)
    assert sorted(written) == [f"{number:020}" for number in range(TREES + 1)]
    again = run.to_end(server.port)
    assert again.json["resumed_iterations"] == TREES
    assert again.json["digest"] == digest
    inspected = evergrove("inspect", f"s3://{run.place}", env=server.environment)
    assert inspected.code == DONE, inspected
    assert digest in inspected.out
    assert records(server, run) == written


def test_without_resume_a_log_is_not_touched(server: S3Server, tmp_path: Path, data: Path) -> None:
    run = Run(tmp_path, data, "untouched")
    assert run.to_end(server.port).code == DONE
    written = records(server, run)
    run.arguments.remove("--resume")
    answer = run.to_end(server.port)
    assert answer.code == BAD_INPUT
    assert f"s3://{run.place}" in answer.error
    assert records(server, run) == written


def test_what_is_after_a_gap_is_no_part_of_the_log(
    server: S3Server, tmp_path: Path, data: Path, digest: str
) -> None:
    run = Run(tmp_path, data, "gap")
    assert run.to_end(server.port).code == DONE
    written = records(server, run)
    server.file_system().delete_file(f"{run.place}/records/{11:020}")
    answer = run.to_end(server.port)
    assert answer.code == DONE, answer
    assert answer.json["resumed_iterations"] == 10
    assert answer.json["digest"] == digest
    assert records(server, run) == written


def test_a_record_of_another_run_is_not_overwritten(
    server: S3Server, tmp_path: Path, data: Path
) -> None:
    run = Run(tmp_path, data, "foreign")
    server.put(f"{run.place}/records/{7:020}", b"another coordinator's")
    answer = run.to_end(server.port)
    assert answer.code == STORAGE
    assert "Another coordinator owns the log" in answer.error
    assert f"{7:020}" in answer.error
    assert records(server, run)[f"{7:020}"] == b"another coordinator's"


def test_a_spoilt_record_is_refused_by_name(server: S3Server, tmp_path: Path, data: Path) -> None:
    run = Run(tmp_path, data, "spoilt")
    assert run.to_end(server.port).code == DONE
    content = records(server, run)[f"{3:020}"]
    server.put(f"{run.place}/records/{3:020}", content[:-1] + bytes([content[-1] ^ 1]))
    answer = run.to_end(server.port)
    assert answer.code == BAD_INPUT
    assert f"s3://{run.place}/records/{3:020}" in answer.error


def test_stops_when_another_coordinator_has_taken_an_epoch(
    server: S3Server, tmp_path: Path, data: Path
) -> None:
    run = Run(tmp_path, data, "overtaken", trees=1_000_000)
    process = start(*run.arguments, env=server.environment)
    wait_for_records(server, run, 5)
    server.put(f"{run.place}/epochs/{1:020}", b"host:4000 17\n")
    answer = finish(process)
    assert answer.code == STORAGE
    assert "Another coordinator owns the log" in answer.error
    assert "host:4000" in answer.error


def test_keeps_credentials_of_the_url_to_itself(
    server: S3Server, tmp_path: Path, data: Path
) -> None:
    run = Run(tmp_path, data, "secret")
    place = run.arguments.index("--log") + 1
    run.arguments[place] = (
        f"s3://{ACCESS_KEY}:{quote(SECRET_KEY)}@{run.place}"
        f"?endpoint_override={server.address}&scheme=http&region=us-east-1"
    )
    assert evergrove(*run.arguments).code == DONE
    for content in records(server, run).values():
        assert SECRET_KEY.encode() not in content
    run.arguments.remove("--resume")
    answer = evergrove(*run.arguments)
    assert answer.code == BAD_INPUT
    assert SECRET_KEY not in answer.err
    assert f"s3://{run.place}" in answer.err


@pytest.mark.parametrize("place", ["nobucket/run", "logs/run"])
def test_says_what_is_wrong_with_the_place(
    server: S3Server, tmp_path: Path, data: Path, place: str
) -> None:
    run = Run(tmp_path, data, "none")
    run.arguments[run.arguments.index("--log") + 1] = f"s3://{place}"
    nobody = S3Server(free_port()) if place == "logs/run" else server
    answer = evergrove(*run.arguments, env=nobody.environment)
    assert answer.code == STORAGE
    assert f"s3://{place}" in answer.error


def test_says_which_stores_a_log_may_be_in(tmp_path: Path, data: Path) -> None:
    run = Run(tmp_path, data, "none")
    run.arguments[run.arguments.index("--log") + 1] = "ftp://a/b"
    answer = evergrove(*run.arguments)
    assert answer.code == BAD_INPUT
    assert "s3://" in answer.error


def wait_for_records(server: S3Server, run: Run, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(records(server, run)) < count:
        assert time.monotonic() < deadline, "the run did not come so far"
        time.sleep(0.01)


@pytest.mark.parametrize("number", range(6))
def test_killed_in_the_middle_of_puts(
    server: S3Server, tmp_path: Path, data: Path, digest: str, number: int
) -> None:
    """Many puts are under way at each instant: what is whole stays, what is missing is done."""
    run = Run(tmp_path, data, f"killed-{number}")
    instants = random.Random(number)
    with slow_proxy(server.port, put_seconds=0.02) as proxy:
        for _ in range(2):
            process = start(*run.arguments, env=S3Server(proxy.port).environment)
            time.sleep(instants.uniform(0.02, 0.3))
            process.kill()
            assert finish(process).code in (-signal.SIGKILL, DONE)
            before = records(server, run)
    answer = run.to_end(server.port)
    assert answer.code == DONE, answer
    assert answer.json["digest"] == digest
    after = records(server, run)
    assert {name: after[name] for name in before} == before
    assert len(after) == TREES + 1


@pytest.mark.parametrize("what", ["fail_share", "lose_share"])
def test_puts_that_fail_are_repeated(
    server: S3Server, tmp_path: Path, data: Path, digest: str, what: str
) -> None:
    run = Run(tmp_path, data, what)
    with slow_proxy(server.port) as proxy:
        setattr(proxy, what, 0.3)
        answer = run.to_end(proxy.port)
        assert proxy.puts > TREES + 1, "nothing went wrong"
    assert answer.code == DONE, answer
    assert answer.json["digest"] == digest
    assert len(records(server, run)) == TREES + 1


def test_writes_over_tls_to_those_it_trusts_only(
    server: S3Server, tmp_path: Path, data: Path, digest: str
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    for name in ("ours", "theirs"):
        subprocess.run(
            [
                *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
                *("-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.crt"),
            ],
            check=True,
            capture_output=True,
        )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "ours.crt", tmp_path / "ours.key")
    run = Run(tmp_path, data, "tls")
    with slow_proxy(server.port, tls=tls) as proxy:
        environment = {
            **server.environment,
            "AWS_ENDPOINT_URL": f"https://localhost:{proxy.port}",
            "SSL_CERT_FILE": str(tmp_path / "ours.crt"),  # what reads goes by this alone
            "AWS_CA_BUNDLE": str(tmp_path / "ours.crt"),
        }
        answer = evergrove(*run.arguments, env=environment)
        assert answer.code == DONE, answer
        assert answer.json["digest"] == digest
        assert proxy.puts == TREES + 1
        environment["AWS_CA_BUNDLE"] = str(tmp_path / "theirs.crt")
        run = Run(tmp_path, data, "tls-of-others")
        answer = evergrove(*run.arguments, env=environment)
        assert answer.code == BAD_INPUT
        assert "certificate" in answer.error
        assert "theirs.crt" in answer.error
        assert proxy.puts == TREES + 1


def test_waits_little_for_a_store_that_takes_50_ms_a_put(
    server: S3Server, tmp_path: Path, data: Path
) -> None:
    """100 trees of which each takes about 10 ms: beside their puts, the log must not be felt."""
    rows = write(small_rows(300_000), tmp_path / "rows.parquet")
    run = Run(tmp_path, rows, "slow", trees=100)
    run.arguments += ["--threads", "1"]
    proxy: Proxy
    with slow_proxy(server.port, put_seconds=0.05) as proxy:
        answer = run.to_end(proxy.port)
    assert answer.code == DONE, answer
    seconds = answer.json["seconds"]
    share = seconds["log"] / seconds["train"]
    print(f"log {seconds['log']:.3f} s of {seconds['train']:.3f} s of training ({share:.1%})")
    assert proxy.in_flight_most > 1
    assert seconds["log"] < 0.1 * seconds["train"], seconds
