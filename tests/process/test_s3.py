# SPDX-License-Identifier: Apache-2.0
"""Data in an object store: the same model as from the disk, and what goes wrong in words."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.process.command import DONE, STORAGE, evergrove
from tests.process.object_store import (
    ACCESS_KEY,
    SECRET_KEY,
    S3Server,
    free_port,
    needs_s3,
    s3_server,
)
from tests.process.refusal import refuses_to_train
from tests.process.rows import LABEL, small_rows, write

pytestmark = needs_s3

ROWS = small_rows(3_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        folder = tmp_path_factory.mktemp("rows")
        for place in range(3):
            path = write(ROWS.slice(place * 1000, 1000), folder / f"part-{place}.parquet", 300)
            server.put(f"payments/2024/{path.name}", path.read_bytes())
        server.put("payments/2024/_SUCCESS", b"")
        for name in ("rows.csv", "rows.csv.gz", "rows.arrow"):
            server.put(f"payments/{name}", write(ROWS, folder / name).read_bytes())
        server.put("payments/cut.parquet", path.read_bytes()[:-100])
        yield server


def digest(folder: Path, data: object, server: S3Server | None = None, *more: object) -> str:
    answer = evergrove(
        *("train", "--data", data, "--label", LABEL, "--set", "n_estimators=5", "--json"),
        *("--model", folder / "model.evergrove", *more),
        env=server.environment if server else None,
    )
    assert answer.code == DONE, answer
    return str(answer.json["digest"])


@pytest.fixture(scope="module")
def digest_on_disk(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("disk")
    return digest(folder, write(ROWS, folder / "rows.parquet"))


@pytest.mark.parametrize(
    "place",
    [
        "2024",
        "2024/",
        "2024/*.parquet",
        "**/part-[0-9].parquet",
        "rows.csv",
        "rows.csv.gz",
        "rows.arrow",
    ],
)
def test_gives_the_model_of_the_same_rows_on_disk(
    server: S3Server, tmp_path: Path, digest_on_disk: str, place: str
) -> None:
    assert digest(tmp_path, f"s3://payments/{place}", server) == digest_on_disk


def test_resumes_on_the_same_objects_and_refuses_changed_ones(
    server: S3Server, tmp_path: Path
) -> None:
    server.put("changing/rows.parquet", write(ROWS, tmp_path / "a.parquet").read_bytes())
    log = ("--log", tmp_path / "log", "--resume")
    first = digest(tmp_path, "s3://changing/rows.parquet", server, *log)
    assert digest(tmp_path, "s3://changing/rows.parquet", server, *log) == first
    changed = write(ROWS.slice(1), tmp_path / "a.parquet")
    server.put("changing/rows.parquet", changed.read_bytes())
    answer = evergrove(
        *("train", "--data", "s3://changing/rows.parquet", "--label", LABEL, *log),
        *("--set", "n_estimators=5", "--model", tmp_path / "model.evergrove", "--quiet"),
        env=server.environment,
    )
    assert answer.code != DONE
    assert "s3://changing/rows.parquet" in answer.error


def test_takes_credentials_from_the_url_and_keeps_them_to_itself(
    server: S3Server, tmp_path: Path, digest_on_disk: str
) -> None:
    url = (
        f"s3://{ACCESS_KEY}:{quote(SECRET_KEY)}@payments/2024"
        f"?endpoint_override={server.address}&scheme=http&region=us-east-1"
    )
    assert digest(tmp_path, url, None, "--log", tmp_path / "log") == digest_on_disk
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET_KEY.encode() not in content, path
            assert ACCESS_KEY.encode() not in content, path
    refuses_to_train(tmp_path, url.replace("2024", "none"), says=["s3://payments/none"])


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("payments/none.parquet", "no such file"),
        ("payments/none/*.parquet", "No file matches"),
        ("payments/cut.parquet", "not complete"),
        ("nobody-has-this/rows.parquet", "no such file"),
    ],
)
def test_says_which_object_is_missing_or_damaged(
    server: S3Server, tmp_path: Path, place: str, says: str
) -> None:
    refuses_to_train(
        tmp_path, f"s3://{place}", says=[says, f"s3://{place}"], env=server.environment
    )


def test_says_that_the_store_cannot_be_reached(server: S3Server, tmp_path: Path) -> None:
    nobody = S3Server(free_port())
    refuses_to_train(
        tmp_path,
        "s3://payments/2024",
        says=["object store", "s3://payments/2024"],
        code=STORAGE,
        env=nobody.environment,
    )


def test_says_that_access_is_denied(server: S3Server, tmp_path: Path) -> None:
    sentence = refuses_to_train(
        tmp_path,
        "s3://payments/2024",
        says=["ACCESS_DENIED", "s3://payments/2024"],
        code=STORAGE,
        env={**server.environment, "AWS_SECRET_ACCESS_KEY": "a-wrong-secret"},
    )
    assert "a-wrong-secret" not in sentence
