"""Capability `releases`: which release of its code and settings each service runs, and the schema's migrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, cast

from chaoskit.model.estate import Estate

Way = Literal["up", "down", "finish"]
"""Which of a migration's scripts."""


class UnderWay(Protocol):
    """A roll-out that was begun.

    `over`: the release that it was put over as a fix; None: it was put over what was there. `changed` are the services
    that it has changed so far, and `before` what each ran.
    """

    @property
    def name(self) -> str: ...

    @property
    def over(self) -> str | None: ...

    @property
    def changed(self) -> Sequence[str]: ...

    @property
    def before(self) -> Mapping[str, str | None]: ...

    async def halt(self) -> None:
        """Begin no further change, and wait until the one that has begun is over."""
        ...

    async def drop(self) -> None:
        """End it in the middle of what it does."""
        ...


class Releases(Protocol):
    """What a roll-out and its undo use; every call may be repeated."""

    @property
    def begun(self) -> list[UnderWay]:
        """The roll-outs of the run so far, in order; whoever begins one adds it."""
        ...

    def running(self, service: str) -> str | None:
        """The release that the service was started with last; None: as the system's files have it."""
        ...

    def migrated(self, release: str) -> bool:
        """Whether the release's migration has been run, and not been taken back."""
        ...

    async def change(self, service: str, release: str | None) -> None:
        """Stop the service and start it with that release; nothing if it runs that already.

        Raises EnvironmentBroken when it does not come up.
        """
        ...

    async def migrate(self, release: str, way: Way) -> None:
        """Run the release's migration, take it back, or finish it; nothing if that is done, or there is none.

        Raises EnvironmentBroken when the database refuses it.
        """
        ...


class Upgradable(Estate, Protocol):
    """An estate that offers `releases`."""

    @property
    def releases(self) -> Releases: ...


def releases(estate: Estate) -> Releases:
    """Those of the estate, for a member whose `requires` was checked while planning."""
    return cast(Upgradable, estate).releases
