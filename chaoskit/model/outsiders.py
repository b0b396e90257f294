"""What a runtime offers so that somebody from outside can attack a service: a program beside the run's customers.

Capability `outsiders`; a fault that requires it is refused while planning where it is not offered.
"""

from __future__ import annotations

from typing import Protocol, cast

from chaoskit.model.estate import Estate

NETWORKS = {
    "attack.flood": "198.51.100.",
    "attack.credential-stuffing": "203.0.113.",
    "attack.injection": "192.0.2.",
}
"""Where attackers say that they come from: by kind of attack a network of its own, so that a word about an address is
one about that attack; they are kept for documentation, so that no customer is there."""
ADDRESSES = tuple(NETWORKS.values())
"""How the addresses of all of them begin."""
SOURCES_MAX = 200
BLOCKED = "blocked"
"""How the error begins of an operation whose customer was turned away as an attacker would be."""
BLOCKED_STATUS = frozenset({423, 429})
"""The same, of a journey over HTTP."""


class Outsiders(Protocol):
    """Programs that reach the system as its customers do, and have nothing else of it."""

    async def begin(self, name: str, argv: tuple[str, ...], stdin: bytes) -> None:
        """Start one, once under that name; it ends with the run at the latest, whatever becomes of the conductor."""
        ...

    async def end(self, name: str) -> None:
        """End it with all its children; harmless when it never began or is gone."""
        ...

    async def busy(self) -> bool:
        """Whether any of them has not ended yet."""
        ...


class Beset(Estate, Protocol):
    """An estate that offers `outsiders`."""

    @property
    def outsiders(self) -> Outsiders: ...


def outsiders(estate: Estate) -> Outsiders:
    """The estate's; `requires` has seen to it that it has them."""
    return cast(Beset, estate).outsiders


def network_of(attack: str) -> str:
    """How the addresses of an attack begin, by its kind."""
    return NETWORKS.get(attack, ADDRESSES[0])


def sources(attack: str, count: int) -> tuple[str, ...]:
    """So many addresses of an attack of that kind."""
    return tuple(f"{network_of(attack)}{number}" for number in range(1, count + 1))
