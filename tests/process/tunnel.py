# SPDX-License-Identifier: Apache-2.0
"""A way to a scheduler as `kubectl port-forward` and `ssh -L` make it: from a port on loopback.

with tunnel("tcp://10.0.0.5:8786") as near:
    client = Client(near)      # tcp://127.0.0.1:PORT
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def tunnel(far: str) -> Iterator[str]:
    host, _, port = far.partition("://")[2].rpartition(":")

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(1 << 16):
                target.write(piece)
                await target.drain()
        except ConnectionError:
            pass  # one of the ends has gone
        finally:
            target.close()

    async def connect(source: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            answers, target = await asyncio.open_connection(host, int(port))
        except OSError:
            back.close()
            return
        await asyncio.gather(carry(source, target), carry(answers, back))

    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(connect, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
