# SPDX-License-Identifier: Apache-2.0
"""A local S3 server: versitygw if it is on the PATH or in ~/go/bin, else SeaweedFS, from its wheel.

with s3_server(folder) as server:
    server.environment        # what makes s3:// mean it; "AWS_ENDPOINT_URL" and so on
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
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
    folder.mkdir(parents=True)
    gateway = shutil.which("versitygw") or str(Path.home() / "go/bin/versitygw")
    ports = free_ports(8)
    port = ports[0]
    if Path(gateway).is_file():
        name, command = "versitygw", [gateway, "--port", f"127.0.0.1:{port}", "posix", str(folder)]
    else:
        name, command = "SeaweedFS", weed(folder, ports)
    secrets = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with (folder.parent / "s3.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **secrets}, stdout=log, stderr=log)
    try:
        wait_until_it_answers(process, port, folder.parent / "s3.log")
        yield Server(name, port)
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def weed(folder: Path, ports: list[int]) -> list[str]:
    """The command of a server whose parts all listen on the loopback alone."""
    identity = {
        "name": "case",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin"],
    }
    place = folder.parent / "s3.json"
    place.write_text(json.dumps({"identities": [identity]}))
    command = [str(Path(sys.executable).with_name("weed")), "server", f"-dir={folder}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={place}"]
    parts = [f"{part}.port{grpc}" for part in ("s3", "master", "volume", "filer")
             for grpc in ("", ".grpc")]  # fmt: skip
    return command + [f"-{part}={port}" for part, port in zip(parts, ports, strict=True)]


def wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.time() + PATIENCE_SECONDS
    while process.poll() is None and time.time() < deadline:
        try:
            # It says that it has no such thing, or that one may not ask: it is there.
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(log.read_text()[-2000:])
