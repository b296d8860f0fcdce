# SPDX-License-Identifier: Apache-2.0
"""Certificates and tokens of runs with TLS: what is of one run opens nothing of another, and what a
refusal advises works."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.command import BAD_INPUT, environment, evergrove, executable
from tests.process.rows import LABEL, small_rows, write
from tests.process.watched_run import WatchedRun

ENDLESS = ("n_estimators=1000000", "max_leaves=3", "min_rows=5")
SETTINGS = ("--set", "n_estimators=60", "max_leaves=31", "min_rows=5", "subsample=0.8")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(small_rows(20_000), tmp_path_factory.mktemp("data") / "rows.parquet", 1000)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    folder = tmp_path_factory.mktemp("secrets")
    return [
        evergrove("credentials", "--out", folder / name, "--json").json
        for name in ("ours", "theirs")
    ]


@pytest.fixture(scope="module")
def coordinator(
    rows: Path, secrets: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WatchedRun]:
    ours = secrets[0]
    options = (*certificate(ours), "--token-file", ours["token_file"])
    folder = tmp_path_factory.mktemp("run")
    with WatchedRun(folder, rows, *ENDLESS, options=options) as run:
        yield run


def certificate(secrets: dict[str, str]) -> tuple[str, ...]:
    return ("--tls-cert", secrets["tls_cert"], "--tls-key", secrets["tls_key"])


def refused(run: WatchedRun, *options: str) -> str:
    answer = evergrove("worker", "--coordinator", run.address, "--quiet", *options)
    assert answer.code == BAD_INPUT, answer
    return answer.error


def test_a_certificate_of_another_run_is_not_trusted(
    coordinator: WatchedRun, secrets: list[dict[str, str]]
) -> None:
    ours, theirs = secrets
    options = (
        "--tls-ca",
        theirs["tls_ca"],
        "--token-file",
        ours["token_file"],
        *certificate(theirs),
    )
    assert "not signed by the CA" in refused(coordinator, *options)


def test_the_token_of_another_run_is_refused(
    coordinator: WatchedRun, secrets: list[dict[str, str]]
) -> None:
    ours, theirs = secrets
    options = ("--tls-ca", ours["tls_ca"], "--token-file", theirs["token_file"], *certificate(ours))
    assert "not this run's" in refused(coordinator, *options)


def test_who_does_not_speak_tls_is_told_how(
    coordinator: WatchedRun, secrets: list[dict[str, str]]
) -> None:
    assert "--tls-ca" in refused(coordinator, "--token-file", secrets[0]["token_file"])


def test_who_has_both_is_let_in(coordinator: WatchedRun, secrets: list[dict[str, str]]) -> None:
    ours = secrets[0]
    options = ("--tls-ca", ours["tls_ca"], "--token-file", ours["token_file"])
    # Other workers would expect TLS of it in vain, and the run would stand still.
    assert "--tls-cert and --tls-key" in refused(coordinator, *options)
    coordinator.start_worker(*options, *certificate(ours))
    coordinator.wait_until(lambda s: s["trees"] > 0 and len(s["workers"]) == 1)


def test_what_a_refusal_to_listen_advises_works(rows: Path, tmp_path: Path) -> None:
    """Beyond loopback: refused, with a command; with what that makes, a run of several hosts."""
    train = ("--data", rows, "--label", LABEL, "--valid-fraction", "0.2", *SETTINGS)
    listen = ("--listen", "0.0.0.0:0", "--log", tmp_path / "log", "--model", tmp_path / "model")
    refused = evergrove("coordinator", *train, *listen)
    assert refused.code == BAD_INPUT
    command = re.search(r"`evergrove ([^`]+)`", refused.error)
    assert command is not None, refused.error
    for option in ("--tls-cert", "--tls-key", "--token-file"):
        assert option in refused.error
    folder = tmp_path / "secrets"
    advice = shlex.split(command[1].replace("DIR", str(folder)))
    secrets = evergrove(*advice, "--json").json
    token = ("--token-file", secrets["token_file"])
    tls = certificate(secrets)
    quiet = evergrove("train", *train, "--model", tmp_path / "quiet", "--json").json
    with WatchedRun(
        tmp_path, rows, *SETTINGS[1:], options=("--listen", "0.0.0.0:0", *token, *tls)
    ) as run:
        assert not run.address.startswith(("0.0.0.0", "127."))
        # A worker listens as well, and is refused as well.
        alone = evergrove(
            *("worker", "--coordinator", run.address, "--listen", "0.0.0.0:0", *token),
            *("--tls-ca", secrets["tls_ca"], "--quiet"),
        )
        assert alone.code == BAD_INPUT
        assert "evergrove credentials" in alone.error
        for _ in range(2):
            run.workers.append(
                subprocess.Popen(
                    [
                        *(executable(), "worker", "--coordinator", run.address, "--threads", "1"),
                        *("--listen", "0.0.0.0:0", "--tls-ca", secrets["tls_ca"], *token, *tls),
                    ],
                    env=environment(),
                    stderr=subprocess.DEVNULL,
                )
            )
        assert run.report(120)["digest"] == quiet["digest"]
