"""A change of the links that is interrupted: what its thread meets afterwards is told to nobody."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.services import Attachment
from chaoskit.runtimes.docker.toxiproxy_server import ToxiproxyServer
from chaoskit.toxiproxy.errors import ServerUnreachable


def test_failure_after_the_interrupt_is_no_traceback_on_the_terminal() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def change() -> None:
        begun.set()
        go_on.wait(10)
        raise ServerUnreachable("no answer")

    async def nothing() -> None:
        """Unblocks nothing."""

    told: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        server = ToxiproxyServer(
            cast(Engine, None),
            "proxy",
            {},
            (Attachment("net"),),
            lambda _: None,
            lambda *_: None,
            lambda *_: None,
        )
        changing = asyncio.ensure_future(server._unblocked(change, nothing))
        await asyncio.to_thread(begun.wait, 10)
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
        go_on.set()
        await asyncio.to_thread(server._threads.shutdown)

    asyncio.run(main())
    assert not told
