# SPDX-License-Identifier: Apache-2.0
"""What case.json holds: all that the runs of the fraud case found out.

    case = read_case(json.loads(Path("case.json").read_text()))
    case.of("evergrove_trace").seconds

Times are seconds from a contender's own beginning. What is not known is null or absent in the file,
and None or empty here; fields that are not known here are left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Scenario:
    """One way of defrauding, against all genuine transactions of the test days."""

    frauds: int | None = None
    roc_auc: float | None = None


@dataclass(frozen=True)
class Quality:
    roc_auc: float | None = None
    average_precision: float | None = None
    card_precision: float | None = None  # at 100 cards a day
    by_scenario: dict[str, Scenario] = field(default_factory=dict)


@dataclass(frozen=True)
class MachineSeconds:
    starting: float | None = None
    working: float | None = None
    lost: float | None = None  # of work that was thrown away or done twice
    total: float | None = None


@dataclass(frozen=True)
class Cost:
    """Dollars of one training, failed attempts among it."""

    on_demand: float | None = None
    spot: float | None = None


@dataclass(frozen=True)
class Life:
    """One worker, from its start to its end."""

    name: str = ""
    start: float = 0.0
    ready: float | None = None  # None: it never was
    end: float | None = None  # None: it outlived the run
    how: str = "ended"  # or "killed"


@dataclass(frozen=True)
class Contender:
    name: str
    title: str = ""
    library: str = ""
    cluster: str = ""  # "trace": its workers come and go; "static": none is lost
    finished: bool = False
    gave_up_after: float | None = None
    error: str = ""
    seconds: float | None = None
    trees: int | None = None
    attempts: int | None = None
    rounds_trained: int | None = None
    rounds_lost: int | None = None
    work_lost_share: float | None = None
    joins: int | None = None
    losses: int | None = None
    machine_seconds: MachineSeconds = MachineSeconds()
    cost: Cost = Cost()
    digest: str = ""
    quality: Quality = Quality()
    workers: list[Life] = field(default_factory=list)
    curve: list[tuple[float, int]] = field(default_factory=list)  # seconds, trees

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("evergrove")

    @property
    def keeps_checkpoints(self) -> bool:
        return self.name.endswith("checkpoints")


@dataclass(frozen=True)
class Trace:
    file: str = ""
    kind: str = ""  # "recorded" or "own"
    step_seconds: float | None = None
    real_step_seconds: float | None = None
    speed_up: float | None = None
    seconds: float | None = None  # after which it begins again
    levels: list[tuple[float, int]] = field(default_factory=list)  # from when on, so many workers


@dataclass(frozen=True)
class Prices:
    instance: str = ""
    vcpus: int | None = None
    on_demand_per_hour: float | None = None
    spot_per_hour: float | None = None
    source: str = ""
    assumptions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    version: int
    contenders: list[Contender]
    made: str = ""
    machine: str = ""
    commit: str = ""
    seconds_total: float | None = None
    command: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    trace: Trace = Trace()
    digests: dict[str, str] = field(default_factory=dict)
    prices: Prices = Prices()
    commands: list[str] = field(default_factory=list)

    def of(self, name: str) -> Contender | None:
        return next((each for each in self.contenders if each.name == name), None)


def read_case(values: Mapping[str, Any]) -> Case:
    """Returns the case, or raises a ValueError that says what case.json lacks."""
    if not isinstance(values, Mapping):
        raise ValueError("case.json is not a JSON object; make it again with script/case")
    if values.get("version") != VERSION:
        raise ValueError(
            f"case.json is of another version than this report reads; make it again with "
            f"script/case: version={values.get('version')} expected={VERSION}"
        )
    if not values.get("contenders"):
        raise ValueError("case.json has no contenders; make it again with script/case")
    parts = {
        "contenders": [contender(each) for each in values["contenders"]],
        "trace": record(Trace, values.get("trace"), levels=pairs(values.get("trace"), "levels")),
        "prices": record(Prices, values.get("prices")),
    }
    return record(Case, values, **parts)


def contender(values: Mapping[str, Any]) -> Contender:
    if not values.get("name"):
        raise ValueError("A contender in case.json has no name; make it again with script/case")
    measured = values.get("quality") or {}
    scenarios = measured.get("by_scenario") or {}
    return record(
        Contender,
        values,
        machine_seconds=record(MachineSeconds, values.get("machine_seconds")),
        cost=record(Cost, values.get("cost")),
        quality=record(
            Quality,
            measured,
            by_scenario={name: record(Scenario, each) for name, each in scenarios.items()},
        ),
        workers=[record(Life, each) for each in values.get("workers") or []],
        curve=pairs(values, "curve"),
    )


def pairs(values: Mapping[str, Any] | None, name: str) -> list[tuple[float, int]]:
    found = (values or {}).get(name) or []
    return [(float(seconds), int(count)) for seconds, count in found]


def record(kind: type[T], values: Mapping[str, Any] | None, **parts: Any) -> T:
    """Returns the dataclass with what is known of it."""
    known = {
        each.name: values[each.name]
        for each in fields(kind)  # type: ignore[arg-type]
        if values and values.get(each.name) is not None
    }
    return kind(**known | parts)
