"""A small registry: one member of each shape, so that spec and planner are tested without the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.model.plan import Fidelity, Plan
from chaoskit.quantity import Duration
from chaoskit.registry import Kind


@dataclass(frozen=True)
class Kill:
    """Kills a service's processes."""

    requires: ClassVar[frozenset[str]] = frozenset({"processes", "links"})
    targets: ClassVar[Literal["service", "link"]] = "service"


@dataclass(frozen=True)
class Latency:
    """Delays a link."""

    latency: Annotated[Duration, Field(description="added to every byte")]
    jitter: Annotated[Duration | None, Field(description="spread")] = None
    stream_side: Annotated[Literal["up", "down"], Field(description="which way")] = "up"
    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "link"


@dataclass(frozen=True)
class Cut:
    """Cuts a link."""

    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "link"


@dataclass(frozen=True)
class RollOut:
    """Rolls a release out."""

    requires: ClassVar[frozenset[str]] = frozenset({"releases"})
    targets: ClassVar[Literal["service", "link", "release"]] = "release"


@dataclass(frozen=True)
class Promote:
    """Promotes a standby."""

    catch_up: Annotated[Duration | None, Field(description="wait for a lull")] = None
    requires: ClassVar[frozenset[str]] = frozenset({"links"})


@dataclass(frozen=True)
class Alive:
    """Looks whether a service is fit."""

    lag: Annotated[Duration | None, Field(description="how late it may be")] = None

    def prepare(self, target: str, system: Any) -> tuple[()]:
        if target == "app":
            raise ValueError("app is no database")
        return ()


class FakeRegistry:
    """What the module `chaoskit.registry` offers, with members of this file only."""

    def members(self, kind: Kind) -> Mapping[str, type]:
        known: dict[str, dict[str, type]] = {
            "faults": {
                "process.kill": Kill,
                "link.latency": Latency,
                "link.cut": Cut,
                "upgrade.roll-out": RollOut,
            },
            "responses": {"promote-standby": Promote},
            "probes": {"alive": Alive},
            "checks": {"books-balance": object, "nothing-lost": object},
        }
        return known.get(kind, {})


class FakeRuntime:
    """A runtime of processes that offers what it is told."""

    name = "local"
    wires_by_environment = True

    def __init__(self, *capabilities: str) -> None:
        self.capabilities = frozenset(capabilities or ("processes", "lifecycle", "links"))

    def fidelity(self, plan: Plan) -> tuple[Fidelity, ...]:
        return tuple(Fidelity(service=name, kind="real", what="itself") for name in plan.system.services)
