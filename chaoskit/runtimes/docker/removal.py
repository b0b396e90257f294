"""Removes what carries a run's labels: containers and their anonymous volumes, networks, volumes.

    look ──► containers (killed, at once) ──► networks ──► volumes ──► look … until nothing is found

A container that was requested before its conductor died appears after the first empty look: whoever cleans up after a
dead conductor goes on looking for a while (`quiet_s`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine_socket import EngineRefused, EngineSilent, EngineSocket

QUIET_S = 2.0
"""Nothing that a dead conductor had requested appeared later than this after an empty look."""
LOOK_S = 5.0
"""How long a hung engine keeps a look waiting. A removal has longer: a process may die slowly."""
_AT_ONCE = 8
_PAUSE_S = 0.05
_GONE = (404, 409)  # 409: somebody else is removing it, or it is still in use; the next look shows which

_MISCOUNTED = (
    "; if nothing is connected to it, the engine has lost count: after a restart of the engine it goes with the "
    "next sweep"
)

Kind = Literal["container", "network", "volume"]


@dataclass(frozen=True)
class Found:
    """One object: `id` is what the engine wants to hear, `name` what a person does."""

    kind: Kind
    id: str
    name: str
    labels: dict[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def labelled(engine: EngineSocket, selector: Iterable[str]) -> list[Found]:
    """Every object with all of these labels (`key` or `key=value`), containers first, volumes last."""
    filters = {"filters": json.dumps({"label": list(selector)})}
    containers = engine.call("GET", "/containers/json", {"all": "true", **filters}, within_s=LOOK_S)
    networks = engine.call("GET", "/networks", filters, within_s=LOOK_S)
    volumes = engine.call("GET", "/volumes", filters, within_s=LOOK_S)
    return [
        *(_container(each) for each in containers),
        *(Found("network", each["Id"], each["Name"], each.get("Labels") or {}) for each in networks),
        *(
            Found("volume", each["Name"], each["Name"], each.get("Labels") or {})
            for each in volumes["Volumes"] or ()
        ),
    ]


def remove_all(
    engine: EngineSocket,
    look: Callable[[], list[Found]],
    *,
    quiet_s: float,
    within_s: float,
    silent_s: float | None = None,
    stuck_s: float = 10.0,
    tell: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Remove all that `look` finds, until it has found nothing for `quiet_s`; returns what is left after `within_s`.

    `tell` hears a line for each round that found something. Raises EnvironmentBroken when the engine has not
    answered for `silent_s` (else `within_s`); what it refuses to remove is tried again until
    nothing has changed for `stuck_s`: the engine has defects of its own.
    """
    answered = time.monotonic()
    deadline = answered + within_s
    silent_s = within_s if silent_s is None else silent_s
    empty_since: float | None = None
    before, changed = frozenset[Found](), answered
    while True:
        now = time.monotonic()
        try:
            found = look()
            refused = remove(engine, found)
        except EnvironmentBroken as error:
            if time.monotonic() > min(deadline, answered + silent_s):
                raise
            tell(str(error))
            empty_since = None
            time.sleep(_PAUSE_S)
            continue
        answered = time.monotonic()
        if found:
            tell("; ".join([f"found {', '.join(map(str, found))}", *refused]))
            if before != (before := frozenset(found)):
                changed = answered
            if now > deadline or answered - changed > stuck_s:
                return [*map(str, found), *refused]
            empty_since = None
        elif empty_since is None:
            empty_since = now
        if empty_since is not None and now - empty_since >= quiet_s:
            return []
        if refused or not found:
            time.sleep(_PAUSE_S)


def remove(engine: EngineSocket, found: Sequence[Found]) -> list[str]:
    """Remove these, each kind at once, containers first; returns what the engine said against it.

    Missing, and in use by what is just going, are no trouble. Raises EngineSilent.
    """
    refused: list[str] = []
    for kind, one in (
        ("container", _remove_container),
        ("network", _remove_network),
        ("volume", _remove_volume),
    ):
        objects = [each for each in found if each.kind == kind]
        if objects:
            with ThreadPoolExecutor(min(_AT_ONCE, len(objects))) as pool:
                answers = pool.map(lambda each, one=one: _said(one, engine, each), objects)
                refused += filter(None, answers)
    return refused


def _said(one: Callable[[EngineSocket, Found], None], engine: EngineSocket, found: Found) -> str:
    try:
        one(engine, found)
    except EngineSilent:
        raise
    except EngineRefused as error:
        return "" if error.status in _GONE and _MISCOUNTED not in str(error) else str(error)
    return ""


def _remove_container(engine: EngineSocket, found: Found) -> None:
    engine.call("DELETE", f"/containers/{found.id}", {"force": "true", "v": "true"})


def _remove_network(engine: EngineSocket, found: Found) -> None:
    try:
        engine.call("DELETE", f"/networks/{found.id}")
    except EngineRefused as error:
        if error.status not in (
            403,
            409,
        ):  # it has endpoints: of a container that is not the run's, or of a dead one
            raise
        for container in engine.call("GET", f"/networks/{found.id}").get("Containers") or {}:
            body = {"Container": container, "Force": True}
            engine.call("POST", f"/networks/{found.id}/disconnect", body=body)
        try:
            engine.call("DELETE", f"/networks/{found.id}")
        except EngineRefused as still:
            raise EngineRefused(still.status, f"{still}{_MISCOUNTED}") from None


def _remove_volume(engine: EngineSocket, found: Found) -> None:
    engine.call("DELETE", f"/volumes/{found.id}", {"force": "true"})


def _container(each: dict[str, Any]) -> Found:
    name = (each.get("Names") or [each["Id"][:12]])[0].lstrip("/")
    return Found("container", each["Id"], name, each.get("Labels") or {})
