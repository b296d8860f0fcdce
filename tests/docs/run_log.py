# SPDX-License-Identifier: Apache-2.0
"""A run's log read without Evergrove, by docs/formats/log.md: what is whole, and what was decided.

Written from that page alone, with nothing of ours, so that it proves the page:

    .venv/bin/python tests/docs/run_log.py run/run.log     # a line an iteration
"""

import hashlib
import json
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

MAGIC = b"EVERGROVE LOG 1\n"
HEADER, ITERATIONS = 1, 2
Item = TypeVar("Item")


class Reader:
    """Takes numbers and strings off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, size: int) -> bytes:
        if self.place + size > len(self.data):
            raise ValueError("a record is cut short")
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def string(self) -> str:
        # Paths of files need not be UTF-8.
        return self.take(self.number("I")).decode(errors="surrogateescape")

    def items(self, read: Callable[[], Item]) -> list[Item]:
        return [read() for _ in range(self.number("I"))]

    def is_at_end(self) -> bool:
        return self.place == len(self.data)


@dataclass
class Frame:
    type: int
    payload: bytes
    end: int  # offset of the byte after it


@dataclass
class Log:
    header: dict[str, Any] | None = None
    iterations: list[dict[str, Any]] = field(default_factory=list)
    frame_ends: list[int] = field(default_factory=list)
    torn_bytes: int = 0


def frame_at(data: bytes, offset: int) -> Frame | None:
    """The frame that begins there, if it is whole."""
    if offset + 13 > len(data):
        return None
    length, checksum, kind = struct.unpack_from("<I8sB", data, offset)
    payload = data[offset + 13 : offset + 13 + length]
    hashed = struct.pack("<IB", length, kind) + payload
    if len(payload) < length or hashlib.sha256(hashed).digest()[:8] != checksum:
        return None
    return Frame(kind, payload, offset + 13 + length)


def frames(data: bytes) -> Iterator[Frame]:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("not a run log of version 1")
    offset = len(MAGIC)
    while frame := frame_at(data, offset):
        yield frame
        offset = frame.end


def read(path: str | Path) -> Log:
    data = Path(path).read_bytes()
    log = Log()
    end = len(MAGIC)
    for frame in frames(data):
        end = frame.end
        if (frame.type == HEADER) != (log.header is None):
            raise ValueError("the first record, and no other, is a header")
        if frame.type == HEADER:
            log.header = read_header(Reader(frame.payload))
        else:
            payload = Reader(frame.payload)
            while not payload.is_at_end():
                log.iterations.append(read_iteration(Reader(payload.take(payload.number("I")))))
        log.frame_ends.append(end)
    if any(frame_at(data, place) for place in range(end + 1, len(data))):
        raise ValueError(f"the log is damaged at byte {end}, before its last record")
    log.torn_bytes = len(data) - end
    return log


def whole(record: dict[str, Any], data: Reader) -> dict[str, Any]:
    if not data.is_at_end():
        raise ValueError("a record has bytes that nobody can read")
    return record


def read_header(data: Reader) -> dict[str, Any]:
    header = {
        "version": data.number("I"),
        "parameters": json.loads(data.string()),
        "label": data.string(),
        "weight": data.string(),
        "valid_fraction": data.number("d"),
        "valid_names": data.items(data.string),
        "classes": data.items(data.string),
        "features": data.items(lambda: read_feature(data)),
        "value_exponent": data.number("i"),
        "base_margins": data.items(lambda: data.number("q")),
        "manifest": read_manifest(data),
        "valid_manifests": data.items(lambda: read_manifest(data)),
    }
    return whole(header, data)


def read_feature(data: Reader) -> dict[str, Any]:
    return {
        "name": data.string(),
        "kind": ("numeric", "categorical")[data.number("B")],
        "cuts": data.items(lambda: data.number("d")),
        "categories": data.items(data.string),
    }


def read_manifest(data: Reader) -> dict[str, Any]:
    return {"rows": data.number("Q"), "files": data.items(lambda: read_file(data))}


def read_file(data: Reader) -> dict[str, Any]:
    return {
        "path": data.string(),
        "size_bytes": data.number("Q"),
        "first_row": data.number("Q"),
        "rows": data.number("Q"),
        "fingerprint": data.string(),
    }


def read_iteration(data: Reader) -> dict[str, Any]:
    iteration = {
        "version": data.number("I"),
        "index": data.number("Q"),
        "trees": data.items(lambda: read_tree(data)),
        "metrics": data.items(lambda: (data.string(), data.string(), data.number("d"))),
    }
    return whole(iteration, data)


def read_tree(data: Reader) -> dict[str, Any]:
    return {"output": data.number("I"), "nodes": data.items(lambda: read_node(data))}


def read_node(data: Reader) -> dict[str, Any]:
    node: dict[str, Any] = {"feature": data.number("i")}
    if node["feature"] < 0:
        node["value"] = data.number("q")
    else:
        node["threshold"] = data.number("d")
        node["categories"] = data.items(lambda: data.number("I"))
        node["missing_left"] = data.number("B") == 1
        node["left"] = data.number("i")
        node["right"] = data.number("i")
        node["gain"] = data.number("d")
    node["cover"] = data.number("Q")
    return node


if __name__ == "__main__":
    log = read(sys.argv[1])
    for iteration in log.iterations:
        scores = " ".join(
            f"{where} {name} {value:.6g}" for where, name, value in iteration["metrics"]
        )
        print(f"{iteration['index'] + 1}: {len(iteration['trees'])} trees  {scores}")
    print(f"{log.torn_bytes} bytes torn off at the end")
