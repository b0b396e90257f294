"""Attackers from outside: processes of this machine that reach a system as its customers do, on every runtime."""

from __future__ import annotations

from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Fidelity, Plan
from chaoskit.runtimes.residue import RUN_MARK
from chaoskit.runtimes.supervision import Supervision, own_environment

JOB = "outsider"
_SAID = "; where a request comes from is what attackers and customers say, as an edge in front would"


def with_sources(found: tuple[Fidelity, ...], plan: Plan) -> tuple[Fidelity, ...]:
    """What stands for each service, and of those that are attacked from outside whose word an address is."""
    return said_of_attacked(found, plan, "outsiders", _SAID)


def said_of_attacked(
    found: tuple[Fidelity, ...], plan: Plan, capability: str, words: str
) -> tuple[Fidelity, ...]:
    """What stands for each service, with `words` at those on which a fault is that requires `capability`."""
    attacked = {
        target
        for step in plan.steps
        if step.kind == "fault" and capability in step.requires
        for target in step.on
    }
    return tuple(
        one.model_copy(update={"what": one.what + words}) if one.service in attacked else one for one in found
    )


class OutsideProcesses:
    """Capability `outsiders`. The supervisor is the parent of each, so that none outlives the run."""

    def __init__(self, supervision: Supervision, logs: Path) -> None:
        self._supervision = supervision
        self._logs = logs
        self._begun: set[str] = set()

    async def begin(self, name: str, argv: tuple[str, ...], stdin: bytes) -> None:
        """As the protocol says; its output goes to logs/<name>.log of the run folder."""
        scratch = self._supervision.record.scratch
        if name in self._begun and await self._supervision.call("tree", name=f"{JOB}:{name}"):
            raise EnvironmentBroken(f"the attack {name} still goes on: let it end before another of its kind")
        self._begun.add(name)
        await self._supervision.run(
            f"{JOB}:{name}",
            JOB,
            argv,
            env={**own_environment(), RUN_MARK: scratch},
            cwd=Path(scratch),
            log=self._logs / f"{name}.log",
            stdin=stdin,
        )

    async def end(self, name: str) -> None:
        """As the protocol says."""
        if name in self._begun:
            await self._supervision.call("kill", name=f"{JOB}:{name}")

    async def busy(self) -> bool:
        """As the protocol says; by what the supervisor sees of them, not by what they say."""
        trees = [await self._supervision.call("tree", name=f"{JOB}:{name}") for name in tuple(self._begun)]
        return any(trees)
