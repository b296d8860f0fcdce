# SPDX-License-Identifier: Apache-2.0
"""The format pages, proven: readers that were written from them alone, against the command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import data_sets
from tests.docs import model_digest, run_log
from tests.process import command

CASES = [
    ("adult_like", "leaf", ["max_bins=30"]),
    ("adult_like", "symmetric", []),
    ("seven_class", "depth", ["subsample=0.7"]),
    ("regression", "leaf", []),
    ("heavy_tailed", "leaf", ["max_leaves=63"]),
]


def evergrove(*arguments: str | Path) -> str:
    answer = command.evergrove(*arguments)
    assert answer.code == command.DONE, answer
    return answer.out.strip()


@dataclass
class Trained:
    folder: Path
    features: pa.Table
    model: model_digest.ModelFile


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case[:2]))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    name, growth, settings = request.param
    data = data_sets.BY_NAME[name]()
    folder = tmp_path_factory.mktemp(name)
    table = pa.Table.from_pandas(data.frame, preserve_index=False)
    pq.write_table(table, folder / "data.parquet")
    evergrove(
        *("train", "--data", folder / "data.parquet", "--label", data.label, "--quiet"),
        *("--objective", data.task, "--valid-fraction", "0.2"),
        *("--set", "n_estimators=8", f"growth={growth}", *settings),
        *("--log", folder / "run", "--model", folder / "model.evergrove"),
    )
    model = model_digest.ModelFile(folder / "model.evergrove")
    return Trained(folder, table.drop_columns([data.label]), model)


def test_digest_by_the_page_is_that_of_the_command(trained: Trained) -> None:
    told = evergrove("digest", trained.folder / "model.evergrove")
    assert model_digest.digest(trained.model) == told
    assert trained.model.about["digest"] == told


def test_margins_by_the_page_are_those_of_the_command(trained: Trained) -> None:
    path = trained.folder / "margins.parquet"
    evergrove(
        *("predict", "--model", trained.folder / "model.evergrove", "--kind", "margin", "--quiet"),
        *("--data", trained.folder / "data.parquet", "--out", path),
    )
    scores = list(zip(*pq.read_table(path).to_pydict().values(), strict=True))
    for place, row in enumerate(trained.features.slice(0, 300).to_pylist()):
        assert tuple(model_digest.margins(trained.model, row)) == scores[place]


def test_a_file_written_anew_by_another_hand_is_the_same_model(trained: Trained) -> None:
    with pa.OSFile(str(trained.folder / "model.evergrove")) as file:
        table = pa.ipc.open_file(file).read_all()
    path = trained.folder / "anew.evergrove"
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(str(path), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=100)
    assert evergrove("digest", path) == trained.model.about["digest"]


def logged_node(node: dict[str, Any], features: list[dict[str, Any]]) -> dict[str, Any]:
    """A node of the log as the model file has it, place in the tree and leaf value apart."""
    if node["feature"] < 0:
        return {"feature": None, "cover": node["cover"]}
    feature = features[node["feature"]]
    is_numeric = feature["kind"] == "numeric"
    names = [feature["categories"][place] for place in node["categories"]]
    return {
        "feature": feature["name"],
        "threshold": node["threshold"] if is_numeric else None,
        "categories": None if is_numeric else names,
        **{name: node[name] for name in ("missing_left", "left", "right", "gain", "cover")},
    }


def test_log_by_the_page_has_what_the_model_has(trained: Trained) -> None:
    log = run_log.read(trained.folder / "run/run.log")
    about = trained.model.about
    assert log.header is not None
    assert log.torn_bytes == 0
    for name in ("label", "weight", "classes", "value_exponent", "base_margins", "parameters"):
        assert log.header[name] == about[name], name
    assert log.header["valid_fraction"] == 0.2
    assert log.header["valid_names"] == ["valid"]
    assert log.header["manifest"] == about["manifest"]
    kept = {"numeric": "cuts", "categorical": "categories"}
    for logged, feature in zip(log.header["features"], about["features"], strict=True):
        for name in ("name", "kind", kept[feature["kind"]]):
            assert logged[name] == feature[name]
    assert [iteration["index"] for iteration in log.iterations] == list(range(8))
    for iteration, metrics in zip(log.iterations, about["metrics"], strict=True):
        assert {("valid", n, v) for n, v in metrics["valid"].items()} == set(iteration["metrics"])
    trees = [tree for iteration in log.iterations for tree in iteration["trees"]]
    for logged_tree, tree in zip(trees, trained.model.trees, strict=True):
        for logged, node in zip(logged_tree["nodes"], tree, strict=True):
            expected = logged_node(logged, log.header["features"])
            assert {name: node[name] for name in expected} == expected
            if node["feature"] is None:
                assert model_digest.units_of(node["value"], about) == logged["value"]
            assert node["output"] == logged_tree["output"]


def test_a_log_cut_off_anywhere_has_its_whole_frames(trained: Trained, tmp_path: Path) -> None:
    data = (trained.folder / "run/run.log").read_bytes()
    ends = [len(run_log.MAGIC), *run_log.read(trained.folder / "run/run.log").frame_ends]
    cut = tmp_path / "run.log"
    for size in {*ends, *(end - 1 for end in ends[1:]), *range(16, len(data), len(data) // 9)}:
        cut.write_bytes(data[:size])
        whole = [end for end in ends if end <= size]
        log = run_log.read(cut)
        assert len(log.frame_ends) == len(whole) - 1
        assert log.torn_bytes == size - whole[-1]
        if log.header is not None:
            told = evergrove("inspect", cut, "--json")
            assert f'"iterations": {len(log.iterations)}' in re_spaced(told)


def re_spaced(text: str) -> str:
    return " ".join(text.split())


def test_a_spoilt_byte_is_torn_at_the_end_and_damage_before(
    trained: Trained, tmp_path: Path
) -> None:
    data = bytearray((trained.folder / "run/run.log").read_bytes())
    ends = run_log.read(trained.folder / "run/run.log").frame_ends
    spoilt = tmp_path / "run.log"
    data[-1] ^= 1
    spoilt.write_bytes(data)
    assert run_log.read(spoilt).torn_bytes == len(data) - ends[-2]
    data[-1] ^= 1
    data[ends[0] - 1] ^= 1  # the end of the header
    spoilt.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        run_log.read(spoilt)
