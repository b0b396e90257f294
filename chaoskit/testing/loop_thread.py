"""An event loop in a thread of its own, for synchronous code that has an estate running beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
WIND_DOWN_S = 30.0
"""What work that was given up may take to undo what it began."""


class LoopThread:
    """Lives until `close`; `run` may be called from any other thread, several at once."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        """Wait for `work`; TimeoutError after `within_s` seconds. Whatever interrupts the waiting (Ctrl-C, a test's own
        time limit) cancels the work, and it has wound down when this raises.
        """
        ended = threading.Event()

        async def bounded() -> T:
            try:
                async with asyncio.timeout(within_s):
                    return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(bounded(), self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                ended.wait(WIND_DOWN_S)
            raise

    def close(self) -> None:
        """Cancel what is left and end the thread; safe to repeat."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WIND_DOWN_S)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
