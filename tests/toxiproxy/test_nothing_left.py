"""The embedded server leaves nothing of a connection to the collector, which is off where its pause holds up links."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from chaoskit.toxiproxy.server.collection import ProxyCollection
from chaoskit.toxiproxy.server.proxy import World

PATIENCE_S = 20
LAID: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "silence": [
        {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": attributes}
        for stream in ("upstream", "downstream")
        for kind, attributes in (("timeout", {"timeout": 0}), ("slow_close", {"delay": 2**31 - 1}))
    ],
    "latency": [{"name": "slow", "type": "latency", "attributes": {"latency": 60_000}}],
    "bandwidth": [{"name": "thin", "type": "bandwidth", "stream": "upstream", "attributes": {"rate": 1}}],
}


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        writer.write(await reader.read(100))
        await reader.read()
    writer.close()


async def _left_after(toxics: list[dict[str, Any]], first_to_go: str) -> int:
    """Connections that are over and still in memory, of ten."""
    callee = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = callee.sockets[0].getsockname()[1]
    proxies = ProxyCollection(World(1))
    proxy = await proxies.create({"name": "a", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}"})
    for toxic in toxics:
        proxies.add_toxic("a", toxic)
    clients = [await asyncio.open_connection(*proxy.listen.rsplit(":", 1)) for _ in range(10)]
    for _, writer in clients:
        writer.write(b"anybody?" * 1000)
    async with asyncio.timeout(PATIENCE_S):
        while len(proxy.connections) < 10 or not all(one.upstream.transport for one in proxy.connections):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    kept = [weakref.ref(one) for one in proxy.connections]
    if first_to_go == "the callers":
        for _, writer in clients:
            writer.close()
        for name in [toxic["name"] for toxic in toxics]:
            proxies.remove_toxic("a", name)
    else:
        proxy.close_connections()
    async with asyncio.timeout(PATIENCE_S):
        while proxy.connections:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
    await asyncio.sleep(0)  # whoever told it has returned
    proxies.stop()
    callee.close()
    return sum(one() is not None for one in kept)


@pytest.mark.parametrize("first_to_go", ["the callers", "the proxy"])
@pytest.mark.parametrize("laid", LAID)
def test_a_connection_that_is_over_is_gone_at_once(laid: str, first_to_go: str) -> None:
    assert uvloop.run(_left_after(LAID[laid], first_to_go)) == 0
