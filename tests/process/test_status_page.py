# SPDX-License-Identifier: Apache-2.0
"""The status page's server, as browsers, Prometheus and strangers meet it; the run is unharmed."""

import base64
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.process.command import BAD_INPUT, DONE, STORAGE, evergrove, finish, start
from tests.process.rows import LABEL, small_rows, write
from tests.process.watched_run import WatchedRun

ENDLESS = ("n_estimators=1000000", "max_leaves=3", "min_rows=5")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(20_000), tmp_path_factory.mktemp("data") / "rows.parquet", 1000)


@pytest.fixture(scope="module")
def run(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedRun]:
    """One that does not end, with two workers."""
    with WatchedRun(tmp_path_factory.mktemp("run"), rows, *ENDLESS) as run:
        run.start_worker()
        run.start_worker()
        run.wait_until(lambda s: s["trees"] > 20 and len(s["workers"]) == 2)
        yield run


def place(run: WatchedRun) -> tuple[str, int]:
    parts = urlsplit(run.url)
    return parts.hostname or "", parts.port or 0


def answer_to(run: WatchedRun, sent: bytes) -> bytes:
    """What comes back until the other end closes."""
    with socket.create_connection(place(run), timeout=20) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        came = b""
        while part := connection.recv(65536):
            came += part
        return came


def test_the_page_is_whole_and_says_what_it_may_do(run: WatchedRun) -> None:
    page = run.get("/")
    assert page.code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.text.rstrip().endswith("</html>")


def test_the_status_is_that_of_the_command(run: WatchedRun) -> None:
    status = run.status()
    assert status["state"] == "training"
    assert status["trees_max"] == 1_000_000
    assert status["trees_per_minute"] > 0
    assert status["seconds_to_go"] > 0
    assert 0.5 < status["metrics"]["valid"]["auc"] <= 1
    told = [event["event"] for event in status["events"]]
    # So few rows are one shard: one of the two is active, and the other may be for a while.
    assert told.count("joined") == 2
    assert "active" in told
    assert sum(worker["rows_active"] for worker in status["workers"]) == sum(
        shard["rows"] for shard in status["shards"]
    )
    assert {shard["state"] for shard in status["shards"]} == {"counted"}
    by_command = evergrove("status", "--coordinator", run.address, "--json").json
    assert set(by_command) == set(status)
    assert by_command["trees"] >= status["trees"]
    words = evergrove("status", "--coordinator", run.address).out
    assert re.search(r"trees +[\d,]+ of 1,000,000, [\d.e+]+ a minute, about .* to go", words), words
    time.sleep(1.1)
    assert run.status()["trees"] > status["trees"]


def test_prometheus_reads_the_metrics(run: WatchedRun) -> None:
    page = run.get("/metrics")
    assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    for name, family in families.items():
        assert family.documentation.endswith("."), name
        assert family.type in ("counter", "gauge"), name
        assert name.startswith(("evergrove_", "process_")), name
    value = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert value["evergrove_trees_total",] > 0
    assert value["evergrove_workers", "member"] == 2
    assert value["evergrove_shards", "missing"] == 0
    assert value["evergrove_worker_lost_total",] == 0
    assert value["evergrove_work_lost_seconds_total",] == 0
    assert value["evergrove_work_seconds_total",] > 0
    assert value["evergrove_received_bytes_total",] > 0
    assert 0.5 < value["evergrove_validation_metric", "auc", "valid"] <= 1
    assert value["process_start_time_seconds",] == pytest.approx(time.time(), abs=600)
    shards = [value[key] for key in value if key[0] == "evergrove_worker_shards"]
    assert sum(shards) == value["evergrove_shards", "counted"] > 0


def test_a_documented_name_for_every_metric(run: WatchedRun) -> None:
    documented = (Path(__file__).parents[2] / "docs/reference/status.md").read_text()
    for name in re.findall(r"^# TYPE (\S+)", run.get("/metrics").text, re.MULTILINE):
        assert f"`{name}`" in documented, name
    for key in run.status():
        assert f"`{key}`" in documented, key


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_get_is_answered(run: WatchedRun, method: str) -> None:
    page = run.get("/status.json", method)
    assert page.code == 405
    assert page.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\r\n\r\n", b"400"),
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"403"),  # no Host
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"431"),
        (b"A" * 100_000, b"4"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
            + b"x" * 50_000,
            b"405",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"FFFFFFFFFFFFFFFF\r\n",
            b"405",
        ),
    ],
)
def test_what_is_no_request_for_us_is_refused(run: WatchedRun, sent: bytes, code: bytes) -> None:
    answer = answer_to(run, sent)
    assert answer.startswith(b"HTTP/1.1 " + code), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_request_cut_short_is_not_answered_and_two_in_one_get_one_answer(run: WatchedRun) -> None:
    assert answer_to(run, b"") == b""
    assert answer_to(run, b"GET / HT") == b""
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert answer_to(run, one * 2).count(b"200 OK") == 1


def test_slow_clients_hold_up_nobody_and_are_cut_off(run: WatchedRun) -> None:
    slow = [socket.create_connection(place(run), timeout=30) for _ in range(150)]
    try:
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        trees = run.status()["trees"]
        began = time.monotonic()
        for _ in range(20):
            assert run.get("/healthz").text == "ok\n"
        assert time.monotonic() - began < 5
        for connection in slow:
            try:
                while True:  # a byte at a time keeps none of them alive
                    connection.sendall(b"y")
                    if connection.recv(4096) == b"":
                        break
            except OSError:
                pass
            assert time.monotonic() - began < 25
        assert run.status()["trees"] > trees
    finally:
        for connection in slow:
            connection.close()


def test_one_who_does_not_read_the_answer_holds_up_nobody(run: WatchedRun) -> None:
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(place(run))
        deaf.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert run.get("/healthz").code == 200


def test_the_model_is_the_same_whoever_looks_and_shouts(rows: Path, tmp_path: Path) -> None:
    settings = ("--set", "n_estimators=60", "max_leaves=31", "min_rows=5", "subsample=0.8")
    train = ("train", "--data", rows, "--label", LABEL, "--valid-fraction", "0.2", *settings)
    quiet = evergrove(*train, "--model", tmp_path / "quiet", "--json").json
    process = start(
        *(*train, "--model", tmp_path / "watched", "--workers", "2", "--json"),
        *("--status-listen", "127.0.0.1:0"),
    )
    assert process.stderr is not None
    where = ""
    for line in process.stderr:
        if "Status page: " in line:
            where = line.split("http://")[1].strip().strip("/")
            break
    host, port = where.split(":")
    stop = threading.Event()
    answers: list[bytes] = []

    def shout(sent: bytes) -> None:
        while not stop.is_set():
            try:
                with socket.create_connection((host, int(port)), timeout=5) as connection:
                    connection.sendall(sent)
                    answers.append(connection.recv(4096))
            except OSError:
                time.sleep(0.01)

    shouts = [b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\xff" * 9000]
    threads = [threading.Thread(target=shout, args=(sent,)) for sent in shouts]
    for thread in threads:
        thread.start()
    answer = finish(process)
    stop.set()
    for thread in threads:
        thread.join()
    assert answer.code == DONE, answer
    assert answer.json["digest"] == quiet["digest"]
    assert any(said.startswith(b"HTTP/1.1 200") for said in answers)
    assert any(said.startswith(b"HTTP/1.1 4") for said in answers)


def test_there_is_none_where_none_is_asked_for(rows: Path, tmp_path: Path) -> None:
    few = (
        "--data",
        rows,
        "--label",
        LABEL,
        "--model",
        tmp_path / "model",
        "--set",
        "n_estimators=2",
    )
    answer = evergrove("train", *few, "--workers", "1")
    assert answer.code == DONE
    assert "Status page" not in answer.err
    with WatchedRun(tmp_path, rows, *ENDLESS, options=("--status-listen", "off")) as run:
        assert run.url == ""
    alone = evergrove("train", *few, "--status-listen", "127.0.0.1:0")
    assert alone.code == BAD_INPUT
    assert "--workers" in alone.error


def test_a_port_that_is_taken_is_said_at_the_start(
    run: WatchedRun, rows: Path, tmp_path: Path
) -> None:
    answer = evergrove(
        *("coordinator", "--data", rows, "--label", LABEL, "--model", tmp_path / "model"),
        *("--status-listen", urlsplit(run.url).netloc, "--quiet"),
    )
    assert answer.code == STORAGE
    assert "Somebody listens on the port already" in answer.error


def test_beyond_loopback_it_needs_tls_and_a_token(rows: Path, tmp_path: Path) -> None:
    assert evergrove("credentials", "--out", tmp_path / "s").code == DONE
    data = ("coordinator", "--data", rows, "--label", LABEL, "--model", tmp_path / "model")
    bare = evergrove(*data, "--status-listen", "0.0.0.0:0")
    assert bare.code == BAD_INPUT
    assert "--status-token-file" in bare.error
    assert "evergrove credentials" in bare.error
    tls = ("--tls-cert", tmp_path / "s/cert.pem", "--tls-key", tmp_path / "s/key.pem")
    assert evergrove(*data, "--status-listen", "0.0.0.0:0", *tls).code == BAD_INPUT
    listen = ("--status-listen", "0.0.0.0:0", "--status-token-file", tmp_path / "s/token")
    with WatchedRun(tmp_path, rows, *ENDLESS, options=(*listen, *tls)) as run:
        assert run.url.startswith("https://")
        port = place(run)[1]
        token = (tmp_path / "s/token").read_text().strip()
        trust = ssl.create_default_context(cafile=str(tmp_path / "s/ca.pem"))

        def code(path: str, **headers: str) -> int:
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trust)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status

        basic = base64.b64encode(f"prometheus:{token}".encode()).decode()
        assert code("/healthz") == 200
        assert code("/metrics") == 401
        assert code("/metrics", Authorization="Bearer " + token[:-1]) == 401
        assert code("/metrics", Authorization="Bearer " + token) == 200
        assert code("/", Authorization="Basic " + basic) == 200
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                said = plain.recv(4096)
            except ConnectionResetError:
                said = b""
            assert b"200" not in said
