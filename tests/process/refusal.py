# SPDX-License-Identifier: Apache-2.0
"""What a refusal is: one sentence that names the trouble and the way out of it, exit code 2, and
nothing left behind.

    refuses(folder, "train", "--data", "none.parquet", ..., says=["none.parquet", "check"])
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.process.command import BAD_INPUT, evergrove
from tests.process.rows import LABEL

# A way out: an imperative after a semicolon, a question that proposes something, what must be there
# instead, or a pointer.
WAY_OUT = re.compile(r"; |\?| must | takes | is there for |^Say |\(see ")


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is below a folder, byte for byte, to see whether a run changed anything."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def refuses(
    folder: Path,
    *arguments: object,
    says: Sequence[str],
    code: int = BAD_INPUT,
    watched: bool = True,
    **options: Any,
) -> str:
    """Runs the command, which must refuse in a sentence with all of these words and leave the
    folder as it was. Returns the sentence."""
    before = contents(folder) if watched else {}
    answer = evergrove(*arguments, **options)
    assert answer.code == code, answer
    assert answer.out == "", "a refusal has no result"
    sentence = answer.error
    for word in says:
        assert word in sentence, f"{word!r} is not in: {sentence}"
    assert WAY_OUT.search(sentence), f"says no way out: {sentence}"
    assert "fault of Evergrove" not in sentence
    assert len(sentence) < 1000, "that is more than a sentence"
    if watched:
        assert contents(folder) == before, "something was left behind or changed"
    return sentence


def refuses_to_train(
    folder: Path, data: object, *arguments: object, says: Sequence[str], **options: Any
) -> str:
    """The same for training on the data; unless said otherwise, on its label to a model."""
    given = [str(argument) for argument in arguments]
    if "--label" not in given:
        given += ["--label", LABEL]
    if "--model" not in given:
        given += ["--model", str(folder / "model.evergrove")]
    paths = data if isinstance(data, list) else [data]
    return refuses(folder, "train", "--quiet", "--data", *paths, *given, says=says, **options)
