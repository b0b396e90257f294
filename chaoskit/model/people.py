"""People of a drill: who stands in for whom, who decides in the end, and how one who is there is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.quantity import Duration


class Substitute(Frozen):
    """Who stands in for a role that is absent, in the order of the list."""

    role: Annotated[str, Field(min_length=1, description="who stands in, for example deputy-manager")]
    after: Annotated[
        Duration,
        Field(description="how long it takes until this one is reached, once the one before is known absent"),
    ]


class Decider(Frozen):
    """Who decides in this run, and what it takes until that one is reached; `role` None: everybody is absent."""

    role: str | None
    reached: Annotated[Duration, Field(description="until the decider is reached, all in vain included")]
    absent: Annotated[tuple[str, ...], Field(description="those who were tried in vain, in order")] = ()


def decider_of(role: str, absent: Iterable[str], substitutes: Mapping[str, Sequence[Substitute]]) -> Decider:
    """The first of a role and its substitutes who is not absent."""
    away, waited, tried = set(absent), 0, list[str]()
    line = [(role, 0), *((one.role, one.after.ns) for one in substitutes.get(role, ()))]
    for name, after_ns in line:
        waited += after_ns
        if name not in away:
            return Decider(role=name, reached=Duration.of_ns(waited), absent=tuple(tried))
        tried.append(name)
    return Decider(role=None, reached=Duration.of_ns(waited), absent=tuple(tried))


@dataclass(frozen=True)
class Question:
    """A decision that somebody who is there has to take: what would be done, by which role, within how long."""

    step: str
    what: str
    role: str
    within: str


@dataclass(frozen=True)
class Answer:
    """What was answered, and by whom, in that person's own word."""

    yes: bool
    who: str


class NobodyAsked(Exception):
    """There is no way to ask any more: the terminal is gone, or this run is not in its foreground."""


@runtime_checkable
class Asker(Protocol):
    """Whoever can put a question to a person. Waiting for the answer can be cancelled at any time."""

    async def ask(self, question: Question) -> Answer:
        """Raises NobodyAsked."""
        ...
