# SPDX-License-Identifier: Apache-2.0
"""Servers of object stores for tests: S3 (versitygw on a folder), GCS and Azure emulators.

    with s3_server(folder) as server:
        server.put("bucket/rows.parquet", content)
        evergrove("train", "--data", "s3://bucket/rows.parquet", env=server.environment, ...)

None is part of the set-up, since none is small. Found on the PATH, in ~/go/bin or beside Python:

    go install github.com/versity/versitygw/cmd/versitygw@latest
    go install github.com/fsouza/fake-gcs-server@latest
    npm install --global azurite

EVERGROVE_S3_SERVER names another executable of versitygw. (moto_server 5.2 ends an upload in parts
with an answer that Arrow 26 takes for an error.)
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs
import pytest

ACCESS_KEY, SECRET_KEY = "evergrovekey", "evergrovesecret"


@dataclass(frozen=True)
class S3Server:
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes s3:// URLs mean this server."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": f"http://{self.address}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "us-east-1",
        }

    def file_system(self) -> pyarrow.fs.S3FileSystem:
        return pyarrow.fs.S3FileSystem(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            endpoint_override=self.address,
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def put(self, place: str, content: bytes) -> None:
        """Writes an object; makes its bucket."""
        files = self.file_system()
        files.create_dir(place.split("/")[0])
        with files.open_output_stream(place, compression=None) as stream:
            stream.write(content)


def program(*names: str) -> Path | None:
    """The first of these executables that is there."""
    for name in names:
        beside = [Path(sys.executable).with_name(name), Path.home() / "go/bin" / name]
        found = shutil.which(name)
        for path in [Path(found)] if found else beside:
            if path.is_file():
                return path
    return None


def s3_program() -> Path | None:
    given = os.environ.get("EVERGROVE_S3_SERVER")
    return Path(given) if given else program("versitygw")


needs_s3 = pytest.mark.skipif(
    s3_program() is None,
    reason="needs an S3 server: versitygw (see tests/process/object_store.py)",
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Starts a server that keeps its objects in the folder, and ends it. Requires: s3_program()."""
    executable = s3_program()
    assert executable is not None
    server = S3Server(free_port())
    command: list[str | Path] = [executable, "--port", server.address, "posix", str(folder)]
    secrets = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with listening(command, server.port, secrets):
        yield server


@contextmanager
def listening(
    command: list[str | Path], port: int, environment: dict[str, str] | None = None
) -> Iterator[None]:
    """Runs a server until the end of the block; enters it when the port answers."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_listens(port, process)
        yield
    finally:
        process.kill()
        process.wait()


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server does not listen")
