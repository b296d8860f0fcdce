# SPDX-License-Identifier: Apache-2.0
"""Data in Google's and Azure's object stores, by their emulators."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs
import pytest

from tests.process.command import BAD_INPUT, DONE, evergrove
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
        fill(
            pyarrow.fs.GcsFileSystem(anonymous=True, endpoint_override=address, scheme="http"),
            tmp_path_factory.mktemp("gcs"),
        )
        yield Store(
            f"gs://anonymous@payments/{{}}?endpoint_override={address}&scheme=http", environment={}
        )


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
