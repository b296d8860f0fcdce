# SPDX-License-Identifier: Apache-2.0
"""Peers: whether those who work in a run can reach one another, and who cannot whom.

Pure, as the steward is, whose part it is. Each place is asked to look at some of the others, in
either direction; what it cannot reach is only suspected until the other one, asked after that, has
said that it is there: a place that is lost is no firewall.

    peers.listens("a", "10.0.0.1:4000")
    for look in peers.due(): ...             # Look("a", ("10.0.0.2:4000",), number=1)
    cuts, looks = peers.looked("a", 1, {"10.0.0.2:4000": "timed out"})
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Firewalls know machines and ports, so that some of many places tell of all.
PEERS_MAX = 32


@dataclass(frozen=True)
class Look:
    """Let a place see whether it can connect to these."""

    place: str
    addresses: tuple[str, ...]  # HOST:PORT
    number: int


@dataclass(frozen=True)
class Cut:
    """One place cannot reach another one, though both are there."""

    source: str
    target: str
    address: str
    why: str


@dataclass
class Peers:
    _addresses: dict[str, str] = field(default_factory=dict)  # by place
    _looked_at: dict[str, set[str]] = field(default_factory=dict)
    _suspected: list[tuple[int, Cut]] = field(default_factory=list)  # since which look
    _number: int = 0
    _has_changed: bool = False

    def listens(self, place: str, address: str) -> None:
        self.gone(place)
        self._addresses[place] = address
        self._has_changed = True

    def has(self, place: str) -> bool:
        """Whether it has said where it listens."""
        return place in self._addresses

    def gone(self, place: str) -> None:
        self._addresses.pop(place, None)
        self._looked_at.pop(place, None)
        self._suspected = [
            (number, cut)
            for number, cut in self._suspected
            if place not in (cut.source, cut.target)
        ]

    def look_again(self) -> None:
        """At everybody, for what could be reached may be cut off by now."""
        self._looked_at.clear()
        self._has_changed = True

    def due(self) -> list[Look]:
        """Who is to look at whom that it has not looked at: the next ones, as in a ring."""
        if not self._has_changed:
            return []
        self._has_changed = False
        places = list(self._addresses)
        ring = places * 2
        looks = []
        for at, place in enumerate(places, start=1):
            known = self._looked_at.setdefault(place, set())
            others = ring[at : at + min(PEERS_MAX, len(places) - 1)]
            addresses = tuple(
                self._addresses[other] for other in others if self._addresses[other] not in known
            )
            if addresses:
                known.update(addresses)
                looks.append(self._look(place, addresses))
        return looks

    def looked(
        self, place: str, number: int, unreached: Mapping[str, str]
    ) -> tuple[list[Cut], list[Look]]:
        """What a look has shown; returns what is certain by now, and who is to look next."""
        certain = [cut for since, cut in self._suspected if cut.target == place and number >= since]
        self._suspected = [each for each in self._suspected if each[1] not in certain]
        looks: list[Look] = []
        by_address = {address: place for place, address in self._addresses.items()}
        for address, why in unreached.items():
            target = by_address.get(address)
            if target is None or place not in self._addresses:
                continue
            looks.append(self._look(target, (self._addresses[place],)))
            self._suspected.append((self._number, Cut(place, target, address, why)))
        return certain, looks

    def _look(self, place: str, addresses: tuple[str, ...]) -> Look:
        self._number += 1
        return Look(place, addresses, self._number)
