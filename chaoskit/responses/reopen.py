"""reopen: services that were isolated get new secrets and their links, and whoever knows the old ones stays outside."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.damage import in_words, marked_rows
from chaoskit.engines.grip import links_of, log_ins, members_behind
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.security import isolating, security
from chaoskit.model.system import DatabaseRole, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LOOK_S = 0.1
_ANSWER_S = 5.0
_WATCH = Duration.parse("2s")
_REFUSED = "password authentication failed"


@register("responses", "reopen")
@dataclass(frozen=True)
class Reopen:
    """Services named by `on:` that `isolate` has cut off are let in again, with new secrets.

    1. Rotate. Every database log-in in their environment gets a new password, one that nobody could guess and that is
       recorded nowhere; with `rotate: false` nothing changes, which is how the attacker comes back. It is changed on
       the member that takes writes: after a promotion, the promoted one.
    2. Restart each service, which is told the new password; then its links are connected, but for those to a service
       that is still isolated.
    3. Watch for `watch`: the damage on that member is counted again and again, and so are the log-ins that it refused,
       by its own log. Damage beyond what was there before the opening fails this step.
    4. Begin a new generation of each backup of those databases; one that is not sound fails this step. The store
       follows the primary that system.yaml names: with another member in its place none is begun, which is recorded.

    Fidelity on `local`: real log-ins with real passwords; the service reads its own from its environment.
    Fidelity on `docker`: the same; a container whose environment holds a changed password is made anew with the new
    one, so that what it had written outside its volumes is gone.

        timeline:
          - when: {done: restore-backup}
            respond: reopen
            on: ledger
    """

    rotate: Annotated[bool, Field(description="give the services' log-ins new passwords first")] = True
    watch: Annotated[Duration, Field(description="how long to look for an attacker who comes back")] = _WATCH
    requires: ClassVar[frozenset[str]] = frozenset({"links", "lifecycle", "positions", "secrets", "backups"})

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for nobody to let in."""
        if not on:
            raise ValueError("`reopen` needs `on:` with the services that were cut off")

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        system = estate.plan.system
        writers = await _writers(on, estate)
        before = [await _seen(estate, role, writer) for role, writer in writers.items()]
        try:
            users = await _rotate(on, estate, writers) if self.rotate else []
            for service in on:
                await estate.lifecycle.stop(service)
            links = links_of(on, system)
            await asyncio.gather(
                *(
                    estate.links.enable(link, True, isolating(one))
                    for one in on
                    for link in links_of([one], system)
                )
            )
            for service in on:
                await estate.lifecycle.start(service)
        except (EngineError, EnvironmentBroken) as error:
            raise ResponseFailed(f"{', '.join(on)} could not be opened again: {error}") from error
        context.record("opened", services=list(on), links=links, rotated=users, after_ms=elapsed_ms(begun))
        await self._watch(context, before)
        await _back_up(writers, context)

    async def _watch(self, context: ResponseContext, before: Sequence[_Seen]) -> None:
        until = monotonic_ns() + self.watch.ns
        while True:
            now = [await _seen(context.estate, one.role, one.member, "opened, and ") for one in before]
            tries = sum(new.refused - old.refused for new, old in zip(now, before, strict=True))
            grown = {new.member: _more(new.damage, old.damage) for new, old in zip(now, before, strict=True)}
            worst = {member: rows for member, rows in grown.items() if rows}
            if worst or monotonic_ns() > until:
                break
            await asyncio.sleep(_LOOK_S)  # nobody tells when a row becomes unreadable
        words = {name: in_words(rows) for name, rows in worst.items()}
        found = {one.member: one.damage for one in before if one.damage}
        context.record("watched", damage=worst, words=words, before=found, refused=tries, rotated=self.rotate)
        if worst:
            told = "; ".join(f"{name}: {what}" for name, what in words.items())
            raise ResponseFailed(f"the attacker is back: {told}")


@dataclass(frozen=True)
class _Seen:
    """One look at the member of a role that takes writes: marked rows by table, and log-ins that it has refused."""

    role: str
    member: str
    damage: dict[str, int]
    refused: int


async def _seen(estate: Estate, role: str, member: str, when: str = "nothing was opened: ") -> _Seen:
    try:
        damage = await marked_rows(estate.direct(member), estate.plan.system.roles[role])
    except (EngineError, ServiceDown) as error:
        raise ResponseFailed(f"{when}{member} cannot be read: {error}") from error
    return _Seen(role, member, damage, await _refusals(estate, member))


def _more(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """Marked rows that were not there before. What a promotion has inherited is no sign that he is back."""
    grown = {table: rows - before.get(table, 0) for table, rows in now.items()}
    return {table: rows for table, rows in grown.items() if rows > 0}


def _roles(service: str, system: System) -> list[str]:
    """The database roles to a member of which a link of the service leads."""
    behind = [role for _, role in members_behind(system, service)]
    return [name for name, role in system.roles.items() if any(role is one for one in behind)]


async def _writers(on: Sequence[str], estate: Estate) -> dict[str, str]:
    """Of each role behind the services the member that takes writes. Raises ResponseFailed where none does."""
    names = dict.fromkeys(role for service in on for role in _roles(service, estate.plan.system))
    return {name: await _writer(estate.plan.system.roles[name], estate) for name in names}


async def _writer(role: DatabaseRole, estate: Estate) -> str:
    if role.standby is None:
        return role.primary
    found: list[tuple[int, str]] = []
    for member in (role.primary, role.standby):
        with suppress(EngineError, ServiceDown):  # a dead one takes no write
            standing = await PostgreSQL(estate.direct(member), role).standing(_ANSWER_S)
            if not standing.in_recovery:
                found.append((standing.timeline, member))
    if not found:
        neither = f"neither {role.primary} nor {role.standby}"
        raise ResponseFailed(f"nothing was opened: {neither} says that it takes writes")
    # An old primary that was fenced alive does not know of it: whoever was promoted last has the newest timeline.
    return max(found)[1]


async def _back_up(writers: dict[str, str], context: ResponseContext) -> None:
    system = context.estate.plan.system
    for name, backup in system.backups.items():
        if (writer := writers.get(backup.of)) is None:
            continue
        if writer != system.roles[backup.of].primary:
            context.record("not-backed-up", backup=name, writer=writer)
            continue
        kept = await security(context.estate).backups.take(name)
        context.record("backed-up", backup=name, generation=kept.generation, sound=kept.sound)
        if not kept.sound:
            raise ResponseFailed(
                f"opened, and the new generation of the backup {name} is not sound: {kept.why}"
            )


async def _rotate(on: Sequence[str], estate: Estate, writers: dict[str, str]) -> list[str]:
    """New passwords for the services' log-ins, on every database behind any of them; which log-ins.

    Raises ResponseFailed for a service with a database behind it and no log-in that could be changed.
    """
    holder = security(estate)
    new: dict[str, str] = {}
    done: set[tuple[str, str]] = set()
    for service in on:
        roles, found = _roles(service, estate.plan.system), log_ins(holder.positions.environment(service))
        if roles and not found:
            raise ResponseFailed(
                f"no variable of {service} is a PostgreSQL URL with a password: nothing could be rotated"
            )
        for login in found:
            password = new.setdefault(login.user, secrets.token_urlsafe(24))
            for name in roles:
                if (login.user, name) not in done:
                    done.add((login.user, name))
                    server = PostgreSQL(estate.direct(writers[name]), estate.plan.system.roles[name])
                    await server.change_password(login.user, password)
            holder.secrets.replace(login.password, password)
    return list(new)


async def _refusals(estate: Estate, member: str) -> int:
    """Log-ins with a wrong password, by the database's own log."""

    def count() -> int:
        path = estate.log_path(member)
        return path.read_text(encoding="utf-8", errors="replace").count(_REFUSED) if path.exists() else 0

    return await asyncio.to_thread(count)
