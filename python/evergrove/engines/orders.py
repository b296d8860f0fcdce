# SPDX-License-Identifier: Apache-2.0
"""Orders: what a steward asks of an engine's workers, and how long it waits for what.

for order in steward.tick(now):
    tell(order.place, METHODS[type(order)], details_of(order))        # a method of host.py
"""

from dataclasses import dataclass

from evergrove.engines.peers import Look


@dataclass(frozen=True)
class Limits:
    wait_seconds: float = 300.0  # without anybody who could work
    begin_seconds: float = 30.0  # for an answer of those who are there when it begins
    # For those who were there when it begins to connect to one another; what keeps one of them from
    # it is an error until then, though others may work already.
    connect_seconds: float = 60.0
    silence_seconds: float = 30.0  # of a coordinator; then another one takes over
    memory_seconds: float = 10.0  # at the start, with too little memory for the rows
    again_seconds: float = 2.0  # between two attempts of what failed
    still_seconds: float = 30.0  # without a tree; then workers look whether they reach each other
    cut_off_seconds: float = 300.0  # until a worker that was cut off is tried again
    attempts_max: int = 5  # of coordinators that fail one after the other
    worker_attempts_max: int = 3  # at one place, before the first iteration
    reach_attempts_max: int = 2  # of a worker to reach a coordinator that is there
    reach_heard_seconds: float = 5.0  # since a coordinator was heard of that is there


@dataclass(frozen=True)
class StartCoordinator:
    place: str
    attempt: int


@dataclass(frozen=True)
class StartWorker:
    place: str
    coordinator: str  # HOST:PORT


@dataclass(frozen=True)
class MoveWorker:
    """The coordinator is elsewhere now; the worker keeps its rows."""

    place: str
    coordinator: str


@dataclass(frozen=True)
class DrainWorker:
    place: str


@dataclass(frozen=True)
class StopWorker:
    """At once: others take over its rows."""

    place: str


Order = StartCoordinator | StartWorker | MoveWorker | DrainWorker | StopWorker | Look
