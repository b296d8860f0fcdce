# SPDX-License-Identifier: Apache-2.0
"""The steward: who does what, as places come and go; pure, so that time is a number."""

from typing import Any

import pytest

from evergrove.engines.orders import (
    DrainWorker,
    Limits,
    MoveWorker,
    Order,
    StartCoordinator,
    StartWorker,
    StopWorker,
)
from evergrove.engines.peers import Look
from evergrove.engines.steward import Steward

LIMITS = Limits()


def news(kind: str, attempt: int = 1, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "attempt": attempt, **more}


def listening(attempt: int = 1, address: str = "a:1") -> dict[str, Any]:
    return news("listening", attempt, address=address, own_log="")


def progress(iteration: int, workers: int = 2, missing: int = 0) -> dict[str, Any]:
    values = {"iteration": iteration, "workers": workers, "memory_bytes_missing": missing}
    return news("progress", progress=values)


def started(*places: str) -> Steward:
    """A run whose coordinator is at the first place and listens."""
    steward = Steward("run")
    steward.begin(list(places), 0.0)
    for place in places:
        steward.came(place, {}, 0.0)
    steward.said(places[0], listening(), 0.0)
    return steward


def test_it_begins_when_all_who_were_there_have_answered() -> None:
    steward = Steward("run")
    assert steward.begin(["a", "b"], 0.0) == []
    assert steward.came("a", {}, 1.0) == []
    assert steward.came("b", {}, 2.0) == [StartCoordinator("a", 1)]
    assert steward.said("a", listening(), 3.0) == [StartWorker("a", "a:1"), StartWorker("b", "a:1")]
    assert steward.came("c", {}, 4.0) == [StartWorker("c", "a:1")]


def test_one_who_does_not_answer_is_not_waited_for_for_ever() -> None:
    steward = Steward("run")
    steward.begin(["a", "b"], 0.0)
    steward.came("a", {}, 1.0)
    assert steward.tick(LIMITS.begin_seconds - 1) == []
    assert steward.tick(LIMITS.begin_seconds + 1) == [StartCoordinator("a", 1)]


def test_a_lost_coordinator_is_placed_anew_and_workers_are_told() -> None:
    steward = started("a", "b")
    assert steward.gone("a", 5.0) == [StartCoordinator("b", 2)]
    assert steward.said("b", listening(2, "b:2"), 6.0) == [MoveWorker("b", "b:2")]
    assert steward.lost_count == 1


def test_a_coordinator_that_was_given_up_says_nothing_any_more() -> None:
    steward = started("a", "b")
    late = LIMITS.silence_seconds + 1
    assert steward.tick(late) == [StartCoordinator("b", 2)]
    steward.said("a", news("finished", 1, model=b"old", notes=[], progress={}), late + 1)
    assert not steward.is_over
    steward.said("b", news("finished", 2, model=b"new", notes=["one"], progress={}), late + 2)
    assert (steward.state, steward.model) == ("finished", b"new")


@pytest.mark.parametrize("kind", ["ValueError", "FileNotFoundError", "RuntimeError"])
def test_what_is_wrong_everywhere_ends_the_run(kind: str) -> None:
    steward = started("a", "b")
    error = {"type": kind, "message": "no such column"}
    assert steward.said("a", news("failed", error=error), 1.0) == []
    assert (steward.state, steward.error) == ("failed", error)


def test_storage_that_fails_is_tried_again_and_not_for_ever() -> None:
    steward = started("a", "b")
    now, tries = 0.0, 0
    while not steward.is_over:
        error = {"type": "OSError", "message": "no answer"}
        failed = news("failed", steward.attempt, error=error)
        assert steward.said(steward.coordinator_place, failed, now) == []
        now += LIMITS.again_seconds + 0.1
        steward.tick(now)
        tries += 1
    assert tries == LIMITS.attempts_max
    assert steward.error == {"type": "OSError", "message": "no answer"}


def test_who_leaves_is_drained_and_is_no_host() -> None:
    steward = started("a", "b")
    assert steward.retires("b", 1.0) == [DrainWorker("b")]
    assert steward.retires("b", 1.1) == []
    steward.said("b", {"kind": "worker_ended", "error": None}, 2.0)
    assert steward.gone("a", 3.0) == []
    assert steward.stays("b", 4.0) == [StartCoordinator("b", 2)]
    assert steward.lost_count == 1


def test_without_anybody_it_waits_and_then_gives_up() -> None:
    steward = started("a")
    steward.gone("a", 10.0)
    assert steward.view()["waits_for"] == "waits for a worker"
    steward.tick(10.0 + LIMITS.wait_seconds)
    assert not steward.is_over
    steward.tick(11.0 + LIMITS.wait_seconds)
    assert steward.error is not None
    assert steward.error["type"] == "TimeoutError"


def test_a_worker_that_ends_is_started_again_later_each_time() -> None:
    steward = started("a", "b")
    steward.said("a", progress(3), 0.0)
    ended = {"kind": "worker_ended", "error": {"type": "OSError", "message": "cut off"}}
    now, waits = 0.0, []
    for _ in range(3):
        steward.said("b", {"kind": "worker_listens", "address": "b:2"}, now)
        assert steward.said("b", ended, now) == []
        orders: list[Order] = []
        begin = now
        while not orders:
            now += 0.5
            orders = steward.said("a", progress(3), now) + steward.tick(now)
        assert orders == [StartWorker("b", "a:1")]
        waits.append(now - begin)
    assert waits == sorted(set(waits))


def test_a_worker_that_cannot_listen_ends_the_run_though_others_work() -> None:
    steward = started("a", "b")
    steward.said("a", progress(3), 0.0)
    error = {"type": "OSError", "message": "Somebody listens on all of the ports already"}
    for _ in range(LIMITS.worker_attempts_max):
        assert not steward.is_over
        steward.said("b", {"kind": "worker_ended", "error": error}, 1.0)
    assert steward.error == {"type": "OSError", "message": f"b: {error['message']}"}


def test_a_worker_that_cannot_reach_the_coordinator_is_named() -> None:
    steward = started("a", "b")
    # Of another one, which was lost meanwhile, it says nothing.
    for address in ("a:0", "a:0", *["a:1"] * LIMITS.reach_attempts_max):
        assert not steward.is_over
        steward.said("a", progress(3), 1.0)
        unreachable = {"kind": "unreachable", "address": address, "why": "timed out"}
        steward.said("b", unreachable, 1.0)
    assert steward.error is not None
    words = "The worker b cannot reach the coordinator, which is at a, at a:1 (timed out); "
    assert words in steward.error["message"]


def with_workers(*places: str) -> tuple[Steward, list[Order]]:
    """All of them listen, at PLACE:2; and who is to look at whom."""
    steward = started(*places)
    orders: list[Order] = []
    for place in places:
        orders = steward.said(place, {"kind": "worker_listens", "address": f"{place}:2"}, 0.0)
    return steward, orders


def looked(look: Look, **unreached: str) -> dict[str, Any]:
    cut = {f"{place}:2": why for place, why in unreached.items()}
    return {"kind": "looked", "number": look.number, "unreached": cut}


def test_a_firewall_between_workers_is_named_when_both_are_there() -> None:
    steward, orders = with_workers("a", "b", "c")
    # Each has looked at those who came before it, and they look at it.
    assert orders == [Look("a", ("c:2",), 3), Look("b", ("c:2",), 4), Look("c", ("a:2", "b:2"), 5)]
    [ask] = steward.said("b", looked(orders[1], c="timed out"), 1.0)  # type: ignore[arg-type]
    assert isinstance(ask, Look)
    assert (ask.place, ask.addresses) == ("c", ("b:2",))
    # What c has looked at before proves nothing: it may have gone since.
    assert steward.said("c", looked(orders[2]), 1.1) == []  # type: ignore[arg-type]
    assert not steward.is_over
    assert steward.said("c", looked(ask), 1.2) == []
    assert steward.error is not None
    assert steward.error["type"] == "ConnectionError"
    assert "The worker b cannot reach the worker c at c:2 (timed out)" in steward.error["message"]
    assert 'ports="9500-9599"' in steward.error["message"]


def test_a_worker_that_is_lost_is_no_firewall() -> None:
    steward, _ = with_workers("a", "b")
    steward.said("a", looked(Look("a", (), 9), b="refused"), 1.0)
    steward.gone("b", 2.0)
    steward.came("b2", {}, 3.0)
    steward.said("b2", {"kind": "worker_listens", "address": "b:2"}, 3.0)
    steward.said("b2", looked(Look("b2", (), 99)), 4.0)
    assert not steward.is_over


def test_who_comes_behind_a_firewall_does_not_take_part() -> None:
    steward, _ = with_workers("a", "b")
    steward.said("a", progress(3), 1.0)
    steward.came("c", {}, 2.0)
    steward.said("c", {"kind": "worker_listens", "address": "c:2"}, 2.0)
    [ask] = steward.said("c", looked(Look("c", (), 7), b="timed out"), 3.0)
    assert isinstance(ask, Look)
    assert StopWorker("c") in steward.said("b", looked(ask), 4.0)
    assert "c does not take part: The worker c cannot reach the worker b" in steward.notes[-1]
    steward.said("c", {"kind": "worker_ended", "error": None}, 5.0)
    now, orders = 5.0, []
    while StartWorker("c", "a:1") not in orders:
        now += 5.0
        orders = steward.said("a", progress(int(now)), now)
    assert now == pytest.approx(4.0 + LIMITS.cut_off_seconds, abs=5.0)


def test_workers_look_again_when_nothing_moves() -> None:
    steward, _ = with_workers("a", "b")
    begin = 100.0
    steward.said("a", progress(7), begin)
    for second in range(1, int(LIMITS.still_seconds)):
        assert steward.said("a", progress(7), begin + second) == []
    orders = steward.said("a", progress(7), begin + LIMITS.still_seconds + 1)
    assert [(order.place, order.addresses) for order in orders if isinstance(order, Look)] == [
        ("a", ("b:2",)),
        ("b", ("a:2",)),
    ]


def test_of_many_workers_each_looks_at_some() -> None:
    places = [f"w{number}" for number in range(100)]
    steward = started(*places)
    looks: list[Look] = []
    for place in places:
        orders = steward.said(place, {"kind": "worker_listens", "address": f"{place}:2"}, 0.0)
        looks += [order for order in orders if isinstance(order, Look)]
    seen = {address for look in looks for address in look.addresses}
    assert seen == {f"{place}:2" for place in places}
    assert max(len(look.addresses) for look in looks) <= 32


def test_a_log_that_not_all_see_is_refused_at_the_start_alone() -> None:
    steward = started("a", "b")
    steward.came("c", {}, 1.0)
    steward.said("c", {"kind": "sees_log", "sees_log": False}, 1.0)
    assert not steward.is_over
    steward.said("b", {"kind": "sees_log", "sees_log": False}, 1.0)
    assert steward.error is not None
    assert "s3://" in steward.error["message"]


def test_too_little_memory_is_said_at_once_and_refused_soon() -> None:
    steward = started("a", "b")
    steward.said("a", progress(0, missing=5 << 20), 1.0)
    assert "5 MiB more memory" in steward.notes[-1]
    steward.said("a", progress(0, missing=5 << 20), 2.0 + LIMITS.memory_seconds)
    assert steward.error is not None
    assert steward.error["type"] == "MemoryError"


def test_a_refusal_ends_a_run_at_its_beginning_and_is_a_note_later() -> None:
    refusal = {"type": "ValueError", "message": "another version"}
    steward = started("a")
    steward.came("b", {"refusal": refusal}, 1.0)
    assert not steward.is_over
    assert "another version" in steward.notes[-1]
    early = Steward("run")
    early.begin(["a"], 0.0)
    early.came("a", {"refusal": refusal}, 0.0)
    assert early.error == refusal


def test_an_order_that_did_not_arrive_is_given_again() -> None:
    steward = started("a", "b")
    assert steward.order_failed(StartWorker("b", "a:1"), "no answer", 1.0) == []
    assert steward.tick(1.1 + LIMITS.again_seconds) == [StartWorker("b", "a:1")]
    steward.gone("a", 9.0)
    assert steward.order_failed(StartCoordinator("b", 2), "no answer", 9.0) == []
    assert steward.tick(9.1 + LIMITS.again_seconds) == [StartCoordinator("b", 3)]


def test_it_can_be_stopped() -> None:
    steward = started("a")
    steward.stop()
    assert steward.view()["state"] == "stopped"
    assert steward.tick(1.0) == []
