# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy before an object store's server, that makes its puts slow or lets them go wrong.

    with slow_proxy(server.port, put_seconds=0.05) as proxy:
        evergrove("train", ..., env=S3Server(proxy.port).environment)

It forwards bytes as they are; requests are told apart by their heads, so that only puts are
disturbed. The Host header stays the proxy's own address, which is what was signed.
"""

import asyncio
import random
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


@dataclass
class Proxy:
    """What it is to do, which may be changed while it runs, and what it saw."""

    server_port: int
    put_seconds: float = 0.0
    fail_share: float = 0.0  # of the puts: answered 503, and not done
    lose_share: float = 0.0  # of the puts: done, and the connection closed without an answer
    seed: int = 0
    port: int = 0
    puts: int = 0
    in_flight: int = 0
    in_flight_most: int = 0
    faults: random.Random = field(default_factory=random.Random)

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server = None
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
            while True:
                head = await client.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await client.readexactly(int(length[1])) if length else b""
                is_put = head.startswith(b"PUT ") and b"if-none-match" in head.lower()
                if not is_put:
                    await self.forward(head, body, server, to_server, back)
                    continue
                self.puts += 1
                self.in_flight += 1
                self.in_flight_most = max(self.in_flight_most, self.in_flight)
                try:
                    await asyncio.sleep(self.put_seconds)
                    draw = self.faults.random()
                    if draw < self.fail_share:
                        back.write(
                            b"HTTP/1.1 503 Slow Down\r\nContent-Length: 30\r\n\r\n"
                            b"<Error><Code>SlowDown</Code>.."
                        )
                        await back.drain()
                        continue
                    is_lost = draw < self.fail_share + self.lose_share
                    await self.forward(head, body, server, to_server, None if is_lost else back)
                    if is_lost:
                        break
                finally:
                    self.in_flight -= 1
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # one of the ends has gone
        finally:
            back.close()
            if server is not None:
                to_server.close()

    async def forward(
        self,
        head: bytes,
        body: bytes,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        back: asyncio.StreamWriter | None,
    ) -> None:
        """Sends a request on, and its answer back; None: the answer is lost."""
        to_server.write(head + body)
        await to_server.drain()
        answer = await server.readuntil(b"\r\n\r\n")
        length = LENGTH.search(answer)
        content = b""
        if length and not head.startswith(b"HEAD "):
            content = await server.readexactly(int(length[1]))
        elif b"transfer-encoding: chunked" in answer.lower():
            while True:
                line = await server.readuntil(b"\r\n")
                content += line
                content += await server.readexactly(int(line, 16) + 2)
                if int(line, 16) == 0:
                    break
        if back is not None:
            back.write(answer + content)
            await back.drain()


@contextmanager
def slow_proxy(
    server_port: int, tls: ssl.SSLContext | None = None, **what: float
) -> Iterator[Proxy]:
    """Runs a proxy on a port of its own until the end of the block; it speaks TLS if asked."""
    proxy = Proxy(server_port, **what)  # type: ignore[arg-type]
    proxy.faults.seed(proxy.seed)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls))
    proxy.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
