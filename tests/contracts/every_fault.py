"""The contract of every fault on a real runtime: `python -m tests.contracts.every_fault '{"runtime": …}'`.

for each case   undo made and kept ► nothing seen ► undone for nothing ► applied ► seen ► undone once ► undone again
for all         undo made and kept ► applied ► seen ► `held` … until somebody kills this process

One line of JSON on standard output for each clause of each case: {"case", "clause", "wrong"}; `wrong` is None where the
clause is kept. Nobody kills it before it says {"held": …}: what of each fault is on disk by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from chaoskit import pipeline, registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines import outside
from chaoskit.model.lease import Lease, NothingToUndo
from chaoskit.model.member import Fault, Witness
from chaoskit.model.parameters import build
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.record import write_durably
from tests.contracts.every_case import Case, cases, chain, plan
from tests.contracts.every_state import sql, state
from tests.contracts.responding import Context

CLAUSES = ("lease", "witness", "undo", "killed")
AT_ONCE = 3
"""Chains that are tried side by side; more would be slower each, and witnesses have deadlines."""
BACK_WITHIN_S = 15.0
LOOKS_IN_VAIN_S = 0.5
Tell = Callable[[Case, str, str | None], None]
State = Callable[[Case, Any], Awaitable[Any]]


def make(case: Case) -> Fault:
    fault: Fault = build(registry.member("faults", case.fault), case.params)
    return fault


class Kept:
    """Leases on disk, as the conductor keeps them."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.folder = state_directory() / "runs" / run / "leases"

    async def hold(self, case: Case, fault: Fault, estate: Any) -> Lease:
        """What is read back: nothing but what is on disk undoes a fault here."""
        undo = await fault.undo(case.target, estate)
        lease = Lease(id=case.id, run=self.run, step="s", target=case.target, undo=undo)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{case.id}.json"
        write_durably(path, lease.model_dump_json())
        return Lease.model_validate_json(path.read_text())

    async def inflict(self, case: Case, estate: Any) -> tuple[Lease, Witness, str | None]:
        """The lease, what was seen, and what is wrong with that."""
        fault = make(case)
        baseline = await fault.baseline(case.target, estate)
        lease = await self.hold(case, fault, estate)
        begun = monotonic_ns()
        await fault.apply(case.target, estate)
        seen = await fault.witness(case.target, estate, baseline)
        if not seen.seen:
            return lease, seen, f"not seen: {seen.how}"
        within = seen.seen_ns is not None and begun <= seen.seen_ns <= monotonic_ns()
        return lease, seen, None if within else f"seen at {seen.seen_ns}, begun at {begun}"


async def nothing_yet(case: Case, estate: Any, kept: Kept, state_of: State) -> tuple[str | None, str | None]:
    """What is wrong with the lease, and with the witness, while nothing is broken; undone all the same."""
    fault = make(case)
    before = await state_of(case, estate)
    baseline = await fault.baseline(case.target, estate)
    lease = await kept.hold(case, fault, estate)
    seen = await fault.witness(case.target, estate, baseline)
    await estate.undo(lease.undo)
    after = await state_of(case, estate)
    lease_wrong = None if lease.undo.steps else "no step: neither an undo nor why there is none"
    if after != before:
        lease_wrong = f"to make the undo, and to undo what was not done, changed {before} to {after}"
    return lease_wrong, f"seen where nothing was done: {seen.how}" if seen.seen else None


async def there_and_back(
    case: Case, estate: Any, kept: Kept, state_of: State
) -> tuple[str | None, str | None]:
    """What is wrong with the witness, and with an undo that is repeated."""
    before = await state_of(case, estate)
    lease, _, wrong = await kept.inflict(case, estate)
    why = [step.why for step in lease.undo.steps if isinstance(step, NothingToUndo)]
    await estate.undo(lease.undo)
    once = await settled(case, estate, state_of, None if why else before)
    if once != before and not why:
        return wrong, f"undone, it is {once}, was {before}, and the lease does not say why"
    for _ in range(2):
        await estate.undo(lease.undo)
    again = await settled(case, estate, state_of, once)
    return wrong, None if again == once else f"undone once it is {once}, undone again {again}"


async def settled(case: Case, estate: Any, state_of: State, wanted: Any) -> Any:
    """The state once it is as wanted, or once it stands still, if nothing is; the last one after a time."""
    deadline = monotonic_ns() + int(BACK_WITHIN_S * 1e9)
    last = None
    while (now := await state_of(case, estate)) != (last if wanted is None else wanted):
        if monotonic_ns() > deadline:
            break
        last = now
        await asyncio.sleep(0.2)  # nothing announces all of this
    return now


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Witnesses look for a short time where nothing was done; how long they look is not what is tried."""
    modules = {sys.modules[one.__module__] for one in registry.members("faults").values()} | {outside}
    before = {one: one._WITHIN_S for one in modules if hasattr(one, "_WITHIN_S")}
    try:
        for one in before:
            one._WITHIN_S = LOOKS_IN_VAIN_S
        yield
    finally:
        for one, patience in before.items():
            one._WITHIN_S = patience


async def in_chains(every: list[Case], work: Callable[[Case], Awaitable[None]]) -> None:
    """Each case in its turn, side by side only with those of other targets. Those of what restarts a pair last."""
    places: dict[str, list[Case]] = {}
    for case in every:
        places.setdefault(chain(case), []).append(case)
    free = asyncio.Semaphore(AT_ONCE)

    async def one_place(here: list[Case]) -> None:
        for case in here:
            async with free:
                await work(case)

    async with asyncio.TaskGroup() as group:
        for here in places.values():
            group.create_task(one_place(here))


@contextlib.asynccontextmanager
async def used(estate: Any) -> AsyncIterator[None]:
    """Somebody goes on changing a row, so that old versions are swept away, and keeps the service busy that can be."""

    async def write() -> None:
        while True:
            await sql(estate, "db", "UPDATE hot SET n = n + 1", times=50)

    def ask(address: Any) -> None:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/ready")
            connection.getresponse().read()
        connection.close()

    async def keep_busy() -> None:
        while True:
            await asyncio.to_thread(ask, estate.direct("busy"))

    work = [write()] + ([keep_busy()] if "busy" in estate.plan.system.services else [])
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def fit_again(case: Case, estate: Any) -> None:
    """The target as it was, for a second time."""
    if case.again == "restart":
        await build(registry.member("responses", "restart-service"), {}).run([case.target], Context(estate))
    elif case.again:
        await sql(estate, "db", *case.again.split("; "))


async def hold_to_it(estate: Any, every: list[Case], tell: Tell, kept: Kept, state_of: State = state) -> None:
    """All clauses but the last."""

    async def first(case: Case) -> None:
        lease, witness = await nothing_yet(case, estate, kept, state_of)
        tell(case, "lease", lease)
        if witness is not None:
            tell(case, "witness", witness)

    async def second(case: Case) -> None:
        witness, undo = await there_and_back(case, estate, kept, state_of)
        tell(case, "witness", witness)
        tell(case, "undo", undo)
        await fit_again(case, estate)

    with impatient():
        await in_chains(every, guarded(first, tell))
    await in_chains(every, guarded(second, tell))


def guarded(work: Callable[[Case], Awaitable[None]], tell: Tell) -> Callable[[Case], Awaitable[None]]:
    """What a case crashes with is that case's, and costs no other its turn."""

    async def alone(case: Case) -> None:
        try:
            await work(case)
        except Exception as error:  # noqa: BLE001 - told
            tell(case, "undo", f"{type(error).__name__}: {error}")

    return alone


async def main(order: dict[str, Any], tell: Tell) -> None:
    """`order`: runtime, folder, run, and `whole`: whether every clause is tried before all is held."""
    runtime = pipeline.runtime(order["runtime"])
    folder, run = Path(order["folder"]), order["run"]
    every, kept = cases(runtime.capabilities, runtime.name), Kept(run)
    made = plan(folder / "system", runtime.name, runtime.capabilities)
    estate: Any = await runtime.provision(made, run, folder / "reports" / run)
    held: dict[str, str] = {}

    async def hold(case: Case) -> None:
        _, seen, wrong = await kept.inflict(case, estate)
        held[case.id] = wrong or seen.how

    async with used(estate):
        if order["whole"]:
            await hold_to_it(estate, every, tell, kept)
        await in_chains(every, guarded(hold, tell))
        print(json.dumps({"held": held}), flush=True)
        await asyncio.Event().wait()


def _tell(case: Case, clause: str, wrong: str | None) -> None:
    print(json.dumps({"case": case.id, "clause": clause, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), _tell))
