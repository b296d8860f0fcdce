# SPDX-License-Identifier: Apache-2.0
"""RunSpec: all that a cluster must know of a run, as plain values.

spec = make_spec(settings, data=["s3://bucket/a.parquet"], label="fraud", ...)
engine.carry(spec)                       # a dict of texts, numbers, bytes and lists of them
"""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from evergrove import _core
from evergrove.model import Model


class PartitionSet(TypedDict):
    """What is known of rows in the engine's memory; see source/partitions.h."""

    schemas: list[bytes]
    partitions: list[tuple[int, int, str]]  # rows, place of the schema, fingerprint


class RunSpec(TypedDict):
    run_id: str
    version: str
    settings: list[list[str]]
    data: list[str]
    valid: list[list[str]]
    partitions: list[PartitionSet]  # of the data, then of each of valid; none: all are paths
    valid_fraction: float
    label: str
    weight: str
    exclude: list[str]
    categorical: list[str]
    log: str  # empty: a folder of the run's own, gone when the run is over
    resume: bool
    continue_from: bytes
    threads: int  # of each worker; 0: as many as the engine gave it
    cache: str
    secrets: dict[str, str]  # token, tls_cert_pem, tls_key_pem, tls_ca_pem
    uses_tls: bool
    status_listen: str
    ports: str  # that its processes listen at, FIRST-LAST; empty: any


def make_spec(
    settings: Sequence[tuple[str, str]],
    *,
    data: list[str],
    valid: list[list[str]],
    partitions: list[PartitionSet],
    valid_fraction: float | None,
    label: str,
    weight: str | None,
    exclude: Sequence[str],
    categorical: Sequence[str],
    log: str,
    resume: bool,
    continue_from: Model | None,
    threads: int,
    cache: str,
    uses_tls: bool,
    status_listen: str,
    ports: str,
) -> RunSpec:
    if resume and not log:
        raise ValueError("There is nothing to resume without a log; say where it is with log=")
    return RunSpec(
        run_id=secrets.token_hex(6),
        version=_core.__version__,
        settings=[[name, text] for name, text in settings],
        data=data,
        valid=valid,
        partitions=partitions,
        valid_fraction=0.0 if valid_fraction is None else float(valid_fraction),
        label=label,
        weight=weight or "",
        exclude=list(exclude),
        categorical=list(categorical),
        log=log if "://" in log or not log else str(Path(log).absolute()),
        resume=resume,
        continue_from=b""
        if continue_from is None
        else continue_from._core.to_bytes(compressed=True),
        threads=threads,
        cache=cache,
        secrets=_core.make_credentials(),
        uses_tls=uses_tls,
        status_listen=status_listen,
        ports=ports,
    )


def port_range(ports: str | int | None) -> str:
    """FIRST-LAST of what a user may say: "9500-9599", "9500:9599" as Dask has it, or one port."""
    if ports is None:
        return ""
    found = re.fullmatch(r"(\d{1,5})(?:[-:](\d{1,5}))?", str(ports).strip())
    first, last = (int(port or found[1]) for port in found.groups()) if found else (0, 0)
    if not 0 < first <= last < 65536:
        raise ValueError(f'ports are a range, such as "9500-9599" (ports: {ports!r})')
    return f"{first}-{last}"
