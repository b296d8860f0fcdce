# SPDX-License-Identifier: Apache-2.0
"""A model file read without Evergrove, by docs/formats/model.md: its digest, and margins of rows.

Written from that page alone, with nothing of ours, so that it proves the page:

    .venv/bin/python tests/docs/model_digest.py fraud.evergrove     # as `evergrove digest` says it
"""

import hashlib
import json
import math
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

OBJECTIVES = {"binary": 0, "multiclass": 1, "regression": 2}
KINDS = {"numeric": 0, "categorical": 1}


class ModelFile:
    """The nodes by tree, and the JSON beside them."""

    def __init__(self, path: str | Path) -> None:
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
        metadata = table.schema.metadata
        if metadata[b"evergrove.version"] != b"1":
            raise ValueError("a model file of another version")
        text = metadata[b"evergrove.model"]
        if hashlib.sha256(text).hexdigest() != metadata[b"evergrove.checksum"].decode():
            raise ValueError("the metadata were altered")
        self.about: dict[str, Any] = json.loads(text)
        self.trees: list[list[dict[str, Any]]] = []
        for node in table.to_pylist():
            if node["node"] == 0:
                self.trees.append([])
            self.trees[node["tree"]].append(node)


def u8(number: int) -> bytes:
    return struct.pack("<B", number)


def u32(number: int) -> bytes:
    return struct.pack("<I", number)


def u64(number: int) -> bytes:
    return struct.pack("<Q", number)


def i32(number: int) -> bytes:
    return struct.pack("<i", number)


def i64(number: int) -> bytes:
    return struct.pack("<q", number)


def f64(number: float) -> bytes:
    return struct.pack("<d", number + 0.0)  # -0.0 becomes 0.0


def string(text: str) -> bytes:
    encoded = text.encode()
    return u32(len(encoded)) + encoded


def items(parts: Iterable[bytes]) -> bytes:
    """A list: its length, then its items."""
    listed = list(parts)
    return u32(len(listed)) + b"".join(listed)


def units_of(value: float, about: Mapping[str, Any]) -> int:
    """A leaf's value as the integer that it stands for."""
    units = math.ldexp(value, -about["value_exponent"])
    if not units.is_integer():
        raise ValueError(f"a leaf value is no whole number of units: {value!r}")
    return int(units)


def feature_bytes(feature: Mapping[str, Any]) -> bytes:
    return (
        string(feature["name"])
        + u8(KINDS[feature["kind"]])
        + items(f64(cut) for cut in feature.get("cuts", []))
        + items(string(name) for name in feature.get("categories", []))
    )


def node_bytes(
    node: Mapping[str, Any], places: Mapping[str, int], about: Mapping[str, Any]
) -> bytes:
    if node["feature"] is None:
        return i32(-1) + i64(units_of(node["value"], about)) + u64(node["cover"])
    place = places[node["feature"]]
    known = about["features"][place].get("categories", [])
    left = sorted(known.index(name) for name in node["categories"] or [])
    return (
        i32(place)
        + f64(0.0 if node["threshold"] is None else node["threshold"])
        + items(u32(category) for category in left)
        + u8(node["missing_left"])
        + i32(node["left"])
        + i32(node["right"])
        + f64(node["gain"])
        + u64(node["cover"])
    )


def canonical_bytes(model: ModelFile) -> bytes:
    about = model.about
    places = {feature["name"]: place for place, feature in enumerate(about["features"])}
    return (
        string("evergrove model")
        + u32(1)
        + u8(OBJECTIVES[about["objective"]])
        + i32(about["value_exponent"])
        + items(i64(margin) for margin in about["base_margins"])
        + items(feature_bytes(feature) for feature in about["features"])
        + items(
            u32(tree[0]["output"]) + items(node_bytes(node, places, about) for node in tree)
            for tree in model.trees
        )
    )


def digest(model: ModelFile) -> str:
    return hashlib.sha256(canonical_bytes(model)).hexdigest()


def goes_left(node: Mapping[str, Any], value: Any, known: Sequence[str]) -> bool:
    if node["threshold"] is not None:
        is_missing = value is None or math.isnan(value)
        return bool(node["missing_left"] if is_missing else value <= node["threshold"])
    return bool(value in node["categories"] if value in known else node["missing_left"])


def margins(model: ModelFile, row: Mapping[str, Any]) -> list[float]:
    """The margins of one row, given by column: numbers, or the names of categories."""
    about = model.about
    known = {feature["name"]: feature.get("categories", []) for feature in about["features"]}
    sums = list(about["base_margins"])
    for tree in model.trees:
        node = tree[0]
        while node["feature"] is not None:
            name = node["feature"]
            left = goes_left(node, row[name], known[name])
            node = tree[node["left"] if left else node["right"]]
        sums[node["output"]] += units_of(node["value"], about)
    return [math.ldexp(total, about["value_exponent"]) for total in sums]


if __name__ == "__main__":
    print(digest(ModelFile(sys.argv[1])))
