# SPDX-License-Identifier: Apache-2.0
"""A local S3 server: versitygw if it is on the PATH or in ~/go/bin, else moto's.

with s3_server(folder) as server:
    server.environment        # what makes s3:// mean it; "AWS_ENDPOINT_URL" and so on
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

ACCESS_KEY, SECRET_KEY = "evergrovekey", "evergrovesecret"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    name: str
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    gateway = shutil.which("versitygw") or str(Path.home() / "go/bin/versitygw")
    folder.mkdir(parents=True)
    if Path(gateway).is_file():
        name, command = "versitygw", [gateway, "--port", f"127.0.0.1:{port}", "posix", str(folder)]
    else:
        moto = str(Path(sys.executable).with_name("moto_server"))
        name, command = "moto", [moto, "-H", "127.0.0.1", "-p", str(port)]
    secrets = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with (folder.parent / "s3.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **secrets}, stdout=log, stderr=log)
    try:
        deadline = time.time() + PATIENCE_SECONDS
        while process.poll() is None and time.time() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.1)
                continue
            yield Server(name, port)
            return
        raise RuntimeError((folder.parent / "s3.log").read_text()[-2000:])
    finally:
        process.kill()
        process.wait()
