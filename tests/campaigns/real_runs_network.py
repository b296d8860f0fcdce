# SPDX-License-Identifier: Apache-2.0
"""Hosts of their own on one machine: network namespaces, and the cables and switch between them.

    with Network("a", seed=1, delay_seconds=0.002, loss=0.01) as network:
        host = network.add_host()
        process = subprocess.Popen([*host.command_prefix, "evergrove", ...])
        network.cut(host, into=True, out=False)      # a partition in one direction
        network.heal(host)
        network.wall(host, other, open_ports=[8786])  # a firewall

Each namespace has one interface, a TUN device whose other end is held here: a thread carries the
packets from one to the other after a delay, and drops some. It does what `tc netem` would, which
not every kernel has, and sees each packet, so that a partition may be in one direction. Needs root.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES_MAX = 9000
QUEUE_PACKETS_MAX = 4096


@dataclass(frozen=True)
class Host:
    namespace: str
    address: str
    device: int

    @property
    def command_prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.namespace]


def reason_not_possible() -> str:
    """Why hosts cannot be made here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    try:
        ip("netns", "list")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "needs the command ip, of iproute2"
    return ""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Network:
    """Requires: no two at once with the same tag (a few letters)."""

    def __init__(self, tag: str, seed: int, delay_seconds: float, loss: float) -> None:
        self.tag = tag
        self.delay_seconds = delay_seconds
        self.loss = loss
        self.carried = 0
        self.dropped = 0
        self._dice = random.Random(seed)
        self._hosts: list[Host] = []
        self._by_address: dict[bytes, Host] = {}
        self._cut: set[tuple[int, bool]] = set()  # (device, whether into the host)
        self._walls: dict[tuple[int, int], Container[int]] = {}  # by (from, to) device
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> "Network":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()
        for host in self._hosts:
            os.close(host.device)
            subprocess.run(["ip", "netns", "del", host.namespace], check=False)

    def add_host(self) -> Host:
        number = len(self._hosts) + 1
        name = f"eg{self.tag}{number}"
        address = f"10.77.0.{number}"
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        ip("netns", "add", name)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
        ip("link", "set", name, "netns", name)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "set", name, "mtu", str(PACKET_BYTES_MAX), "up")
        ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
        host = Host(name, address, device)
        self._by_address[bytes(map(int, address.split(".")))] = host
        self._hosts.append(host)
        return host

    def cut(self, host: Host, into: bool, out: bool) -> None:
        self._cut |= {(host.device, way) for way, is_cut in ((True, into), (False, out)) if is_cut}

    def heal(self, host: Host) -> None:
        self._cut -= {(host.device, True), (host.device, False)}

    def wall(self, source: Host, target: Host, open_ports: Container[int]) -> None:
        """Drops what asks for a connection at other ports, as a firewall does."""
        self._walls[source.device, target.device] = open_ports

    def _carry(self) -> None:
        under_way: list[tuple[float, int, Host, bytes]] = []
        while not self._ends.is_set():
            wait = under_way[0][0] - time.monotonic() if under_way else 0.05
            devices = [host.device for host in self._hosts]
            ready, _, _ = select.select(devices, [], [], min(0.05, max(0.0, wait)))
            for device in ready:
                for _ in range(64):
                    try:
                        packet = os.read(device, PACKET_BYTES_MAX + 64)
                    except BlockingIOError:
                        break
                    target = self._by_address.get(packet[16:20])
                    if target is None or not self._passes(device, target, len(under_way), packet):
                        self.dropped += 1
                        continue
                    due = time.monotonic() + self.delay_seconds
                    self.carried += 1
                    heapq.heappush(under_way, (due, self.carried, target, packet))
            now = time.monotonic()
            while under_way and under_way[0][0] <= now:
                _, _, target, packet = heapq.heappop(under_way)
                try:
                    os.write(target.device, packet)
                except OSError:
                    self.dropped += 1

    def _passes(self, source: int, target: Host, queued: int, packet: bytes) -> bool:
        if (source, False) in self._cut or (target.device, True) in self._cut:
            return False
        port = port_asked_for(packet)
        if port is not None and port not in self._walls.get((source, target.device), (port,)):
            return False
        return queued < QUEUE_PACKETS_MAX and self._dice.random() >= self.loss


def port_asked_for(packet: bytes) -> int | None:
    """Of a TCP packet over IPv4 that begins a connection."""
    is_tcp, header = packet[0] >> 4 == 4 and packet[9] == 6, (packet[0] & 15) * 4
    if not is_tcp or packet[header + 13] & 0x12 != 0x02:  # SYN without ACK
        return None
    return int.from_bytes(packet[header + 2 : header + 4])
