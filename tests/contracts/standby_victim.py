"""A conductor of its own process that takes a lease, breaks a standby, says so, and waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chaoskit import registry
from chaoskit.model.estate import Address, Toxic
from chaoskit.model.lease import Lease
from chaoskit.model.parameters import build
from chaoskit.model.system import System
from chaoskit.toxiproxy.client import Toxiproxy


async def main(order: dict[str, Any]) -> None:
    """`order`: system, addresses, the proxies' API, fault, target, params and the file that the lease goes to."""
    proxies = Toxiproxy(*order["proxies"])

    async def add_toxic(link: str, toxic: Toxic) -> None:
        told = (toxic.type, toxic.stream, toxic.attributes, toxic.toxicity, toxic.name)
        await asyncio.to_thread(proxies.add_toxic, link, *told)

    async def ask(word: str, service: str) -> None:
        print(word, service, flush=True)
        if not await asyncio.to_thread(sys.stdin.readline):
            raise EOFError

    async def mirror(service: str, mode: str) -> tuple[str, ...]:
        return ()

    estate: Any = SimpleNamespace(
        plan=SimpleNamespace(system=System.model_validate_json(order["system"])),
        direct=lambda service: Address(*order["addresses"][service]),
        links=SimpleNamespace(add_toxic=add_toxic, mirror=mirror),
        lifecycle=SimpleNamespace(
            stop=lambda service: ask("stop", service), start=lambda service: ask("start", service)
        ),
    )
    fault = build(registry.member("faults", order["fault"]), order["params"])
    undo = await fault.undo(order["target"], estate)
    lease = Lease(id="1", run="r", step="s", target=order["target"], undo=undo)
    await asyncio.to_thread(Path(order["lease"]).write_text, lease.model_dump_json())
    await fault.apply(order["target"], estate)
    print("applied", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
