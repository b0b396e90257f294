"""`python -m chaoskit.intruder.outside`: orders as JSON on stdin, what came of them as a line of JSON each on stdout.

{"host": "127.1.2.3", "port": 8080, "name": "gateway", "rate": 20, "within_s": 10, "count": 48, "method": "POST",
 "path": "/log-in", "attempts": [["198.51.100.1", {"user": "a"}, {…}]], "then": {"path": "/transfers", "json": {…}}}

Attempts are gone through in order, and again from the first until `count` were made or `within_s` is over. What lets
him in (2xx with a `token`) is used once for `then`. He ends by himself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections import Counter
from typing import Any

from chaoskit.engines.filling import filled
from chaoskit.intruder.caller import Caller

AT_ONCE = 32
"""Requests that may be on their way at a time: the bound of what he takes of the machine."""


class Attack:
    """One attack: a schedule, and as many callers as it takes to keep it."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._orders = orders
        self._free: list[Caller] = []
        self._places = asyncio.Semaphore(AT_ONCE)
        self.statuses: Counter[int] = Counter()

    async def run(self) -> None:
        """Until all were made, or the time is over."""
        orders, loop = self._orders, asyncio.get_running_loop()
        begun, attempts = loop.time(), orders["attempts"]
        async with asyncio.TaskGroup() as group:
            for number in range(orders["count"]):
                due = begun + number / orders["rate"]
                if due > begun + orders["within_s"]:
                    break
                await asyncio.sleep(due - loop.time())  # the schedule, not a wait for something
                await self._places.acquire()
                if loop.time() > begun + orders["within_s"]:
                    self._places.release()
                    break
                group.create_task(self._one(*attempts[number % len(attempts)]))

    async def _one(self, source: str, known: dict[str, str], body: Any) -> None:
        orders = self._orders
        caller = self._free.pop() if self._free else Caller(orders["host"], orders["port"], orders["name"])
        try:
            status, answer = await caller.ask(orders["method"], orders["path"], source, body)
            self.statuses[status] += 1
            if 200 <= status < 300 and isinstance(answer.get("token"), str):
                say("in", source=source, **known)
                if orders.get("then"):
                    await self._use(caller, source, {**known, **_texts(answer)})
        finally:
            self._free.append(caller)
            self._places.release()

    async def _use(self, caller: Caller, source: str, known: dict[str, str]) -> None:
        then = self._orders["then"]
        body = filled(then["json"], {**known, "key": str(uuid.uuid4())})
        status, _ = await caller.ask("POST", then["path"], source, body, token=known["token"])
        say("used", source=source, status=status)


def say(event: str, **facts: Any) -> None:
    """One line; `t` is CLOCK_MONOTONIC ns."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    print(json.dumps({"t": now, "event": event, **facts}), flush=True)


def _texts(answer: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in answer.items() if isinstance(value, str)}


def main() -> None:
    """Carry out the orders, and end."""
    attack = Attack(json.load(sys.stdin))
    say("begun")
    try:
        asyncio.run(attack.run())
    finally:
        say("over", statuses={str(status): count for status, count in sorted(attack.statuses.items())})


if __name__ == "__main__":
    main()
