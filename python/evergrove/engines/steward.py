# SPDX-License-Identifier: Apache-2.0
"""Steward: decides where a run's coordinator and workers are, as an engine's workers come and go.

A state machine: what happened goes in with the time, orders come out, and an engine carries them
out. It imports orders.py, peers.py and costs.py alone, for it may live where Evergrove is not
installed, and it holds nothing that grows with the rows.

    steward = Steward(run_id, Limits())
    orders = steward.begin(["tcp://10.0.0.1:4000"], now)
    orders = steward.came("tcp://10.0.0.1:4000", {"label": "worker 3"}, now)
    orders = steward.said("tcp://10.0.0.1:4000", {"kind": "listening", ...}, now)

A place is one of the engine's workers, by a name that no other has ever had. News are plain dicts:
what host.py says of the coordinator carries the attempt that it belongs to, so that one that was
given up can say nothing any more (and its log refuses it: another has taken a later epoch).
"""

from dataclasses import dataclass, field
from typing import Any

from evergrove.engines.costs import Costs
from evergrove.engines.orders import (
    DrainWorker,
    Limits,
    MoveWorker,
    Order,
    StartCoordinator,
    StartWorker,
    StopWorker,
)
from evergrove.engines.peers import Cut, Peers

# The exceptions that a run ends with at once, wherever its coordinator is; others are tried again.
FINAL_ERRORS = ("ValueError", "TypeError", "FileNotFoundError", "RuntimeError", "MemoryError")
NOTES_MAX = 10_000


@dataclass
class Place:
    label: str = ""  # for people
    is_early: bool = False  # was there when the run began
    sees_log: bool | None = None  # None: not looked for yet
    has_worker: bool = False
    is_leaving: bool = False
    worker_failures: int = 0
    worker_again_at: float = 0.0


@dataclass
class Steward:
    run_id: str
    limits: Limits = field(default_factory=Limits)
    ports: str = ""  # that coordinator and workers listen at, FIRST-LAST; empty: any
    state: str = "waiting"  # waiting, running, finished, failed, stopped
    error: dict[str, str] | None = None  # {"type": ..., "message": ...}
    model: bytes = b""
    places: dict[str, Place] = field(default_factory=dict)
    attempt: int = 0
    coordinator_place: str = ""
    coordinator_address: str = ""  # empty: it does not listen (yet)
    own_log: str = ""  # a folder that is to go with the run
    progress: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost_count: int = 0  # places that went away while they worked

    _early: set[str] = field(default_factory=set)
    _expected: set[str] = field(default_factory=set)  # of these, who has not come yet
    _began_at: float = 0.0
    _alone_since: float | None = None
    _heard_at: float = 0.0
    _again_at: float = 0.0
    _failures: int = 0
    _iteration_at_failure: int = -1
    _short_since: float | None = None
    _costs: Costs = field(default_factory=Costs)
    _peers: Peers = field(default_factory=Peers)
    _moved_at: float = 0.0
    _connects_until: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.state in ("finished", "failed", "stopped")

    # What happens.

    def begin(self, places: list[str], now: float) -> list[Order]:
        """These places are there, and will say that they came."""
        self._early, self._expected = set(places), set(places)
        self._began_at = now
        return self._decide(now)

    def came(self, place: str, facts: dict[str, Any], now: float) -> list[Order]:
        """A place can work, or says why it cannot ("refusal", in words)."""
        is_early = place in self._early
        self._expected.discard(place)
        if self.is_over:
            return []
        label = str(facts.get("label") or place)
        refusal = facts.get("refusal")
        if refusal is None:
            self.places[place] = Place(label=label, is_early=is_early)
        elif is_early:
            self._fail(refusal["type"], refusal["message"])
        else:
            self._note(f"{label} does not take part: {refusal['message']}")
        return self._decide(now)

    def gone(self, place: str, now: float) -> list[Order]:
        """A place is lost, or has left."""
        self._expected.discard(place)
        was = self.places.pop(place, None)
        self._peers.gone(place)
        if was is None or self.is_over:
            return self._decide(now)
        if was.has_worker and not was.is_leaving:
            self.lost_count += 1
        self._note(f"{was.label} {'has left' if was.is_leaving else 'is gone'}")
        if place == self.coordinator_place:
            self._lose_coordinator(f"its host {was.label} is gone", now)
        return self._decide(now)

    def retires(self, place: str, now: float) -> list[Order]:
        """A place is about to leave in good order."""
        found = self.places.get(place)
        if found is None or found.is_leaving or self.is_over:
            return []
        found.is_leaving = True
        self._note(f"{found.label} leaves")
        orders: list[Order] = [DrainWorker(place)] if found.has_worker else []
        return orders + self._decide(now)

    def stays(self, place: str, now: float) -> list[Order]:
        """A place that was about to leave does not."""
        found = self.places.get(place)
        if found is None or not found.is_leaving:
            return []
        found.is_leaving = False
        return self._decide(now)

    def said(self, place: str, news: dict[str, Any], now: float) -> list[Order]:
        """A host's news; see host.py."""
        if self.is_over or place not in self.places:
            return []
        kind = news["kind"]
        if kind == "sees_log":
            self._looked_for_log(place, bool(news["sees_log"]))
            return self._decide(now)
        if kind == "worker_listens":
            self._peers.listens(place, news["address"])
            return self._decide(now)
        if kind == "looked":
            return self._looked(place, news, now)
        if kind in ("worker_ended", "unreachable"):
            self._worker_said(place, news, now)
            return self._decide(now)
        if news.get("attempt") != self.attempt or place != self.coordinator_place:
            return []
        self._heard_at = now
        if kind == "listening":
            self.coordinator_address = news["address"]
            self._connects_until = self._connects_until or now + self.limits.connect_seconds
            self.own_log = news["own_log"]
            return self._moves() + self._decide(now)
        elif kind == "progress":
            if news["progress"].get("iteration", 0) != self._iterations():
                self._moved_at = now
            self._take_progress(news["progress"], now)
        elif kind == "note":
            self._note(news["text"])
        elif kind == "finished":
            self.model = news["model"]
            self._take_progress(news["progress"], now)
            for note in news["notes"]:
                self._note(note)
            self.state = "finished"
        elif kind == "failed":
            self._coordinator_failed(news["error"], now)
        return self._decide(now)

    def order_failed(self, order: Order, why: str, now: float) -> list[Order]:
        """An order did not reach its place; it is given again, unless the place goes."""
        if self.is_over:
            return []
        if isinstance(order, StartCoordinator) and order.attempt == self.attempt:
            self._lose_coordinator(f"it could not be started ({why})", now)
            self._again_at = now + self.limits.again_seconds
        elif isinstance(order, StartWorker) and order.place in self.places:
            found = self.places[order.place]
            found.has_worker = False
            found.worker_again_at = now + self.limits.again_seconds
        return self._decide(now)

    def tick(self, now: float) -> list[Order]:
        return self._decide(now)

    def stop(self, why: str = "The run was stopped") -> None:
        if not self.is_over:
            self.state = "stopped"
            self.error = {"type": "Stopped", "message": why}

    def view(self) -> dict[str, Any]:
        """What whoever watches is told."""
        workers = [place.label for place in self.places.values() if place.has_worker]
        return {
            "run_id": self.run_id,
            "state": self.state,
            "error": self.error,
            "progress": self.progress,
            "waits_for": self._waits_for(),
            "coordinator": self.coordinator_place,
            "attempt": self.attempt,
            "workers": workers,
            "lost": self.lost_count,
            "costs": self._costs.view(),
            "notes": list(self.notes),
        }

    # What follows.

    def _decide(self, now: float) -> list[Order]:
        if self.is_over:
            return []
        if not self._is_within_limits(now):
            return []
        orders: list[Order] = []
        if not self.coordinator_place and now >= self._again_at and not self._still_comes(now):
            orders += self._place_coordinator(now)
        if self.coordinator_address:
            orders += self._place_workers(now)
            if now > self._moved_at + self.limits.still_seconds:
                self._moved_at = now
                self._peers.look_again()
        return orders + self._peers.due()

    def _still_comes(self, now: float) -> bool:
        """Whether to wait for the answers of those who were there at the beginning."""
        return bool(self._expected) and now < self._began_at + self.limits.begin_seconds

    def _place_coordinator(self, now: float) -> list[Order]:
        candidates = [
            name
            for name, place in self.places.items()
            if place.sees_log is not False and not place.is_leaving
        ]
        if not candidates:
            return []
        self.attempt += 1
        # Who failed as a host is not asked next, if there is anybody else.
        self.coordinator_place = candidates[self._failures % len(candidates)]
        self.coordinator_address = ""
        self.state = "running"
        self._heard_at = now
        return [StartCoordinator(self.coordinator_place, self.attempt)]

    def _place_workers(self, now: float) -> list[Order]:
        orders: list[Order] = []
        for name, place in self.places.items():
            if place.has_worker or place.is_leaving or now < place.worker_again_at:
                continue
            place.has_worker = True
            orders.append(StartWorker(name, self.coordinator_address))
        return orders

    def _moves(self) -> list[Order]:
        return [
            MoveWorker(name, self.coordinator_address)
            for name, place in self.places.items()
            if place.has_worker
        ]

    def _looked_for_log(self, place: str, sees_log: bool) -> None:
        found = self.places[place]
        found.sees_log = sees_log
        if sees_log:
            return
        words = (
            f"The worker {found.label} does not see the folder of the log, so that the run could "
            "not go on there if its coordinator were lost; give log= a folder that all workers "
            "see, or an object store's URL, such as s3://bucket/run"
        )
        if found.is_early and not self._iterations():
            self._fail("ValueError", words)
        else:
            self._note(words)

    def _worker_said(self, place: str, news: dict[str, Any], now: float) -> None:
        found = self.places[place]
        found.has_worker = False
        limits = self.limits
        attempts_max = limits.worker_attempts_max
        # It may be that it could not even listen, or connect.
        is_connected = self._peers.has(place)
        self._peers.gone(place)
        error: dict[str, str] | None = news.get("error")
        if news["kind"] == "unreachable":
            if (
                news["address"] != self.coordinator_address
                or now > self._heard_at + limits.reach_heard_seconds
            ):
                return  # to one that is not there any more
            attempts_max = limits.reach_attempts_max
            whom = f"the coordinator, which is at {self._label(self.coordinator_place)},"
            words = self._words_of_cut(found.label, whom, news["address"], news["why"])
            error = {"type": "ConnectionError", "message": words}
        elif error is not None:
            error = {**error, "message": f"{found.label}: {error['message']}"}
        found.worker_failures = 0 if error is None else found.worker_failures + 1
        again_at = now + limits.again_seconds * 2 ** min(found.worker_failures, 5)
        found.worker_again_at = max(found.worker_again_at, again_at)
        if error is None:
            return
        self._note(error["message"])
        is_error = not self._iterations() or (not is_connected and self._still_connects(found, now))
        if found.worker_failures >= attempts_max and is_error:
            self._fail(error["type"], error["message"])

    def _still_connects(self, place: Place, now: float) -> bool:
        return place.is_early and now < self._connects_until

    def _looked(self, place: str, news: dict[str, Any], now: float) -> list[Order]:
        cuts, looks = self._peers.looked(place, news["number"], news["unreached"])
        orders: list[Order] = list(looks)
        for cut in cuts:
            orders += self._cut_off(cut, now)
        return orders + self._decide(now)

    def _cut_off(self, cut: Cut, now: float) -> list[Order]:
        """At the beginning it is an error; later on whoever came last does without the run."""
        if self.is_over or cut.source not in self.places or cut.target not in self.places:
            return []
        both = [self.places[cut.source], self.places[cut.target]]
        if not all(place.has_worker for place in both):
            return []
        words = self._words_of_cut(
            self._label(cut.source), f"the worker {self._label(cut.target)}", cut.address, cut.why
        )
        if all(self._still_connects(place, now) for place in both):
            self._fail("ConnectionError", words)
            return []
        last = max(cut.source, cut.target, key=list(self.places).index)
        found = self.places[last]
        found.worker_again_at = now + self.limits.cut_off_seconds
        self._peers.gone(last)
        self._note(f"{found.label} does not take part: {words}")
        return [StopWorker(last)]

    def _words_of_cut(self, source: str, target: str, address: str, why: str) -> str:
        advice = (
            f"the ports {self.ports}"
            if self.ports
            else 'all ports between the workers, or give ports="9500-9599" and open these'
        )
        return (
            f"The worker {source} cannot reach {target} at {address} ({why}); if a firewall is "
            f"between them, open {advice}"
        )

    def _label(self, place: str) -> str:
        return self.places[place].label if place in self.places else place

    def _coordinator_failed(self, error: dict[str, str], now: float) -> None:
        iterations = self._iterations()
        if iterations > self._iteration_at_failure:
            self._failures = 0
        self._iteration_at_failure = iterations
        self._failures += 1
        if error["type"] in FINAL_ERRORS or self._failures >= self.limits.attempts_max:
            self._fail(error["type"], error["message"])
            return
        self._lose_coordinator(error["message"], now)
        self._again_at = now + self.limits.again_seconds

    def _take_progress(self, progress: dict[str, Any], now: float) -> None:
        self.progress = progress
        workers = sum(place.has_worker for place in self.places.values())
        self._costs.progressed(progress, workers, now)

    def _lose_coordinator(self, why: str, now: float) -> None:
        self._costs.coordinator_lost(now)
        self._note(f"The coordinator is lost: {why}; another one goes on from the log")
        self.coordinator_place = ""
        self.coordinator_address = ""

    def _is_within_limits(self, now: float) -> bool:
        limits = self.limits
        if self.coordinator_place and now > self._heard_at + limits.silence_seconds:
            silent = self.coordinator_place
            why = f"nothing was heard of it for {limits.silence_seconds:.0f} s"
            self._lose_coordinator(why, now)
            # Not there again, if there is anybody else.
            if len(self.places) > 1:
                self.places[silent] = self.places.pop(silent)
        able = [place for place in self.places.values() if not place.is_leaving]
        if able or self._still_comes(now):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
            self._note("No worker is there; the run waits for one")
        elif now > self._alone_since + limits.wait_seconds:
            self._fail(
                "TimeoutError",
                f"No worker came for {limits.wait_seconds:.0f} s; start some, such as with "
                "cluster.scale(4), and train again with resume=True to go on from the log",
            )
            return False
        return self._has_memory(now)

    def _has_memory(self, now: float) -> bool:
        """Whether the workers can hold the rows, or may yet come to do so."""
        missing = int(self.progress.get("memory_bytes_missing", 0))
        everybody_joined = int(self.progress.get("workers", 0)) >= len(self.places)
        if missing == 0 or not everybody_joined:
            self._short_since = None
            return True
        limits = self.limits
        is_start = not self._iterations() and self.lost_count == 0
        if self._short_since is None:
            self._short_since = now
            self._note(
                "The workers cannot hold all rows; waits for workers with "
                f"{missing / 2**20:.0f} MiB more memory"
            )
        elif now > self._short_since + (limits.memory_seconds if is_start else limits.wait_seconds):
            self._fail(
                "MemoryError",
                "The workers' memory limits leave too little room for the rows; give the workers "
                f"more memory, or add workers ({missing / 2**20:.0f} MiB more are needed)",
            )
            return False
        return True

    def _iterations(self) -> int:
        return int(self.progress.get("iteration", 0))

    def _waits_for(self) -> str:
        if self.is_over:
            return ""
        if not self.places:
            return "waits for a worker"
        if not self.coordinator_address:
            return "waits for its coordinator"
        return str(self.progress.get("waits_for", ""))

    def _fail(self, kind: str, message: str) -> None:
        self.state = "failed"
        self.error = {"type": kind, "message": message}

    def _note(self, text: str) -> None:
        if len(self.notes) < NOTES_MAX:
            self.notes.append(text)
