# SPDX-License-Identifier: Apache-2.0
"""Uses an installed wheel the way a first user does; script/wheel --check runs it in an empty venv.

python -I python/tests/wheel_check.py VENV/bin
"""

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    command = Path(sys.argv[1]).resolve() / "evergrove"
    import evergrove

    site = Path(sysconfig.get_path("platlib"))
    assert Path(evergrove.__file__).is_relative_to(site), evergrove.__file__
    check_libraries(site)
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(2000, 5)).round(3), columns=list("abcde"))
    frame["city"] = random.choice(["here", "there", "nowhere"], 2000)
    frame["fraud"] = (frame["a"] * frame["b"] + (frame["city"] == "here") > 0.5).astype(int)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.parquet")
        model = Path(folder, "model.evergrove")
        frame.to_parquet(data)
        arguments = ["train", "--data", data, "--label", "fraud", "--model", model, "--json"]
        arguments += ["--log", Path(folder, "log"), "--resume", "--set", "n_estimators=20"]
        result = json.loads(run(command, *arguments))
        resumed = json.loads(run(command, *arguments))
        assert resumed["digest"] == result["digest"]
        assert resumed["resumed_iterations"] == 20
        assert run(command, "digest", model).split()[0] == result["digest"]

        loaded = evergrove.load(model)
        trained = evergrove.train({"n_estimators": 20}, frame, label="fraud")
        assert loaded.digest == trained.digest == result["digest"]
        assert np.array_equal(loaded.predict(frame), trained.predict(data))
        scores = Path(folder, "scores.parquet")
        run(command, "predict", "--model", model, "--data", data, "--out", scores)
        assert np.array_equal(pd.read_parquet(scores)["score"], loaded.predict(frame))
    classifier = evergrove.Classifier(n_estimators=20).fit(frame.drop(columns="fraud"), frame.fraud)
    assert classifier.model_.digest == result["digest"]
    assert classifier.score(frame.drop(columns="fraud"), frame.fraud) > 0.9
    print(f"evergrove {evergrove.__version__}: digest {result['digest']}")


def check_libraries(site: Path) -> None:
    """Everything but Arrow, libc and the compiler's runtime must come from the wheel itself."""
    binaries = [*site.glob("evergrove/_core*.so"), site / "evergrove.scripts" / "evergrove"]
    for binary in binaries:
        for line in run("ldd", binary).splitlines():
            name, _, place = line.strip().partition(" => ")
            assert "not found" not in place, f"{binary}: {line}"
            if name.startswith(("libtbb", "libhwy", "libarrow", "libparquet")):
                assert str(site) in place, f"{binary}: {line}"


def run(*arguments: object) -> str:
    words = [str(argument) for argument in arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
