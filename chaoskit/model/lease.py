"""A lease: what must be undone, as data, on disk before the fault is applied."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaoskit.model.base import Frozen


class ProcessRef(Frozen):
    """A process by pid and start time (clock ticks since boot, /proc/<pid>/stat field 22); never by pid alone."""

    pid: int
    start: int


ProcessState = Literal["running", "stopped", "dying", "gone"]


class SignalUndo(Frozen):
    """Send SIGCONT to these processes, each only if its start time still fits, and to all that descend from them:
    a server may have forked between the lease and the stop."""

    op: Literal["signal.cont"] = "signal.cont"
    processes: tuple[ProcessRef, ...]


class LinkUndo(Frozen):
    """Enable the link again."""

    op: Literal["link.enable"] = "link.enable"
    link: str


class ToxicUndo(Frozen):
    """Remove one toxic from a link; missing is fine."""

    op: Literal["toxic.remove"] = "toxic.remove"
    link: str
    toxic: str


class MirrorUndo(Frozen):
    """Bring a callee's inbound links back once it listens again; not before, and never if the service is fenced."""

    op: Literal["mirror.release"] = "mirror.release"
    service: str


class LimitUndo(Frozen):
    """Give a service's containers the share back that the Compose file gives them."""

    op: Literal["limit.lift"] = "limit.lift"
    service: str
    resource: Literal["cpu", "memory"]


class DiskUndo(Frozen):
    """Give back the space, or the speed, of a disk that the run made for a service."""

    op: Literal["disk.restore"] = "disk.restore"
    service: str
    path: str
    what: Literal["space", "speed"]


class PartitionUndo(Frozen):
    """Take the packet filter's chains of that name out of the network of the service and of the others."""

    op: Literal["network.join"] = "network.join"
    service: str
    others: tuple[str, ...] = ()
    name: str


class ClockUndo(Frozen):
    """Show the service the machine's time again."""

    op: Literal["clock.restore"] = "clock.restore"
    service: str


class ReportUndo(Frozen):
    """End the reports that hold up a standby's replay; none left is fine."""

    op: Literal["report.end"] = "report.end"
    service: str


class IntruderUndo(Frozen):
    """End the program that was put in a service's place; what it did to the system's data stays done."""

    op: Literal["intruder.end"] = "intruder.end"
    name: str


class ReleaseUndo(Frozen):
    """Halt the roll-out, and start the service with the release that it ran before it (None: as the files have it)."""

    op: Literal["release.restore"] = "release.restore"
    service: str
    release: str | None


class SchemaUndo(Frozen):
    """Halt the roll-out, and take the release's migration back, if it has been run."""

    op: Literal["schema.down"] = "schema.down"
    release: str


class HostRulesUndo(Frozen):
    """Give a database server its host rules (pg_hba.conf) back, word for word."""

    op: Literal["host-rules.restore"] = "host-rules.restore"
    service: str
    text: str


class SettingUndo(Frozen):
    """Give a database server the value back that postgresql.auto.conf had for a setting; None: it had none."""

    op: Literal["setting.restore"] = "setting.restore"
    service: str
    name: str
    value: str | None


class RaisedLimitUndo(Frozen):
    """Give a primary, and then its standby, the value back that postgresql.auto.conf had for a limit (None: it had
    none), with the restarts that this takes; where both have it already, nothing."""

    op: Literal["limit.lower"] = "limit.lower"
    service: str
    standby: str
    name: str
    value: str | None
    standby_value: str | None


class NothingToUndo(Frozen):
    """The effect, or this part of it, cannot be undone; says why. `dies`: the target ends by it, so that its end is the
    fault's doing; changed rows stay changed as well, and whoever holds them goes on."""

    op: Literal["none"] = "none"
    why: str
    dies: bool = True


MeansUndo = LimitUndo | DiskUndo | PartitionUndo | ClockUndo
"""What `model.means` is undone by."""

DatabaseUndo = ReportUndo | HostRulesUndo | SettingUndo | RaisedLimitUndo
"""What `engines.database_undo` asks a member of a database role to undo, on every runtime."""

UndoStep = Annotated[
    SignalUndo
    | LinkUndo
    | ToxicUndo
    | MirrorUndo
    | ReleaseUndo
    | SchemaUndo
    | NothingToUndo
    | IntruderUndo
    | MeansUndo
    | DatabaseUndo,
    Field(discriminator="op"),
]


class Undo(Frozen):
    """Steps in order; safe to run zero, one or many times."""

    steps: tuple[UndoStep, ...]


class Lease(Frozen):
    """One fault on one target. `services` are those it makes unavailable, so that a fence can supersede it."""

    id: str
    run: str
    step: str
    target: str
    undo: Undo
    services: tuple[str, ...] = ()
    state: Literal["held", "undone", "superseded"] = "held"
