# SPDX-License-Identifier: Apache-2.0
"""Data and logs in Google's and Azure's object stores, by their emulators."""

import base64
import http.server
import json
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow.fs
import pytest

from tests.process.command import BAD_INPUT, DONE, STORAGE, evergrove
from tests.process.object_store import free_port, listening, program
from tests.process.rows import LABEL, small_rows, write

ROWS = small_rows(1_000)

# The account that every Azurite has; published, and of no other use.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclass(frozen=True)
class Store:
    url: str  # with {} for the place
    environment: dict[str, str]
    files: pyarrow.fs.FileSystem


def fill(files: pyarrow.fs.FileSystem, folder: Path) -> None:
    for place in range(2):
        path = write(ROWS.slice(place * 500, 500), folder / f"part-{place}.parquet")
        with files.open_output_stream(f"payments/2024/{path.name}") as stream:
            stream.write(path.read_bytes())


def emulator(name: str) -> Path:
    found = program(name)
    if found is None:
        pytest.skip(f"needs {name} (see tests/process/object_store.py)")
    return found


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    server, port = emulator("fake-gcs-server"), free_port()
    address = f"127.0.0.1:{port}"
    command: list[str | Path] = [server, "-scheme", "http", "-host", "127.0.0.1"]
    command += ["-port", str(port), "-public-host", address, "-backend", "memory"]
    with listening(command, port):
        bucket = urllib.request.Request(
            f"http://{address}/storage/v1/b",
            data=json.dumps({"name": "payments"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(bucket, timeout=30).close()
        files = pyarrow.fs.GcsFileSystem(anonymous=True, endpoint_override=address, scheme="http")
        fill(files, tmp_path_factory.mktemp("gcs"))
        url = f"gs://anonymous@payments/{{}}?endpoint_override={address}&scheme=http"
        yield Store(url, environment={}, files=files)


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    server, port = emulator("azurite-blob"), free_port()
    address = f"127.0.0.1:{port}"
    command: list[str | Path] = [server, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--skipApiVersionCheck", "--inMemoryPersistence"]
    with listening(command, port):
        files = pyarrow.fs.AzureFileSystem(
            ACCOUNT,
            account_key=ACCOUNT_KEY,
            blob_storage_authority=address,
            dfs_storage_authority=address,
            blob_storage_scheme="http",
            dfs_storage_scheme="http",
        )
        files.create_dir("payments")
        fill(files, tmp_path_factory.mktemp("azure"))
        yield Store(
            f"abfs://{ACCOUNT}@{address}/payments/{{}}?enable_tls=false",
            environment={"AZURE_STORAGE_KEY": ACCOUNT_KEY},
            files=files,
        )


@pytest.fixture(params=["gcs", "azure"])
def store(request: pytest.FixtureRequest) -> Store:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Store)
    return found


@pytest.mark.parametrize("place", ["2024", "2024/*.parquet", ""])
def test_gives_the_model_of_the_same_rows_on_disk(store: Store, tmp_path: Path, place: str) -> None:
    digests = []
    for data, environment in [
        (str(write(ROWS, tmp_path / "rows.parquet")), {}),
        (store.url.format(place), store.environment),
    ]:
        answer = evergrove(
            *("train", "--data", data, "--label", LABEL, "--set", "n_estimators=3", "--json"),
            *("--model", tmp_path / "model.evergrove"),
            env=environment,
        )
        assert answer.code == DONE, answer
        digests.append(answer.json["digest"])
    assert digests[0] == digests[1]
    assert ACCOUNT_KEY.encode() not in (tmp_path / "model.evergrove").read_bytes()


@pytest.mark.parametrize("place", ["none.parquet", "none/*.parquet"])
def test_says_what_is_missing(store: Store, tmp_path: Path, place: str) -> None:
    answer = evergrove(
        *("train", "--data", store.url.format(place), "--label", LABEL, "--quiet"),
        *("--model", tmp_path / "model.evergrove"),
        env=store.environment,
    )
    assert answer.code == BAD_INPUT
    path = store.url.format(place).split("?")[0].replace("anonymous@", "")
    assert path in answer.error


def logged(store: Store, data: Path, place: str, model: Path, *more: str) -> list[str]:
    return [
        *("train", "--data", str(data), "--label", LABEL, "--model", str(model)),
        *("--log", store.url.format(place), "--resume", "--json", "--quiet"),
        *("--set", "n_estimators=8", *more),
    ]


def test_a_log_there_is_gone_on_with(store: Store, tmp_path: Path) -> None:
    data = write(ROWS, tmp_path / "rows.parquet")
    alone = evergrove(
        *("train", "--data", data, "--label", LABEL, "--set", "n_estimators=8", "--json"),
        *("--model", tmp_path / "alone"),
    )
    arguments = logged(store, data, "logs/run+one", tmp_path / "model")
    first = evergrove(*arguments, env=store.environment)
    assert first.code == DONE, first
    assert first.json["digest"] == alone.json["digest"]
    names = [f"payments/logs/run+one/records/{number:020}" for number in range(9)]
    written = [store.files.open_input_stream(name).read() for name in names]
    # As if the machine had been lost after five trees, with a later record written already.
    for gone in (6, 7):
        store.files.delete_file(names[gone])
    again = evergrove(*arguments, env=store.environment)
    assert again.code == DONE, again
    assert again.json["resumed_iterations"] == 5
    assert again.json["digest"] == alone.json["digest"]
    assert [store.files.open_input_stream(name).read() for name in names] == written
    assert ACCOUNT_KEY not in first.err + again.err + json.dumps(again.json)


def test_a_record_of_another_coordinator_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    data = write(ROWS, tmp_path / "rows.parquet")
    name = f"payments/logs/foreign/records/{3:020}"
    with store.files.open_output_stream(name) as stream:
        stream.write(b"another coordinator's")
    answer = evergrove(
        *logged(store, data, "logs/foreign", tmp_path / "model"), env=store.environment
    )
    assert answer.code == STORAGE, answer
    assert "Another coordinator owns the log" in answer.error
    assert store.files.open_input_stream(name).read() == b"another coordinator's"


def test_a_run_with_workers_is_logged_there(store: Store, tmp_path: Path) -> None:
    data = write(ROWS, tmp_path / "rows.parquet")
    arguments = logged(store, data, "logs/cluster", tmp_path / "model", "--workers", "2")
    first = evergrove(*arguments, env=store.environment)
    assert first.code == DONE, first
    again = evergrove(*arguments, env=store.environment)
    assert again.code == DONE, again
    assert again.json["digest"] == first.json["digest"]
    assert again.json["resumed_iterations"] == 8


class TokenServer(http.server.BaseHTTPRequestHandler):
    """Gives a token for any assertion, and keeps what it was sent."""

    forms: ClassVar[list[dict[str, list[str]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.forms.append(urllib.parse.parse_qs(body))
        answer = json.dumps({"access_token": "of-the-test", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a key")
def test_a_log_by_a_service_account_of_google(gcs: Store, tmp_path: Path) -> None:
    key = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    TokenServer.forms.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    account = {
        "type": "service_account",
        "client_email": "trainer@shop.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": key,
        "token_uri": f"http://127.0.0.1:{server.server_port}/token",
    }
    credentials = tmp_path / "account.json"
    credentials.write_text(json.dumps(account))
    data = write(ROWS, tmp_path / "rows.parquet")
    arguments = logged(gcs, data, "logs/account", tmp_path / "model")
    arguments = [argument.replace("anonymous@", "") for argument in arguments]
    answer = evergrove(*arguments, env={"GOOGLE_APPLICATION_CREDENTIALS": str(credentials)})
    server.shutdown()
    assert answer.code == DONE, answer
    # Arrow's client asks for tokens of its own; ours asks once for all its records.
    ours = [form for form in TokenServer.forms if "devstorage.read_write" in claims(form)]
    assert len(ours) == 1
    assert "of-the-test" not in answer.err + answer.out


def claims(form: dict[str, list[str]]) -> str:
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    payload = form["assertion"][0].split(".")[1]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()


def test_a_log_on_azure_needs_the_accounts_key(azure: Store, tmp_path: Path) -> None:
    data = write(ROWS, tmp_path / "rows.parquet")
    environment = {"AZURE_STORAGE_KEY": "not base64!"}
    arguments = logged(azure, data, "logs/key", tmp_path / "model")
    answer = evergrove(*arguments, env=environment)
    assert answer.code != DONE
    assert "not base64!" not in answer.error
