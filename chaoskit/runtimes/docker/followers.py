"""A member's data made to follow the other one, by PostgreSQL's own tools in a container beside the stopped one."""

from __future__ import annotations

import re
from collections.abc import Callable

from psycopg.conninfo import make_conninfo

from chaoskit.clock import monotonic_ns
from chaoskit.engines.session import parameters
from chaoskit.model.estate import Address
from chaoskit.model.followers import ControlFile, Copied, NotRewound
from chaoskit.model.plan import Plan
from chaoskit.model.system import Link
from chaoskit.runtimes import following
from chaoskit.runtimes.docker.workshop import Workshop

CAPABILITIES = frozenset({"followers"})
_NOT_REWOUND = 3
_SIZE = re.compile(rb"^chaoskit: (\d+) bytes$", re.MULTILINE)
_CONTROL = 'as_owner pg_controldata -D "$PGDATA"'
_REWIND = """
test -s "$PGDATA/PG_VERSION" || { echo "pg_rewind: error: no data directory is left"; exit 3; }
cp -a "$PGDATA/." "/kept/$TURN-before"
rm -f "$PGDATA/postmaster.pid"
add postgresql.auto.conf "$KEEP_LOG"
as_owner pg_rewind --target-pgdata="$PGDATA" --source-server="$SOURCE" --no-sync --progress && exit 0
empty
cp -a "/kept/$TURN-before/." "$PGDATA"
exit 3
"""
_COPY = """
install -d -m 0700 -o "$owner" -g "$group" "/kept/$TURN-new"
as_owner pg_basebackup -d "$SOURCE" -D "/kept/$TURN-new" --no-password --wal-method=stream --checkpoint=fast \\
  --no-sync --no-manifest $SLOWLY
echo "chaoskit: $(du -sb "/kept/$TURN-new" | cut -f1) bytes"
cp -a "$PGDATA/." "/kept/$TURN-before"
empty
cp -a "/kept/$TURN-new/." "$PGDATA"
rm -rf "/kept/$TURN-new"
"""
_FOLLOW = 'add postgresql.auto.conf "$SETTINGS"; add standby.signal ""'


class DockerFollowers:
    """Capability `followers`. The image must have PostgreSQL's tools, as PostgreSQL's own has, and a PGDATA."""

    def __init__(
        self,
        plan: Plan,
        workshop: Workshop,
        direct: Callable[[str], Address],
    ) -> None:
        self._plan = plan
        self._run = workshop.run
        self._direct = direct

    async def control(self, service: str) -> ControlFile:
        """As the protocol says."""
        _, out = await self._run(service, _CONTROL)
        return following.control_file(out.decode("utf-8", "replace"), service)

    async def rewind(self, service: str, source: str) -> Copied:
        """As the protocol says."""
        begun = monotonic_ns()
        role = following.role_of(service, self._plan.system)
        keys = parameters(self._direct(source), role, superuser=True)
        login = {name: value for name, value in keys.items() if name != "client_encoding"}
        told = {"SOURCE": make_conninfo("", **login), "KEEP_LOG": following.KEEP_LOG}
        status, out = await self._run(service, _REWIND, told, may_end=_NOT_REWOUND)
        text = out.decode("utf-8", "replace")
        if status == _NOT_REWOUND:
            raise NotRewound(following.why_not_rewound(text) or text.strip()[-200:])
        return Copied(following.rewound_bytes(text), monotonic_ns() - begun)

    async def copy(self, service: str, source: str, rate: int | None) -> Copied:
        """As the protocol says."""
        begun = monotonic_ns()
        address = self._direct(source)
        keys = {**self._receiver(service), "host": address.host, "port": str(address.port)}
        slowly = "" if rate is None else f"--max-rate={rate // 1024}k"
        told = {"SOURCE": make_conninfo("", **keys), "SLOWLY": slowly}
        _, out = await self._run(service, _COPY, told)
        size = _SIZE.search(out)
        return Copied(int(size[1]) if size else 0, monotonic_ns() - begun)

    async def follow(self, service: str, source: str) -> str:
        """As the protocol says."""
        role = following.role_of(service, self._plan.system)
        keys, link = self._receiver(service), Link(caller=service, callee=source)
        if service != role.standby:
            keys = {**keys, "host": source, "port": str(self._direct(source).port)}
        await self._run(service, _FOLLOW, {"SETTINGS": following.settings(make_conninfo("", **keys))})
        return link.name if link in self._plan.system.links else "a direct connection"

    # -- inside ---------------------------------------------------------------------------------------

    def _receiver(self, service: str) -> dict[str, str]:
        role = following.role_of(service, self._plan.system)
        told = self._plan.system.services[str(role.standby)].environment.get("PRIMARY_CONNINFO")
        return following.receiver(service, told, role)
