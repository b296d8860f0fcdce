# SPDX-License-Identifier: Apache-2.0
"""evergrove credentials: what it writes, who may read it, and that others' tools understand it."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.process.command import DONE, evergrove
from tests.process.refusal import refuses

FILES = {"cert.pem": 0o644, "key.pem": 0o600, "ca.pem": 0o644, "token": 0o600}


def openssl(*arguments: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_writes_what_it_says_and_keeps_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "secrets"
    answer = evergrove("credentials", "--out", folder)
    assert (answer.code, answer.err) == (DONE, "")
    for name in FILES:
        assert f"{folder}/{name}" in answer.out
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {name: mode & 0o077 for name, mode in modes.items() if name in ("key.pem", "token")} == {
        "key.pem": 0,
        "token": 0,
    }
    assert set(modes) == set(FILES)
    token = (folder / "token").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", token)
    assert token.strip() not in answer.out


def test_json_names_the_options_to_come(tmp_path: Path) -> None:
    answer = evergrove("credentials", "--out", tmp_path / "secrets", "--json")
    assert answer.code == DONE
    assert set(answer.json) == {"tls_cert", "tls_key", "tls_ca", "token_file"}
    assert all(Path(path).is_file() for path in answer.json.values())


def test_openssl_vouches_for_it(tmp_path: Path) -> None:
    evergrove("credentials", "--out", tmp_path, "--host", "train.example.org", "--host", "10.0.0.7")
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    verified = openssl("verify", "-x509_strict", "-CAfile", ca, cert)
    assert verified.returncode == 0, verified
    for host in ("evergrove", "localhost", "train.example.org"):
        named = openssl("verify", "-CAfile", ca, "-verify_hostname", host, cert)
        assert named.returncode == 0, named
    assert openssl("verify", "-CAfile", ca, "-verify_ip", "10.0.0.7", cert).returncode == 0
    assert openssl("verify", "-CAfile", ca, "-verify_ip", "10.0.0.8", cert).returncode != 0
    assert openssl("verify", "-CAfile", ca, "-verify_hostname", "other", cert).returncode != 0
    of_cert = openssl("x509", "-in", cert, "-noout", "-pubkey").stdout
    assert of_cert and of_cert == openssl("pkey", "-in", key, "-pubout").stdout


def test_two_runs_share_nothing(tmp_path: Path) -> None:
    for name in ("one", "other"):
        evergrove("credentials", "--out", tmp_path / name)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() != (tmp_path / "other" / name).read_bytes()
    crossed = openssl(
        "verify", "-CAfile", tmp_path / "one" / "ca.pem", tmp_path / "other" / "cert.pem"
    )
    assert crossed.returncode != 0


@pytest.mark.parametrize("name", FILES)
def test_overwrites_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    refuses(tmp_path, "credentials", "--out", tmp_path, says=["already", name])


def test_refuses_what_is_no_host_or_folder(tmp_path: Path) -> None:
    for host in ("two words", "host/path", "host,CN=x", ""):
        refuses(tmp_path, "credentials", "--out", tmp_path / "new", "--host", host, says=["host"])
    (tmp_path / "file").write_text("x")
    refuses(tmp_path, "credentials", "--out", tmp_path / "file", says=["file"])
    refuses(tmp_path, "credentials", says=["--out"])
