"""What must exist before a run starts so that a fault can happen in it, as data of the plan; in control runs too."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.system import System


class DiskPreparation(Frozen):
    """The folder `path` of a service lies on a disk of its own, `size` bytes large, made for the run and gone with it.

    It takes the place of the volume that the Compose file mounts there, if any, and begins as that would: with what
    the image holds at that path.
    """

    op: Literal["disk"] = "disk"
    service: str
    path: str
    size: int


class ClockPreparation(Frozen):
    """The service's programs read the wall clock through libfaketime, which shows the real time until it is moved."""

    op: Literal["clock"] = "clock"
    service: str


Preparation = Annotated[DiskPreparation | ClockPreparation, Field(discriminator="op")]


class Preparing(Protocol):
    """A fault that needs something before the start. The planner asks every fault that has this method."""

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Pure. Two faults that ask for one thing must ask for the same; ValueError if the target cannot have it."""
        ...


def merged(wanted: tuple[Any, ...]) -> tuple[Any, ...]:
    """Each preparation once, the largest of several disks at one place. Order of first mention."""
    found: dict[tuple[str, str, str], Any] = {}
    for one in wanted:
        key = (one.op, one.service, getattr(one, "path", ""))
        other = found.get(key)
        if other is None or getattr(one, "size", 0) > getattr(other, "size", 0):
            found[key] = one
    return tuple(found.values())
