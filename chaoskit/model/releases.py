"""Capability `releases`: which release of its code and settings each service runs, and the schema's migrations."""

from __future__ import annotations

from typing import Literal, Protocol, cast

from chaoskit.model.estate import Estate


class Releases(Protocol):
    """What a roll-out and its undo use; every call may be repeated."""

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

    async def migrate(self, release: str, way: Literal["up", "down"]) -> None:
        """Run the release's migration, or take it back; nothing if that is done, or there is none.

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
