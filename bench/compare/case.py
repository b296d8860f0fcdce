# SPDX-License-Identifier: Apache-2.0
"""Case: one file of bench/cases: how the rows are made, what is trained, each library's settings.

case = load_case("dense")
case.entries["lightgbm"].parameters     # in LightGBM's own words, but for trees, seed and threads
case.entries["lightgbm"].at(trees=100, seed=1, threads=2)

An entry may say `like = "other"`: it begins with the other's settings. A word that the file has and
this reader does not know is an error, so that no setting is dropped in silence.
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.compare.rows import Form
from bench.compare.settings import Settings, Task

FOLDER = Path(__file__).resolve().parents[1] / "cases"
# What each library calls the number of trees (where it is a setting), the seed and the threads.
OWN_WORDS = {
    "lightgbm": ("", "seed", "num_threads"),
    "xgboost": ("", "seed", "nthread"),
    "catboost": ("iterations", "random_seed", "thread_count"),
    "ydf": ("num_trees", "random_seed", "num_threads"),
    "sklearn": ("max_iter", "random_state", ""),
}


class CaseError(ValueError):
    """A case's file does not say what it must."""


@dataclass(frozen=True)
class Entry:
    """One way to train one library: a row of the tables."""

    name: str
    library: str
    title: str
    parameters: dict[str, Any]
    why: str = ""
    form: Form = ""  # of the rows that it is given, where that is not the case's own

    def at(self, *, trees: int, seed: int, threads: int) -> dict[str, Any]:
        words = zip(OWN_WORDS[self.library], (trees, seed, threads), strict=True)
        return self.parameters | {word: value for word, value in words if word}


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    about: str
    generator: str
    label: str
    rows: int
    test_rows: int
    columns: int
    seed: int
    task: Task
    measure: str
    settings: Settings
    ours: dict[str, Any]  # for --set
    entries: dict[str, Entry]
    quick_rows: int
    quick_trees: int
    path: str = ""  # below ../shared/data; the generator makes rows where it is not there
    class_count: int = 0
    sparse: bool = False
    counts: bool = True  # in the means over cases

    def quick(self) -> "Case":
        return self.cut(self.quick_rows, self.quick_trees)

    def cut(self, rows: int | None, trees: int | None) -> "Case":
        """Returns the case with fewer rows or trees."""
        rows, trees = min(self.rows, rows or self.rows), trees or self.settings.trees
        test_rows = min(self.test_rows, max(1_000, rows // 4))
        settings = replace(self.settings, trees=trees)
        return replace(self, rows=rows, test_rows=test_rows, settings=settings)


def case_names() -> list[str]:
    """Returns the names in the order in which the files say they come."""
    return sorted((path.stem for path in FOLDER.glob("*.toml")), key=place)


def place(name: str) -> int:
    return int(tomllib.loads((FOLDER / f"{name}.toml").read_text())["place"])


def load_case(name: str, folder: Path = FOLDER) -> Case:
    path = folder / f"{name}.toml"
    if not path.exists():
        raise CaseError(f"There is no case '{name}'; bench/cases has {', '.join(case_names())}")
    try:
        return read_case(name, tomllib.loads(path.read_text()))
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise CaseError(f"{path} is not a case: {error!r}; see bench/cases/dense.toml") from error


def read_case(name: str, values: dict[str, Any]) -> Case:
    values.pop("place")
    data, quick, ours = values.pop("data"), values.pop("quick"), values.pop("ours")
    settings = Settings(**values.pop("settings"))
    entries = read_entries(values.pop("peers", {}))
    return Case(
        name=name,
        settings=settings,
        ours=ours,
        entries=entries,
        quick_rows=quick.pop("rows"),
        quick_trees=quick.pop("trees"),
        **data,
        **values,
    )


def read_entries(peers: dict[str, Any]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, values in peers.items():
        base = entries[values.pop("like")] if "like" in values else None
        own = values.pop("set", {})
        for word in values.pop("unset", []):
            assert base is not None
            base.parameters[word]  # a KeyError if there is nothing to leave out
            base = replace(base, parameters={k: v for k, v in base.parameters.items() if k != word})
        entry = Entry(
            name,
            base.library if base else values.pop("library"),
            values.pop("title"),
            (base.parameters if base else {}) | own,
            values.pop("why", ""),
            values.pop("form", ""),
        )
        if values or entry.library not in OWN_WORDS:
            raise CaseError(
                f"An entry has library, title, why, form, like, set and unset, and a library that "
                f"bench/compare/peers has (entry: {name}, library: {entry.library}, "
                f"not understood: {sorted(values)})"
            )
        entries[name] = entry
    return entries
