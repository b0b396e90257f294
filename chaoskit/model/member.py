"""What an extension member is: one file, one frozen dataclass, its docstring its manual page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from chaoskit.model.estate import Estate
from chaoskit.model.lease import Undo
from chaoskit.model.system import System


@dataclass(frozen=True)
class Witness:
    """What something other than the injector saw. `seen_ns` is when the effect was first proven (f_hi)."""

    seen: bool
    seen_ns: int | None
    how: str


class Fault(Protocol):
    """Something broken on purpose. Fields are its YAML parameters.

    A class attribute `destroys_data = True` says that what was booked may be gone by it; a frozenset of parameters'
    names, that it may where one of them is given. The RTO of a journey with books then waits until they are right.

    The conductor calls, for each target: `baseline` (before anything is broken), `undo` (the data that is fsynced),
    `apply`, `witness`. A class attribute `watched = True` has the witness look from the instant at which `apply`
    begins, not from its end; `renewed = True` has no use for a baseline that is not from just before: processes of a
    service that was started anew since would be found dead without having been killed. A fault that needs something
    before the run starts says so by `prepare` (model.preparation). `undo_reach` says that its undo takes back every
    fault of its kind on the target ("kind"), or those with the same parameters ("alike"), or with the same value of one
    parameter (its name); `occupies(target, system)` what no second one may change beside it until one of the responses
    in `ended_by` is done. Planning refuses two steps that would.
    """

    requires: ClassVar[frozenset[str]]
    targets: ClassVar[Literal["service", "link", "release"]]

    async def baseline(self, target: str, estate: Estate) -> Any:
        """What the witness needs from before the fault: an open connection, a round-trip time. None if nothing."""
        ...

    async def undo(self, target: str, estate: Estate) -> Undo: ...

    async def apply(self, target: str, estate: Estate) -> None: ...

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        """Has its own deadline; seen=False after it."""
        ...


class ResponseContext(Protocol):
    """What a response may use besides the estate."""

    estate: Estate
    step: str

    def record(self, kind: str, **facts: Any) -> None:
        """Append a fact to the run's events."""
        ...

    def change(self) -> None:
        """Recovery has to hold from here on, as the system is changed only now: for one that waits after its begin."""
        ...

    async def supersede(self, service: str) -> None:
        """Fencing outranks undo: leases whose services include this one are never undone."""
        ...

    async def readmit(self, service: str) -> None:
        """It follows another member now: the fence is taken back, and COLLECT asks it as any other."""
        ...


class Response(Protocol):
    """A runbook step.

    A class attribute `recovers = False` says that nothing comes back by it alone (a diagnosis, a notice): leaving it
    out proves nothing. A method `check(on, system)`, if there is one, raises ValueError while planning for parameters
    that cannot work in this system, and `check_order(earlier)` where none of the steps that may have begun before
    it is one that it needs. `mends_books = True`: the end of its run may be when the books are right again;
    `destroys_data = True`: what was booked may be gone by it, as by a restore.
    """

    requires: ClassVar[frozenset[str]]

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        """Raises ResponseFailed when it cannot do or prove what it is for."""
        ...


class ResponseFailed(Exception):
    """A response could not do, or not prove, what it is for. A failed step and a finding, never a crash of ours."""


@dataclass(frozen=True)
class Look:
    """One look of a detection probe."""

    ok: bool
    detail: str
    found: tuple[str, ...] = ()
    """What is wrong, one by one, where a probe can tell several things apart."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What a check needs of it, in the probe's own words."""


class Probe(Protocol):
    """Looks at a service during a run, directly, speaking its protocol: over and over to detect, or once as a step.

    Of the probes that fit a service the conductor takes the one that ranks highest, so that one of a user's own
    package can outrank those that come with chaoskit (sql 30, http 20, tcp 10). A class attribute `judged_by` names the
    check that judges what it sees as a step; a plan without that check says so.
    """

    @classmethod
    def fits(cls, system: System, service: str) -> int:
        """How well this probe fits the service: 0 if it does not speak its protocol, else its rank."""
        ...

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look: ...


def refuse_services(on: Sequence[str], instead: str) -> None:
    """For a response that acts on what something else names. Raises ValueError, while planning, for an `on:`."""
    if on:
        raise ValueError(f"`on: {', '.join(on)}` says nothing here: {instead}")
