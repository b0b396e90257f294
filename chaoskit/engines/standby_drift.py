"""What a standby can have drifted into: how each kind comes about, is told apart, and is mended without its primary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from chaoskit.engines import member_settings as settings
from chaoskit.engines import standby_access as access
from chaoskit.engines import standby_limit as limit
from chaoskit.engines.replication import Pair
from chaoskit.engines.session import MISSING_LIBRARY, Connection, EngineError
from chaoskit.model.estate import Estate
from chaoskit.model.lease import HostRulesUndo, SettingUndo, ToxicUndo, Undo

Kind = Literal["host-rules", "read-only", "synchronous", "library", "address", "limit"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NAMES = {
    "read-only": "default_transaction_read_only",
    "synchronous": "synchronous_standby_names",
    "library": access.PRELOADED,
}
GHOST = "chaoskit_copied_standby"
VALUES = {"read-only": "on", "synchronous": GHOST}
_TAKEN_OUT = "# taken out, it turned the application away: "


@dataclass(frozen=True)
class Drift:
    """A difference that would cost time once the standby is needed. `mendable`: `mend` knows how."""

    kind: str
    what: str
    mendable: bool = False

    def __str__(self) -> str:
        return self.what


async def undo_of(kind: Kind, pair: Pair, estate: Estate) -> Undo:
    """How to bring back what is there now. Raises EngineError."""
    member = (pair.standby, pair.role, estate)
    if kind == "host-rules":
        text = await settings.host_rules(*member)
        return Undo(steps=(HostRulesUndo(service=pair.standby, text=text),))
    if kind == "address":
        links = access.application_links(pair, estate.plan.system)
        return Undo(steps=tuple(ToxicUndo(link=link, toxic=access.STALE) for link in links))
    if kind == "limit":
        return await limit.undo_of(pair, estate)
    name = NAMES[kind]
    return Undo(
        steps=(SettingUndo(service=pair.standby, name=name, value=await settings.kept(*member, name)),)
    )


async def lay(kind: Kind, pair: Pair, estate: Estate) -> None:
    """Let the standby drift. Raises EngineError."""
    member = (pair.standby, pair.role, estate)
    if kind == "host-rules":
        user = '"' + pair.role.user.replace('"', '""') + '"'
        rule = f"host all {user} all reject\n"
        text = await settings.host_rules(*member)
        await settings.write_host_rules(*member, rule + text.removeprefix(rule))
    elif kind == "address":
        await access.mislead(pair, estate)
    elif kind == "library":
        await access.preload(pair, estate, access.MISSING)
    elif kind == "limit":
        await limit.lay(pair, estate)
    else:
        await settings.change(*member, NAMES[kind], VALUES[kind])


async def found(pair: Pair, estate: Estate) -> tuple[Drift, ...]:
    """What the standby says of itself that would cost time, its primary not asked. Raises EngineError."""
    member = (pair.standby, pair.role, estate)
    drifts = []
    missing, all_missing = await access.missing_libraries(pair, estate)
    if missing:
        names = ", ".join(missing)
        what = (
            f"{pair.standby} loads {names} into every new session and has no such library: it lets nobody in"
        )
        drifts.append(Drift("library", what, mendable=all_missing))
    for link, why in await access.strays(pair, estate):
        what = f"the address that {link.split(' ')[0]} has for {pair.standby} does not lead there: {why}"
        drifts.append(Drift("address", what, mendable=True))
    refused = await settings.refusal(*member)
    if refused is not None and MISSING_LIBRARY not in refused:
        lines = await settings.rules_that_refuse(*member)
        at = f" (pg_hba.conf, line {', '.join(map(str, lines))})" if lines else ""
        what = f"{pair.standby} lets the application {pair.role.user!r} not in{at}: {refused}"
        drifts.append(Drift("host-rules", what, mendable=bool(lines)))
    told = await settings.as_superuser(*member, _settings)
    if told["default_transaction_read_only"] == "on":
        what = (
            f"{pair.standby} is set to default_transaction_read_only: promoted, it would refuse every payment"
        )
        drifts.append(Drift("read-only", what, mendable=True))
    if told["in_hot_standby"] == "on" and (names := told["synchronous_standby_names"]):
        what = f"{pair.standby} has a synchronous_standby_names of its own, {names!r}: promoted, it would wait for it"
        drifts.append(Drift("synchronous", what, mendable=True))
    return tuple(drifts)


async def stopped(pair: Pair, estate: Estate) -> tuple[Drift, ...]:
    """What only both members together show: a replay that has stopped at a limit of the primary. Raises EngineError."""
    what = await limit.found(pair, estate)
    return () if what is None else (Drift("limit", what, mendable=True),)


async def _settings(connection: Connection) -> dict[str, str]:
    # What a session begins with, not what ours has been given; a server before PostgreSQL 14 has no in_hot_standby.
    query = """SELECT name, reset_val FROM pg_settings
               WHERE name IN ('default_transaction_read_only', 'synchronous_standby_names')
               UNION ALL SELECT 'in_hot_standby', CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END"""
    return {str(name): str(value) for name, value in await (await connection.execute(query)).fetchall()}


async def mend(drift: Drift, pair: Pair, estate: Estate) -> str:
    """Mend what a reload can mend, and by a restart what takes one; what was done, in words.

    Raises EngineError, also when it is still there, and EnvironmentBroken when the restarted standby does not come up.
    """
    if not drift.mendable:
        raise EngineError(f"this cannot be mended by a reload: {drift.what}")
    member = (pair.standby, pair.role, estate)
    match drift.kind:
        case "host-rules":
            lines = (await settings.host_rules(*member)).split("\n")
            numbers = await settings.rules_that_refuse(*member)
            for number in numbers:
                lines[number - 1] = _TAKEN_OUT + lines[number - 1]
            await settings.write_host_rules(*member, "\n".join(lines))
            done = f"line {', '.join(map(str, numbers))} of pg_hba.conf taken out"
        case "library":
            await access.preload(pair, estate, None)
            done = f"{access.PRELOADED} taken out"
        case "address":
            links = await access.lead_back(pair, estate)
            done = f"the address that stands for {pair.standby} put right: {', '.join(links)}"
        case "limit":
            done = await limit.mend(pair, estate)
        case _:
            name, value = NAMES[drift.kind], "off" if drift.kind == "read-only" else ""
            await settings.change(*member, name, value)
            done = f"{name} set to {value!r}"
    look = stopped if drift.kind == "limit" else found
    if any(one.kind == drift.kind for one in await look(pair, estate)):
        raise EngineError(f"{pair.standby} still drifts after {done}")
    return done
