# SPDX-License-Identifier: Apache-2.0
"""What the workers of the case read from the object store, and write to it.

    files = list_files("bucket/train")           # "bucket/train/part-00.parquet", ...
    frame = read_frame(files[0])                 # pandas

Where the store is and who asks is in the environment (AWS_ENDPOINT_URL and so on), as for the
command.
"""

import os
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq


def file_system() -> pyarrow.fs.S3FileSystem:
    return pyarrow.fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )


def list_files(folder: str) -> list[str]:
    found = file_system().get_file_info(pyarrow.fs.FileSelector(folder))
    return sorted(info.path for info in found if info.is_file)


def read_table(path: str) -> pa.Table:
    return pq.read_table(path, filesystem=file_system())


def read_frame(path: str) -> Any:
    return read_table(path).to_pandas()


def write_table(table: pa.Table, path: str) -> str:
    with file_system().open_output_stream(path, compression=None) as stream:
        pq.write_table(table, stream)
    return path
