"""Runs real measurers against a small bank in this process, for the tests beside it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoskit.clock import monotonic_ns
from chaoskit.conductor.journal import JournalReader
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.plan import ProbeSchedule
from chaoskit.model.system import Between, Good, Journey, JourneyProbe, Pick, Pool, Population
from chaoskit.quantity import Duration, Money, Rate

ANSWER = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}"
WAIT_S = 30.0


@dataclass
class StubBank:
    """Answers what `status` says of a body; None never answers. `requests` are (arrival, body) in order."""

    status: Callable[[bytes], int | None] = lambda body: 201
    delay_s: float = 0.0
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    port: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.requests.append((monotonic_ns(), body))
                async with self.arrived:
                    self.arrived.notify_all()
                status = self.status(body)
                await asyncio.sleep(self.delay_s)
                if status is not None:
                    writer.write(ANSWER % status)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def received(self, count: int) -> None:
        """Until that many requests have come."""
        async with asyncio.timeout(WAIT_S), self.arrived:
            await self.arrived.wait_for(lambda: len(self.requests) >= count)


@asynccontextmanager
async def open_bank(bank: StubBank) -> AsyncIterator[StubBank]:
    server = await asyncio.start_server(bank.serve, "127.0.0.1", 0)
    bank.port = server.sockets[0].getsockname()[1]
    try:
        yield bank
    finally:
        server.close()


def journeys(within: str = "5s") -> dict[str, Journey]:
    good = Good(status=201, within=Duration.parse(within))
    return {
        "transfer": Journey(
            post="bank/transfers",
            json_={"id": "{key}", "from": "{payer}", "to": "{payee}", "amount": "{amount}"},
            draw={
                "payer": "accounts",
                "payee": Pick(from_="accounts", except_="payer"),
                "amount": Between(between=(Money.parse("1 EUR"), Money.parse("500 EUR"))),
            },
            books="ledger",
            good=good,
            probe=JourneyProbe(draw={"payer": "probes", "payee": Pick(from_="probes", except_="payer")}),
        ),
        "balance": Journey(get="bank/accounts/{account}", draw={"account": "accounts"}, good=good),
    }


POPULATION = Population(
    pools={"accounts": Pool(count=100, format="ACC-{n:05d}"), "probes": Pool(count=4, format="PRB-{n}")}
)


def task(folder: Path, port: int, *, within: str = "5s", lead_ns: int = 0, **changes: Any) -> MeasurerTask:
    """A load of 50 transfers a second, unless changed."""
    fields: dict[str, Any] = {
        "source": "load",
        "journeys": journeys(within),
        "rates": {"transfer": Rate.parse("50/s")},
        "population": POPULATION,
        "seed": 5,
        "targets": {"bank": ("127.0.0.1", port)},
        "start_at_ns": monotonic_ns() + lead_ns,
        "late_max": Duration.parse("10s"),
    } | changes
    return MeasurerTask(journal=folder / f"{fields['source']}.jsonl", **fields)


def probes(every: str, *names: str) -> dict[str, Any]:
    """What turns `task` into a prober's."""
    schedules = tuple(
        ProbeSchedule(journey=name, every=Duration.parse(every), phase_ns=n * 1_000_000)
        for n, name in enumerate(names)
    )
    return {"source": "prober", "rates": {}, "probes": schedules}


@dataclass
class Running:
    """A measurer's process and its journal."""

    process: asyncio.subprocess.Process
    reader: JournalReader

    async def ended(self) -> int:
        async with asyncio.timeout(WAIT_S):
            status = await self.process.wait()
        self.reader.poll()
        return status

    async def stop(self) -> int:
        self.process.terminate()
        return await self.ended()

    async def until(self, condition: Callable[[JournalReader], bool]) -> None:
        """Until the journal shows it; a file tells nobody when it grows, so it is looked at again."""
        async with asyncio.timeout(WAIT_S):
            while not condition(self.reader):
                await asyncio.sleep(0.01)
                self.reader.poll()


@asynccontextmanager
async def measurer(told: MeasurerTask) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"chaoskit.conductor.{told.source}", stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(told.model_dump_json().encode())
    process.stdin.close()
    try:
        yield Running(process, JournalReader(told.journal))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """One asynchronous test, with a deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())
