"""What a runtime offers so that a database member that has fallen out can follow its successor.

The protocol is a capability of its name; a response that requires it is refused while planning where it is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from chaoskit.model.estate import Estate


@dataclass(frozen=True)
class Copied:
    """What was moved from the source to the follower, and how long that took."""

    bytes: int
    took_ns: int


@dataclass(frozen=True)
class ControlFile:
    """What a stopped member's own control file says. `at`: its last checkpoint, bytes from the start of the log."""

    state: str
    at: int
    timeline: int

    @property
    def clean(self) -> bool:
        """It was shut down as a primary, and everything that it had confirmed lies before `at`."""
        return self.state == "shut down"


class NotRewound(Exception):
    """The data could not be rewound, and is as it was; the message says why."""


class Followers(Protocol):
    """Capability `followers`: the data of a stopped member, made to follow the other one. Raises EnvironmentBroken.

    Whatever is replaced is kept beside it until the run ends, and is back in its place when the work fails. `rewind`
    and `copy` take what they take: whoever waits has the deadline, and ends them by giving up.
    """

    async def control(self, service: str) -> ControlFile:
        """What its control file says."""
        ...

    async def rewind(self, service: str, source: str) -> Copied:
        """Take back what the member wrote after the source had left its history, and fetch what differs. Raises
        NotRewound."""
        ...

    async def copy(self, service: str, source: str, rate: int | None) -> Copied:
        """A new base backup of the source in place of the member's data, at so many bytes a second at most."""
        ...

    async def follow(self, service: str, source: str) -> str:
        """From its next start on it follows the source; the words say over what."""
        ...


class Following(Estate, Protocol):
    """An estate that offers `followers`."""

    @property
    def followers(self) -> Followers: ...


def followers(estate: Estate) -> Followers:
    """Those of the estate; `requires` has seen to it."""
    return cast(Following, estate).followers
