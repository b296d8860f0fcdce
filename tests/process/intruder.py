# SPDX-License-Identifier: Apache-2.0
"""Somebody who speaks the transport's protocol, as far as he likes; written from its description in
runtime/transport_greeting.cc and transport_frame.cc, and sharing no code with it.

with Intruder("127.0.0.1:7070") as intruder:
    kind, body = intruder.greet(token="a-guess")     # ACCEPTED, or REFUSED and the sentence
    intruder.send(frame(MESSAGE, b"whatever"))
    assert intruder.is_cut_off(seconds=20)
"""

import hashlib
import hmac
import os
import socket
import struct
from pathlib import Path
from typing import Self

VERSION = 4
HELLO, CHALLENGE, LOGIN, ACCEPTED, REFUSED, PING, MESSAGE, GOODBYE = range(1, 9)
MAGIC = b"evergrov"
HEADER_BYTES = 5
PATIENCE_SECONDS = 30.0


def header(kind: int, size: int) -> bytes:
    return struct.pack("<BI", kind, size)


def frame(kind: int, body: bytes) -> bytes:
    return header(kind, len(body)) + body


def text(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


def hello(version: int = VERSION) -> bytes:
    return frame(HELLO, MAGIC + struct.pack("<I", version) + os.urandom(32))


class Intruder:
    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """False if nobody takes it any more."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[int, bytes]:
        """The next frame's kind and body; pings are passed over."""
        while True:
            kind, size = struct.unpack("<BI", self._read(HEADER_BYTES))
            body = self._read(size)
            if kind != PING:
                return kind, body

    def greet(self, token: str = "", version: int = VERSION) -> tuple[int, bytes]:
        """Says who we are; returns the answer: ACCEPTED, or REFUSED and why."""
        said = hello(version)
        self.send(said)
        kind, body = self.receive()
        if kind != CHALLENGE:
            return kind, body
        said += frame(kind, body)
        told = text(b"intruder") + text(b"")
        proof = hmac.digest(token.encode(), b"dialler" + said + told, hashlib.sha256)
        self.send(frame(LOGIN, text(proof if token else b"") + told))
        return self.receive()

    def is_cut_off(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Whether the other end closes the connection, whatever it says before."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                continue
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(min(size - len(data), 1 << 20))
            assert part, "the connection ended within a frame"
            data += part
        return data


def listening_addresses(process_id: int) -> list[str]:
    """HOST:PORT of a process' listening sockets, by /proc; of IPv4."""
    inodes = set()
    for entry in Path(f"/proc/{process_id}/fd").iterdir():
        try:
            inodes.add(str(entry.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    found = []
    for line in Path(f"/proc/{process_id}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_rest = line.split()
        if state == "0A" and f"socket:[{line.split()[9]}]" in inodes:
            host, port = local.split(":")
            dotted = socket.inet_ntoa(struct.pack("<I", int(host, 16)))
            found.append(f"{dotted}:{int(port, 16)}")
    return sorted(found)


def peak_memory_bytes(process_id: int) -> int:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("there is no such process")
