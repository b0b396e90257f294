"""reopen: services that were isolated get new secrets and their links, and whoever knows the old ones stays outside."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.damage import in_words, marked_rows
from chaoskit.engines.grip import links_of, log_ins, members_behind
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.security import isolating, security
from chaoskit.model.system import DatabaseRole, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LOOK_S = 0.1
_WATCH = Duration.parse("2s")
_REFUSED = "password authentication failed"


@register("responses", "reopen")
@dataclass(frozen=True)
class Reopen:
    """Services named by `on:` that `isolate` has cut off are let in again, with new secrets.

    1. Rotate. Every database log-in in their environment gets a new password, one that nobody could guess and that is
       recorded nowhere; with `rotate: false` nothing changes, which is how the attacker comes back.
    2. Restart each service, which is told the new password; then its links are connected, but for those to a service
       that is still isolated.
    3. Watch for `watch`: the damage on each primary behind them is counted again and again, and so are the log-ins that
       it refused, by its own log. Damage that comes back fails this step.
    4. Begin a new generation of each backup of those databases; one that is not sound fails this step.

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
        before = {name: await _refusals(estate, name) for name, _ in _writers(on, estate)}
        try:
            users = await _rotate(on, estate) if self.rotate else []
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
        await self._watch(on, context, before)
        for name, backup in system.backups.items():
            if any(system.roles[backup.of] is role for _, role in _writers(on, estate)):
                kept = await security(estate).backups.take(name)
                context.record("backed-up", backup=name, generation=kept.generation, sound=kept.sound)
                if not kept.sound:
                    raise ResponseFailed(
                        f"opened, and the new generation of the backup {name} is not sound: {kept.why}"
                    )

    async def _watch(self, on: Sequence[str], context: ResponseContext, before: dict[str, int]) -> None:
        estate, until = context.estate, monotonic_ns() + self.watch.ns
        while True:
            damage = {name: await _damage(estate, name, role) for name, role in _writers(on, estate)}
            now = {name: await _refusals(estate, name) for name in before}
            tries = sum(now[name] - count for name, count in before.items())
            worst = {name: rows for name, rows in damage.items() if rows}
            if worst or monotonic_ns() > until:
                break
            await asyncio.sleep(_LOOK_S)  # nobody tells when a row becomes unreadable
        words = {name: in_words(rows) for name, rows in worst.items()}
        context.record("watched", damage=worst, words=words, refused=tries, rotated=self.rotate)
        if worst:
            told = "; ".join(f"{name}: {what}" for name, what in words.items())
            raise ResponseFailed(f"the attacker is back: {told}")


def _writers(on: Sequence[str], estate: Estate) -> list[tuple[str, DatabaseRole]]:
    """The primaries behind the services' links."""
    found = {name: role for one in on for name, role in members_behind(estate.plan.system, one)}
    return [(name, role) for name, role in found.items() if name == role.primary]


async def _rotate(on: Sequence[str], estate: Estate) -> list[str]:
    """New passwords for the services' log-ins, on every primary behind any of them; which log-ins.

    Raises ResponseFailed for a service with a database behind it and no log-in that could be changed.
    """
    holder = security(estate)
    new: dict[str, str] = {}
    done: set[tuple[str, str]] = set()
    for service in on:
        writers, found = _writers([service], estate), log_ins(holder.positions.environment(service))
        if writers and not found:
            raise ResponseFailed(
                f"no variable of {service} is a PostgreSQL URL with a password: nothing could be rotated"
            )
        for login in found:
            password = new.setdefault(login.user, secrets.token_urlsafe(24))
            for name, role in writers:
                if (login.user, name) not in done:
                    done.add((login.user, name))
                    await PostgreSQL(estate.direct(name), role).change_password(login.user, password)
            holder.secrets.replace(login.password, password)
    return list(new)


async def _damage(estate: Estate, member: str, role: DatabaseRole) -> dict[str, int]:
    try:
        return await marked_rows(estate.direct(member), role)
    except EngineError as error:
        raise ResponseFailed(f"opened, and {member} cannot be read: {error}") from error


async def _refusals(estate: Estate, member: str) -> int:
    """Log-ins with a wrong password, by the database's own log."""

    def count() -> int:
        path = estate.log_path(member)
        return path.read_text(encoding="utf-8", errors="replace").count(_REFUSED) if path.exists() else 0

    return await asyncio.to_thread(count)
