"""reset-setting: a setting that somebody pushed to a database server is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines import member_settings, wrong_setting
from chaoskit.engines.session import EngineError
from chaoskit.errors import ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.system import DatabaseRole, System
from chaoskit.registry import register


@register("responses", "reset-setting")
@dataclass(frozen=True)
class ResetSetting:
    """Takes a setting out of a server's postgresql.auto.conf, or gives it the `value` that it should have, and reloads.

    That file is where `ALTER SYSTEM` writes and outranks postgresql.conf: without it, what the bank itself has
    configured is in force again, also for whoever is logged in. The administrator's session does without the time
    limits and the read-only mode that may be what is being taken back. One that takes a restart is refused.

    Proof: a new session of the application's own role is told another value than before; where it is not (its role or
    another file says the same), the response fails. Where the file is as it should be, nothing is done, and that is
    said.

    Fidelity on `local`: (and `docker`) the server writes its own file and reloads it.

        timeline:
          - when: {stop-rule: transfers-fail}
            respond: reset-setting
            on: ledger-db
            setting: default_transaction_read_only
            decision: {role: duty-manager, takes: 2m}
    """

    setting: Annotated[str, Field(description="setting that is taken back; one that a reload sets")]
    value: Annotated[
        str | int | float | bool | None,
        Field(description="what postgresql.auto.conf should say of it; default: nothing"),
    ] = None
    requires: ClassVar[frozenset[str]] = frozenset({"processes"})

    def __post_init__(self) -> None:
        wrong_setting.checked_name(self.setting)

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for anything but one member of a database role."""
        if len(on) != 1:
            raise ValueError(
                f"`reset-setting` acts on one member of a database role, not {', '.join(on) or 'none'}"
            )
        _role(on[0], system)

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        begun, service, estate = monotonic_ns(), on[0], context.estate
        role = _role(service, estate.plan.system)
        wanted = wrong_setting.as_written(self.value)
        try:
            name = await wrong_setting.known(service, role, estate, self.setting)
            was = await member_settings.kept(service, role, estate, name)
            if was == wanted:
                context.record("nothing-to-reset", service=service, setting=name)
                return
            before = await _told(service, role, estate, name)
            await member_settings.restore(service, role, estate, name, wanted)
            now = await wrong_setting.told(service, role, estate, name)
        except (EngineError, ServiceDown) as error:
            raise ResponseFailed(f"{self.setting} of {service} is not taken back: {error}") from error
        if now == before:
            raise ResponseFailed(f"a new session of {role.user} is told {name} = {now!r} as before")
        facts = {"service": service, "setting": name, "was": was, "now": now}
        context.record("setting-reset", **facts, after_ms=elapsed_ms(begun))


async def _told(service: str, role: DatabaseRole, estate: Estate, name: str) -> str | None:
    """None where the application's session says nothing, which may be the setting's own doing."""
    try:
        return await wrong_setting.told(service, role, estate, name)
    except EngineError:
        return None


def _role(service: str, system: System) -> DatabaseRole:
    name = system.role_of(service)
    if name is None:
        known = [one for role in system.roles.values() for one in (role.primary, role.standby) if one]
        raise ValueError(
            f"{service} is no member of a database role; members: {', '.join(known) or 'none'}; "
            "no other database than PostgreSQL is known"
        )
    return system.roles[name]
